package checks

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"postroad/internal/core/directory"
)

const (
	keysAtOnce = 4
	mostNeeds  = 64 // domains that wait for keys
	restAfter  = 8  // making keys is work that nobody waits for: it is followed by a pause of so many times as long
)

// Keys looks after the keys by which domains' mail is signed.
type Keys interface {
	// CheckDKIM looks at what the world has of a domain's keys and does what follows; needed says that keys are made at
	// once where they are lacking. It says when to look again, and whether keys were made.
	CheckDKIM(ctx context.Context, domain string, needed bool) (again time.Duration, made bool, err error)
}

// KeyRounds looks after the keys of all domains, and at once of those whose mail is to be signed and that have none.
type KeyRounds struct {
	*Rounds

	keys  Keys
	needs chan string
	log   *slog.Logger
}

// NewKeys makes rounds over the domains whose ownership is shown.
func NewKeys(dir Directory, log *slog.Logger) *KeyRounds {
	k := &KeyRounds{needs: make(chan string, mostNeeds), log: log}
	k.Rounds = NewRounds(dir, func(d *directory.Domain) bool { return d.Proved }, keysAtOnce, func(ctx context.Context, d *directory.Domain) time.Duration {
		return k.check(ctx, d.Name, false)
	})
	return k
}

// Needed has the keys of a domain made soon. It does not wait; where too many wait already, the next message asks again.
func (k *KeyRounds) Needed(domain string) {
	select {
	case k.needs <- domain:
	default:
	}
}

// Run goes on until ctx ends.
func (k *KeyRounds) Run(ctx context.Context, keys Keys) {
	k.keys = keys
	var rounds sync.WaitGroup
	defer rounds.Wait()
	rounds.Go(func() { k.Rounds.Run(ctx) })
	for {
		select {
		case <-ctx.Done():
			return
		case domain := <-k.needs:
			k.check(ctx, domain, true)
		}
	}
}

func (k *KeyRounds) check(ctx context.Context, domain string, needed bool) time.Duration {
	begun := time.Now()
	again, made, err := k.keys.CheckDKIM(ctx, domain, needed)
	if err != nil && ctx.Err() == nil {
		k.log.ErrorContext(ctx, "DKIM keys not looked after", "domain", domain, "error", err)
	}
	if made && !needed {
		rest := time.NewTimer(restAfter * time.Since(begun))
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
	}
	return again
}
