package mailqueue

import (
	"context"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
)

// Queue is what control needs of the queue.
type Queue interface {
	// List gives messages by id from behind after on, at most limit, with the rows that the filter selects.
	List(ctx context.Context, scope account.Scope, f mail.Filter, after mail.ID, limit int) ([]mail.Listed, error)
	// Count gives totals over what the filter selects.
	Count(ctx context.Context, scope account.Scope, f mail.Filter) (mail.Counts, error)
	// Waiting tells how much mail for a domain lies in a lane, and how the lane stands.
	Waiting(ctx context.Context, scope account.Scope, lane mail.Lane, domain string) (mail.Waiting, error)
	// Change applies an action to every row that the filter selects and gives the number of rows changed. by is who
	// does it, for the traces.
	Change(ctx context.Context, scope account.Scope, f mail.Filter, a mail.Action, by string) (int64, error)
	// Reroute has the undelivered mail of domains decided anew.
	Reroute(ctx context.Context, list []mail.Rerouted) error
	// Body gives a queued message's content.
	Body(ctx context.Context, scope account.Scope, id mail.ID) (mail.Content, error)
}

// Findings keeps what is wrong with domains.
type Findings interface {
	// Findings lists what is wrong, of one domain or of all (empty).
	Findings(ctx context.Context, scope account.Scope, domain string) ([]finding.Finding, error)
	// Find records a finding, or forgets it when gone is true.
	Find(ctx context.Context, scope account.Scope, f finding.Finding, gone bool) error
}
