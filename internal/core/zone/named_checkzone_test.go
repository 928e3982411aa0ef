package zone

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
)

// checkzone has BIND judge a zone file: it gives the records as BIND read them, or what it says against them.
func checkzone(t *testing.T, origin string, text []byte) ([]dns.Record, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "named-checkzone", "-q", "-i", "none", "-k", "ignore", "-n", "ignore", "-D", "-s", "full", "-o", "-", origin, file)
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	if err := command.Run(); err != nil {
		// With -q it tells nothing of why.
		loud, _ := exec.CommandContext(t.Context(), "named-checkzone", "-i", "none", "-k", "ignore", "-n", "ignore", origin, file).CombinedOutput()
		return nil, fmt.Errorf("%w: %s%s", err, said.String(), loud)
	}
	got, err := dns.ReadZone(&out, origin, dns.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return Sort(got.Records), nil
}

// randomData gives data of the common types, of every form that they have.
func randomData(rng *rand.Rand, name func() string) (dns.Type, string) {
	octets := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return fmt.Sprintf("%x", b)
	}
	quoted := func(most int) string {
		b := make([]byte, rng.IntN(most+1))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		var text strings.Builder
		for _, c := range b {
			fmt.Fprintf(&text, "\\%03d", c)
		}
		return `"` + text.String() + `"`
	}
	number := func(below int) int { return rng.IntN(below) }
	switch rng.IntN(18) {
	case 0:
		return dns.TypeAAAA, fmt.Sprintf("2001:db8::%x", number(1<<16))
	case 1:
		return dns.TypeMX, fmt.Sprintf("%d %s", number(1<<16), name())
	case 2:
		return dns.TypeTXT, quoted(255)
	case 3:
		return dns.TypeTXT, quoted(255) + " " + quoted(255) + " " + quoted(20)
	case 4:
		return dns.TypeSRV, fmt.Sprintf("%d %d %d %s", number(9), number(9), number(1<<16), name())
	case 5:
		return dns.TypeCAA, fmt.Sprintf(`%d issue %s`, number(2)*128, strings.ReplaceAll(quoted(40), `\092`, `\093`)) // see Known limits of proto/dns
	case 6:
		return dns.TypePTR, name()
	case 7:
		return dns.TypeTLSA, "3 1 1 " + octets(32)
	case 8:
		return dns.TypeSSHFP, fmt.Sprintf("4 2 %s", octets(32))
	case 9:
		return dns.TypeNAPTR, fmt.Sprintf(`%d %d "u" "E2U+sip" "!^.*$!sip:%d@example.net!" .`, number(99), number(99), number(999))
	case 10:
		return dns.TypeHTTPS, fmt.Sprintf(`%d %s alpn="h2,h3" port="%d"`, 1+number(9), name(), number(1<<16))
	case 11:
		return dns.TypeSVCB, fmt.Sprintf(`1 %s ipv4hint="192.0.2.%d" key65300="%d"`, name(), number(256), number(999))
	case 12:
		return dns.Type(65280 + number(99)), fmt.Sprintf(`\# 5 %s`, octets(5))
	case 13:
		return dns.TypeCNAME, name()
	case 14:
		return dns.TypeNS, name()
	case 15:
		return dns.TypeDS, fmt.Sprintf("%d 13 2 %s", number(1<<16), octets(32))
	case 16:
		return dns.TypeDNAME, name()
	}
	return dns.TypeA, fmt.Sprintf("192.0.2.%d", number(256))
}

// randomZone gives a zone that keeps all rules for which zones are refused. BIND refuses one more: a name server of the zone
// itself without an address, of which Check warns.
func randomZone(t *testing.T, rng *rand.Rand) *Zone {
	t.Helper()
	labels := []string{"a", "b", "www", "mail", "*", `a\.b`, `\000x\255`, "_tcp", "xn--bcher-kva", "0", strings.Repeat("l", 63), `\$x`, `q\"\;`, `\@`}
	owner := func() string {
		name := "example.net."
		for range rng.IntN(4) {
			name = labels[rng.IntN(len(labels))] + "." + name
		}
		return name
	}
	target := func() string {
		if rng.IntN(2) == 0 {
			return owner()
		}
		return labels[1+rng.IntN(3)] + ".Far.example."
	}
	all := records(t, whole)
	for range 20 + rng.IntN(150) {
		kind, text := randomData(rng, target)
		name, err := dns.Name(owner(), "")
		if err != nil {
			t.Fatal(err)
		}
		if kind == dns.TypeNS && name == "example.net." {
			continue
		}
		data, err := dns.Data(kind, text, ".")
		if err != nil {
			t.Fatalf("%s %s: %v", kind, text, err)
		}
		all = append(all, dns.Record{Name: name, Type: kind, TTL: uint32(rng.IntN(4) * 1200), Data: data})
	}
	all, _ = Tidy(all, Limits{})
	z := &Zone{Domain: "example.net", Records: all}
	for {
		refused := Refused(Check(z, Limits{}))
		if len(refused) == 0 {
			return z
		}
		for _, p := range refused {
			z.Records = Remove(z.Records, slices.DeleteFunc(p.Records, func(r dns.Record) bool {
				return r.Name == z.Apex() && (r.Type == dns.TypeSOA || r.Type == dns.TypeNS)
			})...)
		}
	}
}

func TestBINDReadsWhatWeWrite(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2026))
	types := map[dns.Type]bool{}
	for i := range 12 {
		z := randomZone(t, rng)
		for _, r := range z.Records {
			types[r.Type] = true
		}
		text := dns.WriteZone(z.Apex(), z.Records)
		got, err := checkzone(t, z.Apex(), text)
		if err != nil {
			t.Fatalf("zone %d: %v\n%.5000s", i, err, text)
		}
		if d := Plan(z.Records, got); len(d) > 0 || !slices.Equal(lines(got), lines(z.Records)) {
			t.Fatalf("zone %d is read by BIND with this difference:\n%s\n%s", i, d.Text(), text)
		}
		own, err := dns.ReadZone(bytes.NewReader(text), z.Apex(), dns.Limits{})
		if err != nil || !slices.Equal(lines(Sort(own.Records)), lines(z.Records)) {
			t.Fatalf("zone %d is read here with this difference: %v\n%s", i, err, Plan(z.Records, own.Records).Text())
		}
		stored, err := Decode(Encode(z.Records))
		if err != nil || !slices.Equal(lines(stored), lines(z.Records)) {
			t.Fatalf("zone %d is stored with this difference: %v\n%s", i, err, Plan(z.Records, stored).Text())
		}
	}
	if len(types) < 18 {
		t.Errorf("only %d types were tried", len(types))
	}
}

func TestBINDRefusesWhatWeRefuse(t *testing.T) {
	for _, rule := range []finding.Name{SOAMissing, SOAMoreThanOne, SOANotAtApex, NSMissing, CNAMEAtApex, CNAMENotAlone, DNAMEMoreThanOne} {
		text := broken[rule][0]
		if got, err := checkzone(t, "example.net.", dns.WriteZone("example.net.", records(t, text))); err == nil {
			t.Errorf("%s: BIND takes\n%s", rule, strings.Join(lines(got), "\n"))
		}
	}
}
