// Package certs is the certificates of TLS: the one that the server shows, those of names that are fetched from a
// certificate authority by ACME (RFC 8555), and which of them a client is shown that names a host (RFC 6066 §3).
//
// A name without a certificate of its own is shown the server's: never is a connection refused for want of one. Nothing is
// fetched because a client names it: names are wanted by people, or follow from what is hosted here.
//
// Of several nodes that share a store one looks after names at a time; all of them answer challenges, and all take up a
// new certificate within seconds.
//
// # Failure
//
// What keeps a certificate from being given stands in the name's status. The one that is there is shown until it runs
// out, then the server's. Keys are sealed in the store; of one that cannot be opened the name counts as without.
//
// # Known limits
//
// Keys are ECDSA P-256. Names with a wildcard are not known.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/obs"
)

var system = account.System()

// Options are what the service is made of.
type Options struct {
	Store         Store
	Box           Box
	World         World
	Configuration Configuration
	Findings      Findings
	// Agreed: the operator agrees to the terms of the authority, and certificates are fetched. Without it none is.
	Agreed     bool
	Authority  string           // URL of the ACME directory
	Email      string           // for the authority; may be empty
	KeyID, Key string           // by which the authority knows the operator (RFC 8555 §7.3.4), Key in base64url; empty: it need not
	Roots      *x509.CertPool   // by which the authority is known; nil: the system's
	Challenges []cert.Challenge // that may be used, in this order
	Labels     []string         // below domains whose mail is taken here: names that get a certificate where they point here
	Hostname   string           // by which the server goes
	Names      func() []string  // by which it goes besides; they may change
	// Answers reports whether an address is ours; Addresses are those that people are told.
	Answers   func(netip.Addr) bool
	Addresses []netip.Addr
	// HTTP and HTTPS are the addresses of the listeners at which challenges are answered.
	HTTP, HTTPS []netip.AddrPort
	// CertFile and KeyFile are the server's certificate where it is configured; else Fallback is.
	CertFile, KeyFile string
	Fallback          tls.Certificate
	Dial              func(ctx context.Context, network, address string) (net.Conn, error)
	Metrics           *obs.Metrics
	Log               *slog.Logger

	Tick   time.Duration // how often is looked for what is to be done; 0: every 10 seconds
	Follow time.Duration // how often is looked whether people have changed anything; 0: every half second
	Poll   time.Duration // how often the authority is asked whether it is ready; 0: every half second
}

// Service gives TLS its certificates, and fetches them.
type Service struct {
	o       Options
	vault   *vault
	cache   *certmagic.Cache
	ca      ca
	names   authorityNames
	close   func()
	file    atomic.Pointer[fromFile]
	shown   atomic.Pointer[map[string]*own]
	changed chan struct{} // somebody has changed names

	working sync.Mutex
	busy    map[string]bool      // names that are worked at
	ended   map[string]bool      // those of which something came since the names were read
	pause   time.Time            // until when the authority is left alone
	pace    pace                 // how many orders may be made
	paced   time.Time            // until when none may
	rest    map[string]time.Time // names of which nothing could be recorded: until when they are left alone
	looked  map[string]look      // candidates, by name
	looking bool                 // they are being looked up
	found   bool                 // some were, and nobody has seen to it

	consulting bool      // the authority is being asked when certificates are to be renewed
	unasked    time.Time // until when it is not asked that, because what it says could not be recorded

	// What Run alone uses.
	alarmed  map[string]alarm // findings that stand, by domain; nil: not known yet
	forgot   time.Time        // when what belongs to no name was looked for last
	followed time.Time        // when names were brought up to date last
	version  int64            // of the configuration by which they were
	seen     int64            // of the configuration that was looked at last
	useless  map[string]bool  // names of which it was told that their certificates cannot be used
	swept    time.Time        // when abandoned challenges were
}

// authorityNames gives the names by which CAA records know the authority.
type authorityNames func(ctx context.Context) ([]string, error)

// own is the certificate of a name.
type own struct {
	status cert.Status // by which it was loaded
	pair   *tls.Certificate
}

// New makes the service. The configured files must be there.
func New(o Options) (*Service, error) {
	o.Tick, o.Follow, o.Poll = or(o.Tick, 10*time.Second), or(o.Follow, 500*time.Millisecond), or(o.Poll, 500*time.Millisecond)
	if o.Metrics == nil {
		o.Metrics = obs.NewMetrics()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Dial = dialer(o.World, o.Dial)
	s := &Service{
		o: o, vault: newVault(o.Store, o.Box, o.Log), changed: make(chan struct{}, 1),
		useless: map[string]bool{}, rest: map[string]time.Time{}, busy: map[string]bool{}, ended: map[string]bool{}, looked: map[string]look{},
	}
	s.shown.Store(&map[string]*own{})
	if o.CertFile != "" {
		f, err := readFile(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, err
		}
		s.file.Store(f)
	}
	a := newAuthority(&o, s.vault)
	s.ca, s.names, s.close = a, a.names, a.close
	return s, nil
}

func or(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// TLS is the configuration of listeners that speak anything but HTTP: TLS 1.2 and later, with the certificate that fits
// the name that the client gives.
func (s *Service) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate}
}

// HTTPS is the configuration of listeners for HTTP. They answer tls-alpn-01 too.
func (s *Service) HTTPS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1", acmez.ACMETLS1Protocol}, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmez.ACMETLS1Protocol {
			return s.alpn(hello)
		}
		return s.certificate(hello)
	}}
}

// certificate gives the certificate of the name that a client gives, else the server's.
func (s *Service) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if pair := s.of(hello.ServerName, time.Now()); pair != nil {
		return pair, nil
	}
	return s.server(time.Now()), nil
}

// of is the certificate of a name, if it has one that holds.
func (s *Service) of(name string, now time.Time) *tls.Certificate {
	shown := *s.shown.Load()
	c, there := shown[name]
	if !there {
		c, there = shown[lower(name)]
	}
	if !there || !now.Before(c.pair.Leaf.NotAfter) {
		return nil
	}
	return c.pair
}

// server is the certificate for all names without one: that of the files, that of the host name, or the one that nobody
// has signed; one that holds before one that does not.
func (s *Service) server(now time.Time) *tls.Certificate {
	f := s.file.Load()
	if f != nil && now.Before(f.pair.Leaf.NotAfter) {
		return &f.pair
	}
	if pair := s.of(s.o.Hostname, now); pair != nil {
		return pair
	}
	if f != nil {
		return &f.pair
	}
	return &s.o.Fallback
}

// lower is a name as it is compared: without last dot, in lower case.
func lower(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	if n := len(b); n > 0 && b[n-1] == '.' {
		b = b[:n-1]
	}
	return string(b)
}

// Load takes up the certificates that are in the store. Call it before anything is served.
func (s *Service) Load(ctx context.Context) error {
	list, err := s.o.Store.Certificates(ctx, system)
	if err == nil {
		s.show(ctx, list)
	}
	return err
}

// again has Run look again at once.
func (s *Service) again() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Run takes up changes, and looks after names, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	s.cache = certmagic.NewCache(certmagic.CacheOptions{ // nothing is put there; the library wants one
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return nil, errors.ErrUnsupported },
		Logger:           zapped(s.o.Log),
	})
	defer s.cache.Stop()
	defer s.close()
	var all sync.WaitGroup
	defer all.Wait()
	locks, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	all.Go(func() { s.vault.keep(locks) })
	tick, versions := time.NewTicker(s.o.Tick), time.NewTicker(s.o.Follow)
	defer tick.Stop()
	defer versions.Stop()
	var jobs sync.WaitGroup
	defer jobs.Wait() // before the locks end
	for {
		s.once(ctx, &jobs)
		for wait := true; wait; {
			select {
			case <-ctx.Done():
				return
			case <-versions.C:
				wait = s.o.Configuration.Directory().Version() == s.seen
			case <-tick.C:
				wait = false
			case <-s.changed:
				wait = false
			}
		}
	}
}

// once takes up what is there, and begins what is to be done.
func (s *Service) once(ctx context.Context, jobs *sync.WaitGroup) {
	s.reread(ctx)
	s.seen = s.o.Configuration.Directory().Version()
	s.working.Lock()
	clear(s.ended)
	s.working.Unlock()
	list, err := s.o.Store.Certificates(ctx, system)
	if err != nil {
		if ctx.Err() == nil {
			s.o.Log.WarnContext(ctx, "certificates could not be read", slog.Any(obs.KeyError, err))
		}
		return
	}
	s.show(ctx, list)
	s.count(list, time.Now())
	if !s.o.Agreed { // nothing is to be done but what was left behind, and no lock is needed for that
		s.tidy(ctx, time.Hour)
		s.raise(ctx, list, time.Now())
		return
	}
	if s.leads(ctx) {
		if s.stale(time.Now()) {
			s.look(ctx, list, jobs)
		} else if s.version != s.seen {
			s.seen = s.version // it is too soon after the last change: soon again
		}
		s.raise(ctx, list, time.Now())
		s.begin(ctx, list, jobs)
		s.consult(ctx, list, jobs)
	}
}

// stale reports whether it is time to bring the names up to date: soon after a change of the configuration, and now and
// then because DNS changes.
func (s *Service) stale(now time.Time) bool {
	version, since := s.o.Configuration.Directory().Version(), now.Sub(s.followed)
	s.working.Lock()
	found := s.found
	s.working.Unlock()
	if !found && (since < s.o.Tick/10 || version == s.version && since < time.Minute) {
		return false
	}
	s.followed, s.version = now, version
	return true
}

// count tells the metrics how names stand.
func (s *Service) count(list []cert.Certificate, now time.Time) {
	states := map[string]int{"valid": 0, "wanted": 0, "failing": 0, "expiring": 0}
	s.o.Metrics.CertificateDays.Reset()
	days := func(name string, until time.Time) {
		s.o.Metrics.CertificateDays.WithLabelValues(name).Set(until.Sub(now).Hours() / 24)
	}
	for i := range list {
		c := &list[i]
		switch {
		case c.Source == cert.Refused:
			continue
		case c.Expiring(now):
			states["expiring"]++
		case c.There(now):
			states["valid"]++
		case c.Problem != "":
			states["failing"]++
		default:
			states["wanted"]++
		}
		if c.Source == cert.Server && !c.NotAfter.IsZero() {
			days(c.Name.Name, c.NotAfter)
		}
	}
	if f := s.file.Load(); f != nil {
		days("file", f.pair.Leaf.NotAfter)
	}
	for state, n := range states {
		s.o.Metrics.Certificates.WithLabelValues(state).Set(float64(n))
	}
}

// leading is the lock of the node that looks after names.
const leading = "lead"

// leads reports whether it is for this node to look after names. Who begins with it takes away what another one has left.
func (s *Service) leads(ctx context.Context) bool {
	if s.vault.has(leading) {
		s.tidy(ctx, time.Minute)
		return true
	}
	taken, err := s.vault.try(ctx, leading)
	if err != nil && ctx.Err() == nil {
		s.o.Log.WarnContext(ctx, "the lock of certificates could not be taken", slog.Any(obs.KeyError, err))
	}
	if taken {
		s.sweep(ctx, 0)
		s.swept = time.Now()
	}
	return taken
}

// tidy takes away challenges that were abandoned, from time to time.
func (s *Service) tidy(ctx context.Context, every time.Duration) {
	if now := time.Now(); now.Sub(s.swept) >= every {
		s.sweep(ctx, abandoned)
		s.swept = now
	}
}
