package forwarding

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/facts"
	"postroad/internal/proto/dkim"
)

// Keys has the keys that domains sign with.
type Keys interface {
	// Keys gives the keys of a domain, an A-label, that sign; none where there are none.
	Keys(ctx context.Context, domain string) []dkim.Key
}

// Resolver asks foreign DNS.
type Resolver interface {
	TXT(ctx context.Context, name string) facts.TXTAnswer
}

// Store keeps what is counted.
type Store interface {
	// ForwardCounts gives the forwards in scope whose next message would leave after a time, and the clients, most at most
	// and the last ones first, that brought something after another.
	ForwardCounts(ctx context.Context, scope account.Scope, leaves, brought time.Time, most int) (Counts, error)
	// AddForwardCounts adds to those of forwards and clients, each of which stands there once, and gives what they are now.
	// What the store has of a forward or a domain of another account is counted anew. Everything from before a time is
	// forgotten.
	AddForwardCounts(ctx context.Context, scope account.Scope, added Added, before time.Time) (Counts, error)
	// ForwardRecord gives what was seen of the last messages of a forward in scope; nothing where there is none.
	ForwardRecord(ctx context.Context, scope account.Scope, forward string) (Record, error)
}
