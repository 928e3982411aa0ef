package checks

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"postroad/internal/core/directory"
)

// pace has domains looked at until ctx ends: every tick those that due names, most of them at most, atOnce at a time.
func pace(ctx context.Context, atOnce, most int, due func(now time.Time, most int) []*directory.Domain, look func(ctx context.Context, d *directory.Domain)) {
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, atOnce)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		for _, d := range due(time.Now(), most) {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			running.Go(func() {
				defer func() { <-places }()
				look(ctx, d)
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// spread is when the domain of a number is looked at first after a start: those of a large installation one after the
// other, so that the start is not spent on them.
func spread(now time.Time, number, most int) time.Time {
	return now.Add(time.Duration(number/most) * tick)
}

// Rounds looks at domains again and again, each at a pace of its own: those that are new to it at once, those that were
// there at the start a few at a time.
type Rounds struct {
	dir    Directory
	wants  func(d *directory.Domain) bool
	look   func(ctx context.Context, d *directory.Domain) (again time.Duration)
	atOnce int

	mu    sync.Mutex
	begun bool
	next  map[string]time.Time // by domain id; zero while it is being looked at
}

// mostRounds is how many looks of a kind of Rounds begin in a tick.
const mostRounds = 20

// NewRounds makes rounds over the domains that wants wants. look does what there is to do and says when to come again;
// at most atOnce of them run at a time.
func NewRounds(dir Directory, wants func(d *directory.Domain) bool, atOnce int, look func(ctx context.Context, d *directory.Domain) time.Duration) *Rounds {
	return &Rounds{dir: dir, wants: wants, look: look, atOnce: atOnce, next: map[string]time.Time{}}
}

// Run goes on until ctx ends.
func (r *Rounds) Run(ctx context.Context) {
	pace(ctx, r.atOnce, mostRounds, r.due, func(ctx context.Context, d *directory.Domain) {
		again := max(r.look(ctx, d), leastWait)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.next[d.ID] = time.Now().Add(again + rand.N(again/10))
	})
}

// due lists the domains whose time has come, most of them at most and new ones first, and forgets those that are gone.
func (r *Rounds) due(now time.Time, most int) []*directory.Domain {
	snap := r.dir.View().Directory
	r.mu.Lock()
	defer r.mu.Unlock()
	var fresh, again []*directory.Domain
	there := 0
	for d := range snap.Domains() {
		if !r.wants(d) {
			continue
		}
		if _, known := r.next[d.ID]; !known && !r.begun {
			r.next[d.ID] = spread(now, there, most)
		}
		there++
		switch next, known := r.next[d.ID]; {
		case !known:
			fresh = append(fresh, d)
		case !next.IsZero() && !now.Before(next):
			again = append(again, d)
		}
	}
	r.begun = true
	out := first(most, fresh, again)
	for _, d := range out {
		r.next[d.ID] = time.Time{}
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

// first gives the first domains of two lists, most of them at most.
func first(most int, fresh, again []*directory.Domain) []*directory.Domain {
	all := append(fresh, again...)
	return all[:min(most, len(all))]
}
