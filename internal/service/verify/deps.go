package verify

import (
	"context"

	"postroad/internal/core/facts"
)

// Resolver looks up exchangers and addresses.
type Resolver interface {
	// MX gives the exchangers of a domain, an A-label.
	MX(ctx context.Context, name string) facts.MXAnswer
	// Addrs gives the addresses of a host.
	Addrs(ctx context.Context, host string) facts.AddrAnswer
}
