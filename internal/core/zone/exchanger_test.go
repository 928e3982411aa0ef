package zone

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
)

// testZone reads lines "OWNER TYPE DATA" as the zone acme.example.
func testZone(t *testing.T, lines ...string) *Zone {
	t.Helper()
	z := &Zone{Domain: "acme.example"}
	for _, line := range lines {
		f := strings.SplitN(line, " ", 3)
		kind, err := dns.ParseType(f[1])
		if err != nil {
			t.Fatal(err)
		}
		owner, err := dns.Name(f[0], z.Apex())
		if err != nil {
			t.Fatal(err)
		}
		data, err := dns.Data(kind, f[2], z.Apex())
		if err != nil {
			t.Fatal(err)
		}
		z.Records = append(z.Records, dns.Record{Name: owner, Type: kind, TTL: 300, Data: data})
	}
	slices.SortFunc(z.Records, dns.Compare)
	return z
}

func linesOf(z *Zone) []string {
	var out []string
	for _, r := range z.Records {
		out = append(out, strings.TrimSuffix(r.Name, ".acme.example.")+" "+r.Type.String()+" "+r.Text())
	}
	return out
}

func shown(list []Exchanger) string {
	var out []string
	for _, x := range list {
		out = append(out, x.String()+" "+string(RoleOf(list, x)))
	}
	return strings.Join(out, ", ")
}

func TestExchangersAreSortedAndLabelled(t *testing.T) {
	for _, c := range []struct {
		records []string
		want    string
	}{
		{nil, ""},
		{[]string{"@ MX 20 b.example.net.", "@ MX 10 A.Example.Net.", "www MX 5 c.example.net."}, "10 a.example.net primary, 20 b.example.net backup"},
		{[]string{"@ MX 10 b.example.net.", "@ MX 10 a.example.net."}, "10 a.example.net primary, 10 b.example.net primary"},
		{[]string{"@ MX 65535 z.example.net.", "@ MX 0 mail"}, "0 mail.acme.example primary, 65535 z.example.net backup"},
		{[]string{"@ MX 0 ."}, "0 . null"},
		{[]string{"@ A 192.0.2.1", "@ TXT x"}, ""},
	} {
		if got := shown(testZone(t, c.records...).Exchangers("acme.example.")); got != c.want {
			t.Errorf("%q: %s, want %s", c.records, got, c.want)
		}
	}
}

func TestExchangersAreReplacedAndNothingElse(t *testing.T) {
	z := testZone(t, "@ A 192.0.2.1", "@ MX 10 a", "@ MX 20 b", "@ TXT x", "www MX 5 c")
	before := linesOf(z)
	changed, err := z.WithExchangers(z.Apex(), []Exchanger{{0, "mx.example.net"}, {65535, "mx2.example.net"}, {0, "mx.example.net"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"acme.example. A 192.0.2.1", "acme.example. MX 0 mx.example.net.", "acme.example. MX 65535 mx2.example.net.", `acme.example. TXT "x"`, "www MX 5 c.acme.example."}
	if got := linesOf(&changed); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := changed.at(z.Apex())[1].TTL; got != 300 {
		t.Errorf("TTL %d, want that of before", got)
	}
	if !slices.Equal(linesOf(z), before) {
		t.Errorf("the zone itself changed: %q", linesOf(z))
	}
	null, err := changed.WithExchangers("www.acme.example.", []Exchanger{{0, NullHost}})
	if err != nil || shown(null.Exchangers("www.acme.example.")) != "0 . null" {
		t.Errorf("null MX: %s, %v", shown(null.Exchangers("www.acme.example.")), err)
	}
	fresh, err := null.WithExchangers("lists.acme.example.", []Exchanger{{10, "mx.example.net"}})
	if err != nil || fresh.at("lists.acme.example.")[0].TTL != DefaultTTL {
		t.Errorf("a name without MX before: %v, %v", fresh.at("lists.acme.example."), err)
	}
	none, err := fresh.WithExchangers("lists.acme.example.", nil)
	if err != nil || none.exists("lists.acme.example.") {
		t.Errorf("without any: %q, %v", linesOf(&none), err)
	}
}

func TestTargetsAreJudgedByTheZone(t *testing.T) {
	z := testZone(
		t, "@ SOA ns host 1 2 3 4 5", "@ NS ns1", "@ A 192.0.2.1", "mail A 192.0.2.2", "six AAAA 2001:db8::1", "alias CNAME mail", "text TXT x", "a.deep A 192.0.2.3",
		"*.wild A 192.0.2.4", "there.wild TXT x", "*.alias2 CNAME mail", "sub NS ns.sub", "ns.sub A 192.0.2.5", "moved DNAME example.net.",
	)
	for host, want := range map[string]string{
		"acme.example": "", "mail.acme.example": "", "six.acme.example": "", "a.deep.acme.example": "", "x.wild.acme.example": "", "x.y.wild.acme.example": "",
		"alias.acme.example": "MX_TARGET_CNAME", "x.alias2.acme.example": "MX_TARGET_CNAME", "x.moved.acme.example": "MX_TARGET_CNAME",
		"text.acme.example": "MX_TARGET_NO_ADDRESS", "deep.acme.example": "MX_TARGET_NO_ADDRESS", "there.wild.acme.example": "MX_TARGET_NO_ADDRESS", "moved.acme.example": "MX_TARGET_NO_ADDRESS",
		"none.acme.example": "MX_TARGET_NXDOMAIN", "x.there.wild.acme.example": "MX_TARGET_NXDOMAIN", "x.mail.acme.example": "MX_TARGET_NXDOMAIN",
		"mail.example.net": "unknown", "mail.notacme.example": "unknown", "acme.example.net": "unknown", "ns.sub.acme.example": "unknown", "sub.acme.example": "unknown", "x.sub.acme.example": "unknown",
	} {
		fault, known := z.Target(host)
		got := string(fault)
		if !known {
			got = "unknown"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	if fault, _ := testZone(t, "@ DNAME example.net.").Target("mail.acme.example"); fault != finding.MXTargetCNAME {
		t.Errorf("under a DNAME of the apex: %q", fault)
	}
	if !z.Addressed(z.Apex()) || testZone(t, "@ TXT x").Addressed(z.Apex()) {
		t.Error("Addressed")
	}
}

func TestOwnersThatSendersDoNotAskFor(t *testing.T) {
	z := testZone(t, "@ NS ns1", "www A 192.0.2.1", "alias CNAME www", "sub NS ns.sub", "lists TXT x")
	for owner, want := range map[string]string{
		"acme.example.": "", "lists.acme.example.": "", "new.acme.example.": "",
		"www.acme.example.": "MX_WRONG_OWNER", "www.new.acme.example.": "MX_WRONG_OWNER", "alias.acme.example.": "alias", "sub.acme.example.": "delegated", "x.sub.acme.example.": "delegated",
	} {
		err := z.Owner(owner)
		got := ""
		if err != nil {
			got = err.Error()
			if f := (*FaultError)(nil); errors.As(err, &f) && f.Finding != "" {
				got = string(f.Finding)
			}
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", owner, got, want)
		}
	}
}

func TestNameServersAreReplacedWithTheSOAsPrimary(t *testing.T) {
	z := testZone(t, "@ SOA old.example.net. host 7 2 3 4 5", "@ NS old.example.net.", "sub NS ns.sub", "@ A 192.0.2.1")
	changed, err := z.WithNameServers([]string{"ns2.brand.example", "ns1.brand.example"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"acme.example. A 192.0.2.1", "acme.example. NS ns1.brand.example.", "acme.example. NS ns2.brand.example.", "acme.example. SOA ns2.brand.example. host.acme.example. 7 2 3 4 5", "sub NS ns.sub.acme.example."}
	if got := linesOf(&changed); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := changed.NameServers(); !slices.Equal(got, []string{"ns1.brand.example", "ns2.brand.example"}) {
		t.Errorf("name servers %q", got)
	}
	if got := linesOf(z)[2]; !strings.Contains(got, "SOA old.example.net.") {
		t.Errorf("the zone itself changed: %s", got)
	}
}
