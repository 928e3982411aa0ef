package judge

import (
	"context"
	"net/netip"

	"postroad/internal/core/facts"
	"postroad/internal/core/routing"
)

// Resolver asks foreign DNS.
type Resolver interface {
	TXT(ctx context.Context, name string) facts.TXTAnswer
	MX(ctx context.Context, name string) facts.MXAnswer
	// Family gives the addresses of a host in one family.
	Family(ctx context.Context, host string, six bool) facts.AddrAnswer
	// Names gives the names that an address leads to.
	Names(ctx context.Context, addr netip.Addr) facts.NamesAnswer
}

// Directory says how domains want mail judged, and whom they trust.
type Directory interface {
	View() routing.View
}
