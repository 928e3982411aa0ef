package judge

import (
	"context"

	"postroad/internal/core/finding"
	"postroad/internal/core/policy"
	"postroad/internal/core/routing"
)

// Resolver asks foreign DNS.
type Resolver interface{ policy.DNS }

// Directory says how domains want mail judged, and whom they trust.
type Directory interface {
	View() routing.View
}

// Findings keeps what is wrong with domains of this installation.
type Findings interface {
	// Find records a finding, or forgets it when gone is true; one that stands keeps its Since.
	Find(ctx context.Context, f finding.Finding, gone bool) error
}
