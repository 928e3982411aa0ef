package queue_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
)

// memory is a store without durability, for tests of the schedule: what real stores owe is tested with them.
type memory struct {
	mu       sync.Mutex
	messages map[mail.ID]*entry
	lanes    map[mail.Lane]queue.LaneState
	held     map[mail.Lane]int64
	token    int64
	age      time.Duration
	fail     error  // of Accept and Settle
	stored   func() // called in Accept when it has had its effect
	settles  int
	slow     time.Duration // between what Due reads and its answer
	stale    bool          // every settlement comes too late
	refusals int
	dislikes func(queue.Settlement) bool // settlements that never can be recorded
	lie      bool                        // the next settlement stands and is answered with an error
	refuses  error                       // of Release
	unread   error                       // of Due and Claim
	halted   error                       // of Change, behind what it has done
	parting  func()                      // called in Release before it has an effect
	slowAged time.Duration               // between what Aged reads and its answer
}

type entry struct {
	message *mail.Message
	content mail.Content
	rows    map[int]mail.Recipient
}

func newMemory() *memory {
	return &memory{messages: map[mail.ID]*entry{}, lanes: map[mail.Lane]queue.LaneState{}, held: map[mail.Lane]int64{}}
}

func (m *memory) Accept(_ context.Context, _ account.Scope, list []mail.Stored) error {
	m.mu.Lock()
	err, stored := m.fail, m.stored
	if err == nil {
		m.put(list...)
	}
	m.mu.Unlock()
	if stored != nil {
		stored()
	}
	return err
}

func (m *memory) put(list ...mail.Stored) {
	for _, st := range list {
		e := &entry{message: st.Message, content: st.Content, rows: map[int]mail.Recipient{}}
		for _, r := range st.Rows {
			e.rows[r.N] = r
			if _, ok := m.lanes[r.Lane]; !ok && r.State.Scheduled() {
				m.lanes[r.Lane] = queue.LaneState{Lane: r.Lane, Next: r.Next}
			}
		}
		m.messages[st.Message.ID] = e
	}
}

// rows gives deliveries of the rows that pass, in order.
func (m *memory) rows(pass func(mail.Recipient) bool, limit int) []mail.Delivery {
	var all []mail.Recipient
	for _, e := range m.messages {
		for _, r := range e.rows {
			if r.State.Scheduled() && pass(r) {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b mail.Recipient) int {
		return cmp.Or(a.Next.Compare(b.Next), cmp.Compare(a.ID, b.ID), cmp.Compare(a.N, b.N))
	})
	all = all[:min(len(all), limit)]
	var out []mail.Delivery
	for _, r := range all {
		if n := len(out); n > 0 && out[n-1].Message.ID == r.ID {
			out[n-1].Recipients = append(out[n-1].Recipients, r)
			continue
		}
		e := m.messages[r.ID]
		out = append(out, mail.Delivery{Message: e.message, Content: e.content, Recipients: []mail.Recipient{r}})
	}
	return out
}

func (m *memory) Due(_ context.Context, _ account.Scope, lane mail.Lane, now time.Time, after queue.Cursor, limit int) ([]mail.Delivery, queue.Cursor, error) {
	m.mu.Lock()
	defer func() {
		slow := m.slow
		m.mu.Unlock()
		if slow > 0 {
			<-time.After(slow)
		}
	}()
	if m.unread != nil {
		return nil, queue.Cursor{}, m.unread
	}
	list := m.rows(func(r mail.Recipient) bool {
		behind := cmp.Or(r.Next.Compare(after.Next), cmp.Compare(r.ID, after.Row.ID), cmp.Compare(r.N, after.Row.N)) > 0
		return r.Lane == lane && !r.Next.After(now) && (after == queue.Cursor{} || behind)
	}, limit)
	if n := len(list); n > 0 {
		last := list[n-1].Recipients[len(list[n-1].Recipients)-1]
		after = queue.Cursor{Next: last.Next, Row: last.Row}
	}
	return list, after, nil
}

func (m *memory) Aged(_ context.Context, _ account.Scope, lane mail.Lane, age int64, limit int) ([]mail.Delivery, error) {
	m.mu.Lock()
	defer func() {
		slow := m.slowAged
		m.mu.Unlock()
		if slow > 0 {
			<-time.After(slow)
		}
	}()
	return m.rows(func(r mail.Recipient) bool { return r.Lane == lane && r.CheckAge <= age }, limit), nil
}

func (m *memory) Body(_ context.Context, _ account.Scope, id mail.ID) (mail.Content, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.messages[id]; e != nil {
		return e.content, nil
	}
	return mail.Content{}, queue.ErrNoMessage
}

func (m *memory) Settle(_ context.Context, _ account.Scope, token queue.Token, changes []queue.Settlement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if m.stale {
		m.refusals++
		return queue.ErrStaleLease
	}
	if token != (queue.Token{}) && m.held[token.Lane] != token.Value {
		return queue.ErrStaleLease
	}
	if m.dislikes != nil && slices.ContainsFunc(changes, m.dislikes) {
		return errDisliked
	}
	m.settles++
	for i := range changes {
		m.settle(&changes[i])
	}
	if m.lie {
		m.lie = false
		return errLied
	}
	return nil
}

var (
	errDisliked = errors.New("this cannot be stored")
	errLied     = errors.New("the answer to COMMIT was lost")
)

// settle keeps to what Spool.Settle says.
func (m *memory) settle(c *queue.Settlement) {
	c.Void = true
	for _, r := range c.Rows {
		if m.change(r) {
			c.Void = false
		}
	}
	if c.Report == nil || c.Void {
		return
	}
	if c.Void = m.messages[c.Report.Message.ID] != nil; !c.Void {
		m.put(*c.Report)
	}
}

func (m *memory) change(c queue.RowChange) bool {
	e := m.messages[c.Row.ID]
	if e == nil {
		return false
	}
	r, ok := e.rows[c.Row.N]
	if !ok {
		return false
	}
	if c.State == mail.StateDone || c.State == mail.StateFailed && r.State.Scheduled() {
		if delete(e.rows, c.Row.N); len(e.rows) == 0 {
			delete(m.messages, c.Row.ID)
		}
		return true
	}
	if r.Attempts >= c.Attempts {
		return false
	}
	r.Attempts, r.LastReply, r.LastHost = c.Attempts, c.LastReply, c.LastHost
	if !r.State.Scheduled() {
		e.rows[c.Row.N] = r
		return false
	}
	r.State, r.Next, r.CheckAge, r.Noticed = c.State, c.Next, c.CheckAge, c.Noticed
	e.rows[c.Row.N] = r
	if c.State == mail.StateDeferred {
		if l, ok := m.lanes[r.Lane]; !ok || c.Next.Before(l.Next) {
			l.Lane, l.Next = r.Lane, c.Next
			m.lanes[r.Lane] = l
		}
	}
	return true
}

// Redirect keeps to what Spool.Redirect says.
func (m *memory) Redirect(_ context.Context, _ account.Scope, token queue.Token, list []queue.Redirection) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if token != (queue.Token{}) && m.held[token.Lane] != token.Value {
		return queue.ErrStaleLease
	}
	for _, c := range list {
		e := m.messages[c.Row.ID]
		if e == nil {
			continue
		}
		r, ok := e.rows[c.Row.N]
		if !ok || r.Lane != c.From || !r.State.Scheduled() {
			continue
		}
		if len(c.To) == 0 {
			r.State, r.LastReply = mail.StateHeld, c.Reply
			e.rows[c.Row.N] = r
			continue
		}
		for k, to := range c.To {
			if to.N = c.Row.N; k > 0 {
				to.N = e.message.Rows
				e.message.Rows++
			}
			if to.State == mail.StateLeased {
				to.State = mail.StateWaiting
			}
			e.rows[to.N] = to
			if l, ok := m.lanes[to.Lane]; to.State == mail.StateQuarantined {
				continue
			} else if !ok || l.Failures == 0 && to.Next.Before(l.Next) {
				m.lanes[to.Lane] = queue.LaneState{Lane: to.Lane, Next: to.Next}
			}
		}
	}
	return nil
}

func (m *memory) Keep(_ context.Context, _ account.Scope, domain string, hold time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.messages {
		for n, r := range e.rows {
			if r.State.Scheduled() && strings.HasSuffix(r.Destination, "@"+domain) {
				end := r.CheckAge >= r.ExpireAge
				r.ExpireAge = r.BornAge + int64(hold/time.Second)
				if r.CheckAge = min(r.CheckAge, r.ExpireAge); end || r.Noticed {
					r.CheckAge = r.ExpireAge
				}
				e.rows[n] = r
			}
		}
	}
	return nil
}

func (m *memory) Age(_ context.Context, elapsed time.Duration) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.age += min(elapsed, time.Hour)
	return int64(m.age / time.Second), nil
}

func (m *memory) Open(context.Context, string, bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.messages {
		for n, r := range e.rows {
			if r.State == mail.StateLeased {
				r.State, r.Next = mail.StateWaiting, time.Now()
				e.rows[n] = r
				if m.lanes[r.Lane].Failures == 0 { // a lane that backs off keeps its time
					m.lanes[r.Lane] = queue.LaneState{Lane: r.Lane, Next: r.Next}
				}
			}
		}
	}
	return nil
}

func (m *memory) hold(l mail.Lane) queue.Held {
	m.token++
	m.held[l] = m.token
	state := m.lanes[l]
	state.Lane = l
	return queue.Held{Token: queue.Token{Lane: l, Value: m.token}, State: state}
}

func (m *memory) Lease(_ context.Context, _ string, now time.Time, limit int, _ time.Duration) ([]queue.Held, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []queue.Held
	for name, l := range m.lanes {
		if m.held[name] == 0 && !l.Next.After(now) && len(out) < limit {
			out = append(out, m.hold(name))
		}
	}
	return out, nil
}

func (m *memory) Claim(_ context.Context, _ string, lane mail.Lane, _ time.Duration) (queue.Held, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unread != nil {
		return queue.Held{}, false, m.unread
	}
	if m.held[lane] != 0 {
		return queue.Held{}, false, nil
	}
	held := m.hold(lane)
	if held.State.Failures == 0 {
		held.State.Next = time.Time{}
	}
	return held, true, nil
}

func (m *memory) Renew(_ context.Context, t queue.Token, _ time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held[t.Lane] != t.Value {
		return queue.ErrStaleLease
	}
	return nil
}

func (m *memory) Release(_ context.Context, t queue.Token, state queue.LaneState) error {
	m.mu.Lock()
	parting := m.parting
	m.mu.Unlock()
	if parting != nil {
		parting()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuses != nil {
		return m.refuses
	}
	if m.held[t.Lane] != t.Value {
		return queue.ErrStaleLease
	}
	delete(m.held, t.Lane)
	if state.Next.IsZero() {
		rows := m.rows(func(r mail.Recipient) bool { return r.Lane == t.Lane }, 1)
		if len(rows) == 0 {
			delete(m.lanes, t.Lane)
			return nil
		}
		state.Next = rows[0].Recipients[0].Next
	}
	m.lanes[t.Lane] = state
	return nil
}

func (m *memory) Hasten(_ context.Context, lane mail.Lane, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.messages {
		for n, r := range e.rows {
			if r.Lane == lane && (r.State == mail.StateDeferred || r.State.Scheduled() && r.Next.After(now)) {
				r.State, r.Next = mail.StateWaiting, e.message.Received
				e.rows[n] = r
			}
		}
	}
	if l, ok := m.lanes[lane]; ok {
		l.Next = now
		m.lanes[lane] = l
	}
	return nil
}

func (m *memory) Down(_ context.Context, now time.Time, _ int) ([]queue.LaneState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []queue.LaneState
	for _, l := range m.lanes {
		if l.Failures > 0 && l.Next.After(now) {
			out = append(out, l)
		}
	}
	return out, nil
}

func (m *memory) Waiting(_ context.Context, _ account.Scope, lane mail.Lane, domain string) (mail.Waiting, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out mail.Waiting
	for _, e := range m.messages {
		for _, r := range e.rows {
			if r.Lane == lane && r.State.Scheduled() && strings.HasSuffix(r.Destination, "@"+domain) {
				out.Recipients++
			}
		}
	}
	return out, nil
}

func (m *memory) NextDue(context.Context) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var next time.Time
	for name, l := range m.lanes {
		if m.held[name] == 0 && (next.IsZero() || l.Next.Before(next)) {
			next = l.Next
		}
	}
	return next, nil
}

func (m *memory) List(_ context.Context, _ account.Scope, f mail.Filter, after mail.ID, limit int) ([]mail.Listed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []mail.Listed
	for _, id := range slices.Sorted(maps.Keys(m.messages)) {
		l := mail.Listed{Message: *m.messages[id].message}
		for _, r := range m.messages[id].rows {
			if id > after && strings.HasSuffix(r.Destination, "@"+f.Domain) && (len(f.States) == 0 || slices.Contains(f.States, r.State)) {
				l.Rows = append(l.Rows, r)
			}
		}
		if len(l.Rows) > 0 && len(out) < limit {
			out = append(out, l)
		}
	}
	return out, nil
}

func (m *memory) Count(context.Context, account.Scope, mail.Filter, time.Time) (mail.Counts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := mail.Counts{Messages: int64(len(m.messages))}
	for _, e := range m.messages {
		c.Recipients += int64(len(e.rows))
	}
	return c, nil
}

func (m *memory) Change(_ context.Context, _ account.Scope, f mail.Filter, a mail.Action, now time.Time, _ func([]mail.Recipient)) (int64, []mail.Lane, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lanes []mail.Lane
	n := int64(0)
	for _, e := range m.messages {
		for i, r := range e.rows {
			if r.State.Scheduled() == (a == mail.Release) || f.Domain != "" && !strings.HasSuffix(r.Destination, "@"+f.Domain) || len(f.States) > 0 && !slices.Contains(f.States, r.State) ||
				!f.Sent.Has(e.message) || f.Sent.Halted && r.LastReply != mail.Paused(e.message.Client.Login) || len(f.IDs) > 0 && !slices.Contains(f.IDs, r.ID) {
				continue
			}
			n++
			lanes = append(lanes, r.Lane)
			switch a {
			case mail.Expedite:
				r.Next = now
				m.lanes[r.Lane] = queue.LaneState{Lane: r.Lane, Next: now}
			case mail.Hold:
				r.State = mail.StateHeld
			case mail.Drop:
				delete(e.rows, i)
				continue
			case mail.Release:
				r.State, r.Next = mail.StateWaiting, now
				m.lanes[r.Lane] = queue.LaneState{Lane: r.Lane, Next: now}
			}
			e.rows[i] = r
		}
		if len(e.rows) == 0 {
			delete(m.messages, e.message.ID)
		}
	}
	return n, lanes, m.halted
}

// states counts the rows by state.
func (m *memory) states() map[mail.State]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[mail.State]int{}
	for _, e := range m.messages {
		for _, r := range e.rows {
			out[r.State]++
		}
	}
	return out
}
