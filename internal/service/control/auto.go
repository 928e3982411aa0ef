package control

import (
	"context"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// switchedDomain is what the audit log keeps of a domain whose mode public DNS has changed.
type switchedDomain struct {
	DomainInfo

	Evidence string `json:"evidence" doc:"What DNS said, and who"`
}

// SwitchAuto has a domain of mode auto go by what public DNS says. It is a change like any other, made by "auto".
func (s *Service) SwitchAuto(ctx context.Context, name string, mode directory.Mode, evidence string, ttl time.Duration) error {
	actor := rights.Actor{Name: "auto", Scope: System().Scope, Operator: true}
	follows := false
	_, err := s.Make(ctx, actor, func() (Plan, error) {
		p, err := s.planAuto(actor, name, mode, evidence, ttl)
		follows = !p.Empty()
		return p, err
	})
	if err == nil && follows {
		s.o.Log.WarnContext(ctx, "the routing mode follows public DNS", "domain", name, "mode", string(mode), "evidence", evidence, "actor", actor.Name)
	}
	return err
}

func (s *Service) planAuto(actor Actor, name string, mode directory.Mode, evidence string, ttl time.Duration) (Plan, error) {
	st, p := s.plan(actor)
	old, err := actor.Domain(st, name)
	if err != nil {
		return Plan{}, err
	}
	if old.Mode != directory.ModeAuto || !old.Proved {
		return p, nil // somebody has chosen meanwhile
	}
	d := *old
	settings.FollowDNS(&d, mode, ttl, now())
	p.Tx.PutDomains = []directory.Domain{d}
	p.Delta.PutDomains = p.Tx.PutDomains
	p.Record(Change{
		Kind: KindDomain, Verb: VerbSet, Subject: d.Name, Domain: d.Name, Account: d.Account,
		Before: domainInfo(old), After: switchedDomain{DomainInfo: domainInfo(&d), Evidence: evidence},
	})
	p.Say("Mail for %s: %s. Before: %s.", words.Show(d.Name), settings.Describe(&d), settings.Describe(old))
	return p, nil
}
