package queue

import (
	"context"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
)

// List gives messages by id from behind after on, at most limit, with the rows that the filter selects.
func (s *Service) List(ctx context.Context, scope account.Scope, f Filter, after mail.ID, limit int) ([]Listed, error) {
	return s.inspect.List(ctx, scope, f, after, limit)
}

// Count gives totals over what the filter selects. Outcomes not yet recorded are recorded first.
func (s *Service) Count(ctx context.Context, scope account.Scope, f Filter) (Counts, error) {
	s.settler.flush()
	return s.inspect.Count(ctx, scope, f, time.Now())
}

// Body gives a queued message's content; ErrNoMessage.
func (s *Service) Body(ctx context.Context, scope account.Scope, id mail.ID) (mail.Content, error) {
	return s.spool.Body(ctx, scope, id)
}

// Change applies an action of somebody's to what the filter selects and gives the number of rows changed. Lanes
// with rows made due are tried at once, whatever their back-off; what is held or dropped leaves memory, so that at
// most an attempt under way still delivers it. After an error the number tells how far it came.
func (s *Service) Change(ctx context.Context, scope account.Scope, f Filter, a Action, by string) (int64, error) {
	return s.change(ctx, scope, f, a, func(rows []mail.Recipient) { s.recordAction(rows, a, by) })
}

func (s *Service) change(ctx context.Context, scope account.Scope, f Filter, a Action, changed func([]mail.Recipient)) (int64, error) {
	s.settler.flush()
	n, lanes, err := s.inspect.Change(ctx, scope, f, a, time.Now(), changed)
	switch a {
	case mail.Expedite, mail.Release:
		s.kick(lanes)
	case mail.Hold, mail.Drop:
		s.recall(scope, f, lanes)
	}
	return n, err
}

// recall takes out of memory what an action may have changed; the store says what is left of it.
func (s *Service) recall(scope account.Scope, f Filter, lanes []mail.Lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range lanes {
		l := s.active[name]
		if l == nil {
			continue
		}
		l.outdated = l.fetching
		before := len(l.pending)
		l.pending = slices.DeleteFunc(l.pending, func(d mail.Delivery) bool {
			if !concerned(scope, f, d) {
				return false
			}
			s.letGo(d)
			l.held -= weight(d)
			l.leave(d.Message.ID)
			return true
		})
		if len(l.pending) < before {
			l.cursor = Cursor{}
			l.more() // other rows of these messages
		}
		s.staff(l)
	}
}

// concerned reports whether a filter may select a row of a delivery, whose state in memory may be old.
func concerned(scope account.Scope, f Filter, d mail.Delivery) bool {
	if !f.Sent.Has(d.Message) || len(f.IDs) > 0 && !slices.Contains(f.IDs, d.Message.ID) || !f.OlderThan.IsZero() && !d.Message.Received.Before(f.OlderThan) {
		return false
	}
	return slices.ContainsFunc(d.Recipients, func(r mail.Recipient) bool {
		return (scope.IsSystem() || scope.Has(r.Account)) &&
			(f.Domain == "" || strings.HasSuffix(strings.ToLower(r.Destination), "@"+strings.ToLower(f.Domain)))
	})
}
