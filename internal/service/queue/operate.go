package queue

import (
	"context"
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

// Change applies an operator's action to what the filter selects and gives the number of rows changed. Lanes
// with rows made due are tried at once, whatever their back-off.
func (s *Service) Change(ctx context.Context, scope account.Scope, f Filter, a Action) (int64, error) {
	s.settler.flush()
	n, lanes, err := s.inspect.Change(ctx, scope, f, a, time.Now())
	if err != nil {
		return 0, err
	}
	if a == mail.Expedite || a == mail.Release {
		s.kick(lanes)
	}
	return n, nil
}
