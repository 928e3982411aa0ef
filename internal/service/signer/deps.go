package signer

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
)

// Store keeps zones and the private parts of their keys.
type Store interface {
	// Zone reads a zone as it was published last; an error that wraps what Missing knows when there is none.
	Zone(ctx context.Context, scope account.Scope, domain string) (zone.Zone, error)
	// DueZones lists the zones that are to be signed again at a moment, the longest due first.
	DueZones(ctx context.Context, scope account.Scope, at time.Time, limit int) ([]string, error)
	// SignedZones lists all zones that are signed.
	SignedZones(ctx context.Context, scope account.Scope) ([]string, error)
	Keys
	Memory
}

// Keys are the private parts of keys, sealed.
type Keys interface {
	// ZoneKey gives one by its key's ID; an error that wraps what Missing knows when there is none.
	ZoneKey(ctx context.Context, scope account.Scope, id string) (dnssec.SealedKey, error)
	// ZoneKeys lists all, without what is sealed.
	ZoneKeys(ctx context.Context, scope account.Scope) ([]dnssec.SealedKey, error)
	// MarkZoneKeys notes since when keys are in no zone; the zero time: they are in one.
	MarkZoneKeys(ctx context.Context, scope account.Scope, ids []string, unused time.Time) error
	// DropZoneKeys destroys private parts.
	DropZoneKeys(ctx context.Context, scope account.Scope, ids []string) error
}

// Memory keeps values of the installation by name, "" for one that is not there, and what is wrong with its domains.
type Memory interface {
	Setting(ctx context.Context, scope account.Scope, name string) (string, error)
	SetSetting(ctx context.Context, scope account.Scope, name, value string) error
	// Findings lists what is wrong, of one domain or of all (empty).
	Findings(ctx context.Context, scope account.Scope, domain string) ([]finding.Finding, error)
	// Find records a finding, or forgets it when gone is true; one that stands keeps its Since. Forgetting what is not
	// there is no error.
	Find(ctx context.Context, scope account.Scope, f finding.Finding, gone bool) error
}

// Parents asks the zones above.
type Parents interface {
	// DS asks all servers of the zone above for a domain's DS records. An error, where one of them does not answer or
	// says something else than another: nothing is known then.
	DS(ctx context.Context, domain string) (ds [][]byte, ttl time.Duration, source string, err error)
}

// Publisher has zones signed and published again, as they are.
type Publisher interface {
	Republish(ctx context.Context, domains []string) error
}
