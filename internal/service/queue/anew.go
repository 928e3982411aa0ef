package queue

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/core/trace"
)

// anew decides anew for each row of a batch before it is attempted and gives what is left for this lane: rows that go
// another way by now are moved in the store, rows that have none are held there. A batch comes from memory or from the
// store, so that no row is attempted by a decision that no longer stands.
func (s *Service) anew(l *lane, batch []mail.Delivery) []mail.Delivery {
	ways := s.decide(l, batch)
	if ways == nil {
		return batch
	}
	now := time.Now()
	var list []Redirection
	var held []finding.Finding
	var left []mail.Delivery
	var gone []mail.ID // nothing of it is left for this lane
	var events []trace.Event
	var halted []mail.Sent
	for i := range batch {
		d := batch[i]
		if ways[i] == nil {
			left = append(left, d)
			continue
		}
		var here []mail.Recipient
		for k := range d.Recipients {
			r, way := &d.Recipients[k], &ways[i][k]
			if way.Stays {
				here = append(here, *r)
				continue
			}
			list = append(list, redirection(r, way, d.Message.Received))
			events = s.turned(events, d.Message, r, &list[len(list)-1])
			switch {
			case len(way.To) > 0:
			case way.Why == mail.Paused(d.Message.Client.Login):
				halted = append(halted, mail.Sent{Account: d.Message.Account, Login: d.Message.Client.Login})
			default:
				held = append(held, finding.Finding{Name: finding.QueuedMailHeld, Domain: way.Domain, Evidence: way.Why, Since: now.UTC()})
			}
			s.free(d.Content, r)
		}
		if d.Recipients = here; len(here) > 0 {
			left = append(left, d)
		} else {
			gone = append(gone, d.Message.ID)
		}
	}
	s.mu.Lock()
	token := l.token
	s.mu.Unlock()
	ctx := context.WithoutCancel(s.ctx)
	err := s.spool.Redirect(ctx, account.System(), token, list)
	if err != nil {
		s.log.ErrorContext(ctx, "queued mail not redirected", "lane", string(l.name), "count", len(list), "error", err)
	} else {
		s.redirected(ctx, l, list, held)
		s.record(events, nil)
	}
	s.afterMove(l, gone, list, err)
	s.halted(halted)
	return left
}

// redirection is what becomes of a row by a way. It is due in the order in which messages came.
func redirection(r *mail.Recipient, way *routing.Anew, received time.Time) Redirection {
	out := Redirection{Row: r.Row, From: r.Lane, To: routing.RowsAnew(r, way.To), Reply: way.Why}
	for i := range out.To {
		out.To[i].Next = received
	}
	return out
}

// decide gives the ways of the rows of a batch, by delivery; nil for a delivery that stays whole, and for a batch that
// does. A panic leaves everything where it was.
func (s *Service) decide(l *lane, batch []mail.Delivery) (ways [][]routing.Anew) {
	defer func() {
		if p := recover(); p != nil {
			s.log.ErrorContext(s.ctx, "routes not decided anew", "lane", string(l.name), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			ways = nil
		}
	}()
	view := s.dir.View()
	for i := range batch {
		halt, paused := routing.DecidePaused(view, batch[i].Message)
		for k := range batch[i].Recipients {
			way := halt
			if !paused {
				way = routing.DecideAnew(view, &batch[i].Recipients[k])
			}
			if way.Stays && (ways == nil || ways[i] == nil) {
				continue
			}
			if ways == nil {
				ways = make([][]routing.Anew, len(batch))
			}
			if ways[i] == nil {
				ways[i] = make([]routing.Anew, len(batch[i].Recipients))
				for before := range k {
					ways[i][before].Stays = true
				}
			}
			ways[i][k] = way
		}
	}
	return ways
}

// astray reports whether a row that was attempted goes another way by now, or is to be held: it is looked at again at once.
func (s *Service) astray(m *mail.Message, r *mail.Recipient) bool {
	view := s.dir.View()
	_, paused := routing.DecidePaused(view, m)
	return paused || !routing.DecideAnew(view, r).Stays
}

// redirected logs what was moved and records what is held.
func (s *Service) redirected(ctx context.Context, l *lane, list []Redirection, held []finding.Finding) {
	for i := range list {
		r := &list[i]
		if len(r.To) == 0 {
			s.log.WarnContext(ctx, "held: it does not go on", "queue_id", string(r.Row.ID), "lane", string(l.name), "reason", r.Reply)
			continue
		}
		s.log.InfoContext(ctx, "redirected", "queue_id", string(r.Row.ID), "lane", string(l.name), "to", string(r.To[0].Lane), "recipient", r.To[0].Destination)
	}
	if s.cfg.Findings == nil {
		return
	}
	seen := map[string]bool{}
	for _, f := range held {
		if f.Domain == "" || seen[f.Domain] {
			continue
		}
		seen[f.Domain] = true
		if err := s.cfg.Findings.Find(ctx, f, false); err != nil {
			s.log.ErrorContext(ctx, "finding not recorded", "domain", f.Domain, "finding", string(f.Name), "error", err)
		}
	}
}

// afterMove lets go of what a lane gave away and has the lanes tried that it went to. What could not be moved lies
// where it lay, and is looked at again soon.
func (s *Service) afterMove(l *lane, gone []mail.ID, list []Redirection, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range gone {
		if err == nil {
			l.done(id)
		} else {
			l.leave(id)
		}
	}
	if err != nil {
		l.lookAgain(time.Now().Add(time.Second))
		return
	}
	var lanes []mail.Lane
	for i := range list {
		for k := range list[i].To {
			if to := list[i].To[k].Lane; !slices.Contains(lanes, to) {
				lanes = append(lanes, to)
			}
		}
	}
	now := time.Now()
	for _, name := range lanes {
		if to := s.active[name]; to != nil && !now.Before(to.until) {
			to.afresh = true
			to.more()
			s.staff(to)
		}
	}
	s.poke()
}

// Reroute has the undelivered mail of domains decided anew at once. Their rows become due, so that each is looked at by
// the lane that it lies in and moved from there; an attempt under way is not disturbed. Of a domain that is gone what
// was taken for it is held; what goes by its MX records goes on. What users have sent is held in the same way while they are
// paused, and let go when they are not. After an error it can be asked for again.
func (s *Service) Reroute(ctx context.Context, list []mail.Rerouted) error {
	for _, r := range list {
		if sent, users := r.Sent(); users {
			if err := s.turn(ctx, sent); err != nil {
				return fmt.Errorf("hold or let go what users have sent: %w", err)
			}
			continue
		}
		if r.Kept {
			hold := r.Hold
			if hold <= 0 {
				hold = s.cfg.Hold
			}
			if err := s.inspect.Keep(ctx, account.System(), r.Domain, hold); err != nil {
				return fmt.Errorf("keep the mail of %s for %s: %w", r.Domain, hold, err)
			}
		}
		var err error
		switch {
		case r.Gone:
			err = s.halt(ctx, r.Domain)
		case r.Moved:
			_, err = s.change(ctx, account.System(), Filter{Domain: r.Domain}, mail.Expedite, nil)
		}
		if err != nil {
			return fmt.Errorf("decide anew for the mail of %s: %w", r.Domain, err)
		}
	}
	return nil
}

// byMX reports whether a lane leads to a domain by its MX records.
func byMX(lane mail.Lane, domain string) bool {
	to, _ := routing.ParseRemote(lane.Key())
	return lane.Transport() == mail.TransportRemote && to == domain
}

// haltRows is how many messages of a domain that is gone are held at a time.
const haltRows = 500

// halt holds the mail of a domain that is gone.
func (s *Service) halt(ctx context.Context, domain string) error {
	s.settler.flush()
	f := Filter{Domain: domain, States: []mail.State{mail.StateWaiting, mail.StateLeased, mail.StateDeferred}}
	var after mail.ID
	for {
		page, err := s.inspect.List(ctx, account.System(), f, after, haltRows)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].Message.ID
		var list []Redirection
		var ids []mail.ID
		var lanes []mail.Lane
		var events []trace.Event
		for i := range page {
			for _, r := range page[i].Rows {
				if byMX(r.Lane, domain) {
					continue
				}
				list = append(list, Redirection{Row: r.Row, From: r.Lane, Reply: "the domain is no longer here, or its ownership no longer shown"})
				events = s.turned(events, &page[i].Message, &r, &list[len(list)-1])
				ids = append(ids, r.ID)
				lanes = append(lanes, r.Lane)
			}
		}
		if err := s.spool.Redirect(ctx, account.System(), Token{}, list); err != nil {
			return err
		}
		s.record(events, nil)
		if len(ids) > 0 {
			s.recall(account.System(), Filter{IDs: ids, Domain: domain}, lanes)
		}
	}
}
