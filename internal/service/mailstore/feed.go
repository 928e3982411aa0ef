package mailstore

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"postroad/internal/core/account"
)

// feed wakes those who watch mailboxes.
type feed struct {
	mu       sync.Mutex
	watchers map[string]*watched // by mailbox
}

// watched is a mailbox that somebody watches.
type watched struct {
	wakes   []*watcher
	version int64 // as last seen in the store; 0 before the first look
}

type watcher struct{ wake func() }

// Watch has wake called after every change in a mailbox: deliveries, flags, removals, folders. It is called by whoever
// made the change, before that one goes on, so it must not wait; several changes may be one call. stop ends it; wake
// may be running when stop returns.
func (s *Service) Watch(box string, wake func()) (stop func()) {
	w := &watcher{wake}
	f := &s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.watchers[box]
	if at == nil {
		at = &watched{}
		f.watchers[box] = at
	}
	at.wakes = append(at.wakes, w)
	return func() { f.drop(box, w) }
}

func (f *feed) drop(box string, w *watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.watchers[box]
	if at == nil {
		return
	}
	if i := slices.Index(at.wakes, w); i >= 0 {
		at.wakes = slices.Delete(slices.Clone(at.wakes), i, i+1) // a call may be going through the old list
	}
	if len(at.wakes) == 0 {
		delete(f.watchers, box)
	}
}

// wake tells those who watch a mailbox that it has changed.
func (f *feed) wake(box string) {
	f.mu.Lock()
	var list []*watcher
	if at := f.watchers[box]; at != nil {
		list = at.wakes
	}
	f.mu.Unlock()
	for _, w := range list {
		w.wake()
	}
}

// pollEvery is the time between two looks for changes that other nodes made.
const pollEvery = 500 * time.Millisecond

// pollStep is how many mailboxes are asked for at a time.
const pollStep = 2000

// Poll looks for changes that other nodes of the installation made in watched mailboxes, until ctx ends. Where one
// process has the store to itself nobody needs it.
func (s *Service) Poll(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	away := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.poll(ctx)
		if err != nil && !away && ctx.Err() == nil {
			log.ErrorContext(ctx, "changes of other nodes cannot be seen now", "error", err)
		}
		away = err != nil
	}
}

func (s *Service) poll(ctx context.Context) error {
	f := &s.feed
	f.mu.Lock()
	ids := make([]string, 0, len(f.watchers))
	for id := range f.watchers {
		ids = append(ids, id)
	}
	f.mu.Unlock()
	for part := range slices.Chunk(ids, pollStep) {
		versions, err := s.store.Versions(ctx, account.System(), part)
		if err != nil {
			return err
		}
		var others []string
		f.mu.Lock()
		for _, id := range part {
			version, there := versions[id]
			if !there {
				version = -1 // it was removed
			}
			if at := f.watchers[id]; at != nil && at.version != version {
				at.version = version
				others = append(others, id) // also at the first look: something may have come before it
			}
		}
		f.mu.Unlock()
		for _, id := range others {
			f.wake(id)
		}
	}
	return nil
}
