// Package mail is the life of a message inside Postroad: its envelope, its rows, what an attempt did to them.
//
// A message has one Message and one Recipient row per final destination. Rows are what is queued, leased,
// deferred and settled; the message and its body live as long as one of its rows does.
package mail

import (
	"bytes"
	"io"
	"net/netip"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/proto/smtp"
)

// Client is where a message came from: what its Received field, the traces and the reports say.
type Client struct {
	Addr  netip.Addr // zero for mail made here
	Helo  string     // as the client gave it
	TLS   string     // protocol and cipher suite; empty in clear
	Login string     // full address of the login; empty without AUTH
}

// Message is the envelope of an accepted message and what is known about its content.
type Message struct {
	ID       ID
	Root     ID         // the message this one was made from (a report's original); equal to ID else
	Account  account.ID // who answers for it: owner of the sender's domain for own users, else of the first recipient's
	Sender   string     // reverse-path, empty for reports (RFC 5321 §4.5.5)
	EnvID    string     // RFC 3461 §4.4, decoded
	Ret      smtp.Ret   // RFC 3461 §4.3
	Body     smtp.BodyType
	UTF8     bool   // the envelope or header needs SMTPUTF8 (RFC 6531)
	Size     int64  // octets of the content, trace fields included
	Hash     uint64 // xxHash64 of the content, checked on every read
	Client   Client
	Received time.Time // when the content was complete, UTC
	Rows     int       // rows it was accepted with
}

// Content is a message's bytes, trace fields included, ending in CRLF: inline up to InlineLimit, a file beyond.
type Content struct {
	Inline []byte // the whole content; nil when it lies in a blob
	Blob   string // name in the blob folder; empty when inline
	Open   func() (io.ReadCloser, error)
}

// InlineLimit is the largest content kept in the database row, in octets.
const InlineLimit = 64 << 10

// Transport is how a row leaves the queue.
type Transport string

// The transports.
const (
	TransportLocal  Transport = "local"  // into a mailbox of this installation
	TransportRemote Transport = "remote" // by the MX records of the recipient's domain
	TransportRelay  Transport = "relay"  // to an explicit list of hosts
	TransportLMTP   Transport = "lmtp"   // RFC 2033 hand-over to an explicit host
)

// Lane is the name of a destination: transport, a slash, and the recipient domain or the explicit host list
// ("remote/example.org", "relay/192.0.2.1:25", "local/0"). All queued mail of one lane shares its limits and back-off.
type Lane string

// Transport is the part of a lane's name before the slash.
func (l Lane) Transport() Transport {
	for i := range len(l) {
		if l[i] == '/' {
			return Transport(l[:i])
		}
	}
	return Transport(l)
}

// Key is the part of a lane's name after the slash.
func (l Lane) Key() string {
	for i := range len(l) {
		if l[i] == '/' {
			return string(l[i+1:])
		}
	}
	return ""
}

// MakeLane composes a lane's name.
func MakeLane(t Transport, key string) Lane { return Lane(string(t) + "/" + key) }

// State is where a row stands.
type State string

// The states of a row. Done and failed rows leave the queue at once and are never stored.
const (
	StateWaiting     State = "waiting"     // due when its time comes
	StateLeased      State = "leased"      // born leased: the node that accepted it is delivering it from memory
	StateDone        State = "done"        // delivered or handed on
	StateDeferred    State = "deferred"    // an attempt failed for now
	StateHeld        State = "held"        // waits for a person, or for a finding to be mended
	StateQuarantined State = "quarantined" // kept from its reader by policy
	StateFailed      State = "failed"      // given up and reported to the sender in the same transaction
	StateDead        State = "dead"        // given up, and nobody may be told; the body is kept 30 days
)

// Transitions lists for each state the states that may follow.
var Transitions = map[State][]State{
	StateWaiting:     {StateDone, StateDeferred, StateHeld, StateQuarantined, StateFailed, StateDead, StateWaiting},
	StateLeased:      {StateDone, StateDeferred, StateHeld, StateQuarantined, StateFailed, StateDead, StateWaiting},
	StateDeferred:    {StateDone, StateDeferred, StateHeld, StateQuarantined, StateFailed, StateDead, StateWaiting},
	StateHeld:        {StateDone, StateWaiting, StateFailed, StateDead}, // done: an attempt was under way when it was held
	StateQuarantined: {StateDone, StateWaiting, StateDead},
	StateDead:        {StateDone, StateWaiting},
	StateDone:        {},
	StateFailed:      {},
}

// Scheduled reports whether rows of this state are attempted when their time comes.
func (s State) Scheduled() bool {
	return s == StateWaiting || s == StateLeased || s == StateDeferred
}

// Row names one recipient row: the message and its number in it, from 0.
type Row struct {
	ID ID
	N  int
}

// Recipient is one row: one final destination of a message.
type Recipient struct {
	Row
	Account     account.ID  // owner of the recipient's domain when it is ours, else the message's account
	Original    string      // as given at RCPT
	Destination string      // after aliases, forwards and groups; what the next hop is told
	Mailbox     string      // mailbox id for TransportLocal
	Notify      smtp.Notify // RFC 3461 §4.1; 0 absent
	ORcpt       string      // RFC 3461 §4.2 "rfc822;a@b"; empty absent
	State       State
	Attempts    int       // attempts made for this row itself; a lane that is down does not count
	Next        time.Time // not before this time
	Lane        Lane
	CheckAge    int64  // queue age in seconds at which a delay notice or the end is due; see service/queue
	ExpireAge   int64  // queue age in seconds at which it is given up
	BornAge     int64  // queue age in seconds at which it was taken; negative where that is not known
	Copy        bool   // of dual delivery: the message itself is delivered here, and nobody is told of this one
	Noticed     bool   // the delay notice has been sent
	Junk        bool   // put aside by policy: in a mailbox it goes to the folder for junk (RFC 6154)
	LastReply   string // last reply or reason, one line, for listings and reports
	LastHost    string // who gave it

	// Forward is the address of ours by whose rule the row leaves for a server that is not its domain's own; empty for all
	// other rows. It is known while a message is taken, and not stored.
	Forward string
	// Head is what this row has above the content: whole header fields, each ended by CRLF, at most MaxHead octets. The
	// message's Size and Hash do not count it. Rows whose Head differs never share a transaction.
	Head []byte
	// Sender is this row's reverse-path where Rewritten says that it is not the message's; empty for the null one.
	Sender    string
	Rewritten bool
}

// MaxHead bounds a row's Head in octets.
const MaxHead = 16 << 10

// ReversePath is what a row's next hop is told as the sender.
func (r *Recipient) ReversePath(m *Message) string {
	if r.Rewritten {
		return r.Sender
	}
	return m.Sender
}

// ArchiveCopy tells whether a row is a copy for an archive, of whose fate the message's sender is told nothing: it has the
// null sender in place of the message's.
func (r *Recipient) ArchiveCopy() bool { return r.Rewritten && r.Sender == "" }

// ReportTo is who is told what became of a row: the message's sender, also where the row bears an address of ours in its
// place, behind which that sender is (RFC 5321 §3.9.1, §6.1); nobody, and empty, for a row with the null reverse-path.
func (r *Recipient) ReportTo(m *Message) string {
	if r.ReversePath(m) == "" {
		return ""
	}
	return m.Sender
}

// Alike reports whether a next hop may be given two rows of a message in one transaction.
func (r *Recipient) Alike(other *Recipient) bool {
	return r.Rewritten == other.Rewritten && r.Sender == other.Sender && bytes.Equal(r.Head, other.Head)
}

// Delivery is the work of one attempt: the rows of one message that go the same way, and its content.
type Delivery struct {
	Message    *Message
	Recipients []Recipient
	Content    Content
}

// Stored is a message about to be made durable.
type Stored struct {
	Message *Message
	Rows    []Recipient
	Content Content
}

// Result is what an attempt did to a row.
type Result uint8

// The results.
const (
	Delivered Result = iota + 1 // in the mailbox, or the next hop took it
	Deferred                    // temporary: try again later
	Failed                      // permanent: report and give up
	Held                        // keep until a finding is mended; never bounced
)

// String names the result in log lines and reports.
func (r Result) String() string {
	switch r {
	case Delivered:
		return "delivered"
	case Deferred:
		return "deferred"
	case Failed:
		return "failed"
	case Held:
		return "held"
	}
	return "none"
}

// Outcome is the result of one attempt for one row.
type Outcome struct {
	Row    Row
	Result Result
	Reply  smtp.Reply // the next hop's words, or ours when it never came to words
	Host   string     // who said so: host name of the next hop; empty when it was us
	Addr   netip.Addr // where that was; invalid for a unix socket, and when it was us
	DSN    bool       // the next hop offers DSN and will report itself (RFC 3461 §5.2.2)
	At     time.Time
}

// LaneDown is the error of an agent that could not reach the destination at all: no row was attempted, the
// lane backs off as a whole.
type LaneDown struct { //nolint:errname // a state of the lane that travels as an error; the word is the queue's
	Reply smtp.Reply // enhanced code and reason, as a person can read it
	Host  string     // last host tried
	Addr  netip.Addr // where that is; invalid for a unix socket
}

// Error tells the reason.
func (e *LaneDown) Error() string { return e.Host + ": " + e.Reply.String() }

// Ending is the cause of a context that ends an agent's attempts in an orderly way. What may have been taken by the
// other side and is not answered yet is waited for until By; all else ends soon.
type Ending struct { //nolint:errname // it travels as an error only because a cause does
	By time.Time
}

// Error tells what ends.
func (e *Ending) Error() string { return "deliveries end" }
