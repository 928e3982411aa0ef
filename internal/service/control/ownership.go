package control

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/service/control/delegations"
	"postroad/internal/service/control/ownership"
	"postroad/internal/service/control/rights"
)

// DomainProof is what shows the ownership of a domain, and what was found of it.
type DomainProof = ownership.DomainProof

// DomainDelegation is how far the zone of a domain is handed to our name servers.
type DomainDelegation = delegations.DomainDelegation

// CheckDelegation looks whether the world is led to the zone of a domain that is hosted here, records what is wrong, and
// says when to look again.
func (s *Service) CheckDelegation(ctx context.Context, name string) (time.Duration, error) {
	st := s.current.Load()
	d, there := st.Directory.Domain(name)
	if !there || d.Zone != directory.ZoneHosted || s.o.DNS == nil {
		return time.Hour, nil
	}
	again, stray, err := s.delegated.Look(ctx, st, d)
	if err == nil && stray && !d.Proved && !d.Proof.TXTOnly {
		prover := proving()
		err = s.ownership.Strayed(prover, d, s.proving(ctx, prover))
	}
	return again, err
}

// ServedMX gives the exchangers of a domain whose zone is hosted here, if the world is led to it.
func (s *Service) ServedMX(ctx context.Context, name string) (facts.MXAnswer, bool) {
	d, there := s.Directory().Domain(name)
	if !there {
		return facts.MXAnswer{}, false
	}
	return s.delegated.Served(ctx, d)
}

// Proof tells what shows the ownership of a domain, and looks whether it is there.
func (s *Service) Proof(ctx context.Context, actor Actor, name string) (DomainProof, error) {
	st := s.current.Load()
	d, err := actor.Domain(st, name)
	if err != nil {
		return DomainProof{}, err
	}
	return s.ownership.Show(ctx, st, d), nil
}

// PlanDomainProve looks for the proof of a domain's ownership, and plans that the domain counts as proved.
func (s *Service) PlanDomainProve(ctx context.Context, actor Actor, name string) (Plan, error) {
	return s.ownership.Prove(ctx, actor, name, s.proving(ctx, actor))
}

// CheckProof looks for the proof of a domain that has one, when its time has come or its name servers are others, and
// does what follows.
func (s *Service) CheckProof(ctx context.Context, name string) error {
	prover := proving()
	return s.ownership.Again(ctx, prover, name, s.proving(ctx, prover))
}

// proving is the program as it looks for proofs.
func proving() Actor { return rights.Actor{Name: "proof", Scope: account.System(), Operator: true} }

func (s *Service) proving(ctx context.Context, actor Actor) ownership.Control {
	return ownership.Control{
		State: s.current.Load,
		Changed: func(st *state, p Plan, old, d *directory.Domain) (Plan, error) {
			p, err := s.domains.Changed(ctx, actor, st, p, old, d)
			return s.weighedIf(actor, st, p, err)
		},
		Make: func(plan func() (Plan, error)) error {
			_, err := s.Make(ctx, actor, plan)
			return err
		},
	}
}
