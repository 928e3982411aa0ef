package control

import (
	"context"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/policy"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/harvest"
	"postroad/internal/service/control/lookup"
)

// Questions to DNS and their answers in the words of package lookup.
type (
	// LookUpQuestion asks what DNS says of a name.
	LookUpQuestion = lookup.Question
	// LookUpAnswer is everything that was learned about it.
	LookUpAnswer = lookup.Found
	// DKIMKeyQuestion asks for the key of a selector of any domain.
	DKIMKeyQuestion = lookup.DKIMKeyQuestion
	// FoundDKIMKey is what DNS has for it.
	FoundDKIMKey = lookup.FoundDKIMKey
	// SPFView is a domain's SPF record in plain words.
	SPFView = policy.SPFView
	// SPFQuestion is what is asked of it, as people write it.
	SPFQuestion = lookup.SPFQuestion
)

// DNS asks any server.
type DNS interface {
	lookup.Resolver
	// Public asks every configured resolver by itself.
	Public(ctx context.Context, name string, kind dns.Type) []facts.Answer
	// Transfer asks one server for a whole zone.
	Transfer(ctx context.Context, server, zone string) ([]dns.Record, error)
}

// FetchedZone is what the present name servers of a domain say of it.
type FetchedZone = harvest.FetchedZone

// FetchZone asks the present name servers of a domain whose zone is hosted here, or one that is named, for its records.
func (s *Service) FetchZone(ctx context.Context, actor Actor, domain, at string) (FetchedZone, error) {
	a := harvest.Access{Store: s.o.Store, Choose: s.lookup.Choose}
	if s.o.DNS != nil {
		a.Resolver = s.o.DNS
	}
	return a.Fetch(ctx, actor, s.current.Load(), domain, at)
}

// LookUp asks DNS about any name, whoever it belongs to.
func (s *Service) LookUp(ctx context.Context, actor Actor, q LookUpQuestion) (LookUpAnswer, error) {
	st := s.current.Load()
	return s.lookup.Look(ctx, actor, q, func(name string) lookup.Home {
		h := lookup.Home{Ours: s.o.Answers}
		if d, err := actor.Domain(st, name); err == nil && d.Proved {
			h.Here, h.Local = true, d.Effective() == directory.ModeLocal && len(d.Gateways) == 0
		}
		return h
	})
}

// LookUpDKIMKey looks at the key of a selector of any domain.
func (s *Service) LookUpDKIMKey(ctx context.Context, actor Actor, q DKIMKeyQuestion) (FoundDKIMKey, error) {
	return s.lookup.DKIMKey(ctx, actor, q)
}

// LookUpSPF looks at the SPF record of any domain: for a client, or for what it costs.
func (s *Service) LookUpSPF(ctx context.Context, actor Actor, q SPFQuestion) (SPFView, error) {
	return s.lookup.SPF(ctx, actor, q)
}
