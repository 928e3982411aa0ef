package judge

import (
	"context"

	"postroad/internal/core/account"
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

// Patterns counts messages that fail only for having come through a client.
type Patterns interface {
	// Brought counts one for an account's domain and gives how many there were; tell is true where a pattern is seen.
	Brought(owner account.ID, domain, client string) (messages int, tell bool)
}
