// Package exchangers is which hosts take a domain's mail, and which answer for its zone: MX records as people change them,
// and the named sets of exchangers and name servers that domains follow.
//
// A domain follows at most one set of each kind. The exchanger set that it follows says its MX records, its SPF record
// where that is not the customer's own, and which networks may deliver for it; the name-server set says its NS records.
// Whoever changes MX or NS records otherwise ends the following, and the plan says so.
//
// # Failure
//
// What people type is refused with a *words.RefusedError that names the fault and what to do instead. What public DNS
// does not answer in time is not known, and stops nobody.
package exchangers

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/zone"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// Store keeps zones.
type Store interface {
	// Zone reads one zone; words.ErrNotFound.
	Zone(ctx context.Context, scope account.Scope, domain string) (zone.Zone, error)
	// Zones reads all zones, and ends at the first error of yield.
	Zones(ctx context.Context, scope account.Scope, yield func(zone.Zone) error) error
}

// Resolver looks up public DNS.
type Resolver interface {
	// Addrs asks for the addresses of a host.
	Addrs(ctx context.Context, host string) facts.AddrAnswer
}

// Access is exchangers as actors may see and change them.
type Access struct {
	Store     Store
	Resolver  Resolver     // nil: public DNS is not asked
	Hostname  string       // of this installation
	Addresses []netip.Addr // at which it takes mail
	// Answers reports whether mail for an address comes to this installation.
	Answers func(netip.Addr) bool
	// Altered finds the routes that a change of the directory alters.
	Altered func(actor rights.Actor, st *rights.State, change directory.Delta, limit int) plan.AlteredRoutes
	// Public is what public DNS says of a domain's exchangers, and the same as a sentence.
	Public func(ctx context.Context, snap *directory.Snapshot, d *directory.Domain) (facts.MXAnswer, string)
	NewID  func() string
}

// fault gives what is typed wrongly as a refusal.
func fault(err error) error {
	var f *zone.FaultError
	if errors.As(err, &f) {
		return &words.RefusedError{Err: words.ErrInvalid, Finding: f.Finding, Sentence: f.Sentence, Hint: f.Hint}
	}
	return err
}

// place is where the MX records of a name stand.
type place struct {
	domain *directory.Domain // in whose zone the name is
	owner  string            // the name, absolute
	hosted bool              // the zone is answered for here
	zone   zone.Zone         // as it is stored; of one that is elsewhere only its name
}

// name is the owner as people write it.
func (at *place) name() string { return strings.TrimSuffix(at.owner, ".") }

// apex reports whether the owner is the zone's own name.
func (at *place) apex() bool { return at.owner == at.zone.Apex() }

// find finds where the MX records of a name stand that people typed: in the zone of that name, or in the nearest one
// above it that is hosted here.
func (a *Access) find(ctx context.Context, actor rights.Actor, st *rights.State, typed string) (place, error) {
	name, err := words.DomainName(typed)
	if err != nil {
		return place{}, err
	}
	own, there := st.Directory.Domain(name)
	there = there && actor.Scope.Has(own.Account)
	if there && own.Zone == directory.ZoneHosted {
		return a.hosted(ctx, actor, own, name)
	}
	for above := name; strings.Contains(above, "."); {
		_, above, _ = strings.Cut(above, ".")
		d, ok := st.Directory.Domain(above)
		if !ok || !actor.Scope.Has(d.Account) {
			continue
		}
		switch {
		case d.Zone == directory.ZoneHosted:
			at, err := a.hosted(ctx, actor, d, name)
			if err != nil {
				return place{}, err
			}
			if err := at.zone.Owner(at.owner); err == nil || !there {
				return at, fault(err)
			}
		case !there:
			if err := (&zone.Zone{Domain: above}).Owner(name + "."); err != nil {
				return place{}, fault(err)
			}
		}
		break
	}
	if !there {
		return place{}, words.MissingDomain(name)
	}
	return place{domain: own, owner: name + ".", zone: zone.Zone{Domain: name}}, nil
}

func (a *Access) hosted(ctx context.Context, actor rights.Actor, d *directory.Domain, name string) (place, error) {
	z, err := a.Store.Zone(ctx, actor.Scope, d.Name)
	return place{domain: d, owner: name + ".", hosted: true, zone: z}, err
}

// typing is what is known where somebody types an exchanger of a place.
func (a *Access) typing(st *rights.State, at *place) *zone.Typing {
	t := &zone.Typing{Zone: &at.zone, Known: []string{a.Hostname}}
	for _, set := range st.Sets.ExchangerSets() {
		if set.Account != account.Operator && set.Account != at.domain.Account {
			continue
		}
		for _, x := range set.Exchangers {
			t.Known = append(t.Known, x.Host)
		}
	}
	return t
}

// lookUpTime is how long somebody who waits for a plan waits for DNS.
const lookUpTime = 2 * time.Second

// addresses tells the addresses of a host, as far as they are known: from the zone at hand, from the configuration, and
// if asking is allowed from public DNS.
func (a *Access) addresses(ctx context.Context, z *zone.Zone, host string, ask bool) (addrs []netip.Addr, answer facts.AddrAnswer, known bool) {
	if _, inside := z.Target(host); inside {
		return z.Addresses(host), facts.AddrAnswer{}, true
	}
	if host == a.Hostname && len(a.Addresses) > 0 {
		return a.Addresses, facts.AddrAnswer{}, true
	}
	if !ask || a.Resolver == nil {
		return nil, facts.AddrAnswer{}, false
	}
	answer = a.Resolver.Addrs(ctx, host)
	return answer.Addrs, answer, answer.Status == facts.Found || answer.Status == facts.NoData || answer.Status == facts.NXDomain
}

// putDomain has a plan write a domain, and record that where it does not yet.
func putDomain(p *plan.Plan, old, d *directory.Domain) {
	now := time.Now().UTC()
	if i := slices.IndexFunc(p.Tx.PutDomains, func(other directory.Domain) bool { return other.Name == d.Name }); i >= 0 {
		p.Tx.PutDomains[i] = *d
	} else {
		p.Tx.PutDomains = append(p.Tx.PutDomains, *d)
	}
	p.Delta.PutDomains = p.Tx.PutDomains
	if i := slices.IndexFunc(p.Changes, func(c plan.Change) bool { return c.Kind == plan.KindDomain && c.Subject == d.Name }); i >= 0 {
		p.Changes[i].After = settings.Show(d, now)
		return
	}
	p.Record(plan.Change{
		Kind: plan.KindDomain, Verb: plan.VerbSet, Subject: d.Name, Domain: d.Name, Account: d.Account, Before: settings.Show(old, now), After: settings.Show(d, now),
	})
}

// putZone has a plan write a zone.
func putZone(p *plan.Plan, z zone.Zone) {
	if i := slices.IndexFunc(p.Tx.PutZones, func(other zone.Zone) bool { return other.Domain == z.Domain }); i >= 0 {
		p.Tx.PutZones[i] = z
		return
	}
	p.Tx.PutZones = append(p.Tx.PutZones, z)
}

// planned gives a domain's zone as the plan writes it, else as it is stored.
func (a *Access) planned(ctx context.Context, p *plan.Plan, domain string) (zone.Zone, error) {
	if i := slices.IndexFunc(p.Tx.PutZones, func(z zone.Zone) bool { return z.Domain == domain }); i >= 0 {
		return p.Tx.PutZones[i], nil
	}
	return a.Store.Zone(ctx, account.System(), domain)
}

// describe tells exchangers as the part of a sentence, best first.
func describe(list []zone.Exchanger) string {
	if len(list) == 0 {
		return "none"
	}
	var parts []string
	for _, x := range list {
		if x.Null() {
			return "none, and the domain says that it takes no mail (null MX)"
		}
		parts = append(parts, x.Host+" ("+strings.Fields(x.String())[0]+", "+string(zone.RoleOf(list, x))+")")
	}
	return strings.Join(parts, ", ")
}

// absolute is a name with the last dot, as zone files have it.
func absolute(host string) string {
	if host == zone.NullHost {
		return host
	}
	return host + "."
}
