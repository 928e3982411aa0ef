package signer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/seal"
	"postroad/internal/core/zone"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

// Options are what the service is made of; all but Parents, Metrics and Log are required.
type Options struct {
	Store   Store
	Box     *seal.Box
	Parents Parents // nil: nobody is asked, and steps that wait for the parent wait
	// Missing reports whether an error of the store says that something is not there.
	Missing func(error) bool
	// Clock shows the system's clock, and the time that has passed since the start by a clock that does not jump; nil: the system's.
	Clock   func() (system time.Time, passed time.Duration)
	Metrics *obs.Metrics
	Log     *slog.Logger
}

// Service signs zones. All methods may be called by any goroutine.
type Service struct {
	o Options

	mu       sync.Mutex
	clock    *dnssec.Clock
	clockOff bool
	opened   map[string]dns.Key     // by ID
	looks    map[string]dnssec.Look // by domain: the last that succeeded
	spoiled  map[string]bool        // domains whose signatures are not to be kept
	watched  map[string]*watched    // by domain
}

const (
	// maxOpened bounds the keys that are kept open.
	maxOpened = 20000
	// clockSetting is where it is kept until when this program has surely run, in seconds since 1970.
	clockSetting = "signer_clock"
)

// New makes the service; Start is to be called before anything else.
func New(o Options) *Service {
	if o.Clock == nil {
		begin := time.Now()
		o.Clock = func() (time.Time, time.Duration) {
			now := time.Now()
			return now.Round(0), now.Sub(begin)
		}
	}
	if o.Metrics == nil {
		o.Metrics = obs.NewMetrics()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		o: o, opened: map[string]dns.Key{}, looks: map[string]dnssec.Look{}, spoiled: map[string]bool{}, watched: map[string]*watched{},
	}
}

// Start reads what time it has been for certain.
func (s *Service) Start(ctx context.Context) error {
	text, err := s.o.Store.Setting(ctx, account.System(), clockSetting)
	if err != nil {
		return fmt.Errorf("read the time of the last signing: %w", err)
	}
	var last time.Time
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		last = time.Unix(seconds, 0)
	}
	system, _ := s.o.Clock()
	s.mu.Lock()
	s.clock = dnssec.NewClock(last, system)
	s.mu.Unlock()
	s.Now()
	return nil
}

// Now is the time by which zones are signed.
func (s *Service) Now() time.Time {
	system, passed := s.o.Clock()
	s.mu.Lock()
	now := s.clock.Now(system, passed)
	off := s.clock.Off()
	told := s.clockOff == (off != 0)
	s.clockOff = off != 0
	s.mu.Unlock()
	s.o.Metrics.SignerClockOff.Set(off.Seconds())
	if !told && off != 0 {
		s.o.Log.Error("the system's clock has jumped: zones are signed by the time that has passed", slog.Duration("off", off), slog.Time("system", system), slog.Time("signing", now))
	}
	return now.UTC().Truncate(time.Second)
}

// Sign signs a zone as it is to be published (see control/zones, Signer). The time given is the system's; Now counts.
func (s *Service) Sign(ctx context.Context, z *zone.Zone, _ time.Time) error {
	z.NewKeys = nil
	if z.Signing == nil {
		z.Signatures = nil
		return nil
	}
	stored, err := s.o.Store.Zone(ctx, account.System(), z.Domain)
	var before *dnssec.Content
	switch {
	case err == nil:
		before = &dnssec.Content{Apex: stored.Apex(), Records: stored.Records, Signatures: stored.Signatures}
	case !s.o.Missing(err):
		return fmt.Errorf("what is published of it cannot be read: %w", err)
	}
	s.mu.Lock()
	spoiled := s.spoiled[z.Domain]
	look, looked := s.looks[z.Domain]
	s.mu.Unlock()
	now := s.Now()
	signing := z.Signing.Clone()
	if looked {
		signing.Observe(z.Apex(), look)
	}
	run := &run{s: s, ctx: ctx, domain: z.Domain}
	steps, err := signing.Advance(now, before, z.Records, run.generate(signing.Algorithm))
	if err != nil {
		return err
	}
	kept := before
	if spoiled {
		kept = nil
	}
	signatures, err := signing.Build(z.Apex(), z.Records, run.key, kept, now)
	if err != nil {
		return err
	}
	next := &dnssec.Content{Apex: z.Apex(), Records: z.Records, Signatures: signatures}
	if err := dnssec.Verify(next, kept, now); err != nil {
		return err
	}
	// A DS that leads nowhere is told by the watch; one that leads to the zone now must go on to do so.
	if ds := signing.Parent.DS; before != nil && dnssec.Chain(before, ds, now) == nil {
		if err := dnssec.Chain(next, ds, now); err != nil {
			return err
		}
	}
	z.Signing, z.Signatures, z.NewKeys = signing, signatures, run.made
	s.expect(z.Domain, waitsForParent(signing, now))
	for _, step := range steps {
		s.o.Log.InfoContext(ctx, "a zone's key takes a step", slog.String(obs.KeyDomain, z.Domain), slog.String(obs.KeyReason, step.String()))
	}
	return nil
}

// run is one signing of one zone.
type run struct {
	s      *Service
	ctx    context.Context
	domain string
	made   []dnssec.SealedKey
}

// purpose is what a private part is sealed for.
func purpose(domain, id string) string { return "zone-key " + domain + " " + id }

// generate makes a key with a tag of its own.
func (r *run) generate(a dns.Algorithm) func(dnssec.Role, []uint16) (dnssec.Key, error) {
	return func(role dnssec.Role, tags []uint16) (dnssec.Key, error) {
		for {
			pair, err := dns.GenerateKey(a, role.Flags())
			if err != nil {
				return dnssec.Key{}, err
			}
			if slices.Contains(tags, pair.Tag()) {
				continue
			}
			private, err := pair.PKCS8()
			if err != nil {
				return dnssec.Key{}, err
			}
			id := strings.ToLower(rand.Text())
			r.made = append(r.made, dnssec.SealedKey{ID: id, Domain: r.domain, Sealed: r.s.o.Box.Seal(private, purpose(r.domain, id))})
			r.s.remember(id, pair)
			return dnssec.Key{ID: id, DNSKEY: pair.DNSKEY()}, nil
		}
	}
}

func (s *Service) remember(id string, pair dns.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.opened) >= maxOpened {
		clear(s.opened)
	}
	s.opened[id] = pair
}

// ErrKey says that the private part of a key is not to be had.
var ErrKey = errors.New("the private part of a key cannot be used")

// key gives a key pair by its ID.
func (r *run) key(id string) (dns.Key, error) {
	r.s.mu.Lock()
	pair, there := r.s.opened[id]
	r.s.mu.Unlock()
	if there {
		return pair, nil
	}
	pair, err := r.s.open(r.ctx, r.domain, id)
	if err == nil {
		r.s.remember(id, pair)
	}
	return pair, err
}

// open reads a private part from the store.
func (s *Service) open(ctx context.Context, domain, id string) (dns.Key, error) {
	kept, err := s.o.Store.ZoneKey(ctx, account.System(), id)
	if err != nil {
		if s.o.Missing(err) {
			return dns.Key{}, fmt.Errorf("%w: it is not in the store", ErrKey)
		}
		return dns.Key{}, err
	}
	private, err := s.o.Box.Open(kept.Sealed, purpose(domain, id))
	if err != nil {
		return dns.Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return dns.ParseKey(0, private)
}
