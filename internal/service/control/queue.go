package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
)

// QueueFilter selects queued mail in the words of commands; empty fields select all.
type QueueFilter struct {
	IDs    []string      // queue ids
	Domain string        // of the destination
	To     string        // next hop: a domain, or a host with or without port
	Older  time.Duration // received longer ago than this
}

// Empty reports whether the filter selects everything.
func (f QueueFilter) Empty() bool {
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
	LastReply string    `json:"last_reply,omitempty" doc:"Last reply or reason"`
	LastHost  string    `json:"last_host,omitempty" doc:"Who gave it"`
}

// QueueCounts are totals over the queue.
type QueueCounts struct {
	Messages   int64 `json:"messages"`
	Recipients int64 `json:"recipients"`
	Due        int64 `json:"due" doc:"Rows whose time has come"`
	Held       int64 `json:"held" doc:"Held, quarantined and dead rows"`
}

var errNoQueue = errors.New("this server has no queue")

func (s *Service) filter(f QueueFilter) (mail.Filter, error) {
	out := mail.Filter{Host: strings.ToLower(f.To)}
	if s.o.Queue == nil {
		return out, errNoQueue
	}
	for _, text := range f.IDs {
		id, err := mail.ParseID(text)
		if err != nil {
			return out, missing(quote(text) + " is not the id of a queued message.")
		}
		out.IDs = append(out.IDs, id)
	}
	if f.Domain != "" {
		name, err := domainName(f.Domain)
		if err != nil {
			return out, err
		}
		out.Domain = name
	}
	if f.Older < 0 {
		return out, invalid("The age is negative.", "")
	}
	if f.Older > 0 {
		out.OlderThan = now().Add(-f.Older)
	}
	return out, nil
}

// QueueList gives messages by id from behind after on, at most limit.
func (s *Service) QueueList(ctx context.Context, actor Actor, f QueueFilter, after string, limit int) ([]QueuedMessage, error) {
	filter, err := s.filter(f)
	if err != nil {
		return nil, err
	}
	list, err := s.o.Queue.List(ctx, actor.Scope, filter, mail.ID(after), limit)
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
	for _, r := range l.Rows {
		out.Recipients = append(out.Recipients, QueuedRecipient{
			Address: r.Destination, Original: r.Original, State: string(r.State), Lane: string(r.Lane), Attempts: r.Attempts,
			Next: r.Next, LastReply: r.LastReply, LastHost: r.LastHost,
		})
	}
	return out
}

// QueueShow gives one message.
func (s *Service) QueueShow(ctx context.Context, actor Actor, id string) (QueuedMessage, error) {
	list, err := s.QueueList(ctx, actor, QueueFilter{IDs: []string{id}}, "", 1)
	if err != nil {
		return QueuedMessage{}, err
	}
	if len(list) == 0 {
		return QueuedMessage{}, missing("There is no message " + quote(id) + " in the queue.")
	}
	return list[0], nil
}

// QueueContent opens one message's content.
func (s *Service) QueueContent(ctx context.Context, actor Actor, id string) (mail.Content, error) {
	m, err := s.QueueShow(ctx, actor, id)
	if err != nil {
		return mail.Content{}, err
	}
	return s.o.Queue.Body(ctx, actor.Scope, m.ID)
}

// QueueCount gives totals over what the filter selects.
func (s *Service) QueueCount(ctx context.Context, actor Actor, f QueueFilter) (QueueCounts, error) {
	filter, err := s.filter(f)
	if err != nil {
		return QueueCounts{}, err
	}
	c, err := s.o.Queue.Count(ctx, actor.Scope, filter)
	return QueueCounts(c), err
}

// queueChange is what a plan does to the queue.
type queueChange struct {
	filter mail.Filter
	action mail.Action
}

// PlanQueue plans what is done to queued mail: VerbRetry, VerbHold, VerbRelease or VerbDrop. Without a filter only
// VerbRetry means everything.
func (s *Service) PlanQueue(ctx context.Context, actor Actor, verb Verb, f QueueFilter) (Plan, error) {
	_, p := s.plan(actor)
	action, ok := map[Verb]mail.Action{VerbRetry: mail.Expedite, VerbHold: mail.Hold, VerbRelease: mail.Release, VerbDrop: mail.Drop}[verb]
	if !ok {
		return Plan{}, invalid("The queue knows no "+quote(string(verb))+".", "retry, hold, release or drop")
	}
	filter, err := s.filter(f)
	if err != nil {
		return Plan{}, err
	}
	if f.Empty() && verb != VerbRetry {
		return Plan{}, invalid("It is not said which messages to "+string(verb)+".", "name ids, --domain, --to or --older")
	}
	c, err := s.o.Queue.Count(ctx, actor.Scope, filter)
	if err != nil {
		return Plan{}, err
	}
	if c.Recipients == 0 && len(f.IDs) > 0 {
		return Plan{}, missing("There is no such message in the queue.")
	}
	if c.Recipients == 0 {
		p.say("Nothing in the queue is selected.")
		return p, nil
	}
	what := plural(c.Messages, "message", "messages") + " for " + plural(c.Recipients, "recipient", "recipients")
	switch action {
	case mail.Expedite:
		p.say("Tries %s now.", what)
	case mail.Hold:
		p.say("Holds %s until released.", what)
	case mail.Release:
		p.say("Lets go what is held of %s.", what)
	case mail.Drop:
		p.warn("Removes %s; nobody is told.", what)
	}
	p.queue = &queueChange{filter, action}
	p.change(Change{
		Kind: KindQueue, Verb: verb, Subject: f.words(), Domain: s.auditDomain(actor, filter.Domain), Account: actor.home(), Before: QueueCounts(c),
	})
	return p, nil
}

// auditDomain is the domain under which a change of the queue is found in the audit log: one in scope, or none.
func (s *Service) auditDomain(actor Actor, name string) string {
	if d, ok := s.Directory().Domain(name); ok && actor.Scope.Has(d.Account) {
		return name
	}
	return ""
}

// home is the account under which the actor's own doings are recorded.
func (a Actor) home() account.ID {
	if own := a.Scope.Accounts(); len(own) > 0 {
		return own[0]
	}
	return account.Operator
}

func (f QueueFilter) words() string {
	var out []string
	if n := len(f.IDs); n > 0 {
		out = append(out, strings.Join(f.IDs[:min(n, 20)], " "))
		if n > 20 {
			out = append(out, "and "+plural(int64(n-20), "other", "others"))
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

// recordTries is how often an audit entry of the queue is tried while others change the configuration.
const recordTries = 10

// applyQueue changes queued mail and records it.
func (s *Service) applyQueue(ctx context.Context, actor Actor, plan Plan) (Applied, error) {
	rows, err := s.o.Queue.Change(ctx, actor.Scope, plan.queue.filter, plan.queue.action)
	if err != nil {
		return Applied{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx = context.WithoutCancel(ctx)
	tx, err := s.complete(actor, plan)
	if err != nil {
		return Applied{}, err
	}
	for range recordTries {
		st := s.current.Load()
		var version int64
		version, err = s.o.Store.Update(ctx, actor.Scope, st.snapshot.Version(), tx)
		if err == nil {
			s.swap(&state{snapshot: st.snapshot.With(directory.Delta{Version: version}), accounts: st.accounts})
			s.tell(ctx, actor, plan, version)
			return Applied{Version: version, Rows: rows}, nil
		}
		if !errors.Is(err, ErrVersion) {
			break
		}
		if err = s.reload(ctx); err != nil {
			break
		}
	}
	return Applied{}, err
}

// QueueVerbs are the verbs of PlanQueue.
func QueueVerbs() []Verb { return slices.Clone([]Verb{VerbRetry, VerbHold, VerbRelease, VerbDrop}) }
