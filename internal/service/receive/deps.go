package receive

import (
	"context"
	"errors"
	"io"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/core/policy"
	"postroad/internal/core/primary"
	"postroad/internal/core/routing"
	"postroad/internal/core/trace"
	"postroad/internal/proto/dkim"
)

// ErrFull says that there is no room to store a message. Queue and Blobs give it together with their own errors.
var ErrFull = errors.New("no room")

// Queue takes what has been received.
type Queue interface {
	// NewID gives the id under which a message will be queued.
	NewID(at time.Time) mail.ID
	// Accept makes a message durable; only when it returns nil may the client hear 250. Any error is
	// temporary; ErrFull is among it where space ran out.
	Accept(ctx context.Context, scope account.Scope, st mail.Stored) error
	// Room is nil while there is space for another message of the given size; else the reason, temporary.
	Room(size int64) error
}

// Recorder keeps what became of mail for the owners of its domains. It never waits and never fails.
type Recorder interface {
	Record(e trace.Event)
}

// Findings keeps what is wrong with domains of this installation.
type Findings interface {
	// Find records a finding, or forgets it when gone is true; one that stands keeps its Since.
	Find(ctx context.Context, f finding.Finding, gone bool) error
}

// Directory gives the view by which recipients are judged.
type Directory interface {
	View() routing.View
}

// Facts learns what a decision lacks.
type Facts interface {
	// Fetch returns when the view knows the fact, or it cannot be had now.
	Fetch(ctx context.Context, need routing.Need)
}

// Signer signs mail of our own users (RFC 6376).
type Signer interface {
	// Sign gives the signature fields of a message by an author of a domain, an A-label; none where the domain has no key
	// that signs. body gives the hash of the message's body by relaxed canonicalization; it is called at most once.
	Sign(ctx context.Context, domain string, header []byte, body func() *dkim.Body) []byte
}

// Forwarder makes mail that is forwarded to other servers believable there.
type Forwarder interface {
	// Rewrite gives the sender under which a domain, an A-label, forwards mail; false when it has to stay what it is.
	Rewrite(sender, domain string, now time.Time) (string, bool)
	// Seal gives the fields that go above a message which a domain forwards: over what this host wrote into found, the
	// fields above the content. body was hashed by both canonicalizations. None when there is nothing to be sealed.
	Seal(ctx context.Context, domain string, header, found []byte, body *dkim.Body, now time.Time) []byte
	// Pace counts a message of a forward in an account's domain, and gives when it may leave; false when that is at once.
	Pace(owner account.ID, forward string, now time.Time) (time.Time, bool)
	// Note remembers of a message whether its author's domain stands behind it by SPF alone, so that the next server will
	// hardly believe it.
	Note(owner account.ID, forward string, fragile bool)
	// PerHour is how many messages a forward may send in an hour.
	PerHour() int
}

// Sending holds what our own users send against limits.
type Sending interface {
	// Take counts a recipient of a login's mail, or says why it must not be taken now, as the text of a reply.
	Take(login string, owner account.ID) (refusal string)
}

// Probes knows the messages that try whether other servers forward mail to us (docs/primaries.md).
type Probes interface {
	// ProbeBack takes one that has come back for a recipient, and reports whether it is one: what it tells is durable then,
	// and it is not to be delivered. An error is temporary.
	ProbeBack(ctx context.Context, r *primary.Return) (bool, error)
	// ProbeReported takes a report about one in the same way.
	ProbeReported(ctx context.Context, r *primary.Return) (bool, error)
}

// Turns starts mail that waits for a domain's own server.
type Turns interface {
	// Turn tells how many recipients of a domain wait in a lane, and has them tried at once.
	Turn(ctx context.Context, lane mail.Lane, domain string) (pending int64, err error)
}

// Judge finds out who sent what strangers bring, and decides what becomes of it.
type Judge interface {
	// Begin begins with a message of which the first recipient was taken.
	Begin(a policy.Arrival) Judgement
}

// Judgement is the judging of one message, by one goroutine: Header, Write, Judge, End.
type Judgement interface {
	// Header takes the header as it came, the empty line after it left out; the octets do not change until End. rows are all
	// that the message is for.
	Header(header []byte, rows []mail.Recipient)
	// Write takes the next octets of the body.
	io.Writer
	// Judge decides for each row, within seconds.
	Judge(rows []mail.Recipient) []policy.Ruling
	// End forgets the message; it may be called at any time.
	End()
}

// Boxes tells how full mailboxes are.
type Boxes interface {
	// Usage gives counts and octets of mailboxes by id; those that are not there are left out.
	Usage(ctx context.Context, scope account.Scope, ids []string) (map[string]mailbox.Usage, error)
}

// Blobs keeps contents over mail.InlineLimit while they are received. ErrFull is among the errors of Create, Write and
// Commit where space ran out.
type Blobs interface {
	// Create starts a blob. Nothing of it outlives a crash before Commit.
	Create() (Blob, error)
}

// Blob is one content being written.
type Blob interface {
	io.Writer
	// Commit makes the blob durable and closes it; open reads it back against its size and xxHash64.
	Commit(size int64, hash uint64) (name string, open func() (io.ReadCloser, error), err error)
	// Abort removes what was written. After Commit it removes the committed blob.
	Abort()
}
