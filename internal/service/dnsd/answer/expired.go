package answer

import (
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// Expired gives a zone without content: every question about it is answered with SERVFAIL, as of a secondary that has not
// reached its primary for too long (RFC 1034 §4.3.5).
func Expired(domain string) (*Zone, error) {
	apex := domain + "."
	soa, err := zone.SOA{MName: "invalid.", RName: "invalid."}.Record(apex, 0)
	if err != nil {
		return nil, err
	}
	server, err := dns.AppendName(nil, "invalid.")
	if err != nil {
		return nil, err
	}
	z, err := Compile(&zone.Zone{Domain: domain, Records: []dns.Record{{Name: apex, Type: dns.TypeNS, Data: server}, soa}})
	if err != nil {
		return nil, err
	}
	z.expired = true
	return z, nil
}
