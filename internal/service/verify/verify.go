// Package verify learns what routing has to know of other servers before a recipient can be taken: the exchangers that
// public DNS names for a domain, and whether a domain's real server takes mail for an address.
//
// What was learned is remembered and given to routing as facts. Nothing is looked up while a decision is made: who gets
// a decision with a Need fetches the fact here and decides again.
//
// # Recipients
//
// The real server is asked by MAIL with the null sender and RCPT, never by DATA: few sessions per server, and so many
// questions a second. A server that takes the address has it (RFC 5321 §3.3); one that refuses with 5.1.x, or by a bare
// 550, 551 or 553, does not. Any other refusal for good is about us and not about the address: the server objects to
// being asked, and is left in peace for a day. Questions about one address at one time are one question.
//
// Answers lie in memory and in the store. That somebody is there holds for 7 days, and for 31 days while the server
// cannot be asked; that somebody is not there holds for an hour, and for 7 days it is reason enough to put mail off
// while the server cannot be asked.
//
// A domain that goes by a list of recipients is not asked for: the list is read from the store, address by address. Who
// is on it is there; who is not is believed to be nobody while the list is younger than its MaxAge, and put off then. A
// list may be fetched from another Postroad, again and again.
//
// # Failure
//
// A look-up that fails is a fact too, for a few seconds: the recipient is then answered for now or queued, by the
// domain's settings, and never refused for good. When more is to be asked than a server is asked at once no fact is
// made of it, so that nobody gets an unknown recipient taken by asking for many.
//
// # Known limits
//
// Which servers object and which take every recipient is remembered in memory only.
package verify

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/core/routing"
	"postroad/internal/obs"
)

// Options are what the service is made of. Without Hosts, Directory and Store nothing is known of recipients.
type Options struct {
	Resolver  Resolver
	Hosts     Hosts
	Directory Directory
	Store     Store
	Metrics   *obs.Metrics // nil: the service counts for itself
	Log       *slog.Logger // nil: nothing is logged
	// RootCAs are whom certificates of installations may come from that lists are fetched from; nil: those the system
	// trusts.
	RootCAs *x509.CertPool
}

// Service keeps facts about other servers. Its methods may be called at once.
type Service struct {
	o          Options
	recipients recipients
	prober     prober
	stop       context.CancelFunc // of what runs beside; nil before Start
	beside     sync.WaitGroup

	mu         sync.Mutex
	exchangers map[string]known
}

// known is a fact and how long it may be used.
type known struct {
	answer facts.ExchangersAnswer
	until  time.Time
}

const (
	fetchTimeout = 20 * time.Second         // for one fact
	failureTTL   = 5 * time.Second          // how long a failed look-up is remembered
	leastTTL     = time.Second              // how long any look-up is, so that a decision can be made from it
	mostTTL      = 15 * time.Minute         // how long an answer is, whatever its TTL
	maxDomains   = 10_000                   // remembered at once
	maxHosts     = 2 * routing.MaxAddresses // of one domain, whose addresses are asked for
)

// New makes the service.
func New(o Options) *Service {
	if o.Metrics == nil {
		o.Metrics = obs.NewMetrics()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{o: o, exchangers: map[string]known{}}
	s.recipients.init()
	s.prober.init(o.Hosts, o.Metrics)
	return s
}

// Start begins what is done beside: the store is kept tidy. The caller owes a Close.
func (s *Service) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.beside.Go(func() { s.sweep(ctx) })
	s.beside.Go(func() { s.synchronise(ctx) })
}

// Close ends what Start began and the sessions that wait for more questions, and waits for the questions that are under
// way.
func (s *Service) Close() {
	if s.stop != nil {
		s.stop()
	}
	s.beside.Wait()
	s.recipients.asking.Wait()
	s.prober.close()
}

// Exchangers implements routing.Facts.
func (s *Service) Exchangers(domain string) (facts.ExchangersAnswer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.exchangers[domain]
	if !ok || !time.Now().Before(k.until) {
		return facts.ExchangersAnswer{}, false
	}
	return k.answer, true
}

// Fetch learns a fact that a decision lacks. It returns when the fact is there, or cannot be had now.
func (s *Service) Fetch(ctx context.Context, need routing.Need) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	switch need.Kind {
	case routing.NeedExchangers:
		s.fetchExchangers(ctx, need.Domain)
	case routing.NeedRecipient:
		s.fetchRecipient(ctx, need.Domain, need.Address)
	}
}

func (s *Service) fetchExchangers(ctx context.Context, domain string) {
	x := facts.ExchangersAnswer{MX: s.o.Resolver.MX(ctx, domain)}
	ttl := x.MX.TTL
	list, _ := routing.Candidates(x.MX)
	x.Addrs = make(map[string]facts.AddrAnswer, len(list))
	for _, mx := range list[:min(len(list), maxHosts)] {
		if _, asked := x.Addrs[mx.Host]; asked {
			continue
		}
		a := s.o.Resolver.Addrs(ctx, mx.Host)
		x.Addrs[mx.Host] = a
		if a.Status == facts.Temporary || a.Partial {
			ttl = min(ttl, failureTTL)
		}
		ttl = min(ttl, a.TTL)
	}
	if x.MX.Status == facts.Temporary {
		ttl = failureTTL
	}
	ttl = min(max(ttl, leastTTL), mostTTL)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.exchangers) >= maxDomains {
		clear(s.exchangers) // they are learned again
	}
	s.exchangers[domain] = known{answer: x, until: time.Now().Add(ttl)}
}
