package checks_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/service/checks"
)

// keys remembers when the keys of domains were looked after.
type keys struct {
	mu     sync.Mutex
	begun  time.Time
	looks  map[string][]time.Duration
	needed map[string]int
	takes  time.Duration
}

func (k *keys) CheckDKIM(_ context.Context, domain string, needed bool) (time.Duration, bool, error) {
	<-time.After(k.takes)
	k.mu.Lock()
	defer k.mu.Unlock()
	if needed {
		k.needed[domain]++
		return time.Hour, true, nil
	}
	k.looks[domain] = append(k.looks[domain], time.Since(k.begun))
	return time.Hour, k.takes > 0, nil
}

func TestKeysAreLookedAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{domains: map[string]directory.Domain{}}
		for _, name := range []string{"a.example", "inert.example"} {
			w.domains[name] = directory.Domain{ID: name, Name: name, Proved: name != "inert.example"}
		}
		k := &keys{begun: time.Now(), looks: map[string][]time.Duration{}, needed: map[string]int{}, takes: time.Second}
		rounds := checks.NewKeys(w, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { rounds.Run(ctx, k); close(done) }()
		time.Sleep(10 * time.Minute)
		for range 1000 { // more than may wait
			rounds.Needed("b.example")
		}
		time.Sleep(5 * time.Hour)
		cancel()
		<-done
		k.mu.Lock()
		defer k.mu.Unlock()
		if n := len(k.looks["a.example"]); n < 4 || n > 6 || len(k.looks["inert.example"]) != 0 || k.looks["a.example"][0] > 2*time.Second {
			t.Errorf("looks %v", k.looks)
		}
		if n := k.needed["b.example"]; n == 0 || n > 65 {
			t.Errorf("%d looks for a domain that needs keys", n)
		}
	})
}
