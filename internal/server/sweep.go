package server

import (
	"context"
	"maps"
	"time"

	"postroad/internal/core/account"
)

// sweepEvery is the time between two looks for content files that nobody owns: what a crash or a failed commit left.
const sweepEvery = time.Hour

// passed is after how long without a repetition a finding of something that happened is forgotten.
const passed = 48 * time.Hour

// sweep removes them while the server runs, none younger than a day (docs/durability.md, Bodies).
func (s *Server) sweep(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	s.atEnd(func(context.Context) { cancel() })
	s.serving.Go(func() {
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			n, err := s.stores.blobs.Sweep(time.Now(), func(names []string) (map[string]bool, error) { return s.owned(ctx, names) })
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				s.log.ErrorContext(ctx, "content files not swept", "error", err)
			case n > 0:
				s.log.InfoContext(ctx, "content files swept", "count", n)
			}
			if err := s.stores.control.ForgetPassed(ctx, account.System(), time.Now().Add(-passed)); err != nil && ctx.Err() == nil {
				s.log.ErrorContext(ctx, "findings of what has passed not forgotten", "error", err)
			}
			if err := s.control.ForgetDeparted(ctx); err != nil && ctx.Err() == nil {
				s.log.ErrorContext(ctx, "removed domains not forgotten", "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return nil
}

// owned tells which content files belong to queue or mailboxes.
func (s *Server) owned(ctx context.Context, names []string) (map[string]bool, error) {
	owned, err := s.stores.queue.Owns(ctx, names)
	if err != nil {
		return nil, err
	}
	boxes, err := s.stores.mail.Owns(ctx, names)
	if err != nil {
		return nil, err
	}
	maps.Copy(owned, boxes)
	return owned, nil
}
