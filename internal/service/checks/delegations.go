package checks

import (
	"context"
	"log/slog"
	"time"

	"postroad/internal/core/directory"
)

const delegationsAtOnce = 4

// Delegations looks whether the world is led to zones that are hosted here.
type Delegations interface {
	// CheckDelegation records what is wrong with the delegation of a domain's zone, and says when to look again.
	CheckDelegation(ctx context.Context, domain string) (again time.Duration, err error)
}

// NewDelegations makes rounds over the domains whose zones are hosted here.
func NewDelegations(dir Directory, delegations Delegations, log *slog.Logger) *Rounds {
	wants := func(d *directory.Domain) bool { return d.Zone == directory.ZoneHosted }
	return NewRounds(dir, wants, delegationsAtOnce, func(ctx context.Context, d *directory.Domain) time.Duration {
		again, err := delegations.CheckDelegation(ctx, d.Name)
		if err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "delegation not looked at", "domain", d.Name, "error", err)
		}
		return again
	})
}
