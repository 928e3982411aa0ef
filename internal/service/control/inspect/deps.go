package inspect

import (
	"context"
	"net/netip"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/routing"
)

// Facts is what is known of the world, and how to learn more.
type Facts interface {
	routing.Facts
	// Fetch returns when the fact is known, or cannot be had now.
	Fetch(ctx context.Context, need routing.Need)
}

// Resolver looks up foreign DNS, for explanations.
type Resolver interface {
	// MX asks for the exchangers of a domain.
	MX(ctx context.Context, name string) facts.MXAnswer
	// Addrs asks for the addresses of a host.
	Addrs(ctx context.Context, host string) facts.AddrAnswer
}

// Judge finds out who sent what strangers bring.
type Judge interface {
	// Foresee tells in sentences what would be found out about a message for a domain before it is there.
	Foresee(ctx context.Context, d *directory.Domain, client netip.Addr, sender string) []string
}
