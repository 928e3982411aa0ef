package checks

import (
	"context"
	"log/slog"
	"time"

	"postroad/internal/core/directory"
)

const identitiesAtOnce = 4

// Identities looks whether domains authorise what is sent from here as their addresses.
type Identities interface {
	// CheckIdentities keeps the finding about the identities of a domain's mailboxes, and says when to look again.
	CheckIdentities(ctx context.Context, domain string) (again time.Duration, err error)
}

// NewIdentities makes rounds over the domains whose ownership is shown.
func NewIdentities(dir Directory, identities Identities, log *slog.Logger) *Rounds {
	return NewRounds(dir, func(d *directory.Domain) bool { return d.Proved }, identitiesAtOnce, func(ctx context.Context, d *directory.Domain) time.Duration {
		again, err := identities.CheckIdentities(ctx, d.Name)
		if err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "identities not looked at", "domain", d.Name, "error", err)
		}
		return again
	})
}
