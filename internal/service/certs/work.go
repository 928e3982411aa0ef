package certs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

const (
	atOnce    = 4                // names that are worked at
	leftAlone = 10 * time.Minute // the authority, when it is not reached or does not take our account
)

// pace bounds how many orders are made, so that many names at once do not use up what an authority allows an account:
// some at once, and one more in each interval. It is used under Service.working.
type pace struct {
	used int
	at   time.Time
}

const (
	paceAtOnce   = 100
	paceInterval = 36 * time.Second // 300 in three hours, as Let's Encrypt allows
)

// take reports whether another order may be made now.
func (p *pace) take(now time.Time) bool {
	if n := int(now.Sub(p.at) / paceInterval); n > 0 {
		p.used, p.at = max(0, p.used-n), p.at.Add(time.Duration(n)*paceInterval)
		if p.used == 0 {
			p.at = now
		}
	}
	if p.used >= paceAtOnce {
		return false
	}
	p.used++
	return true
}

// errPaced says that enough orders were made for now.
var errPaced = errors.New("enough certificates were ordered for now")

// mayOrder reports whether another order may be made now. Where none may, nothing is begun until one may again.
func (s *Service) mayOrder() bool {
	s.working.Lock()
	defer s.working.Unlock()
	if s.pace.take(time.Now()) {
		return true
	}
	s.paced = s.pace.at.Add(paceInterval)
	return false
}

// begin starts what is due. What is being worked at already is left alone.
func (s *Service) begin(ctx context.Context, list []cert.Certificate, jobs *sync.WaitGroup) {
	if !s.o.Agreed {
		return
	}
	now := time.Now()
	shown := *s.shown.Load()
	s.working.Lock()
	defer s.working.Unlock()
	if now.Before(s.paced) {
		return
	}
	for i := range list {
		c := list[i]
		name := c.Name.Name
		_, there := shown[name]
		lost := !c.NotAfter.IsZero() && !there // its key cannot be read: another one is needed
		due := c.Due(now) || lost && c.Source != cert.Refused && !now.Before(c.Next)
		if !due || s.busy[name] || s.ended[name] || now.Before(s.rest[name]) || !s.wanted(&c, now) {
			continue
		}
		asked := c.Asked.After(c.Tried)
		if len(s.busy) >= atOnce || now.Before(s.pause) && !asked {
			return
		}
		s.busy[name] = true
		jobs.Go(func() {
			s.attempt(ctx, &c, asked, lost)
			s.working.Lock()
			delete(s.busy, name)
			s.ended[name] = true
			s.working.Unlock()
			s.again()
		})
	}
}

// wanted reports whether a name is to have a certificate as things are: that of a domain whose ownership is shown and
// which is still its account's, that of the server where no file has it.
func (s *Service) wanted(c *cert.Certificate, now time.Time) bool {
	if c.Source == cert.Server {
		return !s.holds(c.Name.Name, now)
	}
	d, there := s.o.Configuration.Directory().Domain(c.Domain)
	return there && d.Proved && d.Account == c.Account && cert.Under(c.Name.Name, d.Name)
}

// attempt tries to get the certificate of a name, and records what came of it.
func (s *Service) attempt(ctx context.Context, c *cert.Certificate, asked, lost bool) {
	name := c.Name.Name
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, patienceKey{}, &patience{}), nameTime)
	defer cancel()
	by, err := s.get(ctx, c, asked, lost)
	now := time.Now().UTC()
	next := c.Status
	next.Tried = now
	if err == nil {
		fresh, missing := s.stored(ctx, name)
		if err = missing; err == nil {
			fresh.Tried, fresh.Given, fresh.By = now, now, by
			if by == "" {
				fresh.By = c.By
			}
			next = fresh
			s.o.Log.InfoContext(ctx, "a name has a certificate", slog.String("name", name), slog.Time("until", fresh.NotAfter), slog.String("challenge", string(fresh.By)))
		}
	}
	switch {
	case errors.Is(err, errPaced):
		return
	case err != nil && errors.Is(ctx.Err(), context.Canceled):
		return // the server ends; it is tried again
	case err != nil:
		next = s.failed(ctx, c, err, now)
	}
	err = s.o.Store.NoteCertificate(context.WithoutCancel(ctx), system, name, next)
	s.working.Lock()
	defer s.working.Unlock()
	delete(s.rest, name)
	if err != nil {
		s.rest[name] = now.Add(15 * time.Minute)
		s.o.Log.ErrorContext(ctx, "what came of a certificate could not be recorded", slog.String("name", name), slog.Any(obs.KeyError, err))
	}
}

// failed tells what came of an attempt that failed.
func (s *Service) failed(ctx context.Context, c *cert.Certificate, err error, now time.Time) cert.Status {
	p, detail := judge(err)
	var until time.Time
	if heard, ok := ctx.Value(patienceKey{}).(*patience); ok {
		until = heard.until
	}
	if p == cert.RateLimited && !until.After(now) {
		until = now.Add(time.Hour)
	}
	var local *localError
	next := c.Failed(p, detail, !errors.As(err, &local), now, until.UTC())
	s.o.Log.WarnContext(ctx, "a name got no certificate", slog.String("name", c.Name.Name), slog.String("problem", string(p)), slog.Time("next", next.Next), slog.Any(obs.KeyError, err))
	if p == cert.Authority || p == cert.Account {
		s.working.Lock()
		s.pause = now.Add(leftAlone)
		s.working.Unlock()
	}
	return next
}

// get gets or renews a certificate, and tells by which way; "" when there was nothing to do.
func (s *Service) get(ctx context.Context, c *cert.Certificate, asked, lost bool) (cert.Challenge, error) {
	name := c.Name.Name
	if there, err := s.stored(ctx, name); err == nil && !asked && there.NotAfter.After(c.NotAfter) && time.Now().Before(there.RenewAt()) {
		return "", nil // another node was faster, or the name comes back
	}
	ways, err := s.ways(ctx, c)
	if err != nil {
		return "", err
	}
	if !s.mayOrder() {
		return "", errPaced
	}
	if lost {
		if err := s.drop(ctx, name); err != nil {
			return "", err
		}
	}
	vault := &staged{vault: s.vault}
	wish := &order{a: s.ca, name: name, replaces: s.predecessor(c), ways: ways}
	library := certmagic.New(s.cache, certmagic.Config{
		Storage: vault, Issuers: []certmagic.Issuer{wish}, KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.P256}, RenewalWindowRatio: 1.0 / 3,
		OCSP: certmagic.OCSPConfig{DisableStapling: true}, DisableStorageCheck: true, DisableARI: true, Logger: zapped(s.o.Log),
	})
	err = library.RenewCertSync(ctx, name, true) // whether it is time was judged already
	return wish.by, errors.Join(err, vault.lost)
}

// localError is a problem that was found before the authority was asked.
type localError struct {
	problem cert.Problem
	detail  string
}

func (e *localError) Error() string { return e.detail }

// ways are those by which a name can be shown to be ours; an error says why there is none.
func (s *Service) ways(ctx context.Context, c *cert.Certificate) ([]way, error) {
	name := c.Name.Name
	s.o.World.Flush(name)
	answer := s.o.World.Addrs(ctx, name)
	elsewhere := s.points(&answer)
	var out []way
	for _, kind := range s.o.Challenges {
		switch kind {
		case cert.HTTP01:
			if elsewhere == nil && reached(s.o.HTTP, answer.Addrs) {
				out = append(out, s.served(kind))
			}
		case cert.TLSALPN01:
			if elsewhere == nil && reached(s.o.HTTPS, answer.Addrs) {
				out = append(out, s.served(kind))
			}
		case cert.DNS01:
			if d, hosted := zoneOf(s.o.Configuration.Directory(), name); hosted {
				out = append(out, s.inZone(d.Name))
			}
		}
	}
	switch {
	case len(out) > 0:
		return out, s.permitted(ctx, name)
	case elsewhere != nil:
		return nil, elsewhere
	}
	return nil, &localError{cert.NoWay, "Nothing that a certificate authority would look at to see that " + name + " is ours is served here."}
}

// points tells why a name does not point to us; nil when it does. All of its addresses must be ours: an authority may look
// at any of them.
func (s *Service) points(answer *facts.AddrAnswer) error {
	switch {
	case answer.Status == facts.Temporary || answer.Partial:
		return &localError{cert.DNSFails, "DNS does not say for now where " + answer.Name + " points to: " + answer.Detail + "."}
	case len(answer.Addrs) == 0:
		return &localError{cert.NoAddress, "The name " + answer.Name + " does not exist in DNS, or has no address."}
	}
	for _, a := range answer.Addrs {
		if !s.o.Answers(a) {
			return &localError{cert.Elsewhere, "The name " + answer.Name + " points to " + a.Unmap().String() + ", which is no address of this server."}
		}
	}
	return nil
}

// reached reports whether somebody who goes to one of the addresses can come to one of the listeners: at the address
// itself, at any, or, through a translation of addresses that nobody here sees, at one that is not loopback.
func reached(listeners []netip.AddrPort, addrs []netip.Addr) bool {
	for _, l := range listeners {
		if l.Addr().IsUnspecified() || !l.Addr().IsLoopback() {
			return true
		}
		for _, a := range addrs {
			if a.Unmap() == l.Addr().Unmap() {
				return true
			}
		}
	}
	return false
}

// zoneOf is the domain whose zone is hosted here and has a name in it.
func zoneOf(snap *directory.Snapshot, name string) (*directory.Domain, bool) {
	for at := name; at != ""; _, at, _ = strings.Cut(at, ".") {
		if d, there := snap.Domain(at); there && d.Zone == directory.ZoneHosted {
			return d, d.Proved
		}
	}
	return nil, false
}

// permitted refuses a name whose CAA records do not let the authority issue (RFC 8659 §3).
func (s *Service) permitted(ctx context.Context, name string) error {
	authority, err := s.names(ctx)
	if err != nil || len(authority) == 0 {
		return err
	}
	for at := name; at != ""; _, at, _ = strings.Cut(at, ".") {
		answer := s.o.World.Recursive(ctx, at, dns.TypeCAA)
		if answer.Status == facts.Temporary {
			return &localError{cert.DNSFails, "DNS does not say for now which authorities may issue for " + name + ": the CAA look-up of " + at + " fails, " + answer.Detail + "."}
		}
		if answer.Status != facts.Found {
			continue
		}
		var records []cert.CAA
		for _, r := range answer.Records {
			if c, ok := cert.ReadCAA(r.Data); ok {
				records = append(records, c)
			}
		}
		ok, others := cert.Permits(records, authority)
		if ok {
			return nil
		}
		whom := "nobody"
		if len(others) > 0 {
			whom = strings.Join(others, ", ")
		}
		return &localError{cert.CAAForbids, fmt.Sprintf("The CAA records of %s let %s issue certificates, and not %s.", at, whom, authority[0])}
	}
	return nil
}
