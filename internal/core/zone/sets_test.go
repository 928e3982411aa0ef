package zone

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesOfSets(t *testing.T) {
	for name, good := range map[string]bool{
		"direct": true, "filtered": true, "brand-2": true, "0": true,
		"": false, "none": false, "Direct": false, "a b": false, "-a": false, "ü": false, strings.Repeat("a", 41): false,
	} {
		if err := SetName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestSPFRecords(t *testing.T) {
	for text, good := range map[string]bool{
		"v=spf1 mx ~all": true, "v=spf1": true, "V=SPF1 -all": true, "v=spf1 a:mx.host.example ip4:192.0.2.0/24 ip6:2001:db8::/32 include:spf.example -all": true,
		"v=spf1 a/24 mx:host.example//64 exists:%{i}.example redirect=other.example": true, "v=spf1 exp=why.example custom=x": true,
		"": false, "v=spf10 mx": false, "mx ~all": false, "v=spf1 ipv4:192.0.2.1": false, "v=spf1 mx, ~all": false, "v=spf1 ü": false,
		"v=spf1 " + strings.Repeat("a ", 300): false, "v=spf1 mx\n": false,
	} {
		if err := CheckSPF(text); (err == nil) != good {
			t.Errorf("%.60q: %v", text, err)
		}
	}
	for _, c := range [][3]string{
		{"v=spf1 include:shop.example -all", "v=spf1 mx a:mx.host.example ~all", "v=spf1 include:shop.example mx a:mx.host.example -all"},
		{"v=spf1 mx -all", "v=spf1 mx ~all", "v=spf1 mx -all"},
		{"v=spf1 redirect=other.example", "v=spf1 mx ~all", "v=spf1 mx redirect=other.example"},
		{"v=spf1 a", "v=spf1 mx include:x.example ?all", "v=spf1 a mx include:x.example"},
		{"v=spf1 ?all", "v=spf1 redirect=x.example", "v=spf1 ?all"},
	} {
		if got := MergeSPF(c[0], c[1]); got != c[2] {
			t.Errorf("%q with %q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
	if got := DefaultSPF([]Exchanger{{10, "mx.host.example"}}, "mx.host.example"); got != "v=spf1 mx ~all" {
		t.Errorf("direct: %q", got)
	}
	if got := DefaultSPF([]Exchanger{{10, "mx.filter.example"}}, "mx.host.example"); got != "v=spf1 mx a:mx.host.example ~all" {
		t.Errorf("filtered: %q", got)
	}
}

func TestTheSPFRecordIsReplacedAndOtherTextsStay(t *testing.T) {
	long := "v=spf1 " + strings.Repeat("ip4:192.0.2.1 ", 20) + "~all"
	z := testZone(t, "@ TXT other", `@ TXT "v=spf1 " "mx -all"`, "@ TXT v=spf10", "www TXT \"v=spf1 -all\"")
	if got := z.SPF(); !slices.Equal(got, []string{"v=spf1 mx -all"}) {
		t.Errorf("SPF %q", got)
	}
	changed := z.WithSPF(long)
	if got := changed.SPF(); !slices.Equal(got, []string{long}) || len(changed.Records) != 4 {
		t.Errorf("%q in %q", got, linesOf(&changed))
	}
	none := changed.WithSPF("")
	if got := linesOf(&none); !slices.Equal(got, []string{`acme.example. TXT "other"`, `acme.example. TXT "v=spf10"`, `www TXT "v=spf1 -all"`}) {
		t.Errorf("without: %q", got)
	}
}

func TestAFreshZoneTakesMail(t *testing.T) {
	set := &ExchangerSet{Exchangers: []Exchanger{{10, "mx.host.example"}, {20, "mx2.host.example"}}, SPF: "v=spf1 mx ~all"}
	z, err := Fresh("acme.example", "operator", []string{"ns1.host.example", "ns2.host.example"}, set, 7)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"acme.example. NS ns1.host.example.", "acme.example. NS ns2.host.example.", "acme.example. SOA ns1.host.example. hostmaster.acme.example. 7 7200 900 1209600 300",
		"acme.example. MX 10 mx.host.example.", "acme.example. MX 20 mx2.host.example.", `acme.example. TXT "v=spf1 mx ~all"`,
	}
	if got := linesOf(&z); !slices.Equal(got, want) || z.Serial != 7 {
		t.Errorf("%q, want %q", got, want)
	}
	bare, err := Fresh("acme.example", "operator", []string{"ns1.host.example"}, nil, 1)
	if err != nil || len(bare.Records) != 2 {
		t.Errorf("without a set: %q, %v", linesOf(&bare), err)
	}
	label := strings.Repeat("a", 61) + "."
	longest := label + label + label + strings.Repeat("b", 58) + ".example" // no room for hostmaster
	if long, err := Fresh(longest, "operator", []string{"ns1.host.example"}, set, 1); err != nil || len(long.Records) != 5 {
		t.Errorf("a name of %d octets: %v", len(longest), err)
	}
}
