package transfers

import (
	"context"
	"log/slog"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/obs"
)

// followEvery is how often it is looked whether another node has fetched a zone.
const followEvery = time.Second

// Follow answers for what other nodes of the installation fetch from primaries, until ctx ends: a NOTIFY reaches one of them.
func (s *Service) Follow(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var failures obs.Rarely
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.catchUp(ctx); err != nil && ctx.Err() == nil {
			failures.Warn(ctx, s.o.Log, "zones that other nodes have fetched are not taken up", slog.Any(obs.KeyError, err))
		}
	}
}

// catchUp shows the copies that are others in the store.
func (s *Service) catchUp(ctx context.Context) error {
	s.mu.Lock()
	none := len(s.copies) == 0
	s.mu.Unlock()
	if none {
		return nil
	}
	stored, err := s.o.Store.CopySerials(ctx, account.System())
	if err != nil {
		return err
	}
	var newer []string
	s.mu.Lock()
	for domain, z := range s.copies {
		if serial, there := stored[domain]; there && (!z.have || serial != z.serial) {
			newer = append(newer, domain)
		}
	}
	s.mu.Unlock()
	for _, domain := range newer {
		if err := s.show(ctx, domain); err != nil {
			return err
		}
	}
	return nil
}
