package control

import (
	"context"
	"errors"

	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/service/control/ownership"
	"postroad/internal/service/control/publishing"
	"postroad/internal/service/control/zones"
)

// Publishing in the words of package publishing.
type (
	// ProviderSpec is a wanted provider, as people write it.
	ProviderSpec = publishing.Spec
	// ProviderInfo is a provider as listings show it.
	ProviderInfo = publishing.ProviderInfo
)

// sides is zones.Sides as package publishing wants it.
func sides(d zone.Difference) (before, after any, takes bool) {
	b, a := zones.Sides(d)
	return b, a, len(b.Records) > 0
}

// proofRecord is the TXT record by which a domain's ownership is shown.
func (s *Service) proofRecord(d *directory.Domain) (owner, text string) {
	return ownership.Owner(d.Name), s.ownership.Text(d.Account, d.Name)
}

// Providers lists how the zones of domains are written to that others answer for.
func (s *Service) Providers(ctx context.Context, actor Actor) ([]ProviderInfo, error) {
	return s.publishing.List(ctx, actor)
}

// PlanProviderSet plans how a domain's zone is written to.
func (s *Service) PlanProviderSet(ctx context.Context, actor Actor, domain string, spec ProviderSpec) (Plan, error) {
	return s.publishing.PlanSet(ctx, actor, s.current.Load(), domain, spec)
}

// PlanProviderRemove plans that a domain's zone is written to no more.
func (s *Service) PlanProviderRemove(ctx context.Context, actor Actor, domain string) (Plan, error) {
	return s.publishing.PlanRemove(ctx, actor, s.current.Load(), domain)
}

// PlanPublish plans that a domain's zone, where others answer for it, has the records by which mail comes here.
func (s *Service) PlanPublish(ctx context.Context, actor Actor, domain string) (Plan, error) {
	return s.publishing.Plan(ctx, actor, s.current.Load(), domain)
}

// applyPublish writes into somebody else's zone and records it. What was written before a failure to record it stays.
func (s *Service) applyPublish(ctx context.Context, actor Actor, plan Plan) (Applied, error) {
	ctx = context.WithoutCancel(ctx)
	if err := s.publishing.Apply(ctx, plan.Publish); err != nil {
		return Applied{}, err
	}
	version, err := s.record(ctx, actor, plan)
	return Applied{Version: version}, err
}

// record writes the audit entries of what was done outside of the configuration.
func (s *Service) record(ctx context.Context, actor Actor, plan Plan) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, _, err := s.complete(ctx, plan)
	if err != nil {
		return 0, err
	}
	for range recordTries {
		next := *s.current.Load()
		var version int64
		version, err = s.o.Store.Update(ctx, actor.Scope, next.Directory.Version(), tx)
		if err == nil {
			next.Directory = next.Directory.With(directory.Delta{Version: version})
			s.swap(&next)
			s.tell(ctx, actor, plan, version)
			return version, nil
		}
		if !errors.Is(err, ErrVersion) {
			break
		}
		if err = s.reload(ctx); err != nil {
			break
		}
	}
	return 0, err
}
