package judge

import (
	"postroad/internal/core/policy"
	"postroad/internal/core/routing"
)

// Resolver asks foreign DNS.
type Resolver interface{ policy.DNS }

// Directory says how domains want mail judged, and whom they trust.
type Directory interface {
	View() routing.View
}
