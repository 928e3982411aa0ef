// Package checks looks at the world from time to time and hands what it sees to core: by it domains of mode auto follow
// public DNS, a mode that public DNS contradicts becomes a finding, and the largest TTL of a domain's records is remembered.
//
// # Failure
//
// A look-up that fails changes nothing: a domain of mode auto keeps its mode, with the finding AUTO_UNRESOLVED.
package checks

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/routing"
	"postroad/internal/proto/dns"
)

const (
	tick      = time.Second
	atOnce    = 16          // look-ups
	mostLooks = 100         // that begin in a tick
	leastWait = time.Minute // between two looks at one domain
	mostWait  = time.Hour
	lookTime  = 20 * time.Second // for one look
	maxHosts  = 20               // of one domain, whose addresses are asked for
	noteAgain = 24 * time.Hour   // between two notes of the same TTL
)

// Service looks at domains.
type Service struct {
	dir      Directory
	resolver Resolver
	modes    Modes
	findings Findings
	ttls     Lifetimes
	zones    Zones // nil: none are hosted here
	log      *slog.Logger

	mu     sync.Mutex
	begun  bool
	looked map[string]*looked // by domain id
}

// looked is what is remembered of a domain.
type looked struct {
	watch  routing.AutoWatch
	chosen time.Time // when the mode was chosen for which this holds
	next   time.Time
	busy   bool
	found  map[finding.Name]bool // recorded, or not, since the start
	ttl    time.Duration         // the largest that was noted, at noted
	noted  time.Time
}

// New makes the service.
func New(dir Directory, resolver Resolver, modes Modes, findings Findings, ttls Lifetimes, log *slog.Logger) *Service {
	return &Service{dir: dir, resolver: resolver, modes: modes, findings: findings, ttls: ttls, log: log, looked: map[string]*looked{}}
}

// WithZones has domains whose zones are hosted here judged by these, where the world is led to them.
func (s *Service) WithZones(z Zones) *Service {
	s.zones = z
	return s
}

// Run looks at domains until ctx ends.
func (s *Service) Run(ctx context.Context) { pace(ctx, atOnce, mostLooks, s.due, s.look) }

// due lists the domains whose time has come, most of them at most and those first that are new or have another mode, and
// forgets those that are gone. Domains that were there at the start come a few at a time.
func (s *Service) due(now time.Time, most int) []*directory.Domain {
	snap := s.dir.View().Directory
	s.mu.Lock()
	defer s.mu.Unlock()
	var fresh, again []*directory.Domain
	there := 0
	for d := range snap.Domains() {
		if !d.Proved {
			continue
		}
		l := s.looked[d.ID]
		if l == nil || !l.busy && !l.chosen.Equal(d.ModeSince) {
			l = &looked{chosen: d.ModeSince, found: map[finding.Name]bool{}}
			if !s.begun {
				l.next = spread(now, there, most)
			}
			s.looked[d.ID] = l
		}
		there++
		switch {
		case l.busy || now.Before(l.next):
		case l.next.IsZero():
			fresh = append(fresh, d)
		default:
			again = append(again, d)
		}
	}
	s.begun = true
	out := first(most, fresh, again)
	for _, d := range out {
		s.looked[d.ID].busy = true
	}
	if len(s.looked) > there {
		s.forget(snap)
	}
	return out
}

// forget drops what is remembered of domains that are not looked at any more. s.mu is held.
func (s *Service) forget(snap *directory.Snapshot) {
	ids := map[string]bool{}
	for d := range snap.Domains() {
		ids[d.ID] = d.Proved
	}
	for id, l := range s.looked {
		if !ids[id] && !l.busy {
			delete(s.looked, id)
		}
	}
}

// look asks DNS about one domain and does what follows.
func (s *Service) look(ctx context.Context, d *directory.Domain) {
	lookCtx, cancel := context.WithTimeout(ctx, lookTime)
	x, ttl := s.ask(lookCtx, d.Name)
	ns := s.resolver.Recursive(lookCtx, d.Name, dns.TypeNS)
	cancel()
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	view := s.dir.View()
	ours := view.Self.Answers
	if ours == nil {
		ours = func(netip.Addr) bool { return false }
	}
	mode, evidence, ok := routing.AutoMode(x, ours)
	s.mu.Lock()
	l := s.looked[d.ID]
	l.busy = false
	l.next = now.Add(wait(ttl))
	switches := d.Mode == directory.ModeAuto && l.watch.Observe(d.Effective(), mode, ok, !d.AutoSince.After(d.ModeSince), now, max(ttl, leastWait))
	s.mu.Unlock()
	s.remember(ctx, d, l, max(held(x.MX.Status, x.MX.TTL), held(ns.Status, ns.TTL)), now)
	if switches {
		if err := s.modes.SwitchAuto(ctx, d.Name, mode, evidence, ttl); err != nil {
			s.log.ErrorContext(ctx, "routing mode not switched", "domain", d.Name, "mode", string(mode), "error", err)
		}
	}
	s.judge(ctx, d, l, finding.AutoUnresolved, d.Mode == directory.ModeAuto && !ok, evidence)
	conflict := ok && (d.Mode == directory.ModeLocal && mode == directory.ModeRemote || d.Mode == directory.ModeRemote && mode == directory.ModeLocal)
	if ok || d.Mode == directory.ModeAuto {
		s.judge(ctx, d, l, finding.ModeConflictsDNS, conflict, evidence)
	}
}

// held is a TTL by which others hold records; the absence of records is no reason to bring mail here.
func held(status facts.Status, ttl time.Duration) time.Duration {
	if status != facts.Found {
		return 0
	}
	return ttl
}

// remember notes the largest TTL of a domain's MX and NS records: when it grows, and once a day. l is busy no more: what is
// read of it here nobody else writes.
func (s *Service) remember(ctx context.Context, d *directory.Domain, l *looked, ttl time.Duration, now time.Time) {
	s.mu.Lock()
	again := now.Sub(l.noted) >= noteAgain
	if ttl <= 0 || ttl <= l.ttl && !again {
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	if err := s.ttls.SawTTL(ctx, account.System(), d.Name, ttl, now.UTC()); err != nil {
		s.log.ErrorContext(ctx, "TTL not noted", "domain", d.Name, "error", err)
		return
	}
	s.mu.Lock()
	l.ttl, l.noted = ttl, now
	s.mu.Unlock()
}

// judge records a finding or forgets it, once for each change.
func (s *Service) judge(ctx context.Context, d *directory.Domain, l *looked, name finding.Name, wrong bool, evidence string) {
	s.mu.Lock()
	was, known := l.found[name]
	s.mu.Unlock()
	if known && was == wrong {
		return
	}
	err := s.findings.Find(ctx, finding.Finding{Name: name, Domain: d.Name, Evidence: evidence, Since: time.Now().UTC()}, !wrong)
	if err != nil {
		s.log.ErrorContext(ctx, "finding not recorded", "domain", d.Name, "finding", string(name), "error", err)
		return
	}
	s.mu.Lock()
	l.found[name] = wrong
	s.mu.Unlock()
}

// ask looks up a domain's exchangers and their addresses, and how long that holds.
func (s *Service) ask(ctx context.Context, domain string) (facts.ExchangersAnswer, time.Duration) {
	var x facts.ExchangersAnswer
	served := false
	if s.zones != nil {
		x.MX, served = s.zones.ServedMX(ctx, domain)
	}
	if !served {
		x.MX = s.resolver.MX(ctx, domain)
	}
	ttl := x.MX.TTL
	list, _ := routing.Candidates(x.MX)
	x.Addrs = make(map[string]facts.AddrAnswer, len(list))
	for _, mx := range list[:min(len(list), maxHosts)] {
		if _, asked := x.Addrs[mx.Host]; asked {
			continue
		}
		a := s.resolver.Addrs(ctx, mx.Host)
		x.Addrs[mx.Host] = a
		ttl = min(ttl, a.TTL)
	}
	return x, ttl
}

// wait is how long a domain is left alone: as long as its records hold, within bounds, and a little by chance, so that
// not all domains are looked at at once.
func wait(ttl time.Duration) time.Duration {
	d := min(max(ttl, leastWait), mostWait)
	return d + rand.N(d/10)
}
