package control

import (
	"context"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/service/control/dkim"
	"postroad/internal/service/control/plan"
)

// DKIM in the words of package dkim.
type (
	// DKIMSpec is how a domain's mail is to be signed, as people write it.
	DKIMSpec = dkim.DKIMSpec
	// DKIMInfo is how a domain's mail is signed.
	DKIMInfo = dkim.DKIMInfo
	// DKIMStatus is a domain's keys with what belongs into its zone, and what the world has there.
	DKIMStatus = dkim.DKIMStatus
)

// Keyring follows the keys by which mail is signed.
type Keyring interface {
	// Forget has the keys of domains read again.
	Forget(domains ...string)
}

// DKIMDomains lists the keys by which domains' mail is signed.
func (s *Service) DKIMDomains(ctx context.Context, actor Actor) ([]DKIMInfo, error) {
	return s.dkim.List(ctx, actor)
}

// DKIM shows the keys of a domain, what belongs into its zone, and what the world has there.
func (s *Service) DKIM(ctx context.Context, actor Actor, domain string) (DKIMStatus, error) {
	return s.dkim.Status(ctx, actor, s.current.Load(), domain)
}

// PlanDKIMOn plans that a domain's mail is signed, or in another way.
func (s *Service) PlanDKIMOn(ctx context.Context, actor Actor, domain string, spec DKIMSpec) (Plan, error) {
	return s.dkim.PlanOn(ctx, actor, s.current.Load(), domain, spec)
}

// PlanDKIMOff plans that a domain's mail is no longer signed.
func (s *Service) PlanDKIMOff(ctx context.Context, actor Actor, domain string) (Plan, error) {
	return s.dkim.PlanOff(ctx, actor, s.current.Load(), domain)
}

// PlanDKIMRotate plans that the keys of a domain are replaced.
func (s *Service) PlanDKIMRotate(ctx context.Context, actor Actor, domain string) (Plan, error) {
	return s.dkim.PlanRotate(ctx, actor, s.current.Load(), domain)
}

// PlanDKIMRemove plans that a key is no more, at once.
func (s *Service) PlanDKIMRemove(ctx context.Context, actor Actor, domain, selector string) (Plan, error) {
	return s.dkim.PlanRemove(ctx, actor, s.current.Load(), domain, selector)
}

// PlanDKIMImport plans that a domain has a key that it had at another host.
func (s *Service) PlanDKIMImport(ctx context.Context, actor Actor, domain, selector string, private *Secret) (Plan, error) {
	return s.dkim.PlanImport(ctx, actor, s.current.Load(), domain, selector, private)
}

// PlanDKIMActivate looks at what the world has of a domain's keys and plans what follows.
func (s *Service) PlanDKIMActivate(ctx context.Context, actor Actor, domain string) (Plan, error) {
	d, err := actor.Domain(s.current.Load(), domain)
	if err != nil {
		return Plan{}, err
	}
	look, err := s.dkim.Look(ctx, d.Name)
	if err != nil {
		return Plan{}, err
	}
	p, err := s.dkim.PlanRound(ctx, actor, s.current.Load(), d.Name, look, false)
	if err == nil {
		for _, sentence := range look.Says(p.Empty(), now()) {
			p.Say("%s", sentence)
		}
	}
	return p, err
}

// settled is how old a domain is at least before keys are made for it by themselves: whoever makes it may want other ones.
const settled = time.Minute

// CheckDKIM looks at what the world has of a domain's keys and does what follows: keys that are lacking are made, those
// that were seen sign, what is wrong becomes a finding. Without need keys are made only where somebody may send as the
// domain. It says when to look again, and whether keys were made.
func (s *Service) CheckDKIM(ctx context.Context, domain string, needed bool) (again time.Duration, made bool, err error) {
	look, err := s.dkim.Look(ctx, domain)
	if err != nil {
		return look.Pace(), false, err
	}
	again = look.Pace()
	if _, err := s.Make(ctx, System(), func() (Plan, error) {
		st := s.current.Load()
		d, there := st.Directory.Domain(domain)
		if !there {
			return plan.New(st.Directory.Version(), System()), nil
		}
		sends := dkim.Sends(st, d)
		lacking := sends && (needed || now().After(d.Created.Add(settled)))
		if sends && !lacking && len(look.Keys.Keys) == 0 {
			again = settled
		}
		p, err := s.dkim.PlanRound(ctx, System(), st, domain, look, lacking)
		made = len(p.Tx.PutDKIM) > 0 && len(p.Tx.PutDKIM[0].Keys) > len(look.Keys.Keys)
		return p, err
	}); err != nil {
		return again, made, err
	}
	if made {
		again = time.Minute // the world is asked for them soon
	}
	wrong, right := look.Judge(domain, now())
	for _, f := range wrong {
		if err := s.o.Store.Find(ctx, account.System(), f, false); err != nil {
			return again, made, err
		}
	}
	for _, name := range right {
		if err := s.o.Store.Find(ctx, account.System(), finding.Finding{Name: name, Domain: domain}, true); err != nil {
			return again, made, err
		}
	}
	return again, made, nil
}

// followKeys has the keys read again of domains that a plan has changed.
func (s *Service) followKeys(p *Plan) {
	if s.o.Keyring == nil {
		return
	}
	names := slices.Clone(p.Delta.RemoveDomains)
	for i := range p.Tx.PutDKIM {
		names = append(names, p.Tx.PutDKIM[i].Name)
	}
	for i := range p.Tx.PutDomains {
		names = append(names, p.Tx.PutDomains[i].Name)
	}
	s.o.Keyring.Forget(names...)
}
