package control

import (
	"context"
	"errors"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/service/control/domains"
	"postroad/internal/service/control/inspect"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
)

// Domains in the words of packages domains and settings.
type (
	// DomainSettings are what can be chosen for a domain.
	DomainSettings = settings.Domain
	// DomainInfo is a domain as listings show it.
	DomainInfo = settings.Info
	// DomainSpec is a wanted domain.
	DomainSpec = domains.Spec
	// DomainDetail is everything about one domain.
	DomainDetail = domains.DomainDetail
	// DomainFilter narrows a listing of domains; the zero value is all of them.
	DomainFilter = domains.Filter
	// FindingInfo is a finding as listings show it.
	FindingInfo = domains.FindingInfo
	// Support is where to ask about a domain, and what to say there.
	Support = inspect.Support
)

// Domains lists the domains in scope by name.
func (s *Service) Domains(actor Actor, f DomainFilter) ([]DomainInfo, error) {
	return s.domains.List(actor, s.current.Load(), f)
}

// Domain shows one domain with its findings.
func (s *Service) Domain(ctx context.Context, actor Actor, name string) (DomainDetail, error) {
	return s.domains.Show(ctx, actor, s.current.Load(), name)
}

// Findings lists what is wrong, of one domain or of all in scope (empty).
func (s *Service) Findings(ctx context.Context, actor Actor, domain string) ([]FindingInfo, error) {
	return s.domains.Findings(ctx, actor, s.current.Load(), domain)
}

// PlanDomainAdd plans a new domain. Without the operator's word it is inert until its ownership is shown.
func (s *Service) PlanDomainAdd(ctx context.Context, actor Actor, spec DomainSpec) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.domains.PlanAdd(ctx, actor, st, spec) })
}

// PlanDomainSet plans other settings for a domain.
func (s *Service) PlanDomainSet(ctx context.Context, actor Actor, name string, set DomainSettings) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.domains.PlanSet(ctx, actor, st, name, set) })
}

// PlanDomainRemove plans the end of a domain with everything in it.
func (s *Service) PlanDomainRemove(ctx context.Context, actor Actor, name string) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.domains.PlanRemove(ctx, actor, st, name) })
}

// ForgetDeparted forgets removed domains whose time is over. It is called now and then.
func (s *Service) ForgetDeparted(ctx context.Context) error {
	_, err := s.Apply(ctx, System(), domains.PlanForget(System(), s.current.Load()))
	if errors.Is(err, ErrVersion) {
		return nil // the next time will do
	}
	return err
}

// SwitchAuto has a domain of mode auto go by what public DNS says. It is a change like any other, made by "auto".
func (s *Service) SwitchAuto(ctx context.Context, name string, mode directory.Mode, evidence string, ttl time.Duration) error {
	actor := rights.Actor{Name: "auto", Scope: System().Scope, Operator: true}
	follows := false
	_, err := s.Make(ctx, actor, func() (Plan, error) {
		p, err := s.domains.PlanAuto(actor, s.current.Load(), name, mode, evidence, ttl)
		follows = !p.Empty()
		return p, err
	})
	if err == nil && follows {
		s.o.Log.WarnContext(ctx, "the routing mode follows public DNS", "domain", name, "mode", string(mode), "evidence", evidence, "actor", actor.Name)
	}
	return err
}
