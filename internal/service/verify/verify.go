// Package verify learns what routing has to know of other servers before a recipient can be taken: the exchangers that
// public DNS names for a domain.
//
// What was learned is remembered as long as DNS allows, and given to routing as facts. Nothing is looked up while a
// decision is made: who gets a decision with a Need fetches the fact here and decides again.
//
// # Failure
//
// A look-up that fails is a fact too, for a few seconds: the recipient is then answered for now or queued, by the
// domain's settings, and never refused for good.
package verify

import (
	"context"
	"sync"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/core/routing"
)

// Service keeps facts about other servers. Its methods may be called at once.
type Service struct {
	resolver Resolver

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
func New(resolver Resolver) *Service {
	return &Service{resolver: resolver, exchangers: map[string]known{}}
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

// Recipient implements routing.Facts: nothing is known of any recipient.
func (s *Service) Recipient(string, string) (facts.RecipientAnswer, bool) {
	return facts.RecipientAnswer{}, false
}

// Fetch learns a fact that a decision lacks. It returns when the fact is there, or cannot be had now.
func (s *Service) Fetch(ctx context.Context, need routing.Need) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if need.Kind == routing.NeedExchangers {
		s.fetchExchangers(ctx, need.Domain)
	}
}

func (s *Service) fetchExchangers(ctx context.Context, domain string) {
	x := facts.ExchangersAnswer{MX: s.resolver.MX(ctx, domain)}
	ttl := x.MX.TTL
	list, _ := routing.Candidates(x.MX)
	x.Addrs = make(map[string]facts.AddrAnswer, len(list))
	for _, mx := range list[:min(len(list), maxHosts)] {
		if _, asked := x.Addrs[mx.Host]; asked {
			continue
		}
		a := s.resolver.Addrs(ctx, mx.Host)
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
