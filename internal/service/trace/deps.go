package trace

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/core/trace"
)

// Store keeps rows. A row is never changed.
type Store interface {
	// Add keeps rows, all of them or none. A crash of the machine may lose what was added within the last second.
	Add(ctx context.Context, scope account.Scope, rows []trace.Row) error
	// Get gives all rows of one id.
	Get(ctx context.Context, scope account.Scope, id mail.ID) ([]trace.Row, error)
	// List gives all rows of at most limit ids that the filter selects, newest id first.
	List(ctx context.Context, scope account.Scope, f trace.Filter, limit int) ([]trace.Row, error)
	// Sweep removes rows with ids from before a time, about as many as limit says, and tells whether there are more.
	Sweep(ctx context.Context, scope account.Scope, before time.Time, limit int) (more bool, err error)
}

// Directory says whose a domain is.
type Directory interface {
	View() routing.View
}

// Disk tells the free space where traces are kept, in octets.
type Disk interface {
	Free() (uint64, error)
}
