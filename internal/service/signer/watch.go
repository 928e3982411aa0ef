package signer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

// How often things are looked at.
const (
	tick       = time.Minute
	dueLimit   = 1000 // zones that are read as due
	batch      = 50   // zones that are published again in one change
	atOnce     = 8    // zones that are examined
	lookTime   = 40 * time.Second
	often      = 20 * time.Minute
	seldom     = 6 * time.Hour
	again      = time.Minute // after something that was mended
	leastRetry = 10 * time.Minute
	mostRetry  = 2 * time.Hour
	noteClock  = 10 * time.Minute
	sweepEvery = 24 * time.Hour
	// keepUnused is how long the private part of a key outlives its last use.
	keepUnused = 30 * 24 * time.Hour
	// spreadOver is for how long the first looks after a start are spread, per zone beyond the first ones and at most.
	spreadOver, mostSpread = 100 * time.Millisecond, time.Hour
	unspread               = 50
)

// watched is what is remembered of a signed zone. Times are those of the clock that does not jump.
type watched struct {
	next    time.Duration // when it is examined next
	retry   time.Duration // when it may be signed again after a failure
	waits   time.Duration // how long it was put off last
	busy    bool
	problem string // why it could not be signed last
	found   map[finding.Name]bool
}

// passed is the time since the start.
func (s *Service) passed() time.Duration {
	_, passed := s.o.Clock()
	return passed
}

// Run does what is due until ctx ends. Failures are logged, become findings, and are tried again.
func (s *Service) Run(ctx context.Context, publisher Publisher) {
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, atOnce)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var listed, noted, swept time.Duration
	for first := true; ; first = false {
		now := s.passed()
		if first || now-listed >= often {
			s.list(ctx, first)
			listed = now
		}
		s.renew(ctx, publisher)
		for _, domain := range s.dueLooks(s.passed()) {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			running.Go(func() {
				defer func() { <-places }()
				s.examine(ctx, domain, publisher)
			})
		}
		if first || now-noted >= noteClock {
			s.note(ctx)
			noted = now
		}
		if now-swept >= sweepEvery {
			s.sweep(ctx)
			swept = now
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// note keeps what time it surely is, for the next start.
func (s *Service) note(ctx context.Context) {
	if err := s.o.Store.SetSetting(ctx, account.System(), clockSetting, strconv.FormatInt(s.Now().Unix(), 10)); err != nil && ctx.Err() == nil {
		s.o.Log.ErrorContext(ctx, "the time of signing could not be kept", slog.Any(obs.KeyError, err))
	}
}

// list takes up zones that are signed now, and forgets those that are no longer. The first looks are spread.
func (s *Service) list(ctx context.Context, first bool) {
	names, err := s.o.Store.SignedZones(ctx, account.System())
	if err != nil {
		if ctx.Err() == nil {
			s.o.Log.ErrorContext(ctx, "signed zones could not be listed", slog.Any(obs.KeyError, err))
		}
		return
	}
	s.o.Metrics.SignerZones.Set(float64(len(names)))
	wrong := map[string]map[finding.Name]bool{}
	if first {
		found, err := s.o.Store.Findings(ctx, account.System(), "")
		if err != nil {
			s.o.Log.ErrorContext(ctx, "what is wrong with signed zones could not be read", slog.Any(obs.KeyError, err))
		}
		for _, f := range found {
			if wrong[f.Domain] == nil {
				wrong[f.Domain] = map[finding.Name]bool{}
			}
			wrong[f.Domain][f.Name] = true
		}
	}
	within := min(spreadOver*time.Duration(max(0, len(names)-unspread)), mostSpread) + 1
	now := s.passed()
	there := make(map[string]bool, len(names))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		there[name] = true
		if s.watched[name] == nil {
			s.watched[name] = &watched{next: now, found: map[finding.Name]bool{}}
			if wrong[name] != nil {
				s.watched[name].found = wrong[name]
			}
			if first {
				s.watched[name].next += rand.N(within) //nolint:gosec // a moment by chance
			}
		}
	}
	for name, w := range s.watched {
		if !there[name] && !w.busy {
			delete(s.watched, name)
			delete(s.looks, name)
			delete(s.spoiled, name)
		}
	}
}

// of gives what is remembered of a zone. The caller holds mu.
func (s *Service) of(domain string) *watched {
	w := s.watched[domain]
	if w == nil {
		w = &watched{found: map[finding.Name]bool{}, next: s.passed()}
		s.watched[domain] = w
	}
	return w
}

// expect has a zone watched, closely where something that the parent does is waited for.
func (s *Service) expect(domain string, closely bool) {
	now := s.passed()
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.of(domain); closely {
		w.next = min(w.next, now+often)
	}
}

// renew has the zones published again whose signatures or keys are due.
func (s *Service) renew(ctx context.Context, publisher Publisher) {
	for {
		names, err := s.o.Store.DueZones(ctx, account.System(), s.Now(), dueLimit)
		if err != nil {
			if ctx.Err() == nil {
				s.o.Log.ErrorContext(ctx, "zones that are due could not be listed", slog.Any(obs.KeyError, err))
			}
			return
		}
		names = s.ready(names)
		if len(names) == 0 || ctx.Err() != nil {
			return
		}
		list := slices.DeleteFunc(slices.Clone(names[:min(batch, len(names))]), func(name string) bool { return s.waits(ctx, name) })
		if len(list) > 0 {
			s.publish(ctx, publisher, list)
		}
	}
}

// ready leaves out the zones that are put off.
func (s *Service) ready(names []string) []string {
	now := s.passed()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(names, func(name string) bool { return s.of(name).retry > now })
}

// waits asks the parent when the step that is due must not be taken without. It puts the zone off, and says so, when the
// parent is not heard and nothing else is due.
func (s *Service) waits(ctx context.Context, domain string) bool {
	z, err := s.o.Store.Zone(ctx, account.System(), domain)
	if err != nil || z.Signing == nil || !z.Signing.Looks(s.Now()) {
		return false
	}
	if _, err := s.Look(ctx, domain); err == nil || !dnssec.Expiry(z.Signatures, s.Now()).Add(-dnssec.Renewal).After(s.Now()) {
		return false
	}
	s.putOff(domain, "")
	return true
}

// publish has zones published again, one by one when not all of them can be. What is due still afterwards, or could not be
// signed, is put off.
func (s *Service) publish(ctx context.Context, publisher Publisher, names []string) {
	err := publisher.Republish(ctx, names)
	if err != nil && len(names) > 1 {
		for _, name := range names {
			if ctx.Err() != nil {
				return
			}
			s.publish(ctx, publisher, []string{name})
		}
		return
	}
	if ctx.Err() != nil {
		return
	}
	now := s.Now()
	for _, name := range names {
		if err != nil {
			s.o.Metrics.SignerFailures.Inc()
			s.o.Log.ErrorContext(ctx, "a zone could not be signed", slog.String(obs.KeyDomain, name), slog.Any(obs.KeyError, err))
			s.putOff(name, err.Error())
			continue
		}
		z, err := s.o.Store.Zone(ctx, account.System(), name)
		if err == nil && z.Signing != nil && !z.Signing.Due(z.Signatures).After(now) {
			s.putOff(name, "") // it waits for the parent, which could not be heard
			continue
		}
		s.mu.Lock()
		w := s.of(name)
		w.retry, w.waits, w.problem = 0, 0, ""
		delete(s.spoiled, name)
		s.mu.Unlock()
	}
}

// putOff leaves a zone alone for a while, longer each time.
func (s *Service) putOff(domain, problem string) {
	now := s.passed()
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.of(domain)
	w.waits = min(max(2*w.waits, leastRetry), mostRetry)
	w.retry, w.problem = now+w.waits, problem
	w.next = min(w.next, now) // what has happened becomes a finding
}

// dueLooks lists the zones that are to be examined, and marks them.
func (s *Service) dueLooks(now time.Duration) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for name, w := range s.watched {
		if !w.busy && w.next <= now {
			w.busy = true
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Look asks all servers of the zone above for a domain's DS records, now.
func (s *Service) Look(ctx context.Context, domain string) (dnssec.Look, error) {
	if s.o.Parents == nil {
		return dnssec.Look{}, errors.New("nobody is asked here")
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	ds, ttl, source, err := s.o.Parents.DS(ctx, domain)
	if err != nil {
		return dnssec.Look{}, err
	}
	look := dnssec.Look{DS: ds, TTL: ttl, At: s.Now(), Source: source}
	s.mu.Lock()
	s.looks[domain] = look
	s.mu.Unlock()
	return look, nil
}

// examine looks at one zone as it is published, and at its parent.
func (s *Service) examine(ctx context.Context, domain string, publisher Publisher) {
	wait := seldom
	defer func() {
		now := s.passed()
		s.mu.Lock()
		defer s.mu.Unlock()
		w := s.of(domain)
		w.busy, w.next = false, now+wait+rand.N(wait/10) //nolint:gosec // a moment by chance
	}()
	z, err := s.o.Store.Zone(ctx, account.System(), domain)
	if err != nil || z.Signing == nil {
		if err == nil || s.o.Missing(err) {
			for _, name := range []finding.Name{finding.DNSSECBogus, finding.DNSSECSigExpiring, finding.DNSSECDSStale, finding.DNSSECKeyUnusable} {
				s.find(ctx, domain, name, "")
			}
		}
		return
	}
	if waitsForParent(z.Signing, s.Now()) {
		wait = often
	}
	content := &dnssec.Content{Apex: z.Apex(), Records: z.Records, Signatures: z.Signatures}
	if look, err := s.Look(ctx, domain); err == nil {
		if z.Signing.Clone().Observe(z.Apex(), look) {
			s.publish(ctx, publisher, []string{domain})
		}
		s.find(ctx, domain, finding.DNSSECDSStale, s.stale(content, look))
	}
	s.find(ctx, domain, finding.DNSSECKeyUnusable, s.unusable(ctx, &z))
	s.findExpiring(ctx, &z)
	if err := dnssec.Verify(content, nil, s.Now()); err != nil {
		s.mu.Lock()
		s.spoiled[domain] = true
		s.mu.Unlock()
		s.o.Log.ErrorContext(ctx, "a published zone does not verify: it is signed anew as a whole", slog.String(obs.KeyDomain, domain), slog.Any(obs.KeyError, err))
		s.find(ctx, domain, finding.DNSSECBogus, err.Error())
		s.publish(ctx, publisher, []string{domain})
		wait = again
		return
	}
	s.find(ctx, domain, finding.DNSSECBogus, "")
}

// waitsForParent reports whether something that the parent does is waited for.
func waitsForParent(s *dnssec.Signing, now time.Time) bool {
	for i := range s.Keys {
		k := &s.Keys[i]
		if k.Role != dnssec.ZSK && (k.State == dnssec.Retired || k.State == dnssec.Active && k.Seen.IsZero() && !now.Before(k.Submit)) {
			return true
		}
	}
	return s.Withdrawn
}

// stale tells what is wrong with the DS records; empty when nothing is.
func (s *Service) stale(c *dnssec.Content, look dnssec.Look) string {
	if dnssec.Chain(c, look.DS, s.Now()) == nil {
		return ""
	}
	var tags, ours []string
	for _, d := range look.DS {
		if len(d) >= 2 {
			tags = append(tags, strconv.Itoa(int(d[0])<<8|int(d[1])))
		}
	}
	for _, r := range c.Signatures {
		if r.Type == dns.TypeDNSKEY {
			ours = append(ours, strconv.Itoa(int(dns.KeyTag(r.Data))))
		}
	}
	return fmt.Sprintf("%s has DS records of the keys %s; the zone's keys are %s", look.Source, strings.Join(tags, " "), strings.Join(ours, " "))
}

// unusable tells which private parts cannot be used; empty when all can.
func (s *Service) unusable(ctx context.Context, z *zone.Zone) string {
	for i := range z.Signing.Keys {
		k := &z.Signing.Keys[i]
		if k.State == dnssec.Removed {
			continue
		}
		pair, err := s.open(ctx, z.Domain, k.ID)
		pair.Flags = k.Role.Flags()
		switch {
		case err == nil && !slices.Equal(pair.DNSKEY(), k.DNSKEY):
			return fmt.Sprintf("key %d: its private part is of another key", k.Tag())
		case errors.Is(err, ErrKey) || errors.Is(err, dns.ErrKey):
			return fmt.Sprintf("key %d: %v", k.Tag(), err)
		}
	}
	return ""
}

// findExpiring says when signatures run out that should have been renewed.
func (s *Service) findExpiring(ctx context.Context, z *zone.Zone) {
	now := s.Now()
	end := dnssec.Expiry(z.Signatures, now)
	if end.Sub(now) >= dnssec.Alarm {
		s.find(ctx, z.Domain, finding.DNSSECSigExpiring, "")
		return
	}
	s.mu.Lock()
	problem := s.of(z.Domain).problem
	s.mu.Unlock()
	evidence := "the first signature runs out " + end.UTC().Format(time.RFC3339)
	if problem != "" {
		evidence += "; signing failed: " + problem
	}
	s.find(ctx, z.Domain, finding.DNSSECSigExpiring, evidence)
}

// find records what is wrong, or with empty evidence forgets it. What is known to be so already is not written.
func (s *Service) find(ctx context.Context, domain string, name finding.Name, evidence string) {
	s.mu.Lock()
	was := s.of(domain).found[name]
	s.mu.Unlock()
	wrong := evidence != ""
	if !was && !wrong {
		return
	}
	err := s.o.Store.Find(ctx, account.System(), finding.Finding{Name: name, Domain: domain, Evidence: evidence, Since: time.Now().UTC().Truncate(time.Second)}, !wrong)
	if err != nil {
		if ctx.Err() == nil && !s.o.Missing(err) {
			s.o.Log.ErrorContext(ctx, "finding not recorded", slog.String(obs.KeyDomain, domain), slog.String(obs.KeyFinding, string(name)), slog.Any(obs.KeyError, err))
		}
		return
	}
	if wrong && !was {
		s.o.Log.ErrorContext(ctx, "a signed zone needs attention", slog.String(obs.KeyDomain, domain), slog.String(obs.KeyFinding, string(name)), slog.String(obs.KeyReason, evidence))
	}
	s.mu.Lock()
	s.of(domain).found[name] = wrong
	s.mu.Unlock()
}

// sweep destroys private parts that no zone has had for a while.
func (s *Service) sweep(ctx context.Context) {
	kept, err := s.o.Store.ZoneKeys(ctx, account.System())
	if err != nil {
		return
	}
	now := s.Now()
	var used, unused, gone []string
	var domain string
	var has map[string]bool
	for _, k := range kept {
		if k.Domain != domain || has == nil {
			if has, err = s.keysOf(ctx, k.Domain); err != nil {
				return
			}
			domain = k.Domain
		}
		switch {
		case has[k.ID] && !k.Unused.IsZero():
			used = append(used, k.ID)
		case has[k.ID]:
		case k.Unused.IsZero():
			unused = append(unused, k.ID)
		case now.Sub(k.Unused) > keepUnused:
			gone = append(gone, k.ID)
		}
	}
	for _, write := range []func() error{
		func() error { return s.o.Store.MarkZoneKeys(ctx, account.System(), used, time.Time{}) },
		func() error { return s.o.Store.MarkZoneKeys(ctx, account.System(), unused, now) },
		func() error { return s.o.Store.DropZoneKeys(ctx, account.System(), gone) },
	} {
		if err := write(); err != nil && ctx.Err() == nil {
			s.o.Log.ErrorContext(ctx, "keys that no zone has could not be swept", slog.Any(obs.KeyError, err))
		}
	}
}

// keysOf gives the keys that a zone has and needs.
func (s *Service) keysOf(ctx context.Context, domain string) (map[string]bool, error) {
	has := map[string]bool{}
	z, err := s.o.Store.Zone(ctx, account.System(), domain)
	if err != nil {
		if s.o.Missing(err) {
			err = nil
		}
		return has, err
	}
	if z.Signing != nil {
		for i := range z.Signing.Keys {
			if k := &z.Signing.Keys[i]; k.State != dnssec.Removed {
				has[k.ID] = true
			}
		}
	}
	return has, nil
}
