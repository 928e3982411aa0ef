package sending

import (
	"context"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
)

// Store keeps tallies.
type Store interface {
	// Tallies gives those of all senders in scope from the given day of UTC on.
	Tallies(ctx context.Context, scope account.Scope, day int64) ([]sending.Count, error)
	// TalliesOf gives those of some senders; none of senders that have none.
	TalliesOf(ctx context.Context, scope account.Scope, keys []sending.Key) ([]sending.Count, error)
	// AddTallies adds to those of senders, each of whom stands there once, and gives what they are now. Those of days
	// before the given one are forgotten.
	AddTallies(ctx context.Context, scope account.Scope, added []sending.Count, day int64) ([]sending.Count, error)
}
