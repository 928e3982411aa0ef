package checks

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"postroad/internal/core/directory"
)

// Rounds looks at domains again and again, each at a pace of its own: those that are new to it at once.
type Rounds struct {
	dir    Directory
	wants  func(d *directory.Domain) bool
	look   func(ctx context.Context, d *directory.Domain) (again time.Duration)
	atOnce int

	mu   sync.Mutex
	next map[string]time.Time // by domain id; zero while it is being looked at
}

// NewRounds makes rounds over the domains that wants wants. look does what there is to do and says when to come again;
// at most atOnce of them run at a time.
func NewRounds(dir Directory, wants func(d *directory.Domain) bool, atOnce int, look func(ctx context.Context, d *directory.Domain) time.Duration) *Rounds {
	return &Rounds{dir: dir, wants: wants, look: look, atOnce: atOnce, next: map[string]time.Time{}}
}

// Run goes on until ctx ends.
func (r *Rounds) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, r.atOnce)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		for _, d := range r.due(time.Now()) {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			running.Go(func() {
				defer func() { <-places }()
				again := max(r.look(ctx, d), leastWait)
				r.mu.Lock()
				defer r.mu.Unlock()
				r.next[d.ID] = time.Now().Add(again + rand.N(again/10))
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// due lists the domains whose time has come, and forgets those that are gone.
func (r *Rounds) due(now time.Time) []*directory.Domain {
	snap := r.dir.View().Directory
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*directory.Domain
	there := 0
	for d := range snap.Domains() {
		if !r.wants(d) {
			continue
		}
		there++
		next, known := r.next[d.ID]
		if !known || !next.IsZero() && !now.Before(next) {
			r.next[d.ID] = time.Time{}
			out = append(out, d)
		}
	}
	if len(r.next) > there {
		wanted := make(map[string]bool, there)
		for d := range snap.Domains() {
			wanted[d.ID] = r.wants(d)
		}
		for id, next := range r.next {
			if !wanted[id] && !next.IsZero() {
				delete(r.next, id)
			}
		}
	}
	return out
}
