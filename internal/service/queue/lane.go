package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
)

// lane is a destination in this node's hands. Its fields are guarded by Service.mu.
type lane struct {
	name     mail.Lane
	token    Token
	claimed  bool
	claiming bool
	leaving  bool      // being given back: no worker before that is over
	eager    bool      // an operator wants it tried now, whatever back-off the store tells of
	keep     time.Time // the store failed when it was given back: not tried again before
	failures int
	probing  bool      // after a failure one attempt goes ahead of the others
	until    time.Time // gate: no attempt before
	pending  []mail.Delivery
	held     int64           // octets of memory that pending takes
	inflight map[mail.ID]int // deliveries in memory or not yet settled: not fetched again
	backlog  bool            // the store has rows whose time has come
	again    bool            // more was asked for while it is fetching
	outdated bool            // what is being fetched has been changed meanwhile
	fetching bool
	ended    map[mail.ID]struct{} // settled while fetching: what the store then showed of them is old
	expiring bool                 // senders are being told; the lane stays in hand
	cursor   Cursor
	deferred time.Time // earliest time of a row deferred while in hand
	workers  int
	kicks    int    // how often it was made to try at once
	afresh   bool   // rows have come to lie before the cursor
	reason   string // of the last failure
	host     string
	idle     time.Time // since when nothing was to be done
	renewed  time.Time
	scanned  time.Time
}

// open reports whether mail for a lane may be delivered at once.
func (s *Service) open(name mail.Lane, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	if l := s.active[name]; l != nil {
		return !now.Before(l.until) && l.held < s.cfg.InMemory/laneShare
	}
	g, ok := s.gates[name]
	return !ok || !now.Before(g.until)
}

// hand gives the lane in hand, making it when there is none; s.mu is held.
func (s *Service) hand(name mail.Lane) *lane {
	l := s.active[name]
	if l == nil {
		l = &lane{name: name, inflight: map[mail.ID]int{}, idle: time.Now(), scanned: time.Now()}
		s.active[name] = l
		s.poke() // the schedule may be asleep until a lane is due
	}
	return l
}

// push adds a delivery from memory; waiting says that the store has further rows for the lane.
func (s *Service) push(name mail.Lane, d mail.Delivery, waiting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if len(d.Recipients) == 0 {
		switch l := s.active[name]; {
		case l != nil && !now.Before(l.until):
			l.more()
			s.staff(l)
		case l == nil && len(s.active) == 0 && !now.Before(s.gates[name].until):
			s.poke() // the schedule may be asleep; it knows when a gate opens
		}
		return
	}
	l := s.hand(name)
	if s.stopped || now.Before(l.until) {
		s.letGo(d) // the row is in the store and becomes due by itself
		return
	}
	l.join(d)
	l.inflight[d.Message.ID]++
	if waiting {
		l.more()
	}
	s.staff(l)
}

// more has the store read for the lane; s.mu is held.
func (l *lane) more() { l.backlog, l.again = true, true }

// letGo gives up the memory of a delivery that stays in the store.
func (s *Service) letGo(d mail.Delivery) {
	for i := range d.Recipients {
		s.free(d.Content, &d.Recipients[i])
	}
}

// staff starts as many workers as the lane has work for; s.mu is held.
func (s *Service) staff(l *lane) {
	if s.stopped || l.leaving {
		return
	}
	want := 0
	if n := len(l.pending); n > 0 {
		want = 1 + (n-1)/2
	} else if l.backlog && !l.fetching {
		want = 1
	}
	if !l.claimed {
		want = min(want, 1)
	}
	want = min(want, workersFor(l.probing))
	for l.workers < want {
		l.workers++
		s.running.Go(func() { s.work(l) })
	}
}

// work is one worker of a lane: it claims the lane if need be and attempts batches until there are none.
func (s *Service) work(l *lane) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		l.workers--
		if l.workers == 0 {
			l.idle = time.Now()
		}
		if !time.Now().Before(l.until) && (len(l.pending) > 0 || (l.backlog && !l.fetching)) {
			s.staff(l)
		}
	}()
	if !s.claim(l) {
		return
	}
	for s.ctx.Err() == nil {
		batch := s.take(l)
		if len(batch) == 0 {
			return
		}
		if batch = s.anew(l, batch); len(batch) > 0 {
			s.attempt(l, batch)
		}
	}
}

// claim takes the lane's lease for this node.
func (s *Service) claim(l *lane) bool {
	s.mu.Lock()
	if l.claimed || l.claiming {
		defer s.mu.Unlock()
		return l.claimed
	}
	l.claiming = true
	s.mu.Unlock()
	held, ok, err := s.lanes.Claim(s.ctx, s.cfg.Node, l.name, leaseTTL)
	if err != nil && s.ctx.Err() == nil {
		s.log.ErrorContext(s.ctx, "lane not claimed", "lane", string(l.name), "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.claiming = false
	if l.claimed { // the schedule has leased it meanwhile
		return true
	}
	if err != nil || !ok {
		s.shut(l, time.Now().Add(grace))
		return false
	}
	s.note(l, held)
	if now := time.Now(); now.Before(l.until) {
		s.shut(l, l.until)
		return false
	}
	s.staff(l)
	return true
}

// note keeps a lease and what the store remembers of the lane; s.mu is held.
func (s *Service) note(l *lane, held Held) {
	l.claimed, l.token, l.renewed = true, held.Token, time.Now()
	l.failures, l.until = held.State.Failures, held.State.Next
	l.reason, l.host = held.State.Reason, held.State.Host
	l.probing = l.failures > 0
	if !held.State.Next.IsZero() {
		l.backlog = true
	}
	if l.eager {
		l.eager, l.until = false, time.Time{}
	}
	delete(s.gates, l.name)
}

// lost closes a lane whose lease has passed into other hands, unless it was taken anew meanwhile.
func (s *Service) lost(l *lane, token Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.claimed && l.token == token {
		s.shut(l, time.Now().Add(grace))
		l.claimed = false
	}
}

// shut closes the lane's gate and drops what memory holds for it; the rows stay in the store. s.mu is held.
func (s *Service) shut(l *lane, until time.Time) {
	l.until = until
	for _, d := range l.pending {
		s.letGo(d)
		l.leave(d.Message.ID)
	}
	l.pending, l.held, l.backlog, l.again, l.cursor = nil, 0, false, false, Cursor{}
}

// join puts a delivery behind those that wait in memory; s.mu is held.
func (l *lane) join(d mail.Delivery) {
	l.pending = append(l.pending, d)
	l.held += weight(d)
}

// weight is what a delivery takes in memory, in octets.
func weight(d mail.Delivery) int64 {
	var n int64
	for i := range d.Recipients {
		n += inMemory(d.Content, &d.Recipients[i])
	}
	return n
}

// underWay reports whether a message that the store shows is in hand, or was when the store was read; s.mu is held.
func (l *lane) underWay(id mail.ID) bool {
	_, ended := l.ended[id]
	return ended || l.inflight[id] > 0
}

// leave ends what was in hand of a message whose rows are as the store shows them; s.mu is held.
func (l *lane) leave(id mail.ID) bool {
	if l.inflight[id]--; l.inflight[id] > 0 {
		return false
	}
	delete(l.inflight, id)
	return true
}

// done ends what was in hand of a message whose rows were changed; s.mu is held.
func (l *lane) done(id mail.ID) {
	if l.leave(id) && (l.fetching || l.expiring) {
		if l.ended == nil {
			l.ended = map[mail.ID]struct{}{}
		}
		l.ended[id] = struct{}{}
	}
}

// take gives the next batch: from memory, else from the store.
func (s *Service) take(l *lane) []mail.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.stopped || !l.claimed || time.Now().Before(l.until) {
			return nil
		}
		if n := len(l.pending); n > 0 {
			n = min(n, batchMax)
			batch := slices.Clone(l.pending[:n])
			for i := range batch {
				l.held -= weight(batch[i])
			}
			clear(l.pending[:n])
			if l.pending = l.pending[n:]; len(l.pending) == 0 {
				l.pending = nil
			}
			return batch
		}
		if !l.backlog || l.fetching {
			return nil
		}
		if !s.fetch(l) {
			return nil
		}
	}
}

// fetch reads due rows from the store into pending. s.mu is held, and given up while it reads.
func (s *Service) fetch(l *lane) bool {
	l.fetching, l.again, l.outdated = true, false, false
	if l.afresh {
		l.afresh, l.cursor = false, Cursor{}
	}
	after := l.cursor
	s.mu.Unlock()
	now := time.Now()
	list, cursor, err := s.spool.Due(s.ctx, account.System(), l.name, now, after, fetchRows)
	if err != nil && s.ctx.Err() == nil {
		s.log.ErrorContext(s.ctx, "due mail not read", "lane", string(l.name), "error", err)
	}
	s.mu.Lock()
	l.fetching = false
	l.scanned = now
	defer l.forgetEnded()
	switch {
	case err != nil:
		l.backlog = false
		l.lookAgain(now.Add(time.Second))
		return false
	case !l.claimed || time.Now().Before(l.until): // closed meanwhile
		return false
	case l.outdated:
		l.backlog, l.cursor = true, Cursor{}
		return true
	}
	rows := 0
	for _, d := range list {
		rows += len(d.Recipients)
		if _, arriving := s.arriving[d.Message.ID]; arriving || l.underWay(d.Message.ID) {
			l.lookAgain(now.Add(time.Second)) // it may have further rows
			continue
		}
		for i := range d.Recipients {
			s.load(d.Content, &d.Recipients[i])
		}
		l.inflight[d.Message.ID]++
		l.join(d)
	}
	l.cursor = cursor
	if rows < fetchRows {
		l.backlog, l.cursor = l.again || l.afresh, Cursor{}
	}
	s.staff(l)
	return true
}

// lookAgain has the schedule look into the store for this lane at a time, if not earlier; s.mu is held.
func (l *lane) lookAgain(at time.Time) {
	if l.deferred.IsZero() || at.Before(l.deferred) {
		l.deferred = at
	}
}

// forgetEnded drops the memory of settled messages once nothing reads the store; s.mu is held.
func (l *lane) forgetEnded() {
	if !l.fetching && !l.expiring {
		l.ended = nil
	}
}

// attempt runs one batch through its agent and passes on what became of it.
func (s *Service) attempt(l *lane, batch []mail.Delivery) {
	ended := make([]bool, len(batch))
	done := func(i int, outcomes []mail.Outcome) {
		if ended[i] {
			return
		}
		ended[i] = true
		s.outcome(l, batch[i], outcomes)
	}
	s.mu.Lock()
	kicks := l.kicks
	s.mu.Unlock()
	err := s.guarded(l, batch, done)
	if failure := s.ran(l, batch, ended, kicks, err); failure != nil {
		s.log.WarnContext(s.ctx, "destination is down", failure...)
	}
}

// ran notes how an attempt went. When that closes the lane it gives what the log is to say of it. A lane that was to try
// at once meanwhile is looked at once more: what lies in it may have another way by now.
func (s *Service) ran(l *lane, batch []mail.Delivery, ended []bool, kicks int, err error) []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range batch {
		if !ended[i] { // it stays in the store
			s.letGo(d)
			l.leave(d.Message.ID)
			if err == nil {
				l.lookAgain(time.Now().Add(grace))
			}
		}
	}
	var down *mail.LaneDown
	switch {
	case s.ctx.Err() != nil:
		return nil
	case err == nil:
		if l.failures > 0 {
			l.failures, l.probing = 0, false
			s.staff(l)
		}
		return nil
	case !errors.As(err, &down):
		down = &mail.LaneDown{Reply: smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 3, 0}, Text: err.Error()}, Host: s.cfg.Hostname}
	}
	first := s.fail(l, down)
	s.recordDown(l, batch, ended, down)
	if !first {
		return nil
	}
	if l.kicks != kicks {
		l.until = time.Time{}
		l.more()
		s.staff(l)
	}
	return []any{"lane", string(l.name), "host", down.Host, "reply", down.Reply.String(), "failures", l.failures, "until", l.until}
}

// guarded calls the agent; a panic in it becomes an error and costs nobody else's mail.
func (s *Service) guarded(l *lane, batch []mail.Delivery, done func(int, []mail.Outcome)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.ErrorContext(s.ctx, "agent panicked", "lane", string(l.name), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error while delivering") //nolint:err113 // told to nobody but the operator
		}
	}()
	agent, ok := s.agents[l.name.Transport()]
	if !ok {
		return fmt.Errorf("no agent for transport %q", l.name.Transport()) //nolint:err113 // told to nobody but the operator
	}
	return agent.Deliver(s.ctx, l.name, batch, done)
}

// fail closes the lane until its next attempt; false when it was closed already. s.mu is held.
func (s *Service) fail(l *lane, down *mail.LaneDown) bool {
	if time.Now().Before(l.until) {
		return false // a worker beside us has met the same failure
	}
	s.m.LanesDown.WithLabelValues(string(l.name.Transport())).Inc()
	l.failures++
	l.probing = true
	s.shut(l, time.Now().Add(s.cfg.wait(l.failures)))
	l.reason, l.host = down.Reply.String(), down.Host
	if !l.expiring {
		l.expiring = true
		s.running.Go(func() { s.expire(context.WithoutCancel(s.ctx), l) })
	}
	return true
}

// idleNow reports whether nothing of the lane is under way; s.mu is held.
func (l *lane) idleNow() bool {
	return !l.expiring && l.workers == 0 && len(l.pending) == 0 && len(l.inflight) == 0 && !l.fetching && !l.claiming && !l.leaving
}

// giveBack releases a lane with which nothing is under way. The store then knows when it is due: at the end of
// its back-off, else when the first of its rows is. Mail that comes meanwhile waits for the end of that and has the lane
// claimed anew.
func (s *Service) giveBack(ctx context.Context, l *lane) {
	s.mu.Lock()
	if s.active[l.name] != l || !l.claimed || !l.idleNow() {
		s.mu.Unlock()
		return
	}
	state := LaneState{Lane: l.name, Failures: l.failures, Reason: l.reason, Host: l.host}
	if time.Now().Before(l.until) {
		state.Next = l.until
	}
	l.leaving, l.backlog, l.again = true, false, false
	s.mu.Unlock()
	err := s.lanes.Release(ctx, l.token, state)
	released := err == nil || errors.Is(err, ErrStaleLease)
	if !released {
		s.log.ErrorContext(ctx, "lane not released", "lane", string(l.name), "error", err)
	}
	s.given(l, released)
	s.poke()
}

// given ends a lane's being given back: it leaves our hands, or stays when the store failed or there is work again.
func (s *Service) given(l *lane, released bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	l.leaving = false
	if !released {
		l.keep = now.Add(linger)
		s.staff(l)
		return
	}
	l.claimed = false
	if len(l.pending) > 0 || l.backlog {
		s.staff(l)
		return
	}
	delete(s.active, l.name)
	if now.Before(l.until) && len(s.gates) < maxGates {
		s.gates[l.name] = gate{until: l.until}
	}
}
