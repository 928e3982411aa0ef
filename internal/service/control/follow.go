package control

import (
	"context"
	"log/slog"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/obs"
)

// followEvery is how often it is looked whether another node has changed the configuration.
const followEvery = 500 * time.Millisecond

// Follow takes up what other nodes of the installation change, until ctx ends. Without it this node goes by what it has read
// until a change of its own is refused for that.
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
			failures.Warn(ctx, s.o.Log, "what other nodes have changed is not taken up", slog.Any(obs.KeyError, err))
		}
	}
}

// catchUp takes up what has changed, if anything has.
func (s *Service) catchUp(ctx context.Context) error {
	version, err := s.o.Store.CurrentVersion(ctx, account.System())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.current.Load()
	if version > before.Directory.Version() {
		if err := s.reload(ctx); err != nil {
			return err
		}
	} else if s.behind == nil {
		return nil
	}
	return s.follow(ctx, before)
}

// follow has everything go by a configuration that another node has made of the one before. What fails is done by the next
// catchUp. s.mu is held.
func (s *Service) follow(ctx context.Context, before *state) error {
	if s.behind == nil {
		s.behind = before
	}
	st := s.current.Load()
	names, err := s.zones.Changed(ctx, s.behind, st)
	if err != nil {
		return err
	}
	if err := s.zones.Again(ctx, st, names); err != nil {
		return err
	}
	if s.o.Exchange != nil {
		if err := s.o.Exchange.Reload(ctx); err != nil {
			return err
		}
	}
	if s.o.Keyring != nil {
		for d := range st.Directory.Domains() {
			s.o.Keyring.Forget(d.Name)
		}
	}
	s.behind = nil
	s.o.Log.InfoContext(ctx, "took up what another node has changed", slog.Int64(obs.KeyVersion, st.Directory.Version()), slog.Int("zones", len(names)))
	return nil
}
