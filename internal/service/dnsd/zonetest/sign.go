package zonetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Sign signs zone text by BIND's dnssec-signzone with one ECDSA key, and gives the text of the signed zone. flags are
// more of that program's: for NSEC3 "-3", a salt or "-", with opt-out "-A".
func Sign(t testing.TB, domain, text string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		c := exec.Command(name, args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "zone"), []byte("$TTL 300\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", domain)
	run("dnssec-signzone", append([]string{"-q", "-P", "-S", "-z", "-o", domain, "-f", "signed"}, append(flags, "zone")...)...)
	signed, err := os.ReadFile(filepath.Join(dir, "signed"))
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}
