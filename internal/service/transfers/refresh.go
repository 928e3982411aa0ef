package transfers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

const (
	leastRefresh = time.Minute // whatever the zone says
	mostRefresh  = 24 * time.Hour
	leastRetry   = time.Minute
	firstRetry   = 10 * time.Second // of a zone that was never fetched; doubled each time
	mostFirst    = 15 * time.Minute
	leastPause   = time.Second // between two looks, however often the primary tells
)

// copied is a zone that has its home at another server.
type copied struct {
	of        transfer.Secondary
	have      bool // a version is here
	serial    uint32
	timers    dns.Timers
	refreshed time.Time // when the primary last said that this is its content
	looked    time.Time // when it was last asked
	failures  int       // since then
	found     bool      // the failure is recorded
	pending   bool      // the ownership of the domain is not shown
	expired   bool
	steps     []transfer.Step // what led to the version that is here, the oldest first; never changed in place
}

func seconds(n uint32, least, most time.Duration) time.Duration {
	return min(max(time.Duration(n)*time.Second, least), most)
}

// expiry is when the version that is here may no longer be answered for (RFC 1035 §3.3.13).
func (z *copied) expiry() time.Time {
	return z.refreshed.Add(time.Duration(z.timers.Expire) * time.Second)
}

// keepCopies takes up the secondaries that are configured, and gives up those that are no longer.
func (s *Service) keepCopies(ctx context.Context, c *config) error {
	var failed error
	for domain, of := range c.secondaries {
		proved, there := s.o.Domains.Proved(domain)
		s.mu.Lock()
		old := s.copies[domain]
		s.mu.Unlock()
		switch {
		case !there:
			continue
		case old == nil || old.of.Primary != of.Primary:
			failed = errors.Join(failed, s.take(ctx, of, !proved))
		case old.pending == proved:
			s.mu.Lock()
			old.of, old.pending = of, !proved
			s.mu.Unlock()
			failed = errors.Join(failed, s.show(ctx, domain))
		default:
			s.mu.Lock()
			again := old.of.Key != of.Key
			old.of = of
			s.mu.Unlock()
			if again {
				s.schedule.set(task{taskCheck, domain}, time.Now())
			}
		}
	}
	s.mu.Lock()
	var gone []string
	for domain := range s.copies {
		_, there := s.o.Domains.Proved(domain)
		if _, configured := c.secondaries[domain]; !configured || !there {
			gone = append(gone, domain)
			delete(s.copies, domain)
		}
	}
	s.mu.Unlock()
	for _, domain := range gone {
		s.schedule.drop(task{taskCheck, domain})
		s.o.Names.Withdraw(domain)
	}
	return failed
}

// take begins to be a secondary: what is kept of the zone is answered for, and the primary is asked.
func (s *Service) take(ctx context.Context, of transfer.Secondary, pending bool) error {
	z := &copied{of: of, pending: pending}
	s.mu.Lock()
	s.copies[of.Domain] = z
	s.mu.Unlock()
	s.schedule.set(task{taskCheck, of.Domain}, time.Now())
	return s.show(ctx, of.Domain)
}

// show answers for the version that is kept, if there is one that is not too old.
func (s *Service) show(ctx context.Context, domain string) error {
	kept, err := s.o.Store.Copy(ctx, account.System(), domain)
	if err != nil {
		s.o.Log.ErrorContext(ctx, "a copy cannot be read: it is fetched anew", slog.String(obs.KeyDomain, domain), slog.Any(obs.KeyError, err))
		return nil
	}
	if len(kept.Records) == 0 {
		return nil
	}
	soa, _, ok := content(kept.Records, domain+".")
	timers, err := dns.TimersOf(&soa)
	if !ok || err != nil {
		return nil
	}
	s.mu.Lock()
	z := s.copies[domain]
	if z == nil {
		s.mu.Unlock()
		return nil
	}
	if z.serial != kept.Serial {
		z.remember(nil)
	}
	z.have, z.serial, z.timers, z.refreshed = true, kept.Serial, timers, kept.Refreshed
	z.expired = !time.Now().Before(z.expiry())
	if z.expired {
		s.expire(z)
		s.mu.Unlock()
		return nil
	}
	content := z.zone(kept)
	s.mu.Unlock()
	publish, err := s.o.Names.Prepare(content)
	if err != nil {
		s.o.Log.ErrorContext(ctx, "a copy cannot be answered for", slog.String(obs.KeyDomain, domain), slog.Any(obs.KeyError, err))
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copies[domain] == z && z.serial == kept.Serial && z.pending == content.Pending {
		s.answer(content, publish)
	}
	return nil
}

// answer puts a copy in force; mu is held. That of a domain whose ownership is not shown is kept and not answered for: its
// primary would say where the world finds the domain.
func (s *Service) answer(content *zone.Zone, publish func()) {
	if content.Pending {
		s.o.Names.Withdraw(content.Domain)
		return
	}
	publish()
}

// expire ends the answers for a version that is too old; mu is held, so that nothing that was published meanwhile is lost.
// A domain whose ownership is not shown gets no SERVFAIL for all that is below its name: that may be others'.
func (s *Service) expire(z *copied) {
	if z.pending {
		s.o.Names.Withdraw(z.of.Domain)
		return
	}
	s.o.Names.Expire(z.of.Domain)
}

// zone is the copy as it is answered for.
func (z *copied) zone(c transfer.Copy) *zone.Zone {
	return &zone.Zone{Domain: z.of.Domain, Account: z.of.Account, Serial: c.Serial, Records: c.Records, Signatures: c.Signatures, Pending: z.pending}
}

// soon is the earliest moment at which a primary is asked again because it tells of a change.
func (s *Service) soon(domain string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if z := s.copies[domain]; z != nil && z.looked.Add(leastPause).After(now) {
		return z.looked.Add(leastPause)
	}
	return now
}

// check asks a primary for its version, fetches what is newer, and says when it is to be asked again.
func (s *Service) check(ctx context.Context, domain string) {
	s.mu.Lock()
	z := s.copies[domain]
	if z == nil {
		s.mu.Unlock()
		return
	}
	z.looked = time.Now()
	of, have, serial := z.of, z.have, z.serial
	s.mu.Unlock()
	got, how, err := s.fetch(ctx, of, have, serial)
	if err == nil {
		err = s.keep(ctx, z, got, how)
	}
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	s.mu.Lock()
	if s.copies[domain] != z || z.of.Primary != of.Primary {
		s.mu.Unlock()
		return
	}
	var next time.Time
	expired := false
	if err == nil {
		z.failures = 0
		wait := seconds(z.timers.Refresh, leastRefresh, mostRefresh)
		if expire := time.Duration(z.timers.Expire) * time.Second; expire > leastRetry {
			wait = min(wait, expire)
		}
		next = now.Add(wait - rand.N(wait/10))
	} else {
		z.failures++
		wait := min(firstRetry<<min(z.failures-1, 10), mostFirst)
		if z.have {
			wait = seconds(z.timers.Retry, leastRetry, mostRefresh)
			if end := z.expiry(); now.Before(end) {
				wait = min(wait, end.Sub(now))
			} else {
				expired = !z.expired
				z.expired = true
			}
		}
		next = now.Add(wait)
	}
	record := z.found != (err != nil) || err != nil && expired
	z.found = err != nil
	if expired {
		s.expire(z)
	}
	s.mu.Unlock()
	s.schedule.set(task{taskCheck, domain}, next)
	s.report(ctx, of, err, record, next)
}

// report tells what came of asking a primary.
func (s *Service) report(ctx context.Context, of transfer.Secondary, err error, record bool, next time.Time) {
	if err != nil {
		s.o.Metrics.DNSTransfers.WithLabelValues("in", "refresh", "failed").Inc()
		s.o.Log.WarnContext(ctx, "a zone was not fetched", slog.String(obs.KeyDomain, of.Domain), slog.String(obs.KeyAddress, of.Primary.String()), slog.Any(obs.KeyError, err), slog.Time(obs.KeyNext, next))
	}
	if !record {
		return
	}
	f := finding.Finding{Name: finding.SecondaryStale, Domain: of.Domain, Since: time.Now().UTC().Truncate(time.Second)}
	if err != nil {
		f.Evidence = of.Primary.String() + ": " + err.Error()
	}
	if storeErr := s.o.Store.Find(ctx, account.System(), f, err == nil); storeErr != nil {
		s.o.Log.ErrorContext(ctx, "a finding could not be recorded", slog.String(obs.KeyDomain, of.Domain), slog.Any(obs.KeyError, storeErr))
	}
}

// keep takes what was fetched: nothing newer, or a version that keeps the rules.
func (s *Service) keep(ctx context.Context, z *copied, got transfer.Copy, how string) error {
	if len(got.Records) == 0 {
		return s.confirm(ctx, z, got)
	}
	s.mu.Lock()
	content := z.zone(got)
	of := z.of
	s.mu.Unlock()
	soa, at := zone.SOARecord(got.Records, content.Apex())
	if at < 0 {
		return errors.New("the zone has no SOA record")
	}
	timers, err := dns.TimersOf(&soa)
	if err != nil {
		return err
	}
	if bad := zone.Structural(zone.Check(content, s.o.Limits)); len(bad) > 0 {
		return fmt.Errorf("the primary's zone breaks a rule: %s", bad[0].Sentence)
	}
	publish, err := s.o.Names.Prepare(content)
	if err != nil {
		return fmt.Errorf("the primary's zone cannot be answered for: %w", err)
	}
	step := s.step(ctx, z, content)
	if err := s.o.Store.KeepCopy(ctx, account.System(), of, got); err != nil {
		return fmt.Errorf("the zone could not be kept: %w", err)
	}
	s.mu.Lock()
	if s.copies[of.Domain] != z || z.pending != content.Pending {
		s.mu.Unlock()
		return nil // another change of it comes
	}
	if !z.have || z.serial != got.Serial {
		z.remember(step)
	}
	z.have, z.serial, z.timers, z.refreshed, z.expired = true, got.Serial, timers, got.Refreshed, false
	s.answer(content, publish)
	s.mu.Unlock()
	s.o.Metrics.DNSTransfers.WithLabelValues("in", how, "done").Inc()
	s.o.Log.InfoContext(ctx, "a zone was fetched", slog.String(obs.KeyDomain, of.Domain), slog.String(obs.KeyOperation, how), slog.String(obs.KeyAddress, of.Primary.String()),
		slog.Uint64(obs.KeySerial, uint64(got.Serial)), slog.Int(obs.KeyCount, len(got.Records)+len(got.Signatures)))
	if !content.Pending {
		s.announce(of.Domain, of.Account)
	}
	return nil
}

// confirm notes that the version that is here is the primary's still.
func (s *Service) confirm(ctx context.Context, z *copied, got transfer.Copy) error {
	s.mu.Lock()
	of, expired := z.of, z.expired
	s.mu.Unlock()
	if err := s.o.Store.KeepCopy(ctx, account.System(), of, got); err != nil {
		return fmt.Errorf("the zone could not be kept: %w", err)
	}
	s.mu.Lock()
	z.refreshed = got.Refreshed
	s.mu.Unlock()
	s.o.Metrics.DNSTransfers.WithLabelValues("in", "refresh", "done").Inc()
	if expired { // it is answered for again
		return s.show(ctx, of.Domain)
	}
	return nil
}

// split parts what a primary sent into what people wrote and what signing has made.
func split(all []dns.Record) (records, signatures []dns.Record) {
	made := func(r dns.Record) bool { return r.Type.DNSSEC() }
	signatures = slices.DeleteFunc(slices.Clone(all), func(r dns.Record) bool { return !made(r) })
	return slices.DeleteFunc(slices.Clone(all), made), signatures
}
