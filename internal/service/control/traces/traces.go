// Package traces is the life of messages as actors see and find it.
//
// # Failure
//
// What is refused comes as a *words.RefusedError; a trace of which nothing is in the actor's scope is words.ErrNotFound.
// Other errors are the store's.
package traces

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/trace"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Traces is what control needs of the traces.
type Traces interface {
	// Show gives the trace of one id as far as the scope may see it; false when it sees nothing of it.
	Show(ctx context.Context, scope account.Scope, id mail.ID) (trace.Trace, bool, error)
	// List gives at most limit traces that a filter selects, newest first.
	List(ctx context.Context, scope account.Scope, f trace.Filter, limit int) ([]trace.Trace, error)
}

// Access is the traces as actors see them.
type Access struct {
	Traces Traces // nil: everything is refused
}

// Filter selects traces in the words of commands. A recipient or a sender is needed.
type Filter struct {
	Recipient string
	Sender    string
	Day       string // YYYY-MM-DD, UTC; empty: any
	Before    string // traces with ids before this one; empty: from the newest on
}

// Summary is a message in a listing.
type Summary struct {
	ID         mail.ID   `json:"id" doc:"Queue id; of what was refused an id of its own"`
	Time       time.Time `json:"time"`
	Sender     string    `json:"sender" doc:"Empty for reports"`
	Recipients []string  `json:"recipients" doc:"Those that you may see"`
	State      string    `json:"state" doc:"Kind of the last step"`
	Last       string    `json:"last" doc:"The last step in plain words"`
}

// Detail is a message with its steps.
type Detail struct {
	ID         mail.ID  `json:"id"`
	Sender     string   `json:"sender" doc:"Empty for reports"`
	Recipients []string `json:"recipients" doc:"Those that you may see"`
	Steps      []Step   `json:"steps" doc:"By time"`
}

// Step is one step of a message's life.
type Step struct {
	Time        time.Time `json:"time"`
	Kind        string    `json:"kind" enum:"accepted,refused,decided,delivered,deferred,failed,held,dead,reported,acted,judged"`
	Sentence    string    `json:"sentence"`
	Recipient   string    `json:"recipient,omitempty"`
	Client      string    `json:"client,omitempty" doc:"IP address that it came from"`
	Helo        string    `json:"helo,omitempty" doc:"Name that the client gave"`
	TLS         string    `json:"tls,omitempty" doc:"Protocol and cipher suite; absent in clear"`
	Login       string    `json:"login,omitempty"`
	Size        int64     `json:"size,omitempty" doc:"Octets"`
	Reply       string    `json:"reply,omitempty" doc:"In the words of who gave it"`
	Reasons     []Reason  `json:"reasons,omitempty" doc:"Why it was decided so"`
	Targets     []Target  `json:"destinations,omitempty" doc:"Where the decision leads"`
	Destination string    `json:"destination,omitempty" doc:"After aliases, forwards and groups"`
	Lane        string    `json:"lane,omitempty" doc:"Transport and next hop"`
	Host        string    `json:"host,omitempty" doc:"Who gave the reply"`
	Attempts    int       `json:"attempts,omitempty" doc:"Made so far"`
	Until       time.Time `json:"until,omitzero" doc:"Not tried before this time"`
	Report      mail.ID   `json:"report,omitempty" doc:"Id of the report to the sender"`
	Word        string    `json:"word,omitempty" doc:"What the report tells, or what was done"`
	By          string    `json:"by,omitempty" doc:"Who did it"`
	As          string    `json:"as,omitempty" doc:"Reverse-path that the recipient's copy had in place of the message's, in brackets"`
	Checks      []Check   `json:"checks,omitempty" doc:"What was found out about who sent it"`
	Note        string    `json:"note,omitempty" doc:"Why it was decided so after these checks"`
	Partial     bool      `json:"partial,omitempty" doc:"What concerns others is left out"`
}

// Reason is one reason of a decision.
type Reason struct {
	Rule     string `json:"rule"`
	Fact     string `json:"fact"`
	Age      int64  `json:"age" doc:"Seconds since the fact was learned; 0 for what is configured here"`
	Sentence string `json:"sentence"`
}

// Check is what one check of the sender said.
type Check struct {
	Method   string `json:"method" doc:"spf, dkim or dmarc"`
	Result   string `json:"result" doc:"Its word in Authentication-Results (RFC 8601)"`
	Sentence string `json:"sentence"`
}

// Target is one destination of a decision.
type Target struct {
	Address string `json:"address"`
	Lane    string `json:"lane"`
}

func none() error {
	return words.Denied("This server keeps no traces: [trace] keep is 0, or their store could not be opened.")
}

// List gives at most limit messages that a filter selects, newest first.
func (a Access) List(ctx context.Context, actor rights.Actor, f Filter, limit int) ([]Summary, error) {
	if a.Traces == nil {
		return nil, none()
	}
	if f.Recipient == "" && f.Sender == "" {
		return nil, words.Invalid("It is not said whose traces.", "name an id, --recipient or --sender")
	}
	filter := trace.Filter{Before: mail.ID(f.Before)}
	for _, part := range []struct {
		text string
		put  *string
	}{{f.Recipient, &filter.Recipient}, {f.Sender, &filter.Sender}} {
		if part.text == "" {
			continue
		}
		at, err := smtp.ParseSender(part.text, true)
		if err != nil {
			return nil, words.Invalid(words.Quote(part.text)+" is no address.", "write it as name@example.org")
		}
		*part.put = trace.Fold(at.String())
	}
	if f.Day != "" {
		day, err := time.Parse(time.DateOnly, f.Day)
		if err != nil {
			return nil, words.Invalid("The day "+words.Quote(f.Day)+" cannot be read.", "write it as 2026-11-28")
		}
		filter.From, filter.To = day, day.AddDate(0, 0, 1)
	}
	list, err := a.Traces.List(ctx, actor.Scope, filter, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Summary, len(list))
	for i := range list {
		t := &list[i]
		last := t.Last()
		out[i] = Summary{
			ID: t.ID, Sender: t.Sender, Recipients: append([]string{}, t.Recipients...), State: last.Kind.String(), Last: last.Sentence(),
		}
		if len(t.Steps) > 0 {
			out[i].Time = t.Steps[0].At
		}
	}
	return out, nil
}

// Trace gives one message's trace as far as the actor may see it.
func (a Access) Trace(ctx context.Context, actor rights.Actor, id string) (trace.Trace, error) {
	if a.Traces == nil {
		return trace.Trace{}, none()
	}
	missing := words.Missing("There is no trace of " + words.Quote(id) + ".")
	parsed, err := mail.ParseID(id)
	if err != nil {
		return trace.Trace{}, missing
	}
	t, found, err := a.Traces.Show(ctx, actor.Scope, parsed)
	if err == nil && !found {
		err = missing
	}
	return t, err
}

// Show gives one message's steps in words.
func (a Access) Show(ctx context.Context, actor rights.Actor, id string) (Detail, error) {
	t, err := a.Trace(ctx, actor, id)
	if err != nil {
		return Detail{}, err
	}
	out := Detail{ID: t.ID, Sender: t.Sender, Recipients: append([]string{}, t.Recipients...), Steps: make([]Step, len(t.Steps))}
	for i := range t.Steps {
		out.Steps[i] = shown(&t.Steps[i])
	}
	return out, nil
}

func shown(s *trace.Step) Step {
	out := Step{
		Time: s.At, Kind: s.Kind.String(), Sentence: s.Sentence(), Recipient: s.Recipient,
		Helo: s.Client.Helo, TLS: s.Client.TLS, Login: s.Client.Login, Size: s.Size, Reply: s.Reply,
		Destination: s.Destination, Lane: string(s.Lane), Host: s.Host, Attempts: s.Attempts, Until: s.Until,
		Report: s.Report, Word: s.Word, By: s.By, As: s.As, Note: s.Note, Partial: s.Partial,
	}
	if s.Client.Addr.IsValid() {
		out.Client = s.Client.Addr.String()
	}
	for _, r := range s.Reasons {
		out.Reasons = append(out.Reasons, Reason{Rule: r.Rule.String(), Fact: r.Fact, Age: int64(r.Age.Seconds()), Sentence: r.Sentence()})
	}
	for _, c := range s.Checks {
		out.Checks = append(out.Checks, Check(c))
	}
	for _, t := range s.Targets {
		out.Targets = append(out.Targets, Target{Address: t.Address, Lane: string(t.Lane)})
	}
	return out
}
