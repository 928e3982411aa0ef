// Package mailqueue is queued mail as people see and select it, and what they have done to it. It reads; control plans
// the changes, does them and records them.
//
// # Failure
//
// What is refused comes as a *words.RefusedError; a message out of the actor's scope is words.ErrNotFound. Other errors
// are the queue's, or say that this server has none.
package mailqueue

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Access is the queue as actors see it.
type Access struct {
	Queue Queue // nil: everything is refused
}

// Filter selects queued mail in the words of commands; empty fields select all.
type Filter struct {
	IDs    []string      // queue ids
	Domain string        // of the destination
	To     string        // next hop: a domain, or a host with or without port
	Older  time.Duration // received longer ago than this
}

// Empty reports whether the filter selects everything.
func (f Filter) Empty() bool {
	return len(f.IDs) == 0 && f.Domain == "" && f.To == "" && f.Older == 0
}

// QueuedMessage is a queued message as listings show it.
type QueuedMessage struct {
	ID         mail.ID           `json:"id"`
	Sender     string            `json:"sender" doc:"Empty for reports"`
	Size       int64             `json:"size" doc:"Octets"`
	Received   time.Time         `json:"received"`
	Account    account.ID        `json:"account" doc:"Who answers for it"`
	Root       mail.ID           `json:"root,omitempty" doc:"Message that this one was made from, when it is a report"`
	Client     string            `json:"client,omitempty" doc:"IP address that it came from"`
	Helo       string            `json:"helo,omitempty" doc:"Name that the client gave"`
	TLS        string            `json:"tls,omitempty" doc:"Protocol and cipher suite; absent in clear"`
	Login      string            `json:"login,omitempty" doc:"Login that sent it"`
	Recipients []QueuedRecipient `json:"recipients"`
}

// QueuedRecipient is one row: one final destination.
type QueuedRecipient struct {
	Address   string    `json:"address" doc:"After aliases, forwards and groups"`
	Original  string    `json:"original" doc:"As given by the sender"`
	State     string    `json:"state"`
	Lane      string    `json:"lane" doc:"Destination that it waits for"`
	Attempts  int       `json:"attempts"`
	Next      time.Time `json:"next" doc:"Not tried before this time"`
	LastReply string    `json:"last_reply,omitempty" doc:"Last reply or reason; where nobody was asked about the recipient itself, when one message is shown: why its destination was not reached"`
	LastHost  string    `json:"last_host,omitempty" doc:"Who gave it"`
	Sender    *string   `json:"sender,omitempty" doc:"Reverse-path of this recipient's copy, where it is not the message's"`
	Head      string    `json:"head,omitempty" doc:"Header fields that go above the content for this recipient"`
}

// QueueCounts are totals over the queue.
type QueueCounts struct {
	Messages   int64 `json:"messages"`
	Recipients int64 `json:"recipients"`
	Due        int64 `json:"due" doc:"Rows whose time has come"`
	Held       int64 `json:"held" doc:"Held, quarantined and dead rows"`
	// Waiting is told of a domain whose mail goes on to its own server.
	Waiting *Waiting `json:"waiting,omitempty" doc:"Of the domain that is asked for: what waits for its own server"`
}

// Waiting is what is held for a domain's own server, and how that stands.
type Waiting struct {
	Recipients int64      `json:"recipients" doc:"Rows that wait"`
	Since      time.Time  `json:"since" doc:"When the oldest of it came"`
	Next       *time.Time `json:"next,omitempty" doc:"When the server is tried next"`
	Failures   int        `json:"failures" doc:"How often in a row it could not be reached"`
	Reason     string     `json:"reason,omitempty" doc:"Of the last failure"`
	Host       string     `json:"host,omitempty" doc:"Who gave the reason"`
	GiveUpFrom time.Time  `json:"senders_give_up_from" doc:"From when on large senders return what we have put off: what we hold is safe"`
}

// senderPatience is how long large senders go on trying, at least: some can be set to 12 hours.
const senderPatience = 12 * time.Hour

// waiting tells what waits for a domain's own server; nil for a domain that has none, and when nothing does.
func (a Access) waiting(ctx context.Context, actor rights.Actor, d *directory.Domain) (*Waiting, error) {
	if d == nil || !d.Proved || d.Effective() == directory.ModeLocal {
		return nil, nil //nolint:nilnil // nothing waits, and nothing is wrong
	}
	w, err := a.Queue.Waiting(ctx, actor.Scope, routing.Onward(d), d.Name)
	if err != nil || w.Recipients == 0 {
		return nil, err
	}
	out := &Waiting{
		Recipients: w.Recipients, Since: w.Since, Failures: w.Failures, Reason: w.Reason, Host: w.Host, GiveUpFrom: w.Since.Add(senderPatience),
	}
	if !w.Next.IsZero() {
		out.Next = &w.Next
	}
	return out, nil
}

var errNoQueue = errors.New("this server has no queue")

func (a Access) filter(f Filter) (mail.Filter, error) {
	out := mail.Filter{Host: strings.ToLower(f.To)}
	if a.Queue == nil {
		return out, errNoQueue
	}
	for _, text := range f.IDs {
		id, err := mail.ParseID(text)
		if err != nil {
			return out, words.Missing(words.Quote(text) + " is not the id of a queued message.")
		}
		out.IDs = append(out.IDs, id)
	}
	if f.Domain != "" {
		name, err := words.DomainName(f.Domain)
		if err != nil {
			return out, err
		}
		out.Domain = name
	}
	if f.Older < 0 {
		return out, words.Invalid("The age is negative.", "")
	}
	if f.Older > 0 {
		out.OlderThan = time.Now().UTC().Add(-f.Older)
	}
	return out, nil
}

// List gives messages by id from behind after on, at most limit.
func (a Access) List(ctx context.Context, actor rights.Actor, f Filter, after string, limit int) ([]QueuedMessage, error) {
	filter, err := a.filter(f)
	if err != nil {
		return nil, err
	}
	list, err := a.Queue.List(ctx, actor.Scope, filter, mail.ID(after), limit)
	if err != nil {
		return nil, err
	}
	out := make([]QueuedMessage, 0, len(list))
	for i := range list {
		out = append(out, queuedMessage(&list[i]))
	}
	return out, nil
}

func queuedMessage(l *mail.Listed) QueuedMessage {
	m := &l.Message
	out := QueuedMessage{
		ID: m.ID, Sender: m.Sender, Size: m.Size, Received: m.Received, Account: m.Account,
		Helo: m.Client.Helo, TLS: m.Client.TLS, Login: m.Client.Login, Recipients: []QueuedRecipient{},
	}
	if m.Root != m.ID {
		out.Root = m.Root
	}
	if m.Client.Addr.IsValid() {
		out.Client = m.Client.Addr.String()
	}
	for i := range l.Rows {
		r := &l.Rows[i]
		row := QueuedRecipient{
			Address: r.Destination, Original: r.Original, State: string(r.State), Lane: string(r.Lane), Attempts: r.Attempts,
			Next: r.Next, LastReply: r.LastReply, LastHost: r.LastHost, Head: string(r.Head),
		}
		if r.Rewritten {
			row.Sender = &r.Sender
		}
		out.Recipients = append(out.Recipients, row)
	}
	return out
}

// Show gives one message.
func (a Access) Show(ctx context.Context, actor rights.Actor, id string) (QueuedMessage, error) {
	list, err := a.List(ctx, actor, Filter{IDs: []string{id}}, "", 1)
	if err != nil {
		return QueuedMessage{}, err
	}
	if len(list) == 0 {
		return QueuedMessage{}, words.Missing("There is no message " + words.Quote(id) + " in the queue.")
	}
	return list[0], a.lanes(ctx, actor, &list[0])
}

// maxLanes is of how many destinations of one message it is asked how they stand.
const maxLanes = 20

// lanes tells of recipients that nobody has been asked about why their destinations are not reached.
func (a Access) lanes(ctx context.Context, actor rights.Actor, m *QueuedMessage) error {
	seen := map[string]mail.Waiting{}
	for i := range m.Recipients {
		r := &m.Recipients[i]
		if !mail.State(r.State).Scheduled() || r.LastReply != "" {
			continue
		}
		w, asked := seen[r.Lane]
		if !asked {
			if len(seen) == maxLanes {
				return nil
			}
			var err error
			if w, err = a.Queue.Waiting(ctx, actor.Scope, mail.Lane(r.Lane), r.Address[strings.LastIndexByte(r.Address, '@')+1:]); err != nil {
				return err
			}
			seen[r.Lane] = w
		}
		if w.Failures == 0 {
			continue
		}
		r.LastReply, r.LastHost = w.Reason, w.Host
		if w.Next.After(r.Next) {
			r.Next = w.Next
		}
	}
	return nil
}

// Content opens one message's content, below the header fields that all recipients in the actor's scope have in common.
func (a Access) Content(ctx context.Context, actor rights.Actor, id string) (mail.Content, error) {
	m, err := a.Show(ctx, actor, id)
	if err != nil {
		return mail.Content{}, err
	}
	c, err := a.Queue.Body(ctx, actor.Scope, m.ID)
	if err != nil {
		return mail.Content{}, err
	}
	head := ""
	for i := range m.Recipients {
		if head = m.Recipients[i].Head; head != m.Recipients[0].Head {
			return c, nil
		}
	}
	return below(head, c), nil
}

// below puts header fields above a content.
func below(head string, c mail.Content) mail.Content {
	if head == "" {
		return c
	}
	out := mail.Content{Blob: c.Blob}
	if c.Inline != nil {
		out.Inline = append([]byte(head), c.Inline...)
	}
	out.Open = func() (io.ReadCloser, error) {
		r, err := c.Open()
		if err != nil {
			return nil, err
		}
		return joined{io.MultiReader(strings.NewReader(head), r), r}, nil
	}
	return out
}

// joined is read from one and closed with another.
type joined struct {
	io.Reader
	io.Closer
}

// Count gives totals over what the filter selects.
func (a Access) Count(ctx context.Context, actor rights.Actor, st *rights.State, f Filter) (QueueCounts, error) {
	filter, err := a.filter(f)
	if err != nil {
		return QueueCounts{}, err
	}
	c, err := a.Queue.Count(ctx, actor.Scope, filter)
	if err != nil {
		return QueueCounts{}, err
	}
	out := counts(c)
	if d, ours := st.Directory.Domain(filter.Domain); ours && actor.Scope.Has(d.Account) {
		out.Waiting, err = a.waiting(ctx, actor, d)
	}
	return out, err
}

func counts(c mail.Counts) QueueCounts {
	return QueueCounts{Messages: c.Messages, Recipients: c.Recipients, Due: c.Due, Held: c.Held}
}

// Change is what shall be done to queued mail.
type Change struct {
	Filter   mail.Filter
	Action   mail.Action
	Subject  string      // what is selected, in the words of commands
	Counts   QueueCounts // what is selected now
	Sentence string      // what happens, for people
}

// actions are what the verbs of commands do to a row.
func actions() map[string]mail.Action {
	return map[string]mail.Action{"retry": mail.Expedite, "hold": mail.Hold, "release": mail.Release, "drop": mail.Drop}
}

// Prepare tells what a verb would do: retry, hold, release or drop. Without a filter only retry means everything. A
// filter that selects nothing gives a Change with empty Counts; ids that select nothing are refused.
func (a Access) Prepare(ctx context.Context, actor rights.Actor, verb string, f Filter) (Change, error) {
	action, ok := actions()[verb]
	if !ok {
		return Change{}, words.Invalid("The queue knows no "+words.Quote(verb)+".", "retry, hold, release or drop")
	}
	filter, err := a.filter(f)
	if err != nil {
		return Change{}, err
	}
	if f.Empty() && action != mail.Expedite {
		return Change{}, words.Invalid("It is not said which messages to "+verb+".", "name ids, --domain, --to or --older")
	}
	c, err := a.Queue.Count(ctx, actor.Scope, filter)
	if err != nil {
		return Change{}, err
	}
	if c.Recipients == 0 && len(f.IDs) > 0 {
		return Change{}, words.Missing("There is no such message in the queue.")
	}
	out := Change{Filter: filter, Action: action, Subject: f.words(), Counts: counts(c)}
	what := words.Plural(c.Messages, "message", "messages") + " for " + words.Plural(c.Recipients, "recipient", "recipients")
	switch {
	case c.Recipients == 0:
		out.Sentence = "Nothing in the queue is selected."
	case action == mail.Expedite:
		out.Sentence = "Tries " + what + " now."
	case action == mail.Hold:
		out.Sentence = "Holds " + what + " until released."
	case action == mail.Release:
		out.Sentence = "Lets go what is held of " + what + "."
	case action == mail.Drop:
		out.Sentence = "Removes " + what + "; nobody is told."
	}
	return out, nil
}

func (f Filter) words() string {
	var out []string
	if n := len(f.IDs); n > 0 {
		out = append(out, strings.Join(f.IDs[:min(n, 20)], " "))
		if n > 20 {
			out = append(out, "and "+words.Plural(int64(n-20), "other", "others"))
		}
	}
	for _, part := range []struct{ flag, value string }{{"--domain", f.Domain}, {"--to", f.To}} {
		if part.value != "" {
			out = append(out, part.flag+" "+part.value)
		}
	}
	if f.Older > 0 {
		out = append(out, "--older "+f.Older.String())
	}
	if len(out) == 0 {
		return "all"
	}
	return strings.Join(out, " ")
}

// NoneHeld forgets that mail of domains is held for whose mail that is over.
func (a Access) NoneHeld(ctx context.Context, store Findings) error {
	found, err := store.Findings(ctx, account.System(), "")
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.Name != finding.QueuedMailHeld {
			continue
		}
		c, err := a.Queue.Count(ctx, account.System(), mail.Filter{Domain: f.Domain, States: []mail.State{mail.StateHeld}})
		if err != nil {
			return err
		}
		if c.Recipients > 0 {
			continue
		}
		if err := store.Find(ctx, account.System(), f, true); err != nil {
			return err
		}
	}
	return nil
}
