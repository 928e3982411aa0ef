package queue

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
)

// outcome turns an attempt's results into row changes and, where somebody must be told, a report.
func (s *Service) outcome(l *lane, d mail.Delivery, outcomes []mail.Outcome) {
	for i := range d.Recipients {
		s.free(d.Content, &d.Recipients[i])
	}
	changes, err := s.compose(d, outcomes)
	if err != nil {
		s.log.ErrorContext(s.ctx, "outcome not composed", "queue_id", string(d.Message.ID), "lane", string(l.name), "error", err)
		changes = s.plainly(d, outcomes)
	}
	now := time.Now()
	for _, c := range changes {
		if c.Report != nil {
			s.prepare(c.Report, now)
		}
	}
	s.settler.add(settled{lane: l, id: d.Message.ID, changes: changes, events: s.events(d, changes, now)})
}

// compose judges every row and composes the reports. A panic in that becomes an error.
func (s *Service) compose(d mail.Delivery, outcomes []mail.Outcome) (changes []Settlement, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack()) //nolint:err113 // told to nobody but the operator
		}
	}()
	age, now := s.age.Load(), time.Now()
	var rows []RowChange
	var told []reported
	for _, o := range outcomes {
		r := recipient(d, o.Row)
		if r == nil {
			continue
		}
		c, kind := s.judge(d.Message, *r, o, age, now)
		if kind == tellNothing {
			rows = append(rows, c)
		} else {
			told = append(told, reported{row: *r, change: c, outcome: o, kind: kind})
		}
		s.m.QueueOutcomes.WithLabelValues(string(r.Lane.Transport()), o.Result.String()).Inc()
		s.logOutcome(d.Message, *r, o, c)
	}
	return s.withReports(context.WithoutCancel(s.ctx), d, rows, told), nil
}

// plainly is what is settled of outcomes that could not be composed: what was delivered is done, without a report, and
// everything else is tried again.
func (s *Service) plainly(d mail.Delivery, outcomes []mail.Outcome) []Settlement {
	var rows []RowChange
	for _, o := range outcomes {
		r := recipient(d, o.Row)
		if r == nil {
			continue
		}
		c := RowChange{
			Row: r.Row, State: mail.StateDeferred, Attempts: r.Attempts + 1, CheckAge: r.CheckAge, Noticed: r.Noticed,
			LastReply: "451 4.3.0 internal error, see the log", LastHost: o.Host,
		}
		c.Next = time.Now().Add(s.cfg.wait(c.Attempts))
		if o.Result == mail.Delivered {
			c.State = mail.StateDone
		}
		rows = append(rows, c)
	}
	return []Settlement{{Rows: rows}}
}

func recipient(d mail.Delivery, row mail.Row) *mail.Recipient {
	for i := range d.Recipients {
		if d.Recipients[i].Row == row {
			return &d.Recipients[i]
		}
	}
	return nil
}

// tell is what the sender is to hear of a row.
type tell uint8

const (
	tellNothing tell = iota
	tellDelivered
	tellRelayed
	tellDelayed
	tellFailed
)

// judge decides what follows for a row from one outcome.
func (s *Service) judge(m *mail.Message, r mail.Recipient, o mail.Outcome, age int64, now time.Time) (RowChange, tell) {
	c := RowChange{
		Row: r.Row, Attempts: r.Attempts + 1, Next: r.Next, CheckAge: r.CheckAge, Noticed: r.Noticed,
		LastReply: o.Reply.String(), LastHost: o.Host, LastAddr: o.Addr,
	}
	switch o.Result {
	case mail.Delivered:
		c.State = mail.StateDone
		if r.Notify&smtp.NotifySuccess == 0 || r.ReportTo(m) == "" {
			return c, tellNothing
		}
		if r.Lane.Transport() == mail.TransportLocal {
			return c, tellDelivered
		}
		if o.DSN {
			return c, tellNothing
		}
		return c, tellRelayed
	case mail.Deferred:
		if age >= r.ExpireAge {
			return s.giveUp(m, r, c)
		}
		c.State, c.Next = mail.StateDeferred, now.Add(s.cfg.wait(c.Attempts))
		if s.astray(m, &r) {
			c.Next = now
		}
		if !r.Noticed && age >= r.CheckAge {
			c.Noticed, c.CheckAge = true, r.ExpireAge
			if r.ReportTo(m) != "" && (r.Notify == 0 || r.Notify&smtp.NotifyDelay != 0) {
				return c, tellDelayed
			}
		}
		return c, tellNothing
	case mail.Failed:
		return s.giveUp(m, r, c)
	case mail.Held:
		c.State = mail.StateHeld
		return c, tellNothing
	}
	c.State = mail.StateDeferred
	return c, tellNothing
}

// giveUp ends a row for good: reported where the sender may and wants to be told, dead otherwise.
func (s *Service) giveUp(m *mail.Message, r mail.Recipient, c RowChange) (RowChange, tell) {
	if r.ReportTo(m) == "" || r.Notify&smtp.NotifyNever != 0 || (r.Notify != 0 && r.Notify&smtp.NotifyFailure == 0) {
		c.State = mail.StateDead
		return c, tellNothing
	}
	c.State = mail.StateFailed
	return c, tellFailed
}

func (s *Service) logOutcome(m *mail.Message, r mail.Recipient, o mail.Outcome, c RowChange) {
	s.log.InfoContext(s.ctx, "attempt", "queue_id", string(m.ID), "recipient", r.Destination, "lane", string(r.Lane),
		"result", o.Result.String(), "state", string(c.State), "host", o.Host, "reply", c.LastReply, "attempts", c.Attempts)
}

// expire tells senders of rows that have waited long behind a lane that is down, and gives up those whose
// time is over: the lane's failure is their reason.
func (s *Service) expire(ctx context.Context, l *lane) {
	defer func() {
		s.mu.Lock()
		l.expiring = false
		l.forgetEnded()
		s.mu.Unlock()
	}()
	s.mu.Lock()
	reason, host := l.reason, l.host
	s.mu.Unlock()
	age := s.age.Load()
	told := map[mail.ID]bool{} // a page that brings nothing new is the last: the store has refused what was settled
	for s.ctx.Err() == nil {
		list, err := s.spool.Aged(ctx, account.System(), l.name, age, fetchRows)
		if err != nil {
			s.log.ErrorContext(ctx, "aged mail not read", "lane", string(l.name), "error", err)
			return
		}
		fresh := false
		for _, d := range list {
			if told[d.Message.ID] || !s.takeAged(l, d) {
				continue
			}
			told[d.Message.ID], fresh = true, true
			outcomes := make([]mail.Outcome, len(d.Recipients))
			for i, r := range d.Recipients {
				outcomes[i] = mail.Outcome{Row: r.Row, Result: mail.Deferred, Host: host, Reply: laneReply(reason), At: time.Now()}
			}
			s.outcome(l, d, outcomes)
		}
		if !fresh {
			return
		}
		s.settler.flush()
	}
}

// takeAged takes an aged message in hand, unless it is being delivered or was just now.
func (s *Service) takeAged(l *lane, d mail.Delivery) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.underWay(d.Message.ID) {
		return false
	}
	l.inflight[d.Message.ID]++
	for i := range d.Recipients {
		s.load(d.Content, &d.Recipients[i]) // outcome gives it up again
	}
	return true
}

// laneReply is the reason of a lane's failure as a temporary reply.
func laneReply(reason string) smtp.Reply {
	return smtp.Reply{Code: 450, Enhanced: smtp.Enhanced{4, 4, 1}, Text: reason}
}
