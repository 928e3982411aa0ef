package harvest

import (
	"context"

	"postroad/internal/core/account"
	"postroad/internal/core/facts"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// Resolver asks foreign name servers.
type Resolver interface {
	// Delegation follows the delegations from the root to the zone in which a name lies.
	Delegation(ctx context.Context, name string) facts.Delegation
	// At asks one server, an address:port.
	At(ctx context.Context, server, name string, kind dns.Type) facts.Answer
	// Transfer asks one server for a whole zone.
	Transfer(ctx context.Context, server, zone string) ([]dns.Record, error)
	// Port is the port at which name servers are asked.
	Port() string
}

// Store keeps zones.
type Store interface {
	// Zone reads one zone; words.ErrNotFound.
	Zone(ctx context.Context, scope account.Scope, domain string) (zone.Zone, error)
}
