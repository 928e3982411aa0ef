package zones

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// passingTTL is the TTL of records that are gone soon, in seconds.
const passingTTL = 60

// PlanText plans that the zone of a domain has a TXT record for a while, or has it no more, for the program itself. The
// owner is a name without last dot. Nothing is planned where it is so already, or where a record is to go of a zone that
// is not here any more.
func (a *Access) PlanText(ctx context.Context, st *rights.State, domain, owner, text string, there bool) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), rights.System())
	if d, known := st.Directory.Domain(domain); !there && (!known || d.Zone != directory.ZoneHosted) {
		return p, nil
	}
	_, z, err := a.change(ctx, rights.System(), st, domain)
	if err != nil {
		if !there && errors.Is(err, words.ErrNotFound) {
			err = nil
		}
		return p, err
	}
	data, err := dns.Data(dns.TypeTXT, quoteText(text), z.Apex())
	if err != nil {
		return p, err
	}
	name, err := dns.Name(owner, "")
	if err != nil {
		return p, err
	}
	set := zone.RRset(z.Records, name, dns.TypeTXT)
	at := slices.IndexFunc(set, func(r dns.Record) bool { return bytes.Equal(r.Data, data) })
	if there == (at >= 0) {
		return p, nil
	}
	var wanted []dns.Record
	if there {
		r := dns.Record{Name: name, Type: dns.TypeTXT, TTL: passingTTL, Data: data}
		if len(set) > 0 {
			r.TTL = set[0].TTL
		}
		wanted = zone.Add(z.Records, r)
	} else {
		wanted = zone.Remove(z.Records, set[at])
	}
	next, err := replace(z, wanted)
	if err != nil {
		return p, err
	}
	p.Tx.PutZones = append(p.Tx.PutZones, next.next)
	p.Upkeep = true
	return p, nil
}
