// Package zonetest is what tests of the name server share: zones of zone text, signed ones too.
package zonetest

import (
	"slices"
	"strings"
	"testing"

	codec "github.com/miekg/dns"

	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// Read makes a zone of zone text, signed or not: DNSSEC's records become its signatures.
func Read(t testing.TB, domain, text string) *zone.Zone {
	t.Helper()
	z := &zone.Zone{Domain: domain}
	p := codec.NewZoneParser(strings.NewReader(text), domain+".", "")
	p.SetDefaultTTL(300)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		wire := make([]byte, codec.Len(rr)+1)
		end, err := codec.PackRR(rr, wire, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		name, at, err := codec.UnpackDomainName(wire, 0)
		if err != nil {
			t.Fatal(err)
		}
		r := dns.Record{Name: codec.CanonicalName(name), Type: dns.Type(rr.Header().Rrtype), TTL: rr.Header().Ttl, Data: wire[at+10 : end]}
		if soa, ok := rr.(*codec.SOA); ok {
			z.Serial = soa.Serial
		}
		if r.Type.DNSSEC() {
			z.Signatures = append(z.Signatures, r)
		} else {
			z.Records = append(z.Records, r)
		}
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	same := func(a, b dns.Record) bool { return dns.Compare(a, b) == 0 }
	slices.SortFunc(z.Records, dns.Compare)
	z.Records = slices.CompactFunc(z.Records, same)
	slices.SortFunc(z.Signatures, dns.Compare)
	z.Signatures = slices.CompactFunc(z.Signatures, same)
	return z
}
