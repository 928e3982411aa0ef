package queue

import (
	"cmp"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/core/trace"
)

// kindOf is what a row's new state is in its trace.
func kindOf(state mail.State) trace.Kind {
	switch state {
	case mail.StateDone:
		return trace.Delivered
	case mail.StateFailed:
		return trace.Failed
	case mail.StateDead:
		return trace.Dead
	case mail.StateHeld, mail.StateQuarantined:
		return trace.Held
	case mail.StateDeferred, mail.StateWaiting, mail.StateLeased:
	}
	return trace.Deferred
}

// sentBy is the account of the login that sent a message; empty for all others.
func sentBy(m *mail.Message) account.ID {
	if m.Client.Login == "" {
		return ""
	}
	return m.Account
}

// event is what the trace says of a row.
func event(m *mail.Message, r *mail.Recipient, kind trace.Kind, at time.Time) trace.Event {
	return trace.Event{
		Step: trace.Step{At: at, Kind: kind, Recipient: r.Original, Destination: r.Destination, Lane: r.Lane},
		ID:   m.ID, Sender: m.Sender, From: sentBy(m), Owner: r.Account,
	}
}

// record tells what was recorded; of a report that was not stored nothing is told.
func (s *Service) record(events []trace.Event, changes []Settlement) {
	for i := range events {
		void := func(c Settlement) bool { return c.Void && c.Report != nil && c.Report.Message.ID == events[i].Report }
		if events[i].Kind != trace.Reported || !slices.ContainsFunc(changes, void) {
			s.cfg.Recorder.Record(events[i])
		}
	}
}

// events are what the trace is told of an attempt once its outcome is recorded; nil when nobody wants to know.
func (s *Service) events(d mail.Delivery, changes []Settlement, at time.Time) []trace.Event {
	if s.cfg.Recorder == nil {
		return nil
	}
	out := make([]trace.Event, 0, len(d.Recipients))
	for _, c := range changes {
		for i := range c.Rows {
			change := &c.Rows[i]
			r := recipient(d, change.Row)
			if r == nil {
				continue
			}
			e := event(d.Message, r, kindOf(change.State), at)
			e.Reply, e.Host, e.Attempts, e.Client.Addr = change.LastReply, change.LastHost, change.Attempts, change.LastAddr
			if r.Rewritten {
				e.As = "<" + r.Sender + ">"
			}
			if e.Kind == trace.Deferred {
				e.Until = change.Next
			}
			out = append(out, e)
			if c.Report != nil {
				told := event(d.Message, r, trace.Reported, at)
				told.Report, told.Word = c.Report.Message.ID, c.Word
				out = append(out, told)
			}
		}
	}
	return out
}

// recordReport tells of a report that is in the queue.
func (s *Service) recordReport(c *Settlement) {
	if s.cfg.Recorder == nil {
		return
	}
	m := c.Report.Message
	e := trace.Event{ID: m.ID, Step: trace.Step{At: m.Received, Kind: trace.Accepted, Asker: routing.Local, Size: m.Size}}
	var d trace.Decision
	for i := range c.Report.Rows {
		r := &c.Report.Rows[i]
		d.Recipient, d.Owner = r.Original, cmp.Or(d.Owner, r.Account)
		d.Destinations = append(d.Destinations, routing.Destination{Address: r.Destination, Lane: r.Lane, Mailbox: r.Mailbox, Account: r.Account})
	}
	e.Decisions = []trace.Decision{d}
	s.cfg.Recorder.Record(e)
}

// turned adds what the trace is told of a row that goes another way, or has none, once that is recorded.
func (s *Service) turned(events []trace.Event, m *mail.Message, r *mail.Recipient, to *Redirection) []trace.Event {
	if s.cfg.Recorder == nil {
		return events
	}
	e := event(m, r, trace.Decided, time.Now())
	if len(to.To) == 0 {
		e.Kind, e.Reply = trace.Held, to.Reply
	}
	for i := range to.To {
		e.Targets = append(e.Targets, trace.Target{Address: to.To[i].Destination, Lane: to.To[i].Lane})
	}
	events = append(events, e)
	for i := range to.To {
		if to.To[i].State == mail.StateQuarantined {
			kept := event(m, &to.To[i], trace.Held, e.Step.At)
			kept.Reply = to.To[i].LastReply
			events = append(events, kept)
		}
	}
	return events
}

// recordDown tells of deliveries that were not attempted because their destination could not be reached; s.mu is held.
func (s *Service) recordDown(l *lane, batch []mail.Delivery, ended []bool, down *mail.LaneDown) {
	if s.cfg.Recorder == nil {
		return
	}
	at, reply := time.Now(), down.Reply.String()
	for i := range batch {
		for j := range batch[i].Recipients {
			if ended[i] {
				continue
			}
			e := event(batch[i].Message, &batch[i].Recipients[j], trace.Deferred, at)
			e.Reply, e.Host, e.Client.Addr, e.Until = reply, down.Host, down.Addr, l.until
			s.cfg.Recorder.Record(e)
		}
	}
}

// recordWaiting tells of a new row that is not attempted at once, since its destination is not tried just now.
func (s *Service) recordWaiting(m *mail.Message, r *mail.Recipient) {
	if s.cfg.Recorder == nil {
		return
	}
	e := event(m, r, trace.Deferred, time.Now())
	s.mu.Lock()
	if l := s.active[r.Lane]; l != nil {
		e.Until, e.Reply, e.Host = l.until, l.reason, l.host
	} else {
		e.Until = s.gates[r.Lane].until
	}
	s.mu.Unlock()
	if e.At.After(e.Until) {
		e.Until, e.Reply, e.Host = time.Time{}, "", ""
	}
	s.cfg.Recorder.Record(e)
}

// recordAction tells of rows that somebody did something to.
func (s *Service) recordAction(rows []mail.Recipient, a mail.Action, by string) {
	if s.cfg.Recorder == nil {
		return
	}
	at := time.Now()
	for i := range rows {
		e := event(&mail.Message{ID: rows[i].ID}, &rows[i], trace.Acted, at)
		e.Word, e.By = a.String(), cmp.Or(by, "the program")
		s.cfg.Recorder.Record(e)
	}
}
