// Package ways holds the way that mail is to go against what is known of it: a change that would lead it in a circle, or to
// nobody, is refused.
package ways

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/inspect"
	"postroad/internal/service/control/loops"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// Access is what is known of ways. Without a Resolver names of next hops are not looked up.
type Access struct {
	Ours      *settings.Installation
	Explainer *inspect.Explainer
	Resolver  inspect.Resolver
	Answers   func(netip.Addr) bool // whether mail for an address comes back to us
}

// Check holds the way that a domain's mail is to go against public DNS: a domain whose mail shall go to others needs
// others that take it. What DNS does not answer is said and stops nobody.
func (a *Access) Check(ctx context.Context, actor rights.Actor, st *rights.State, p *plan.Plan, old, d *directory.Domain) error {
	if old != nil && old.Mode == d.Mode && old.Proved == d.Proved && slices.Equal(old.NextHops, d.NextHops) {
		return nil
	}
	away := []directory.Mode{directory.ModeRemote, directory.ModeBackup, directory.ModeSplit}
	if len(d.NextHops) > 0 {
		return a.checkHops(ctx, actor, p, d)
	}
	if !slices.Contains(away, d.Mode) {
		return nil
	}
	reach := a.Explainer.Reach(ctx, st.Directory, d)
	if reach.Asked && !reach.Known {
		p.Warnings = append(p.Warnings, "Public DNS gives no answer just now: whether another server takes mail for "+words.Show(d.Name)+" is not known.")
	}
	name := reach.Missing(d.Mode)
	if name == "" {
		return nil
	}
	f := finding.Finding{Name: name, Domain: d.Name, Evidence: reach.Evidence(), Since: time.Now().UTC().Truncate(time.Second)}
	sentence := "Public DNS names no other server that takes mail for " + words.Show(d.Name) + "."
	if name == finding.RouteLoopSelf {
		sentence = "Public DNS names this installation alone for " + words.Show(d.Name) + ": what is handed on would come back."
	}
	return p.Against(actor, f, sentence, "name the domain's own server with --next-hop")
}

// lookUpTime is how long a change waits for the addresses of its next hops.
const lookUpTime = 5 * time.Second

// checkHops refuses next hops all of which lead back to this installation by the addresses that their names have.
func (a *Access) checkHops(ctx context.Context, actor rights.Actor, p *plan.Plan, d *directory.Domain) error {
	if a.Resolver == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	for _, h := range d.NextHops {
		if _, err := netip.ParseAddr(h.Host); err == nil || h.Port == 0 || h.LMTP || h.Port != settings.HopPort {
			return nil
		}
		addrs := a.Resolver.Addrs(ctx, h.Host).Addrs
		if len(addrs) == 0 || !slices.ContainsFunc(addrs, a.Answers) {
			return nil
		}
	}
	way := d.Name + " → " + settings.ShowHop(d.NextHops[0]) + " → this installation"
	f := finding.Finding{Name: finding.RouteLoopSelf, Domain: d.Name, Evidence: way, Since: time.Now().UTC().Truncate(time.Second)}
	return p.Against(actor, f, "The next hop of "+words.Show(d.Name)+" is this installation itself: "+way+".", "name the domain's own server")
}

// comesBack reports whether mail that is handed on for a domain comes back to this installation, as far as that is
// known without asking anybody, and by which host.
func (a *Access) comesBack(snap *directory.Snapshot, d *directory.Domain) (string, bool) {
	if len(d.NextHops) > 0 {
		for _, h := range d.NextHops {
			if !a.Ours.Leads(h) {
				return "", false
			}
		}
		return settings.ShowHop(d.NextHops[0]), true
	}
	return a.Explainer.ComesBack(snap, d)
}

// Loops refuses a plan that would have mail go in a circle from one of the addresses.
func (a *Access) Loops(actor rights.Actor, st *rights.State, p *plan.Plan, changed ...smtp.Address) error {
	delta := p.Delta
	delta.Version = st.Directory.Version()
	back := func(d *directory.Domain) (string, bool) { return a.comesBack(st.Directory, d) }
	return loops.Check(actor, st.Directory.With(delta), back, changed...)
}
