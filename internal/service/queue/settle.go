package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/trace"
)

// settler records outcomes in batches: done rows wait for company up to settleWithin, and nobody waits for
// them. A crash before that repeats a delivery, never loses one.
//
// What the store refuses is asked again later, and holds up nobody: first together with its lane's others, then by
// itself.
type settler struct {
	s       *Service
	mu      sync.Mutex
	entries []settled // not asked for yet
	later   []settled // refused by the store, each with its time
	signal  chan struct{}
	ending  chan struct{}
	stopped sync.Once
	ended   sync.WaitGroup
	flushMu sync.Mutex
}

// settled is one delivery's outcome on its way to the store.
type settled struct {
	lane    *lane
	id      mail.ID
	changes []Settlement
	events  []trace.Event // what the trace is told once it is recorded
	tries   int           // how often the store failed
	next    time.Time     // not asked again before
}

func (t *settler) init(s *Service) {
	t.s, t.signal, t.ending = s, make(chan struct{}, 1), make(chan struct{})
}

func (t *settler) add(e settled) {
	t.mu.Lock()
	t.entries = append(t.entries, e)
	n := len(t.entries)
	t.mu.Unlock()
	if n == 1 || n == settleBatch {
		t.poke()
	}
}

func (t *settler) poke() {
	select {
	case t.signal <- struct{}{}:
	default:
	}
}

func (t *settler) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-t.ending:
			t.pass(true)
			t.abandon()
			return
		case <-t.signal:
			t.mu.Lock()
			n := len(t.entries)
			t.mu.Unlock()
			if n < settleBatch {
				timer.Reset(settleWithin)
				continue
			}
		case <-timer.C:
		}
		t.pass(false)
		if wait, ok := t.untilNext(); ok {
			timer.Reset(wait)
		}
	}
}

func (t *settler) stop() { t.stopped.Do(func() { close(t.ending) }) }

// flush asks the store for everything that is waiting, and returns when it is durable, refused, or put off because
// the store failed.
func (t *settler) flush() {
	t.pass(false)
	if _, ok := t.untilNext(); ok {
		t.poke() // the timer has to be set
	}
}

// untilNext is how long what the store failed for has to wait; false when there is nothing.
func (t *settler) untilNext() (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.later) == 0 {
		return 0, false
	}
	first := t.later[0].next
	for i := range t.later {
		if t.later[i].next.Before(first) {
			first = t.later[i].next
		}
	}
	return max(settleWithin, time.Until(first)), true
}

// pass asks the store once for everything whose time has come; at the end, for all of it. It never waits for a store
// that fails.
func (t *settler) pass(end bool) {
	t.flushMu.Lock()
	defer t.flushMu.Unlock()
	failed := 0
	for _, g := range t.groups(t.due(end)) {
		switch {
		case failed >= settleBreak: // it fails for all: the rest is spared the question
			t.putOff(g.entries, settlePause)
		case t.record(g):
			failed = 0
		default:
			failed++
		}
	}
	if failed >= settleBreak {
		t.pause(time.Now().Add(settlePause))
	}
}

// pause has nothing asked for again before a time.
func (t *settler) pause(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.later {
		if t.later[i].next.Before(until) {
			t.later[i].next = until
		}
	}
}

// due takes what is to be asked for now.
func (t *settler) due(all bool) []settled {
	t.mu.Lock()
	defer t.mu.Unlock()
	entries := t.entries
	t.entries = nil
	if len(t.later) == 0 {
		return entries
	}
	now := time.Now()
	rest := t.later[:0]
	for _, e := range t.later {
		if all || !now.Before(e.next) {
			entries = append(entries, e)
		} else {
			rest = append(rest, e)
		}
	}
	clear(t.later[len(rest):])
	t.later = rest
	return entries
}

// group is what is asked for in one transaction.
type group struct {
	token   Token
	entries []settled
}

// groups sorts entries by lane. One for which the store has failed often is a group of its own.
func (t *settler) groups(entries []settled) []group {
	var list []group
	at := map[Token]int{}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for _, e := range entries {
		token := e.lane.token
		if e.tries >= settleTogether {
			list = append(list, group{token, []settled{e}})
			continue
		}
		i, ok := at[token]
		if !ok {
			i = len(list)
			at[token] = i
			list = append(list, group{token: token})
		}
		list[i].entries = append(list[i].entries, e)
	}
	return list
}

// record settles a group; false when the store failed and it is to be asked again.
func (t *settler) record(g group) bool {
	var changes []Settlement
	for _, e := range g.entries {
		changes = append(changes, e.changes...)
	}
	ctx := context.WithoutCancel(t.s.ctx)
	err := t.s.spool.Settle(ctx, account.System(), g.token, changes)
	switch {
	case err == nil:
		for i, e := range g.entries {
			n := len(e.changes)
			g.entries[i].changes, changes = changes[:n:n], changes[n:]
		}
		t.after(g.entries, true)
		return true
	case errors.Is(err, ErrStaleLease):
		t.s.log.WarnContext(ctx, "outcomes came after the lease had ended", "lane", string(g.token.Lane), "count", len(changes))
		t.after(g.entries, false)
		t.s.lost(g.entries[0].lane, g.token)
		return true
	}
	t.s.log.ErrorContext(ctx, "outcomes not recorded", "lane", string(g.token.Lane), "count", len(changes), "error", err)
	for i := range g.entries {
		g.entries[i].tries++
	}
	t.putOff(g.entries, min(settleRetry<<min(g.entries[0].tries, 16), settleRetryMax))
	return false
}

// putOff has entries asked for again after a while.
func (t *settler) putOff(entries []settled, wait time.Duration) {
	next := time.Now().Add(wait)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range entries {
		e.next = next
		t.later = append(t.later, e)
	}
}

// abandon gives up at the end what the store did not take: it is attempted again after the start.
func (t *settler) abandon() {
	t.mu.Lock()
	entries := t.later
	t.later = nil
	t.mu.Unlock()
	t.after(entries, false)
}

// after frees what the entries held and sends their reports on their way.
func (t *settler) after(entries []settled, durable bool) {
	s := t.s
	s.mu.Lock()
	for _, e := range entries {
		e.lane.done(e.id)
		for _, c := range e.changes {
			for _, r := range c.Rows {
				if r.State == mail.StateDeferred {
					e.lane.lookAgain(r.Next)
				}
			}
		}
	}
	s.mu.Unlock()
	for _, e := range entries {
		for _, c := range e.changes {
			switch {
			case c.Report == nil:
			case durable && !c.Void:
				s.recordReport(&c)
				s.born(*c.Report)
			default:
				s.forget(*c.Report)
			}
		}
	}
	if durable {
		for _, e := range entries {
			s.record(e.events, e.changes)
		}
		s.settledLocally(entries)
	}
}

// settledLocally tells the local agent which deliveries need no longer be remembered.
func (s *Service) settledLocally(entries []settled) {
	forgetter, ok := s.agents[mail.TransportLocal].(Forgetter)
	if !ok {
		return
	}
	var ids []mail.ID
	for _, e := range entries {
		if e.lane.name.Transport() == mail.TransportLocal && e.delivered() {
			ids = append(ids, e.id)
		}
	}
	if len(ids) > 0 {
		forgetter.Forget(context.WithoutCancel(s.ctx), ids)
	}
}

// delivered reports whether any row is done.
func (e *settled) delivered() bool {
	for _, c := range e.changes {
		for _, r := range c.Rows {
			if r.State == mail.StateDone {
				return true
			}
		}
	}
	return false
}
