// Package sending holds what our own users send against limits: recipients in an hour and in a day, of each login, of its
// domain, and of its account.
//
// A login that goes on over its own limits is paused.
//
// What is counted is written once a second, by all nodes into one place, so that a crash forgets the last second and
// nothing else, and other nodes count it a second later.
//
// # Failure
//
// While the store cannot be written, this node goes on counting for itself, and writes it all later.
package sending

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
	"postroad/internal/obs"
)

const (
	flushEvery = time.Second
	flushTime  = 30 * time.Second // the longest wait for the store
	keptDays   = 2                // tallies of earlier days are forgotten
)

// Config are the limits of the installation.
type Config struct {
	Login, Domain, Account sending.Limits
	// PauseAfter is how many recipients of a login are refused by its own limits in one hour of UTC, by this node, before it is
	// paused; 0: it never is.
	PauseAfter int64
	// Pause pauses a login; required with PauseAfter.
	Pause func(ctx context.Context, login, reason string) error
}

// Limits are those of a kind of sender.
func (c *Config) Limits(kind sending.Kind) sending.Limits {
	switch kind {
	case sending.Login:
		return c.Login
	case sending.Domain:
		return c.Domain
	case sending.Account:
		return c.Account
	}
	return sending.Limits{}
}

// Service counts. Its methods may be called from several goroutines.
type Service struct {
	cfg   Config
	store Store
	log   *slog.Logger
	stop  chan struct{}
	done  chan struct{}

	mu      sync.Mutex
	senders map[sending.Key]*sender
	over    map[string]string // logins that are to be paused, and why
	failing bool
}

// sender is what is known of one.
type sender struct {
	account account.ID
	tally   sending.Tally // of all nodes, as far as they have told, with unsaved
	unsaved sending.Tally // of this node
	refused sending.Tally // of a login, by its own limits, by this node
}

// New makes a service; Start starts it.
func New(cfg Config, store Store, log *slog.Logger) *Service {
	return &Service{cfg: cfg, store: store, log: log, senders: map[sending.Key]*sender{}, over: map[string]string{}, stop: make(chan struct{}), done: make(chan struct{})}
}

// Start reads what was counted before, and writes from then on.
func (s *Service) Start(ctx context.Context) error {
	list, err := s.store.Tallies(ctx, account.System(), sending.At(time.Now()).Day)
	if err != nil {
		return err
	}
	for _, c := range list {
		s.senders[c.Key] = &sender{account: c.Account, tally: c.Tally}
	}
	go s.run()
	return nil
}

// Stop writes what is not written yet, and ends.
func (s *Service) Stop(ctx context.Context) {
	close(s.stop)
	<-s.done
	s.flush(ctx)
}

func (s *Service) run() {
	defer close(s.done)
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			ctx, cancel := context.WithTimeout(context.Background(), flushTime)
			s.flush(ctx)
			s.pause(ctx)
			cancel()
		}
	}
}

// Take counts a recipient of a login's mail, or says why it must not be taken now, as the text of a reply.
func (s *Service) Take(login string, owner account.ID) (refusal string) {
	now := time.Now()
	domain := login[strings.LastIndexByte(login, '@')+1:]
	keys := [...]sending.Key{{Kind: sending.Login, ID: login}, {Kind: sending.Domain, ID: domain}, {Kind: sending.Account, ID: string(owner)}}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found [len(keys)]*sender
	for i, k := range keys {
		found[i] = s.find(k, owner)
		name := k.ID
		if k.Kind == sending.Account {
			name = "of " + login
		}
		if text := s.limits(k.Kind).Refuse(k.Kind, name, found[i].tally, now); text != "" {
			if k.Kind == sending.Login {
				s.refuse(login, found[i], now)
			}
			return text
		}
	}
	one := once(now)
	for _, f := range found {
		f.tally, f.unsaved = f.tally.Plus(one), f.unsaved.Plus(one)
	}
	return ""
}

// once is the tally of one recipient.
func once(now time.Time) sending.Tally {
	one := sending.At(now)
	one.HourCount, one.DayCount = 1, 1
	return one
}

// refuse counts a recipient of a login that was refused by its own limits. s.mu is held.
func (s *Service) refuse(login string, f *sender, now time.Time) {
	f.refused = f.refused.Plus(once(now))
	if s.cfg.PauseAfter == 0 || f.refused.HourCount < s.cfg.PauseAfter {
		return
	}
	s.over[login] = fmt.Sprintf("%d recipients over its limit in the hour from %s UTC on", f.refused.HourCount, now.UTC().Truncate(time.Hour).Format("2006-01-02 15:04"))
	f.refused = sending.Tally{} // of a login that is resumed it is counted anew
}

// pause has logins paused that went on over their limits. What fails is done the next time.
func (s *Service) pause(ctx context.Context) {
	s.mu.Lock()
	over := s.over
	s.over = map[string]string{}
	s.mu.Unlock()
	for login, why := range over {
		err := s.cfg.Pause(ctx, login, why)
		if err == nil {
			s.log.WarnContext(ctx, "login paused", slog.String("login", login), slog.String("reason", why))
			continue
		}
		s.log.ErrorContext(ctx, "login not paused", slog.String("login", login), slog.Any(obs.KeyError, err))
		s.mu.Lock()
		s.over[login] = why
		s.mu.Unlock()
	}
}

func (s *Service) limits(kind sending.Kind) sending.Limits { return s.cfg.Limits(kind) }

// find gives a sender, who belongs to that account from now on.
func (s *Service) find(k sending.Key, owner account.ID) *sender {
	f, ok := s.senders[k]
	if !ok {
		f = &sender{}
		s.senders[k] = f
	}
	f.account = owner
	return f
}

// Limits are those of a kind of sender.
func (s *Service) Limits(kind sending.Kind) sending.Limits { return s.limits(kind) }

// Counts gives the tallies of all senders in scope who have sent today, by kind and name.
func (s *Service) Counts(scope account.Scope) []sending.Count {
	now := sending.At(time.Now())
	s.mu.Lock()
	var out []sending.Count
	for k, f := range s.senders {
		if t := now.Plus(f.tally); t.DayCount > 0 && scope.Has(f.account) {
			out = append(out, sending.Count{Key: k, Account: f.account, Tally: t})
		}
	}
	s.mu.Unlock()
	order := sending.Kinds()
	slices.SortFunc(out, func(a, b sending.Count) int {
		if a.Kind != b.Kind {
			return slices.Index(order, a.Kind) - slices.Index(order, b.Kind)
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// flush writes what is not written, and learns what others have written of the same senders.
func (s *Service) flush(ctx context.Context) {
	today := sending.At(time.Now()).Day
	added := s.unsaved(today)
	if len(added) == 0 {
		return
	}
	now, err := s.store.AddTallies(ctx, account.System(), added, today-keptDays)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		for _, c := range added {
			f := s.find(c.Key, c.Account)
			f.unsaved = f.unsaved.Plus(c.Tally)
		}
		if !s.failing {
			s.log.ErrorContext(ctx, "what users have sent is not written", slog.Any(obs.KeyError, err))
		}
		s.failing = true
		return
	}
	s.failing = false
	for _, c := range now {
		if f, ok := s.senders[c.Key]; ok {
			f.tally = c.Plus(f.unsaved)
		}
	}
}

// unsaved takes what is not written yet, and forgets senders who have not sent today.
func (s *Service) unsaved(today int64) []sending.Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []sending.Count
	for k, f := range s.senders {
		switch {
		case f.unsaved.DayCount > 0:
			out = append(out, sending.Count{Key: k, Account: f.account, Tally: f.unsaved})
			f.unsaved = sending.Tally{}
		case f.tally.Day < today:
			delete(s.senders, k)
		}
	}
	return out
}
