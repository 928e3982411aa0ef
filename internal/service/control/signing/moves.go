package signing

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Of how many domains the zones above are asked while somebody waits for a plan, and for how long. For more, and where
// nobody answers, what was found last counts.
const (
	maxAsked  = 8
	movesTime = 4 * time.Second
)

// heard is what the zone above a domain says.
type heard struct {
	look dnssec.Look
	err  error
}

// Moves holds what a plan moves in DNS against the zones above: while one of them has a DS record that would not lead to
// what is served then, name servers do not change. For the operator to override. A new domain is warned of only: nothing
// is led to it yet.
func (a *Access) Moves(ctx context.Context, actor rights.Actor, st *rights.State, p *plan.Plan) error {
	moves := slices.Compact(slices.Sorted(slices.Values(p.Moves)))
	if len(moves) == 0 {
		return nil
	}
	kept, err := a.kept(ctx, moves)
	if err != nil {
		return err
	}
	said := a.ask(ctx, moves)
	put, written := map[string]*directory.Domain{}, map[string]*zone.Zone{}
	for i := range p.Tx.PutDomains {
		put[p.Tx.PutDomains[i].Name] = &p.Tx.PutDomains[i]
	}
	for i := range p.Tx.PutZones {
		written[p.Tx.PutZones[i].Domain] = &p.Tx.PutZones[i]
	}
	for _, name := range moves {
		old, _ := st.Directory.Domain(name)
		d := cmp.Or(put[name], old)
		if d == nil {
			continue
		}
		z, err := a.planned(ctx, written, name)
		if err != nil {
			return err
		}
		h := said[name]
		switch {
		case old == nil:
			if h.err == nil && !wouldLead(&z, h.look, a.now()) {
				p.Warn("%s: the zone above %s has a DS record (key %s), and not of a key of this zone. Have it removed at the registrar and wait for its TTL before you enter these name servers there, or nobody who checks signatures reaches the domain.",
					finding.DNSSECDSStale, words.Show(name), tags(h.look.DS))
			}
		case d.Zone != directory.ZoneHosted:
			err = a.leaves(actor, p, &z, h, kept[name])
		default:
			err = a.comes(actor, p, &z, h, kept[name])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// kept reads what was found of domains: whether the DS above leads nowhere, and whether the world is not led here.
func (a *Access) kept(ctx context.Context, domains []string) (map[string][]finding.Finding, error) {
	out := map[string][]finding.Finding{}
	one := ""
	if len(domains) == 1 {
		one = domains[0]
	}
	all, err := a.Findings.Findings(ctx, account.System(), one)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if f.Name == finding.DNSSECDSStale || f.Name == finding.NSNotDelegated {
			out[f.Domain] = append(out[f.Domain], f)
		}
	}
	return out, nil
}

func found(list []finding.Finding, name finding.Name) bool {
	return slices.ContainsFunc(list, func(f finding.Finding) bool { return f.Name == name })
}

var errNotAsked = errors.New("it was not asked just now")

// ask asks the zones above some domains at the same time.
func (a *Access) ask(ctx context.Context, domains []string) map[string]heard {
	out := make(map[string]heard, len(domains))
	if a.Parents == nil || len(domains) > maxAsked {
		for _, name := range domains {
			out[name] = heard{err: errNotAsked}
		}
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, movesTime)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, name := range domains {
		wg.Go(func() {
			look, err := a.Parents.Look(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			out[name] = heard{look, err}
		})
	}
	wg.Wait()
	return out
}

func (a *Access) now() time.Time {
	if a.Parents == nil {
		return time.Now()
	}
	return a.Parents.Now()
}

// planned gives a domain's zone as the plan writes it, else as it is stored.
func (a *Access) planned(ctx context.Context, written map[string]*zone.Zone, domain string) (zone.Zone, error) {
	if z := written[domain]; z != nil {
		return *z, nil
	}
	z, err := a.Zones.Zone(ctx, account.System(), domain)
	if errors.Is(err, words.ErrNotFound) || errors.Is(err, zone.ErrEncoding) {
		return zone.Zone{Domain: domain}, nil
	}
	return z, err
}

// wouldLead reports whether what the zone above says leads to a zone as it is signed, or as it will be with the keys that
// it has.
func wouldLead(z *zone.Zone, look dnssec.Look, now time.Time) bool {
	if z.Signing == nil {
		return len(look.DS) == 0
	}
	return leads(z, look, now) || slices.ContainsFunc(z.Signing.Keys, func(k dnssec.Key) bool {
		return k.Role != dnssec.ZSK && (k.State == dnssec.Active || k.State == dnssec.Retired) && ofKey(look.DS, z.Apex(), k.DNSKEY)
	})
}

// ofKey reports whether one of some DS records is of a key.
func ofKey(ds [][]byte, apex string, key []byte) bool {
	return slices.ContainsFunc(ds, func(d []byte) bool { return dns.Matches(d, apex, key) })
}

// comes refuses that a zone comes here, or gets other name servers, while the zone above leads to keys that it has not.
func (a *Access) comes(actor rights.Actor, p *plan.Plan, z *zone.Zone, h heard, kept []finding.Finding) error {
	evidence := ""
	switch {
	case h.err == nil && !wouldLead(z, h.look, a.now()):
		evidence = h.look.Source + " has a DS record of the key " + tags(h.look.DS)
	case h.err != nil && found(kept, finding.DNSSECDSStale):
		evidence = "found before: " + kept[slices.IndexFunc(kept, func(f finding.Finding) bool { return f.Name == finding.DNSSECDSStale })].Evidence
	default:
		return nil
	}
	return p.Despite(actor, stale(z, evidence),
		"The zone above "+words.Show(z.Domain)+" has a DS record, and not of a key of the zone here ("+evidence+"): with the name servers changed nobody who checks signatures would reach the domain.",
		"have the DS removed at the registrar and wait for its TTL first")
}

// leaves refuses that our name servers end to answer for a zone while caches, or the zone above, lead to its keys. Where the
// world is led elsewhere already, nothing depends on our answers.
func (a *Access) leaves(actor rights.Actor, p *plan.Plan, z *zone.Zone, h heard, kept []finding.Finding) error {
	if z.Signing == nil || found(kept, finding.NSNotDelegated) {
		return nil
	}
	known := z.Signing.Clone()
	if h.err == nil {
		known.Observe(z.Apex(), h.look)
	}
	evidence := ""
	switch above := (dnssec.Look{DS: known.Parent.DS}); {
	case len(above.DS) > 0 && wouldLead(z, above, a.now()):
		evidence = "the zone above has the DS record of the key " + tags(above.DS)
	case len(above.DS) == 0 && !known.Parent.Since.IsZero() && !known.Parent.Gone(a.now()):
		evidence = "caches may have the DS record until " + words.When(known.Parent.Since.Add(known.Parent.Left))
	default:
		return nil
	}
	return p.Despite(actor, stale(z, evidence),
		"The world goes by the signatures of "+words.Show(z.Domain)+" ("+evidence+"): once others answer for it, nobody who checks signatures would reach the domain.",
		"postroad dnssec off --withdraw "+z.Domain+" asks for the removal of the DS; wait until postroad dnssec show says that no cache has it")
}

func stale(z *zone.Zone, evidence string) finding.Finding {
	return finding.Finding{Name: finding.DNSSECDSStale, Domain: z.Domain, Evidence: evidence, Since: time.Now().UTC().Truncate(time.Second)}
}
