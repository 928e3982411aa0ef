package control

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/loops"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// checkWay holds the way that a domain's mail is to go against public DNS: a domain whose mail shall go to others needs
// others that take it. What DNS does not answer is said and stops nobody.
func (s *Service) checkWay(ctx context.Context, actor Actor, st *state, p *Plan, old, d *directory.Domain) error {
	if old != nil && old.Mode == d.Mode && old.Proved == d.Proved && slices.Equal(old.NextHops, d.NextHops) {
		return nil
	}
	away := []directory.Mode{directory.ModeRemote, directory.ModeBackup, directory.ModeSplit}
	if len(d.NextHops) > 0 {
		return s.checkHops(ctx, actor, p, d)
	}
	if !slices.Contains(away, d.Mode) {
		return nil
	}
	reach := s.explainer.Reach(ctx, st.Directory, d)
	if reach.Asked && !reach.Known {
		p.Warnings = append(p.Warnings, "Public DNS gives no answer just now: whether another server takes mail for "+words.Show(d.Name)+" is not known.")
	}
	name := reach.Missing(d.Mode)
	if name == "" {
		return nil
	}
	f := finding.Finding{Name: name, Domain: d.Name, Evidence: reach.Evidence(), Since: now().Truncate(time.Second)}
	sentence := "Public DNS names no other server that takes mail for " + words.Show(d.Name) + "."
	if name == finding.RouteLoopSelf {
		sentence = "Public DNS names this installation alone for " + words.Show(d.Name) + ": what is handed on would come back."
	}
	return p.Against(actor, f, sentence, "name the domain's own server with --next-hop")
}

// lookUpTime is how long a change waits for the addresses of its next hops.
const lookUpTime = 5 * time.Second

// checkHops refuses next hops all of which lead back to this installation by the addresses that their names have.
func (s *Service) checkHops(ctx context.Context, actor Actor, p *Plan, d *directory.Domain) error {
	if s.o.Resolver == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	for _, h := range d.NextHops {
		if _, err := netip.ParseAddr(h.Host); err == nil || h.Port == 0 || h.LMTP || h.Port != settings.HopPort {
			return nil
		}
		addrs := s.o.Resolver.Addrs(ctx, h.Host).Addrs
		if len(addrs) == 0 || !slices.ContainsFunc(addrs, s.o.Answers) {
			return nil
		}
	}
	way := d.Name + " → " + settings.ShowHop(d.NextHops[0]) + " → this installation"
	f := finding.Finding{Name: finding.RouteLoopSelf, Domain: d.Name, Evidence: way, Since: now().Truncate(time.Second)}
	return p.Against(actor, f, "The next hop of "+words.Show(d.Name)+" is this installation itself: "+way+".", "name the domain's own server")
}

// comesBack reports whether mail that is handed on for a domain comes back to this installation, as far as that is
// known without asking anybody, and by which host.
func (s *Service) comesBack(d *directory.Domain) (string, bool) {
	if len(d.NextHops) > 0 {
		for _, h := range d.NextHops {
			if !s.ours.Leads(h) {
				return "", false
			}
		}
		return settings.ShowHop(d.NextHops[0]), true
	}
	return s.explainer.ComesBack(s.Directory(), d)
}

// checkLoops refuses a plan that would have mail go in a circle from one of the addresses.
func (s *Service) checkLoops(actor Actor, st *state, p *Plan, changed ...smtp.Address) error {
	delta := p.Delta
	delta.Version = st.Directory.Version()
	return loops.Check(actor, st.Directory.With(delta), s.comesBack, changed...)
}
