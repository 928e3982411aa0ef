package queue

import (
	"context"
	"net/netip"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/core/trace"
	"postroad/internal/proto/dkim"
)

// Spool keeps accepted messages until every one of their rows has found its end.
//
// What a store owes: Accept returns nil only when message, rows and content are durable (one shared flush for
// all callers of the same moment); Settle applies all changes of one call in one transaction or none.
type Spool interface {
	// Accept makes messages durable with their rows. An error means that none of them may be acknowledged.
	// On success the content file of a blob belongs to the spool.
	Accept(ctx context.Context, scope account.Scope, messages []mail.Stored) error
	// Due gives rows of a lane whose time has come, by (Next, ID, N) from behind the cursor on, at most limit
	// rows, grouped into deliveries by message; contents up to mail.InlineLimit are loaded and verified, a damaged
	// one comes without Inline and its Open gives ErrCorrupt. The cursor of the last row comes back; the zero
	// cursor starts at the beginning.
	Due(ctx context.Context, scope account.Scope, lane mail.Lane, now time.Time, after Cursor, limit int) ([]mail.Delivery, Cursor, error)
	// Aged gives rows of a lane whose CheckAge is at or below age, at most limit, without contents.
	Aged(ctx context.Context, scope account.Scope, lane mail.Lane, age int64, limit int) ([]mail.Delivery, error)
	// Body gives a message's content, its checksum verified while it is read; ErrNoMessage when it is gone.
	Body(ctx context.Context, scope account.Scope, id mail.ID) (mail.Content, error)
	// Settle records what became of rows, together with the reports that replace them, and says in each Settlement
	// whether it was void. A stale token is refused with ErrStaleLease and nothing is changed.
	//
	// Done removes a row whatever its state: it has been delivered. All else changes rows only that are waiting,
	// leased or deferred. A row that is kept (held, quarantined, dead) stays so; its attempt and reply are noted.
	// Rows that are gone are no error. Asking again for what was recorded already changes nothing.
	Settle(ctx context.Context, scope account.Scope, token Token, changes []Settlement) error
	// Redirect gives rows another way, all of one call in one transaction or none; a stale token is refused with
	// ErrStaleLease and nothing is changed. A row is redirected only while it is waiting, leased or deferred in the
	// lane that it is said to lie in; attempts and ages stay. The lanes that rows come into are scheduled. Asking again
	// for what was recorded already changes nothing.
	Redirect(ctx context.Context, scope account.Scope, token Token, list []Redirection) error
	// Age adds at most one hour of elapsed time to the persisted queue age (durability.md, Time) and gives
	// the age in seconds. Calling it with zero reads it.
	Age(ctx context.Context, elapsed time.Duration) (int64, error)
}

// Cursor is a place in the order of a lane's due rows.
type Cursor struct {
	Next time.Time
	Row  mail.Row
}

// Settlement is one transaction's worth of change: rows of one message, and the report that replaces or
// follows them. The report is stored only when at least one of these rows was changed, and only once.
type Settlement struct {
	Rows   []RowChange
	Report *mail.Stored // a report made durable in the same transaction; nil for none
	Word   string       // what the report tells: delivered, relayed, delayed or failed (RFC 3464 §2.3.3)
	Void   bool         // set by Settle: no row was there to be changed, or the report was stored before; it is not stored now
}

// RowChange is the new state of a row. Done and Failed remove the row; with the last row goes the message.
type RowChange struct {
	Row       mail.Row
	State     mail.State
	Attempts  int
	Next      time.Time
	CheckAge  int64
	Noticed   bool
	LastReply string
	LastHost  string
	LastAddr  netip.Addr // of LastHost, for the trace alone: the store does not keep it
}

// Redirection is a row whose next hop was decided anew.
type Redirection struct {
	Row  mail.Row
	From mail.Lane
	// To is what the row becomes, with lane, destination, mailbox and account: the first in its place, due at its Next;
	// each further one a row of its own beside it, with a number that the store gives. Where its State is quarantined it
	// becomes so, with its LastReply. None: the row is held.
	To    []mail.Recipient
	Reply string // of a row that is held: the reason, for listings
}

// Token proves that its bearer holds a lane. Tokens of one lane only grow.
type Token struct {
	Lane  mail.Lane
	Value int64
}

// LaneState is what is remembered about a destination between attempts.
type LaneState struct {
	Lane     mail.Lane
	Next     time.Time // not before this time; zero when nothing is scheduled
	Failures int       // consecutive failures of the lane as a whole
	Reason   string    // of the last failure, one line
	Host     string    // who gave it
}

// Lanes hands out the right to deliver a lane: one holder at a time, until an expiry by the store's clock.
type Lanes interface {
	// Open prepares an only node's start: earlier leases end, rows born leased in an earlier epoch become due.
	Open(ctx context.Context, node string, only bool) error
	// Lease takes at most limit lanes whose time has come and which nobody holds.
	Lease(ctx context.Context, node string, now time.Time, limit int, ttl time.Duration) ([]Held, error)
	// Claim takes one lane by name, due or not; ok is false when anybody holds it. Only a lane that backs off
	// (Failures above 0) comes with a Next that lies ahead.
	Claim(ctx context.Context, node string, lane mail.Lane, ttl time.Duration) (held Held, ok bool, err error)
	// Renew prolongs a lease; ErrStaleLease when it is no longer ours.
	Renew(ctx context.Context, token Token, ttl time.Duration) error
	// Release gives a lane back and records when it is to be tried next; a zero Next means that the store
	// finds it from the rows that are left, or forgets the lane when there are none.
	Release(ctx context.Context, token Token, state LaneState) error
	// NextDue is the earliest time at which a lane becomes due; zero when none is scheduled.
	NextDue(ctx context.Context) (time.Time, error)
	// What lies in lanes while they are down.
	Backlog
}

// Backlog is what lies in lanes.
type Backlog interface {
	// Hasten makes a lane due with all that lies in it, in transactions of a bounded size, in the order in which messages
	// came. What is remembered of the lane's failures stays.
	Hasten(ctx context.Context, lane mail.Lane, now time.Time) error
	// Down lists lanes that back off after failures, at most limit.
	Down(ctx context.Context, now time.Time, limit int) ([]LaneState, error)
	// Waiting tells how much mail for a domain lies in a lane, in scope.
	Waiting(ctx context.Context, scope account.Scope, lane mail.Lane, domain string) (mail.Waiting, error)
}

// Held is a lane in our hands.
type Held struct {
	Token Token
	State LaneState
}

// The operator's words are shared with service/control and live in core/mail.
type (
	// Filter selects rows.
	Filter = mail.Filter
	// Listed is a message in a listing.
	Listed = mail.Listed
	// Counts are totals over the queue.
	Counts = mail.Counts
	// Action is what an operator does to queued rows.
	Action = mail.Action
)

// Inspect is the operator's view of the queue.
type Inspect interface {
	// List gives messages by id from behind after on, at most limit.
	List(ctx context.Context, scope account.Scope, f Filter, after mail.ID, limit int) ([]Listed, error)
	// Count gives totals over what the filter selects.
	Count(ctx context.Context, scope account.Scope, f Filter, now time.Time) (Counts, error)
	// Change applies an action to every row that the filter selects and gives the number of rows changed and the
	// lanes that they lie in. It works through them in transactions of a bounded size, so that mail is accepted
	// meanwhile; after an error both tell how far it came. changed, when not nil, gets the rows of each transaction
	// once it is durable, as they were before.
	Change(ctx context.Context, scope account.Scope, f Filter, a Action, now time.Time, changed func([]mail.Recipient)) (rows int64, lanes []mail.Lane, err error)
	// Keep has the scheduled rows for a domain given up when they have been here for a time, in transactions of a
	// bounded size. Rows of which it is not known since when they are here, or that were given more time by a person,
	// are left as they are.
	Keep(ctx context.Context, scope account.Scope, domain string, hold time.Duration) error
}

// Agent carries deliveries of one lane to where they go.
type Agent interface {
	// Deliver attempts a batch of one lane and calls done once for each delivery it came to an outcome for, with
	// one outcome per row, before it returns. A *mail.LaneDown error says that the destination could not be
	// reached: deliveries without an outcome were not attempted. It ends soon after ctx does; when ctx's cause is a
	// *mail.Ending, a delivery that the other side may have taken is waited for until the time that this gives.
	Deliver(ctx context.Context, lane mail.Lane, batch []mail.Delivery, done func(i int, outcomes []mail.Outcome)) error
}

// Signer signs mail that is made here (RFC 6376).
type Signer interface {
	// Sign gives the signature fields of a message by an author of a domain; none where the domain has no key that signs.
	// body gives the hash of the message's body by relaxed canonicalization.
	Sign(ctx context.Context, domain string, header []byte, body func() *dkim.Body) []byte
}

// Recorder keeps what became of mail for the owners of its domains. It never waits and never fails.
type Recorder interface {
	Record(e trace.Event)
}

// Prober is an agent that can look at a destination without any mail.
type Prober interface {
	// Probe returns nil when a host of a lane takes connections for mail; else why none does.
	Probe(ctx context.Context, lane mail.Lane) error
}

// Directory gives the view by which reports are routed.
type Directory interface {
	View() routing.View
}

// Findings keeps what is wrong with domains of this installation.
type Findings interface {
	// Find records a finding, or forgets it when gone is true; one that stands keeps its Since. Forgetting what is not
	// there is no error.
	Find(ctx context.Context, f finding.Finding, gone bool) error
}

// Forgetter is an agent that remembers deliveries until the queue's own record of them is durable.
type Forgetter interface {
	// Forget drops the memory of messages all of whose local rows have been recorded as done.
	Forget(ctx context.Context, ids []mail.ID)
}
