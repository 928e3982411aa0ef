package zones

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postroad/internal/core/zone"
)

// FuzzRead reads zone files that want other files read. None is ever read, and what is taken keeps the rules.
func FuzzRead(f *testing.F) {
	const secret = "198.51.100.99"
	path := filepath.Join(f.TempDir(), "other")
	if err := os.WriteFile(path, []byte("@ 3600 A "+secret+"\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	const soa = "@ 3600 SOA ns.far.example. a.far.example. 1 7200 900 1209600 300\n@ 3600 NS ns.far.example.\n@ 3600 NS ns2.far.example.\n"
	for _, text := range []string{
		"", soa, soa + "$INCLUDE FILE\n", "$include\tFILE\n" + soa, soa + "$InClUdE \"FILE\" sub\n", soa + "(\n$INCLUDE FILE\n)\n", soa + "\"\n$INCLUDE FILE\n\"\n",
		soa + "$ORIGIN x\n$INCLUDE FILE ; comment\n", soa + "  $INCLUDE FILE\n", soa + "$INC\\LUDE FILE\n", soa + "$GENERATE 1-3 a$ A 192.0.2.$\n", soa + "www A 192.0.2.1\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, secret) {
			return
		}
		now := zone.Zone{Domain: "acme.example"}
		got, err := read(strings.ReplaceAll(text, "FILE", path), now)
		if err != nil {
			if strings.Contains(err.Error(), secret) {
				t.Fatalf("the other file was read: %v", err)
			}
			return
		}
		for _, r := range got.records {
			if strings.Contains(r.Text(), secret) {
				t.Fatalf("the other file was read: %s", r)
			}
		}
		if bad := zone.Refused(zone.Check(&zone.Zone{Domain: "acme.example", Records: got.records}, zone.Limits{})); len(bad) > 0 {
			t.Fatalf("it is taken although it may not be published: %v", bad)
		}
	})
}
