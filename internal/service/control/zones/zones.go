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
	"time"

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
// the addresses of our name server where its name lies in the zone. It has no serial yet; the one in its SOA record begins
// with the day, so that a name that comes again after a while does not fall back behind the serials that others remember.
func (in *Installation) New(sets zone.Sets, d *directory.Domain, at time.Time) (zone.Zone, error) {
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
	day := at.UTC()
	serial := 1_000_000*day.Year() + 10_000*int(day.Month()) + 100*day.Day() + 1
	z, err := zone.Fresh(d.Name, d.Account, servers, exchangers, uint32(serial)) //nolint:gosec // no day that comes is so late
	if err != nil {
		return zone.Zone{}, err
	}
	z.Serial = 0
	server, err := dns.Name(in.Hostname, "")
	if err != nil || !dns.Below(server, z.Apex()) {
		return z, err
	}
	for _, a := range in.Addresses {
		t := dns.TypeA
		if a = a.Unmap(); a.Is6() {
			t = dns.TypeAAAA
		}
		z.Records = zone.Add(z.Records, dns.Record{Name: server, Type: t, TTL: zone.DefaultTTL, Data: a.AsSlice()})
	}
	return z, nil
}
