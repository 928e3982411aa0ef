package control

import (
	"context"

	"postroad/internal/service/control/inspect"
)

// Questions and answers in the words of package inspect.
type (
	// Resolver looks up foreign DNS, for explanations.
	Resolver = inspect.Resolver
	// ExplainRequest asks what would happen to mail for an address.
	ExplainRequest = inspect.ExplainRequest
	// Explanation is a decision with its reasons.
	Explanation = inspect.Explanation
	// ExplainHop is one next hop.
	ExplainHop = inspect.ExplainHop
)

// Explain asks the route decision and tells its reasons; for exchangers it asks DNS.
func (s *Service) Explain(ctx context.Context, actor Actor, q ExplainRequest) (Explanation, error) {
	return s.explainer.Explain(ctx, actor, s.current.Load(), q)
}
