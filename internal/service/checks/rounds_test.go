package checks_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/service/checks"
)

// proofs notes when which domain was looked at.
type proofs struct {
	mu    sync.Mutex
	begun time.Time
	looks map[string][]time.Duration
}

func (p *proofs) CheckProof(_ context.Context, domain string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks[domain] = append(p.looks[domain], time.Since(p.begun))
	return nil
}

func TestProofsAreLookedForOnceADayAndMoreOftenOnceLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		w := &world{domains: map[string]directory.Domain{}}
		for name, p := range map[string]directory.Proof{
			"txt.example":      {By: directory.ProofTXT, At: now},
			"ns.example":       {By: directory.ProofDelegation, At: now},
			"lost.example":     {By: directory.ProofTXT, At: now, Lost: now},
			"operator.example": {By: directory.ProofOperator, At: now},
		} {
			w.domains[name] = directory.Domain{ID: name, Name: name, Proved: true, Proof: p}
		}
		w.domains["never.example"] = directory.Domain{ID: "never", Name: "never.example"}
		p := &proofs{begun: now, looks: map[string][]time.Duration{}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { checks.NewProofs(w, p, slog.New(slog.DiscardHandler)).Run(ctx); close(done) }()
		<-time.After(26 * time.Hour)
		w.mu.Lock()
		delete(w.domains, "ns.example")
		w.mu.Unlock()
		<-time.After(26 * time.Hour)
		cancel()
		<-done
		p.mu.Lock()
		defer p.mu.Unlock()
		for name, want := range map[string][2]int{"txt.example": {2, 3}, "ns.example": {1, 2}, "lost.example": {45, 53}, "operator.example": {0, 0}, "never.example": {0, 0}} {
			if n := len(p.looks[name]); n < want[0] || n > want[1] {
				t.Errorf("%s: %d looks in 52 hours: %v", name, n, p.looks[name])
			}
		}
		if first := p.looks["txt.example"]; len(first) == 0 || first[0] > time.Second || slices.Max(first) < 24*time.Hour {
			t.Errorf("looks at %v", first)
		}
	})
}

func TestAStartIsNotSpentOnLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{domains: map[string]directory.Domain{}}
		for i := range 100 {
			name := fmt.Sprintf("d%d.example", i)
			w.domains[name] = directory.Domain{ID: name, Name: name, Zone: directory.ZoneHosted, Proved: true}
		}
		var mu sync.Mutex
		seen := map[string]int{}
		looks := func() (all, fresh int) {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return len(seen), seen["new.example"]
		}
		r := checks.NewRounds(w, func(*directory.Domain) bool { return true }, 4, func(_ context.Context, d *directory.Domain) time.Duration {
			mu.Lock()
			defer mu.Unlock()
			seen[d.Name]++
			return time.Hour
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.Run(ctx); close(done) }()
		if n, _ := looks(); n == 0 || n > 50 {
			t.Errorf("%d of 100 domains looked at in the moment of the start", n)
		}
		w.mu.Lock()
		w.domains["new.example"] = directory.Domain{ID: "new", Name: "new.example", Zone: directory.ZoneHosted, Proved: true}
		w.mu.Unlock()
		<-time.After(1100 * time.Millisecond)
		if _, fresh := looks(); fresh != 1 {
			t.Error("a domain that is new waits for those that were there")
		}
		<-time.After(time.Minute)
		if n, _ := looks(); n != 101 {
			t.Errorf("%d of 101 domains looked at in a minute", n)
		}
		cancel()
		<-done
	})
}
