package control

import (
	"context"
	"slices"

	"postroad/internal/service/control/inspect"
	"postroad/internal/service/control/settings"
)

// Questions and answers in the words of package inspect.
type (
	// Resolver looks up foreign DNS, for explanations.
	Resolver = inspect.Resolver
	// ExplainRequest asks what would happen to mail for an address.
	ExplainRequest = inspect.ExplainRequest
	// Explanation is a decision with its reasons.
	Explanation = inspect.Explanation
	// ChangedExplanation is a decision before and after a proposed change.
	ChangedExplanation = inspect.ChangedExplanation
	// Advice is a mode that is proposed for a domain.
	Advice = inspect.Advice
	// ExplainHop is one next hop.
	ExplainHop = inspect.ExplainHop
)

// ExplainChange explains an address before and after a plan that is not applied, and every address whose route it
// alters. ErrVersion when the configuration is no longer that of the plan.
func (s *Service) ExplainChange(ctx context.Context, actor Actor, q ExplainRequest, plan Plan) (ChangedExplanation, error) {
	st := s.current.Load()
	if plan.Version != st.Directory.Version() || plan.Actor != actor.Name {
		return ChangedExplanation{}, ErrVersion
	}
	if len(plan.Foreseen) > 0 {
		plan.Delta.PutDomains = slices.Concat(plan.Delta.PutDomains, plan.Foreseen)
	}
	out, err := s.explainer.ExplainChange(ctx, actor, st, after(st, plan, plan.Version), plan.Delta, q)
	out.Sentences, out.Warnings = plan.Sentences, plan.Warnings
	return out, err
}

// Explain asks the route decision and tells its reasons; for exchangers it asks DNS.
func (s *Service) Explain(ctx context.Context, actor Actor, q ExplainRequest) (Explanation, error) {
	return s.explainer.Explain(ctx, actor, s.current.Load(), q)
}

// Choose proposes a mode for a domain, with the reasons. Next hops, as people write them, are the domain's own server
// where that is known; without them those that the domain has count.
func (s *Service) Choose(ctx context.Context, actor Actor, name string, hops []string) (Advice, error) {
	st := s.current.Load()
	d, err := actor.Domain(st, name)
	if err != nil {
		return Advice{}, err
	}
	given := d.NextHops
	if len(hops) > 0 {
		if given, err = s.ours.NextHops(actor, hops); err != nil {
			return Advice{}, err
		}
	}
	detail, err := s.Domain(ctx, actor, d.Name)
	if err != nil {
		return Advice{}, err
	}
	advice := s.explainer.Choose(ctx, actor, st.Directory, d, settings.ShowHops(given))
	advice.Support = s.domains.Ask(st, &detail, &advice)
	return advice, nil
}
