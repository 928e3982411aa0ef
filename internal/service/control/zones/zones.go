// Package zones is what we answer for in DNS as people change it: it makes a domain's zone, and keeps the name server in
// step with what is stored.
//
// # Failure
//
// A zone that the name server refuses is never stored. One that is stored and cannot be read or answered for is logged
// and becomes a finding; all others are answered for.
package zones

import (
	"net/netip"

	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// The numbers of a new zone's records, in seconds.
const (
	defaultTTL = 3600
	refresh    = 7200
	retry      = 900
	expire     = 14 * 86400
	minimum    = 300 // how long others remember that something is not there (RFC 2308 §4)
)

// Installation is what new zones are made of.
type Installation struct {
	Hostname  string       // our name server
	Addresses []netip.Addr // at which it answers
}

// New makes the zone of a domain: SOA and NS, and the addresses of our name server where its name lies in the zone. It
// has no serial yet.
func (in *Installation) New(d *directory.Domain) (zone.Zone, error) {
	z := zone.Zone{Domain: d.Name, Account: d.Account}
	server, err := dns.Name(in.Hostname, "")
	if err != nil {
		return zone.Zone{}, err
	}
	rname, err := zone.RName("hostmaster@" + d.Name)
	if err != nil {
		return zone.Zone{}, err
	}
	soa := zone.SOA{MName: server, RName: rname, Refresh: refresh, Retry: retry, Expire: expire, Minimum: minimum}
	first, err := soa.Record(z.Apex(), defaultTTL)
	if err != nil {
		return zone.Zone{}, err
	}
	target, err := dns.AppendName(nil, server)
	if err != nil {
		return zone.Zone{}, err
	}
	z.Records = append(z.Records, first, dns.Record{Name: z.Apex(), Type: dns.TypeNS, TTL: defaultTTL, Data: target})
	if dns.Below(server, z.Apex()) {
		for _, a := range in.Addresses {
			t := dns.TypeA
			if a = a.Unmap(); a.Is6() {
				t = dns.TypeAAAA
			}
			z.Records = append(z.Records, dns.Record{Name: server, Type: t, TTL: defaultTTL, Data: a.AsSlice()})
		}
	}
	sortRecords(&z)
	return z, nil
}
