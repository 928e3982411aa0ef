package lookup

import (
	"context"
	"net/netip"

	"postroad/internal/core/facts"
	"postroad/internal/proto/dns"
)

// Resolver asks foreign DNS.
type Resolver interface {
	// Recursive asks the configured resolvers in turn until one has an answer.
	Recursive(ctx context.Context, name string, kind dns.Type) facts.Answer
	// At asks one server, an address:port.
	At(ctx context.Context, server, name string, kind dns.Type) facts.Answer
	// Delegation follows the delegations from the root to the zone in which a name lies.
	Delegation(ctx context.Context, name string) facts.Delegation
	// Everywhere asks all name servers of a zone.
	Everywhere(ctx context.Context, servers []facts.NameServer, name string, kind dns.Type) []facts.Answer
	// Security tells whether a name's records validate.
	Security(ctx context.Context, name string, kind dns.Type) (facts.Security, facts.Answer)
	// Barred says why an address may not be asked when somebody else leads there; "" when it may.
	Barred(a netip.Addr) string
	// Port is the port at which name servers are asked.
	Port() string
}
