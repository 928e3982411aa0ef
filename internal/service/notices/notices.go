// Package notices tells accounts what happens to their domains' mail, and the operator of all: by mail through the
// queue, and in a list.
//
// It looks from time to time at what is found, at what waits for domains' own servers and at switches of mode;
// core/notice decides who is told what. A notice is durable before it is sent.
//
// An account's notices go to the addresses that are set for it. Without any they go to the domain's own postmaster
// (RFC 2142), where somebody has that address here and gets mail at it; the operator's go to postmaster of the
// installation. An address in a domain whose own mail cannot be delivered just now is passed over. Who cannot be told by
// mail finds the notice in the list.
//
// # Failure
//
// Notices have the null reverse-path and are marked as automatic, so that nobody answers them and none tells of
// another. A crash between the queue's taking of one and the note of it sends it twice; none is lost.
package notices

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/notice"
	"postroad/internal/core/routing"
)

// Config says how soon and how often people are told. The zero value works.
type Config struct {
	Hostname string
	Wait     time.Duration // how long something holds before people are told; 0: 5 minutes
	Interval time.Duration // the least time between two notices of one event of one domain; 0: 6 hours
	Hold     time.Duration // how long the queue keeps mail of domains that say nothing else, for the words of notices
	// Turn reports whether this node tells people from now on, for the time given, where several could; nil: it does.
	Turn   func(ctx context.Context, now time.Time, lasts time.Duration) (bool, error)
	Signer Signer // signs notices; nil: nobody does
	// Near gives what users have sent that is nearly all they may; nil: nobody knows.
	Near func(ctx context.Context) ([]notice.Seen, error)
}

const (
	digestAt  = 6 * time.Hour // after midnight UTC
	mostTick  = 30 * time.Second
	leastTick = 100 * time.Millisecond
	keepFor   = 90 * 24 * time.Hour
	forget    = time.Hour // between two times of forgetting
	turnLasts = 2 * time.Minute
	switches  = 1000 // looked at in one go
	dueMost   = 1000 // notices sent in one go
	waitMost  = 1000 // domains whose waiting mail is counted in one look
)

// Service tells people.
type Service struct {
	cfg      Config
	store    Store
	findings Findings
	queue    Queue
	dir      Directory
	to       Addresses
	log      *slog.Logger
	noticed  int64 // the audit entry up to which switches were told; -1 before the first look
}

// New makes the service.
func New(cfg Config, store Store, findings Findings, queue Queue, dir Directory, to Addresses, log *slog.Logger) *Service {
	cfg.Wait = cmp.Or(cfg.Wait, 5*time.Minute)
	cfg.Interval = cmp.Or(cfg.Interval, 6*time.Hour)
	return &Service{cfg: cfg, store: store, findings: findings, queue: queue, dir: dir, to: to, log: log, noticed: -1}
}

// Run tells people until ctx ends.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(max(leastTick, min(mostTick, s.cfg.Wait/2)))
	defer tick.Stop()
	var forgot time.Time
	for {
		now := time.Now().UTC()
		mine, err := true, error(nil)
		if s.cfg.Turn != nil {
			mine, err = s.cfg.Turn(ctx, now, turnLasts)
		}
		if mine && err == nil {
			err = s.look(ctx, now)
		}
		if mine && err == nil {
			err = s.send(ctx, now)
		}
		if mine && err == nil && now.Sub(forgot) >= forget {
			forgot = now
			err = s.store.ForgetNotices(ctx, account.System(), now.Add(-keepFor))
		}
		if err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "notices not told", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look decides what people are to be told, and makes that durable.
func (s *Service) look(ctx context.Context, now time.Time) error {
	remembered, err := s.store.Memories(ctx, account.System())
	if err != nil {
		return err
	}
	snap := s.dir.View().Directory
	seen, err := s.found(ctx, snap)
	if err != nil {
		return err
	}
	down, err := s.down(ctx, snap, remembered, now)
	if err != nil {
		return err
	}
	if s.cfg.Near != nil {
		near, err := s.cfg.Near(ctx)
		if err != nil {
			return err
		}
		seen = append(seen, near...)
	}
	list, upTo, err := s.store.Switches(ctx, account.System(), switches)
	if err != nil {
		return err
	}
	owner := func(name string) (account.ID, bool) {
		d, there := snap.Domain(name)
		if !there || !d.Proved {
			return "", false
		}
		return d.Account, true
	}
	rules := notice.Rules{Wait: s.cfg.Wait, Interval: s.cfg.Interval, Digest: digestAt}
	r := notice.Look(rules, now, remembered, append(seen, down...), list, owner)
	for i := range r.Notice {
		r.Notice[i].ID = string(s.queue.NewID(now))
	}
	if len(r.Put)+len(r.Drop)+len(r.Notice)+len(list) == 0 && upTo == s.noticed {
		return nil
	}
	if err := s.store.KeepNotices(ctx, account.System(), r, upTo); err != nil {
		return err
	}
	s.noticed = upTo
	return nil
}

// found is what is wrong with domains and is told.
func (s *Service) found(ctx context.Context, snap *directory.Snapshot) ([]notice.Seen, error) {
	list, err := s.findings.Findings(ctx, account.System(), "")
	if err != nil {
		return nil, err
	}
	var out []notice.Seen
	for _, f := range list {
		event := notice.EventOf(f.Name)
		d, there := snap.Domain(f.Domain)
		if event == "" || !there {
			continue
		}
		out = append(out, notice.Seen{Event: event, Domain: d.Name, Account: d.Account, Since: f.Since, Evidence: f.Evidence, Finding: f.Name})
	}
	return out, nil
}

// down is what waits for domains' own servers that cannot be reached, and for those of which people were told that.
func (s *Service) down(ctx context.Context, snap *directory.Snapshot, remembered []notice.Memory, now time.Time) ([]notice.Seen, error) {
	told := map[string]bool{}
	for _, m := range remembered {
		if m.Event == notice.PrimaryDown && m.Open {
			told[m.Domain] = true
		}
	}
	failing := map[mail.Lane]bool{}
	for _, lane := range s.queue.Failing() {
		failing[lane] = true
	}
	if len(told)+len(failing) == 0 {
		return nil, nil
	}
	var out []notice.Seen
	for d := range snap.Domains() {
		lane, ok := routing.HandedOn(d, now)
		if !ok || d.Effective() == directory.ModeRemote || !failing[lane] && !told[d.Name] || len(out) >= waitMost {
			continue
		}
		w, err := s.queue.Waiting(ctx, account.System(), lane, d.Name)
		if err != nil {
			return nil, err
		}
		if w.Recipients == 0 || w.Failures == 0 && !told[d.Name] {
			continue
		}
		evidence := strings.TrimSpace(w.Host + " " + w.Reason)
		out = append(out, notice.Seen{
			Event: notice.PrimaryDown, Domain: d.Name, Account: d.Account, Since: w.Since, Evidence: evidence, Held: w.Recipients,
			Hold: cmp.Or(d.Hold, s.cfg.Hold),
		})
	}
	slices.SortFunc(out, func(a, b notice.Seen) int { return cmp.Compare(a.Domain, b.Domain) })
	return out, nil
}
