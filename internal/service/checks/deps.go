package checks

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/routing"
	"postroad/internal/proto/dns"
)

// Resolver asks public DNS.
type Resolver interface {
	// MX gives the exchangers of a domain, an A-label.
	MX(ctx context.Context, name string) facts.MXAnswer
	// Addrs gives the addresses of a host.
	Addrs(ctx context.Context, host string) facts.AddrAnswer
	// Recursive asks for records of a type, past any cache of ours.
	Recursive(ctx context.Context, name string, kind dns.Type) facts.Answer
}

// Directory gives the domains, and what counts as ourselves.
type Directory interface {
	View() routing.View
}

// Zones tells what zones that are hosted here say.
type Zones interface {
	// ServedMX gives the exchangers of a domain whose zone is hosted here and to which the world is led; false for all
	// others.
	ServedMX(ctx context.Context, name string) (facts.MXAnswer, bool)
}

// Modes has domains of mode auto follow public DNS.
type Modes interface {
	// SwitchAuto records what was observed of a domain, with the TTL of its records.
	SwitchAuto(ctx context.Context, domain string, mode directory.Mode, evidence string, ttl time.Duration) error
}

// Lifetimes remembers how long others may remember what DNS says of domains.
type Lifetimes interface {
	// SawTTL notes a TTL of a domain's MX or NS records.
	SawTTL(ctx context.Context, scope account.Scope, domain string, ttl time.Duration, at time.Time) error
}

// Findings keeps what is wrong with domains of this installation.
type Findings interface {
	// Find records a finding, or forgets it when gone is true; one that stands keeps its Since. Forgetting what is not
	// there is no error.
	Find(ctx context.Context, f finding.Finding, gone bool) error
}
