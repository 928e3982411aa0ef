// Package trace is the life of a message, step by step, as the owners of the domains that it concerns may see it.
//
// The services tell Events: what they know of a moment, with everybody's part in it. An Event becomes Rows, each of
// one account, that hold what this account may see and nothing else. Whoever reads needs no further judgement: the
// rows in scope are what may be seen. Text is made when a step is shown.
package trace

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/policy"
	"postroad/internal/core/routing"
)

// Kind is what happened in a step.
type Kind uint8

// The kinds. Their numbers are stored.
const (
	Accepted  Kind = iota + 1 // the message is in the queue
	Refused                   // the message at MAIL (without a recipient), a recipient at RCPT, or the message after its content
	Decided                   // where a recipient's mail goes
	Delivered                 // in the mailbox, or the next hop took it
	Deferred                  // an attempt failed for now
	Failed                    // given up
	Held                      // kept until a finding is mended
	Dead                      // given up, and nobody may be told
	Reported                  // the sender was told
	Acted                     // a person did something to it
	Judged                    // what was found out about who sent it, and what became of it for that
)

// String is the kind as programs read it.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "unknown"
}

var kindNames = [...]string{
	Accepted: "accepted", Refused: "refused", Decided: "decided", Delivered: "delivered", Deferred: "deferred",
	Failed: "failed", Held: "held", Dead: "dead", Reported: "reported", Acted: "acted", Judged: "judged",
}

// Target is one destination of a decision.
type Target struct {
	Address string
	Lane    mail.Lane
}

// Step is one thing that happened. What does not belong to its kind is zero.
type Step struct {
	At        time.Time // to the microsecond
	N         int       // number among the steps of one writing; copies of a step for several accounts bear the same
	Kind      Kind
	Partial   bool   // somebody else's part is left out
	Recipient string // as given; of Via, the address that somebody else's led to; empty: the whole message
	Via       bool   // an address of another account led here

	Client mail.Client         // Accepted, Refused; of an outcome the address of Host
	Asker  routing.SessionKind // Accepted, Refused: who sent it
	UTF8   bool                // Accepted, Refused: it needs SMTPUTF8
	Size   int64               // Accepted: octets; Refused: as declared

	Reply   string           // in the words of who gave it
	Content bool             // Refused: after the content, and not at RCPT
	Reasons []routing.Reason // Decided, Refused
	Targets []Target         // Decided

	Destination string         // of an outcome: after aliases, forwards and groups
	Lane        mail.Lane      // of an outcome
	Host        string         // who gave the reply; empty when it was us
	Attempts    int            // made so far
	Until       time.Time      // Deferred: not tried before
	Report      mail.ID        // Reported: the report's own id
	Word        string         // Reported: delivered, relayed, delayed or failed; Acted: the verb
	By          string         // Acted: who did it
	Checks      []policy.Check // Judged, Refused: what was found out about who sent it
	Note        string         // Judged, Refused: why it was decided so, in sentences
	As          string         // of an outcome: the reverse-path in brackets that the row had in place of the message's
}

// Event is what a service tells of a moment: a step with everybody's part in it. Strings and slices are kept and read
// later, by another goroutine: they must not change.
type Event struct {
	Step
	ID     mail.ID    // empty for what was refused: it gets an id of its own
	Sender string     // reverse-path of the message
	From   account.ID // whose user sent it; empty for strangers
	Owner  account.ID // of the recipient's domain, or of the destination's; empty for foreign ones

	// Decisions are those for the recipients of an accepted message.
	Decisions []Decision
}

// Decision is what RCPT decided for one recipient that it took.
type Decision struct {
	Recipient    string
	Owner        account.ID // of the recipient's domain; empty for foreign ones
	Reasons      []routing.Reason
	Destinations []routing.Destination
}

// Row is what one account may see of a message's steps, under one address of its own.
type Row struct {
	ID        mail.ID
	Account   account.ID
	Sender    string // folded; empty when there is none or it is not known
	Recipient string // folded: the address under which it is found; empty for what concerns the whole message
	Steps     []Step
}

// Filter selects traces; empty fields select all.
type Filter struct {
	Recipient string    // folded
	Sender    string    // folded
	From, To  time.Time // received in this time, To left out; zero for any
	Before    mail.ID   // ids before this one; empty from the newest on
}

// Trace is a message's life as far as its reader may see it.
type Trace struct {
	ID         mail.ID
	Sender     string
	Recipients []string
	Steps      []Step // by time
}

// Fold gives an address the form in which it is searched.
func Fold(address string) string { return strings.ToLower(address) }

// Join makes a trace of its rows, which may belong to several accounts: of several copies of one step the fullest is
// taken.
func Join(rows []Row) Trace {
	var t Trace
	type key struct {
		at int64
		n  int
	}
	at := map[key]int{}
	for _, r := range rows {
		t.ID, t.Sender = r.ID, cmp.Or(t.Sender, r.Sender)
		for _, s := range r.Steps {
			k := key{s.At.UnixMicro(), s.N}
			i, there := at[k]
			if !there {
				at[k] = len(t.Steps)
				t.Steps = append(t.Steps, s)
				continue
			}
			if t.Steps[i].Partial && !s.Partial {
				t.Steps[i] = s
			}
		}
	}
	slices.SortStableFunc(t.Steps, func(a, b Step) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.N, b.N)) })
	for _, s := range t.Steps {
		if s.Recipient != "" && !slices.Contains(t.Recipients, s.Recipient) {
			t.Recipients = append(t.Recipients, s.Recipient)
		}
	}
	return t
}

// Last is the step that tells how a message stands: the last one that is more than a decision.
func (t *Trace) Last() *Step {
	for i := len(t.Steps) - 1; i >= 0; i-- {
		if t.Steps[i].Kind != Decided || i == 0 {
			return &t.Steps[i]
		}
	}
	return &Step{}
}
