package delegations

import (
	"context"

	"postroad/internal/core/account"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// Resolver asks public DNS.
type Resolver interface {
	// Delegation follows the delegations from the root to the zone in which a name lies.
	Delegation(ctx context.Context, name string) facts.Delegation
	// Everywhere asks all name servers of a zone.
	Everywhere(ctx context.Context, servers []facts.NameServer, name string, kind dns.Type) []facts.Answer
}

// Store keeps zones and what is wrong with domains.
type Store interface {
	// Zone reads one zone; words.ErrNotFound.
	Zone(ctx context.Context, scope account.Scope, domain string) (zone.Zone, error)
	// Findings lists what is wrong, of one domain or of all (empty).
	Findings(ctx context.Context, scope account.Scope, domain string) ([]finding.Finding, error)
	// Find records a finding, or forgets it when gone is true.
	Find(ctx context.Context, scope account.Scope, f finding.Finding, gone bool) error
}
