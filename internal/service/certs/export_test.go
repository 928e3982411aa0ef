package certs

import (
	"context"
	"crypto/x509"

	"github.com/mholt/acmez/v3/acme"

	"postroad/internal/core/cert"
)

// Give has certificates come from a function in place of the authority, which goes by some names in CAA records.
func (s *Service) Give(issue func(ctx context.Context, name string, kinds []cert.Challenge, csr []byte) ([]byte, error), names ...string) {
	s.ca = &given{give: issue}
	s.names = func(context.Context) ([]string, error) { return names, nil }
}

// Advise has a function say when certificates are to be renewed. It comes after Give.
func (s *Service) Advise(advise func(leaf *x509.Certificate) (cert.Advice, error)) {
	s.ca.(*given).say = advise
}

type given struct {
	give func(ctx context.Context, name string, kinds []cert.Challenge, csr []byte) ([]byte, error)
	say  func(leaf *x509.Certificate) (cert.Advice, error)
}

func (g *given) advise(_ context.Context, leaf *x509.Certificate) (cert.Advice, error) {
	if g.say == nil {
		return cert.Advice{}, acme.ErrUnsupported
	}
	return g.say(leaf)
}

func (g *given) issue(ctx context.Context, name, _ string, ways []way, csr []byte) ([]byte, cert.Challenge, error) {
	var kinds []cert.Challenge
	for _, w := range ways {
		kinds = append(kinds, w.kind)
	}
	chain, err := g.give(ctx, name, kinds, csr)
	return chain, kinds[0], err
}

// KeepChallenge keeps a challenge as if it were being shown.
func (s *Service) KeepChallenge(ctx context.Context, c acme.Challenge, domain string) error {
	return s.keepChallenge(ctx, c, domain)
}
