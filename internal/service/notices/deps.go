package notices

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/notice"
	"postroad/internal/core/routing"
	"postroad/internal/proto/dkim"
)

// Store keeps what was told, and what has to be remembered for that.
type Store interface {
	// Memories lists what is remembered.
	Memories(ctx context.Context, scope account.Scope) ([]notice.Memory, error)
	// Switches lists changes of mode that have not been told, oldest first, at most limit, and the audit entry up to which
	// it has looked. The first time nothing is told of what was before.
	Switches(ctx context.Context, scope account.Scope, limit int) (list []notice.Switch, upTo int64, err error)
	// KeepNotices makes the result of a look durable, in one transaction or not at all, with the audit entry up to which
	// it goes.
	KeepNotices(ctx context.Context, scope account.Scope, r notice.Result, upTo int64) error
	// DueNotices lists what is to be sent by now, oldest first, at most limit.
	DueNotices(ctx context.Context, scope account.Scope, now time.Time, limit int) ([]notice.Notice, error)
	// SentNotices notes that notices were sent to addresses, or that nobody could be told, and why. Those of which that was
	// noted before stay as they are.
	SentNotices(ctx context.Context, scope account.Scope, ids []string, at time.Time, to []string, problem string) error
	// ForgetNotices drops what was sent before a time.
	ForgetNotices(ctx context.Context, scope account.Scope, before time.Time) error
}

// Findings tells what is wrong with domains.
type Findings interface {
	// Findings lists what is wrong, of one domain or of all (empty).
	Findings(ctx context.Context, scope account.Scope, domain string) ([]finding.Finding, error)
}

// Queue takes notices, and tells what waits for domains' own servers.
type Queue interface {
	// NewID gives a fresh queue id; later ones are greater from one millisecond to the next.
	NewID(at time.Time) mail.ID
	// Accept makes a message durable and begins to deliver it.
	Accept(ctx context.Context, scope account.Scope, st mail.Stored) error
	// Failing lists the lanes that could not be reached the last time.
	Failing() []mail.Lane
	// Waiting tells how much mail for a domain lies in a lane, and how the lane stands.
	Waiting(ctx context.Context, scope account.Scope, lane mail.Lane, domain string) (mail.Waiting, error)
}

// Directory gives the domains and the view by which notices are routed.
type Directory interface {
	View() routing.View
}

// Signer signs mail that is made here (RFC 6376).
type Signer interface {
	// Sign gives the signature fields of a message by an author of a domain; none where the domain has no key that signs.
	// body gives the hash of the message's body by relaxed canonicalization.
	Sign(ctx context.Context, domain string, header []byte, body func() *dkim.Body) []byte
}

// Addresses tells who wants to be told.
type Addresses interface {
	// NoticeAddresses are those of an account; none where none are set.
	NoticeAddresses(id account.ID) []string
}
