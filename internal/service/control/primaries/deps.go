package primaries

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/primary"
	"postroad/internal/proto/dkim"
)

// Store keeps what is known of forwards.
type Store interface {
	// ForwardProbes lists what is known of the forwards to addresses of a domain, or of all in scope (empty), by address.
	ForwardProbes(ctx context.Context, scope account.Scope, domain string) ([]primary.Probe, error)
	// OpenForwardProbes lists those of which a probe is under way, the oldest first.
	OpenForwardProbes(ctx context.Context, scope account.Scope) ([]primary.Probe, error)
	// ForwardProbe gives the one whose last probe has a serial; words.ErrNotFound.
	ForwardProbe(ctx context.Context, scope account.Scope, serial string) (primary.Probe, error)
	// CountForwardProbes counts the addresses of an account to which a probe was sent after a time.
	CountForwardProbes(ctx context.Context, scope account.Scope, owner account.ID, since time.Time) (int, error)
	// PutForwardProbes writes new probes, each in the place of what is known of its address, all or none. Their domains are
	// their accounts' own, else words.ErrNotFound.
	PutForwardProbes(ctx context.Context, scope account.Scope, list []primary.Probe) error
	// SetForwardProbe writes what has become of a probe; false when it is not any more as it was.
	SetForwardProbe(ctx context.Context, scope account.Scope, was, is primary.Probe) (bool, error)
	// RemoveForwardProbes forgets what is known of addresses.
	RemoveForwardProbes(ctx context.Context, scope account.Scope, addresses []string) error
}

// Findings keeps what is wrong with domains.
type Findings interface {
	// Find records a finding (keeping Since when it is there already), or forgets it when gone is true.
	Find(ctx context.Context, scope account.Scope, f finding.Finding, gone bool) error
	// Findings lists what is wrong, of one domain or of all (empty).
	Findings(ctx context.Context, scope account.Scope, domain string) ([]finding.Finding, error)
}

// Outbox sends what is made here.
type Outbox interface {
	// NewID gives the id under which a message will be queued.
	NewID(at time.Time) mail.ID
	// Accept makes a message durable and begins to deliver it.
	Accept(ctx context.Context, scope account.Scope, st mail.Stored) error
}

// Queue is where probes wait.
type Queue interface {
	// List gives messages by id, with the rows that the filter selects.
	List(ctx context.Context, scope account.Scope, f mail.Filter, after mail.ID, limit int) ([]mail.Listed, error)
	// Change applies an action to every row that the filter selects. by is who does it, for the traces.
	Change(ctx context.Context, scope account.Scope, f mail.Filter, a mail.Action, by string) (int64, error)
}

// Signer signs mail that is made here (RFC 6376).
type Signer interface {
	// Sign gives the signature fields of a message by an author of a domain; none where the domain has no key that signs.
	// body gives the hash of the message's body by relaxed canonicalization.
	Sign(ctx context.Context, domain string, header []byte, body func() *dkim.Body) []byte
}
