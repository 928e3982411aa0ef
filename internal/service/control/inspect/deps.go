package inspect

import (
	"context"

	"postroad/internal/core/facts"
)

// Resolver looks up foreign DNS, for explanations.
type Resolver interface {
	// MX asks for the exchangers of a domain.
	MX(ctx context.Context, name string) facts.MXAnswer
	// Addrs asks for the addresses of a host.
	Addrs(ctx context.Context, host string) facts.AddrAnswer
}
