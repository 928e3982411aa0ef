package queue

import (
	"context"
	"errors"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
)

// schedule takes lanes whose time has come, keeps those in hand, and gives idle ones back.
func (s *Service) schedule() {
	var lastAge, lastSweep time.Time
	lastAge, lastSweep = time.Now(), time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		now := time.Now()
		if d := now.Sub(lastAge); d >= s.cfg.tick() {
			lastAge = now
			s.tickAge(d)
			s.letResumedGo()
		}
		if now.Sub(lastSweep) >= sweepEvery {
			lastSweep = now
			s.sweepDead(now)
		}
		s.lease(now)
		s.tend(now)
		timer.Reset(s.nextLook(now))
	}
}

// nextLook is how long the schedule may sleep: a second while lanes are in hand, else until one is due.
func (s *Service) nextLook(now time.Time) time.Duration {
	s.mu.Lock()
	busy := len(s.active) > 0
	s.m.QueueLanes.Set(float64(len(s.active)))
	s.mu.Unlock()
	if busy {
		return min(time.Second, s.cfg.tick())
	}
	next, err := s.lanes.NextDue(s.ctx)
	if err != nil || next.IsZero() {
		return s.cfg.tick()
	}
	return max(10*time.Millisecond, min(s.cfg.tick(), next.Sub(now)))
}

func (s *Service) tickAge(elapsed time.Duration) {
	age, err := s.spool.Age(s.ctx, elapsed)
	if err != nil {
		s.log.ErrorContext(s.ctx, "queue age not recorded", "error", err)
		return
	}
	s.age.Store(age)
	if c, err := s.inspect.Count(s.ctx, account.System(), Filter{}, time.Now()); err == nil {
		s.m.QueueMessages.Set(float64(c.Messages))
		s.m.QueueRecipients.Set(float64(c.Recipients))
		s.m.QueueDue.Set(float64(c.Due))
		s.m.QueueHeld.Set(float64(c.Held))
	}
}

// sweepDead removes what has been dead, or in quarantine, for its time.
func (s *Service) sweepDead(now time.Time) {
	for _, f := range []Filter{
		{States: []mail.State{mail.StateDead}, OlderThan: now.Add(-deadFor - s.cfg.Hold)},
		{States: []mail.State{mail.StateQuarantined}, OlderThan: now.Add(-deadFor)},
	} {
		if n, _, err := s.inspect.Change(s.ctx, account.System(), f, mail.Drop, now, nil); err != nil {
			s.log.ErrorContext(s.ctx, "kept mail not swept", "state", string(f.States[0]), "error", err)
		} else if n > 0 {
			s.log.InfoContext(s.ctx, "kept mail swept", "state", string(f.States[0]), "rows", n)
		}
	}
}

// lease takes lanes that are due.
func (s *Service) lease(now time.Time) {
	s.mu.Lock()
	room := maxLanesInHand - len(s.active)
	s.mu.Unlock()
	if room <= 0 {
		return
	}
	held, err := s.lanes.Lease(s.ctx, s.cfg.Node, now, room, leaseTTL)
	if err != nil {
		if s.ctx.Err() == nil {
			s.log.ErrorContext(s.ctx, "lanes not leased", "error", err)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range held {
		l := s.hand(h.Token.Lane)
		s.note(l, h)
		l.until, l.cursor = time.Time{}, Cursor{}
		l.more()
		s.staff(l)
	}
}

// tend renews leases, looks for deferred rows that have become due, and gives back lanes without work.
func (s *Service) tend(now time.Time) {
	var renew, back []*lane
	s.mu.Lock()
	for _, l := range s.active {
		if l.claimed && now.Sub(l.renewed) >= renewEvery {
			l.renewed = now
			renew = append(renew, l)
		}
		due := !l.deferred.IsZero() && !now.Before(l.deferred)
		if l.claimed && !now.Before(l.until) && (due || now.Sub(l.scanned) >= rescanEvery) {
			l.deferred, l.scanned = time.Time{}, now
			l.more()
			s.staff(l)
		}
		if !l.idleNow() {
			continue
		}
		switch {
		case !l.claimed:
			if now.Sub(l.idle) >= linger {
				delete(s.active, l.name)
			}
		case now.Before(l.keep):
		case now.Before(l.until) || now.Sub(l.idle) >= linger:
			back = append(back, l)
		}
	}
	for name, g := range s.gates {
		if !now.Before(g.until) {
			delete(s.gates, name)
		}
	}
	s.mu.Unlock()
	for _, l := range renew {
		s.renew(l)
	}
	for _, l := range back {
		s.giveBack(s.ctx, l)
	}
}

func (s *Service) renew(l *lane) {
	s.mu.Lock()
	token := l.token
	s.mu.Unlock()
	err := s.lanes.Renew(s.ctx, token, leaseTTL)
	if err == nil {
		return
	}
	s.log.WarnContext(s.ctx, "lease not renewed", "lane", string(l.name), "error", err)
	if errors.Is(err, ErrStaleLease) {
		s.lost(l, token)
	}
}

// closing gives all lanes back at the end, when nothing is under way any more.
func (s *Service) closing() {
	s.mu.Lock()
	list := make([]*lane, 0, len(s.active))
	for _, l := range s.active {
		if l.claimed && l.workers == 0 {
			list = append(list, l)
		}
	}
	s.mu.Unlock()
	ctx := context.WithoutCancel(s.ctx)
	for _, l := range list {
		s.giveBack(ctx, l)
	}
}
