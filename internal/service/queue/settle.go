package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
)

// settler records outcomes in batches: done rows wait for company up to settleWithin, and nobody waits for
// them. A crash before that repeats a delivery, never loses one.
type settler struct {
	s       *Service
	mu      sync.Mutex
	entries []settled
	signal  chan struct{}
	ending  chan struct{}
	stopped sync.Once
	ended   sync.WaitGroup
	flushMu sync.Mutex
}

// settled is one settlement on its way to the store.
type settled struct {
	lane   *lane // nil without a lane
	id     mail.ID
	change Settlement
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
		select {
		case t.signal <- struct{}{}:
		default:
		}
	}
}

func (t *settler) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-t.ending:
			t.flush()
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
		t.flush()
	}
}

func (t *settler) stop() { t.stopped.Do(func() { close(t.ending) }) }

// flush records everything that is waiting, and returns when it is durable or was refused.
func (t *settler) flush() {
	t.flushMu.Lock()
	defer t.flushMu.Unlock()
	t.mu.Lock()
	entries := t.entries
	t.entries = nil
	t.mu.Unlock()
	byToken := map[Token][]settled{}
	var order []Token
	for _, e := range entries {
		var token Token
		if e.lane != nil {
			t.s.mu.Lock()
			token = e.lane.token
			t.s.mu.Unlock()
		}
		if _, ok := byToken[token]; !ok {
			order = append(order, token)
		}
		byToken[token] = append(byToken[token], e)
	}
	for _, token := range order {
		t.record(token, byToken[token])
	}
}

// record settles one lane's entries; a failing store is asked again until it answers or the queue stops.
func (t *settler) record(token Token, entries []settled) {
	changes := make([]Settlement, len(entries))
	for i := range entries {
		changes[i] = entries[i].change
	}
	ctx := context.WithoutCancel(t.s.ctx)
	wait := 100 * time.Millisecond
	for {
		err := t.s.spool.Settle(ctx, account.System(), token, changes)
		if err == nil || errors.Is(err, ErrStaleLease) {
			if err != nil {
				t.s.log.WarnContext(ctx, "outcomes came after the lease had ended", "lane", string(token.Lane), "count", len(changes))
			}
			t.after(entries, err == nil)
			return
		}
		t.s.log.ErrorContext(ctx, "outcomes not recorded", "lane", string(token.Lane), "count", len(changes), "error", err)
		select {
		case <-t.ending:
			t.after(entries, false)
			return
		case <-time.After(wait):
			wait = min(2*wait, 10*time.Second)
		}
	}
}

// after frees what the entries held and sends their reports on their way.
func (t *settler) after(entries []settled, durable bool) {
	s := t.s
	s.mu.Lock()
	for _, e := range entries {
		if e.lane != nil {
			e.lane.done(e.id)
			for _, r := range e.change.Rows {
				if r.State == mail.StateDeferred {
					e.lane.lookAgain(r.Next)
				}
			}
		}
	}
	s.mu.Unlock()
	for _, e := range entries {
		r := e.change.Report
		switch {
		case r == nil:
		case durable:
			s.born(*r)
		default:
			s.forget(*r)
		}
	}
	if durable {
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
		if e.lane == nil || e.lane.name.Transport() != mail.TransportLocal {
			continue
		}
		for _, r := range e.change.Rows {
			if r.State == mail.StateDone {
				ids = append(ids, e.id)
				break
			}
		}
	}
	if len(ids) > 0 {
		forgetter.Forget(context.WithoutCancel(s.ctx), ids)
	}
}
