package control

import (
	"context"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/lookup"
)

// Questions to DNS and their answers in the words of package lookup.
type (
	// LookUpQuestion asks what DNS says of a name.
	LookUpQuestion = lookup.Question
	// LookUpAnswer is everything that was learned about it.
	LookUpAnswer = lookup.Found
)

// DNS asks any server.
type DNS interface {
	lookup.Resolver
	// Public asks every configured resolver by itself.
	Public(ctx context.Context, name string, kind dns.Type) []facts.Answer
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
