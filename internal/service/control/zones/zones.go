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

// Installation is what new zones are made of.
type Installation struct {
	Hostname  string       // our name server
	Addresses []netip.Addr // at which it answers
}

// New makes the zone of a domain: what every zone begins with, by the sets that the domain follows or could follow, and
// the addresses of our name server where its name lies in the zone. It has no serial yet.
func (in *Installation) New(sets zone.Sets, d *directory.Domain) (zone.Zone, error) {
	servers := []string{in.Hostname}
	set, ok := sets.NameServerSet(d.NameServerSet)
	if !ok {
		set, ok = sets.NameServersFor(d.Account, zone.DefaultNameServerSet)
	}
	if ok {
		servers = set.Hosts
	}
	var exchangers *zone.ExchangerSet
	if set, ok := sets.ExchangerSet(d.ExchangerSet); ok {
		exchangers = &set
	}
	z, err := zone.Fresh(d.Name, d.Account, servers, exchangers, 0)
	if err != nil {
		return zone.Zone{}, err
	}
	server, err := dns.Name(in.Hostname, "")
	if err != nil {
		return zone.Zone{}, err
	}
	if dns.Below(server, z.Apex()) {
		for _, a := range in.Addresses {
			t := dns.TypeA
			if a = a.Unmap(); a.Is6() {
				t = dns.TypeAAAA
			}
			z.Records = append(z.Records, dns.Record{Name: server, Type: t, TTL: zone.DefaultTTL, Data: a.AsSlice()})
		}
	}
	sortRecords(&z)
	return z, nil
}
