package control_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/control"
)

// memory is a store, a mailbox store, a queue and a resolver in memory.
type memory struct {
	mu        sync.Mutex
	version   int64
	accounts  map[string]account.Account
	domains   map[string]directory.Domain
	mailboxes map[string]directory.Mailbox
	rules     map[string]directory.Rule
	outbounds map[string]directory.Outbound
	tokens    map[string]control.Token
	verifiers map[string]string
	settings  map[string]string
	findings  []finding.Finding
	entries   []control.Entry

	boxes    map[string]mailbox.Mailbox
	messages map[string][]mailbox.Message
	bodies   map[string]string // mailbox/uid
	queue    []mail.Listed
	mx       map[string]facts.MXAnswer

	failUpdate, failCreate, failRemove error
	beforeUpdate                       func()
}

func newMemory() *memory {
	return &memory{
		accounts: map[string]account.Account{}, domains: map[string]directory.Domain{}, mailboxes: map[string]directory.Mailbox{},
		rules: map[string]directory.Rule{}, outbounds: map[string]directory.Outbound{}, tokens: map[string]control.Token{},
		verifiers: map[string]string{}, settings: map[string]string{},
		boxes: map[string]mailbox.Mailbox{}, messages: map[string][]mailbox.Message{}, bodies: map[string]string{}, mx: map[string]facts.MXAnswer{},
	}
}

func inScope[T any](scope account.Scope, m map[string]T, owner func(T) account.ID) []T {
	out := []T{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if scope.Has(owner(m[k])) {
			out = append(out, m[k])
		}
	}
	return out
}

func (m *memory) Load(_ context.Context, scope account.Scope) (control.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return control.State{
		Version:   m.version,
		Accounts:  inScope(scope, m.accounts, func(a account.Account) account.ID { return a.ID }),
		Domains:   inScope(scope, m.domains, func(d directory.Domain) account.ID { return d.Account }),
		Mailboxes: inScope(scope, m.mailboxes, func(b directory.Mailbox) account.ID { return b.Account }),
		Rules:     inScope(scope, m.rules, func(r directory.Rule) account.ID { return r.Account }),
		Outbounds: inScope(scope, m.outbounds, func(o directory.Outbound) account.ID { return o.Account }),
	}, nil
}

func (m *memory) Update(_ context.Context, scope account.Scope, version int64, tx control.Tx) (int64, error) {
	if m.beforeUpdate != nil {
		m.beforeUpdate()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failUpdate != nil {
		return 0, m.failUpdate
	}
	if version != m.version {
		return 0, control.ErrVersion
	}
	for _, e := range tx.Entries {
		if !scope.Has(e.Account) {
			return 0, errors.New("entry out of scope")
		}
	}
	for _, r := range tx.Remove {
		m.remove(r)
	}
	put(m.accounts, tx.PutAccounts, func(a account.Account) string { return string(a.ID) })
	put(m.domains, tx.PutDomains, func(d directory.Domain) string { return d.ID })
	put(m.mailboxes, tx.PutMailboxes, func(b directory.Mailbox) string { return b.ID })
	put(m.rules, tx.PutRules, func(r directory.Rule) string { return r.ID })
	put(m.outbounds, tx.PutOutbounds, func(o directory.Outbound) string { return o.ID })
	put(m.tokens, tx.PutTokens, func(t control.Token) string { return t.ID })
	maps.Copy(m.verifiers, tx.PutVerifiers)
	for _, e := range tx.Entries {
		e.ID = int64(len(m.entries) + 1)
		m.entries = append(m.entries, e)
	}
	m.version++
	return m.version, nil
}

func put[T any](to map[string]T, list []T, id func(T) string) {
	for _, v := range list {
		to[id(v)] = v
	}
}

func (m *memory) remove(r control.Removal) {
	switch r.Kind {
	case control.KindAccount:
		delete(m.accounts, r.ID)
	case control.KindDomain:
		name := m.domains[r.ID].Name
		delete(m.domains, r.ID)
		maps.DeleteFunc(m.mailboxes, func(_ string, b directory.Mailbox) bool { return b.Domain == name })
		maps.DeleteFunc(m.rules, func(_ string, r directory.Rule) bool { return r.Domain == name })
	case control.KindMailbox:
		delete(m.mailboxes, r.ID)
		delete(m.verifiers, r.ID)
	case control.KindRule:
		delete(m.rules, r.ID)
	case control.KindOutbound:
		delete(m.outbounds, r.ID)
	case control.KindToken:
		delete(m.tokens, r.ID)
	case control.KindQueue:
	}
}

func (m *memory) Audit(_ context.Context, scope account.Scope, domain string, before int64, limit int) ([]control.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []control.Entry
	for _, e := range slices.Backward(m.entries) {
		if scope.Has(e.Account) && (domain == "" || e.Domain == domain) && (before == 0 || e.ID < before) && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memory) Verifier(_ context.Context, _ account.Scope, address string) (string, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, b := range m.mailboxes {
		if b.Address() == address && m.verifiers[id] != "" {
			return id, m.verifiers[id], nil
		}
	}
	return "", "", control.ErrNotFound
}

func (m *memory) Token(_ context.Context, _ account.Scope, hash []byte) (control.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tokens {
		if bytes.Equal(t.Hash, hash) {
			return t, nil
		}
	}
	return control.Token{}, control.ErrNotFound
}

func (m *memory) Tokens(_ context.Context, scope account.Scope) ([]control.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := inScope(scope, m.tokens, func(t control.Token) account.ID { return t.Account })
	for i := range out {
		out[i].Hash = nil
	}
	return out, nil
}

func (m *memory) Findings(_ context.Context, _ account.Scope, domain string) ([]finding.Finding, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.findings), func(f finding.Finding) bool { return domain != "" && f.Domain != domain }), nil
}

func (m *memory) Find(_ context.Context, _ account.Scope, f finding.Finding, _ bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.findings = append(m.findings, f)
	return nil
}

func (m *memory) Setting(_ context.Context, _ account.Scope, name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settings[name], nil
}

func (m *memory) SetSetting(_ context.Context, _ account.Scope, name, value string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings[name] = value
	return nil
}

func (m *memory) Create(_ context.Context, _ account.Scope, box mailbox.Mailbox) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failCreate != nil {
		return m.failCreate
	}
	m.boxes[box.ID] = box
	return nil
}

func (m *memory) Remove(_ context.Context, _ account.Scope, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failRemove != nil {
		return m.failRemove
	}
	delete(m.boxes, id)
	delete(m.messages, id)
	return nil
}

func (m *memory) Usage(_ context.Context, scope account.Scope, ids []string) (map[string]mailbox.Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]mailbox.Usage{}
	for id, b := range m.boxes {
		if !scope.Has(b.Account) || len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		u := mailbox.Usage{Quota: b.Quota, Messages: int64(len(m.messages[id]))}
		for _, msg := range m.messages[id] {
			u.Bytes += msg.Size
		}
		out[id] = u
	}
	return out, nil
}

func (m *memory) Messages(_ context.Context, _ account.Scope, id, _ string, after uint32, limit int) ([]mailbox.Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []mailbox.Message
	for _, msg := range m.messages[id] {
		if msg.UID > after && len(out) < limit {
			out = append(out, msg)
		}
	}
	return out, nil
}

func (m *memory) Body(_ context.Context, _ account.Scope, id, _ string, uid uint32) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return io.NopCloser(strings.NewReader(m.bodies[id+"/"+string(rune('0'+uid))])), nil
}

// inQueue is the queue's side of memory.
type inQueue struct{ m *memory }

func (q inQueue) selected(scope account.Scope, f mail.Filter) []mail.Listed {
	var out []mail.Listed
	for _, l := range q.m.queue {
		if len(f.IDs) > 0 && !slices.Contains(f.IDs, l.Message.ID) || !f.OlderThan.IsZero() && !l.Message.Received.Before(f.OlderThan) {
			continue
		}
		rows := slices.DeleteFunc(slices.Clone(l.Rows), func(r mail.Recipient) bool {
			return !scope.Has(r.Account) || f.Domain != "" && !strings.HasSuffix(r.Destination, "@"+f.Domain) || f.Host != "" && !strings.HasPrefix(r.Lane.Key(), f.Host)
		})
		if len(rows) > 0 {
			out = append(out, mail.Listed{Message: l.Message, Rows: rows})
		}
	}
	slices.SortFunc(out, func(a, b mail.Listed) int { return cmp.Compare(a.Message.ID, b.Message.ID) })
	return out
}

func (q inQueue) List(_ context.Context, scope account.Scope, f mail.Filter, after mail.ID, limit int) ([]mail.Listed, error) {
	q.m.mu.Lock()
	defer q.m.mu.Unlock()
	list := slices.DeleteFunc(q.selected(scope, f), func(l mail.Listed) bool { return l.Message.ID <= after })
	return list[:min(limit, len(list))], nil
}

func (q inQueue) Count(_ context.Context, scope account.Scope, f mail.Filter) (mail.Counts, error) {
	q.m.mu.Lock()
	defer q.m.mu.Unlock()
	var c mail.Counts
	for _, l := range q.selected(scope, f) {
		c.Messages++
		c.Recipients += int64(len(l.Rows))
		for _, r := range l.Rows {
			if r.State == mail.StateHeld {
				c.Held++
			} else {
				c.Due++
			}
		}
	}
	return c, nil
}

func (q inQueue) Change(_ context.Context, scope account.Scope, f mail.Filter, a mail.Action) (int64, error) {
	q.m.mu.Lock()
	defer q.m.mu.Unlock()
	n := int64(0)
	for _, l := range q.selected(scope, f) {
		n += int64(len(l.Rows))
		i := slices.IndexFunc(q.m.queue, func(old mail.Listed) bool { return old.Message.ID == l.Message.ID })
		switch a {
		case mail.Drop:
			q.m.queue = slices.Delete(q.m.queue, i, i+1)
		case mail.Hold, mail.Release, mail.Expedite:
			for j := range q.m.queue[i].Rows {
				q.m.queue[i].Rows[j].State = map[bool]mail.State{true: mail.StateHeld, false: mail.StateWaiting}[a == mail.Hold]
			}
		}
	}
	return n, nil
}

func (q inQueue) Body(context.Context, account.Scope, mail.ID) (mail.Content, error) {
	return mail.Content{Inline: []byte("Subject: queued\r\n\r\nhi\r\n")}, nil
}

// dnsOf is the resolver's side of memory.
type dnsOf struct{ m *memory }

func (d dnsOf) MX(_ context.Context, name string) facts.MXAnswer {
	a, ok := d.m.mx[name]
	if !ok {
		a.Status = facts.NXDomain
	}
	a.Name, a.Source, a.At = name, "resolver 127.0.0.1:53", time.Now().Add(-90*time.Second)
	return a
}

func (d dnsOf) Addrs(_ context.Context, host string) facts.AddrAnswer {
	if strings.HasPrefix(host, "own.") {
		return facts.AddrAnswer{Name: host, Status: facts.Found, Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.5")}}
	}
	return facts.AddrAnswer{Name: host, Status: facts.Found, Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.7")}}
}

// world is a service over memory with two customers.
type world struct {
	*control.Service
	m     *memory
	t     *testing.T
	ann   control.Actor // owns ann.example
	bob   control.Actor // owns bob.example
	annID account.ID
	bobID account.ID
}

func options(m *memory) control.Options {
	return control.Options{
		Store: m, Boxes: m, Queue: inQueue{m}, Resolver: dnsOf{m}, Hostname: "mx.host.example", RoutingDomain: "in.mx.host.example",
		Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5")},
		Verifier:  func(p string) (string, error) { return "verifier of " + p, nil },
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	m := newMemory()
	w := &world{Service: control.New(options(m)), m: m, t: t}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ann", "bob"} {
		w.ok(w.PlanAccountAdd(control.Operator(), name))
		yes := true
		w.ok(w.PlanDomainAdd(control.Operator(), control.DomainSpec{Name: name + ".example", Account: name, DomainSettings: control.DomainSettings{Proved: &yes}}))
	}
	for _, a := range w.Accounts(control.Operator()) {
		switch a.Name {
		case "ann":
			w.annID, w.ann = a.ID, control.Customer("token ann", a.ID)
		case "bob":
			w.bobID, w.bob = a.ID, control.Customer("token bob", a.ID)
		}
	}
	return w
}

// ok applies a plan that the operator made.
func (w *world) ok(p control.Plan, err error) control.Applied {
	w.t.Helper()
	return w.by(control.Operator(), p, err)
}

func (w *world) by(actor control.Actor, p control.Plan, err error) control.Applied {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("plan: %v", err)
	}
	a, err := w.Apply(w.t.Context(), actor, p)
	if err != nil {
		w.t.Fatalf("apply: %v", err)
	}
	return a
}

func (w *world) box(address string) {
	w.t.Helper()
	w.ok(w.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: address, Password: control.NewSecret("secret password")}))
}

func (w *world) rule(kind directory.RuleKind, address string, targets ...string) {
	w.t.Helper()
	w.ok(w.PlanRuleAdd(control.Operator(), control.RuleSpec{Kind: kind, Address: address, Targets: targets}))
}
