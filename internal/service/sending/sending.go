// Package sending holds what our own users send against limits: recipients in an hour and in a day, of each login, of its
// domain, and of its account.
//
// A login that goes on over its own limits is paused.
//
// What is counted is written once a second, by all nodes into one place, so that a crash forgets the last second and
// nothing else. One node counts exactly. Where several share a store each reads what the others have counted of a sender when
// it meets it, at most every two seconds: a limit can be passed by what all others together take of one sender in that time
// and the second before they write it.
//
// # Failure
//
// While the store cannot be written or read, this node goes on counting for itself, and writes it all later.
package sending

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
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
	learnAfter = 2 * time.Second  // how old what is known of other nodes may be
	learnTime  = 2 * time.Second  // the longest wait for that while a client waits
)

// Config are the limits of the installation.
type Config struct {
	Login, Domain, Account sending.Limits
	// Rule gives what was decided of a sender, as of now; nil: nothing is of any.
	Rule func(k sending.Key) sending.Rule
	// Shared: other nodes count in the same store.
	Shared bool
	// PauseAfter is how many recipients of a login are refused by its own limits in one hour of UTC, by this node, before it is
	// paused; 0: it never is.
	PauseAfter int64
	// Pause pauses a login of an account; required with PauseAfter.
	Pause func(ctx context.Context, owner account.ID, login, reason string) error
}

// Limits are the installation's for a kind of sender.
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

	// io is held while what was counted goes to the store, or is read from there, so that none of it counts twice.
	io sync.Mutex

	mu      sync.Mutex
	senders map[sending.Key]*sender
	over    map[sending.Key]string // logins that are to be paused, and why
	failing bool
}

// sender is what is known of one.
type sender struct {
	tally   sending.Tally // of all nodes, as far as they have told, with unsaved
	unsaved sending.Tally // of this node
	refused sending.Tally // of a login, by its own limits, by this node
	told    time.Time     // when the store has said what all nodes have counted
}

// New makes a service; Start starts it.
func New(cfg Config, store Store, log *slog.Logger) *Service {
	if cfg.Rule == nil {
		cfg.Rule = func(k sending.Key) sending.Rule { return sending.Rule{Key: k} }
	}
	return &Service{cfg: cfg, store: store, log: log, senders: map[sending.Key]*sender{}, over: map[sending.Key]string{}, stop: make(chan struct{}), done: make(chan struct{})}
}

// Start reads what was counted before, and writes from then on.
func (s *Service) Start(ctx context.Context) error {
	list, err := s.store.Tallies(ctx, account.System(), sending.At(time.Now()).Day)
	if err != nil {
		return err
	}
	for _, c := range list {
		s.senders[c.Key] = &sender{tally: c.Tally}
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
	keys := sending.KeysOf(owner, login)
	if s.cfg.Shared {
		s.learn(keys[:])
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var found [len(keys)]*sender
	for i, k := range keys {
		found[i] = s.find(k)
		name := k.ID
		if k.Kind == sending.Account {
			name = "of " + login
		}
		if text := s.limits(k).Refuse(k.Kind, name, found[i].tally, now); text != "" {
			if k.Kind == sending.Login {
				s.refuse(k, found[i], now)
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

// limits are those of a sender.
func (s *Service) limits(k sending.Key) sending.Limits {
	rule := s.cfg.Rule(k)
	return rule.Limits(s.cfg.Limits(k.Kind))
}

// once is the tally of one recipient.
func once(now time.Time) sending.Tally {
	one := sending.At(now)
	one.HourCount, one.DayCount = 1, 1
	return one
}

// refuse counts a recipient of a login that was refused by its own limits. s.mu is held.
func (s *Service) refuse(login sending.Key, f *sender, now time.Time) {
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
	s.over = map[sending.Key]string{}
	s.mu.Unlock()
	for login, why := range over {
		err := s.cfg.Pause(ctx, login.Account, login.ID, why)
		if err == nil {
			s.log.WarnContext(ctx, "login paused", slog.String("login", login.ID), slog.String("reason", why))
			continue
		}
		s.log.ErrorContext(ctx, "login not paused", slog.String("login", login.ID), slog.Any(obs.KeyError, err))
		s.mu.Lock()
		s.over[login] = why
		s.mu.Unlock()
	}
}

// find gives a sender. s.mu is held.
func (s *Service) find(k sending.Key) *sender {
	f, ok := s.senders[k]
	if !ok {
		f = &sender{}
		s.senders[k] = f
	}
	return f
}

// Limits are the installation's for a kind of sender.
func (s *Service) Limits(kind sending.Kind) sending.Limits { return s.cfg.Limits(kind) }

// learn reads what other nodes have counted of senders, where that was not done just now. What cannot be read, and what is
// being written at the moment, is left for the next time.
func (s *Service) learn(keys []sending.Key) {
	now := time.Now()
	s.mu.Lock()
	old := slices.ContainsFunc(keys, func(k sending.Key) bool { return now.Sub(s.find(k).told) >= learnAfter })
	s.mu.Unlock()
	if !old || !s.io.TryLock() {
		return
	}
	defer s.io.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), learnTime)
	defer cancel()
	list, err := s.store.TalliesOf(ctx, account.System(), keys)
	if err != nil {
		s.complain(ctx, "what other nodes have counted is not known", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		s.find(k).told = now // a store that fails is not asked for each recipient
	}
	for _, c := range list {
		f := s.find(c.Key)
		f.tally = c.Plus(f.unsaved)
	}
}

// Counts gives the tallies of all senders in scope who have sent today.
func (s *Service) Counts(ctx context.Context, scope account.Scope) ([]sending.Count, error) {
	now := sending.At(time.Now())
	all := map[sending.Key]sending.Tally{}
	if s.cfg.Shared {
		s.io.Lock()
		defer s.io.Unlock()
		list, err := s.store.Tallies(ctx, scope, now.Day)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			all[c.Key] = c.Tally
		}
	}
	s.mu.Lock()
	for k, f := range s.senders {
		switch {
		case !scope.Has(k.Account):
		case s.cfg.Shared:
			all[k] = all[k].Plus(f.unsaved)
		default:
			all[k] = f.tally
		}
	}
	s.mu.Unlock()
	var out []sending.Count
	for k, t := range all {
		if t = now.Plus(t); t.DayCount > 0 {
			out = append(out, sending.Count{Key: k, Tally: t})
		}
	}
	return out, nil
}

// flush writes what is not written, and learns what others have written of the same senders.
func (s *Service) flush(ctx context.Context) {
	s.io.Lock()
	defer s.io.Unlock()
	today := sending.At(time.Now()).Day
	added := s.unsaved(today)
	if len(added) == 0 {
		return
	}
	told, err := s.store.AddTallies(ctx, account.System(), added, today-keptDays)
	if err != nil {
		s.complain(ctx, "what users have sent is not written", err)
	}
	at := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		for _, c := range added {
			f := s.find(c.Key)
			f.unsaved = f.unsaved.Plus(c.Tally)
		}
		return
	}
	s.failing = false
	for _, c := range told {
		if f, ok := s.senders[c.Key]; ok {
			f.tally, f.told = c.Plus(f.unsaved), at
		}
	}
}

// complain logs once that the store fails, until something is written again.
func (s *Service) complain(ctx context.Context, what string, err error) {
	s.mu.Lock()
	again := s.failing
	s.failing = true
	s.mu.Unlock()
	if !again {
		s.log.ErrorContext(ctx, what, slog.Any(obs.KeyError, err))
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
			out = append(out, sending.Count{Key: k, Tally: f.unsaved})
			f.unsaved = sending.Tally{}
		case f.tally.Day < today:
			delete(s.senders, k)
		}
	}
	return out
}
