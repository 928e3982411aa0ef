package certs

import (
	"context"

	"github.com/mholt/acmez/v3/acme"

	"postroad/internal/core/cert"
)

// Give has certificates come from a function in place of the authority, which goes by some names in CAA records.
func (s *Service) Give(issue func(ctx context.Context, name string, kinds []cert.Challenge, csr []byte) ([]byte, error), names ...string) {
	s.ca = given(issue)
	s.names = func(context.Context) ([]string, error) { return names, nil }
}

type given func(ctx context.Context, name string, kinds []cert.Challenge, csr []byte) ([]byte, error)

func (g given) issue(ctx context.Context, name string, ways []way, csr []byte) ([]byte, cert.Challenge, error) {
	var kinds []cert.Challenge
	for _, w := range ways {
		kinds = append(kinds, w.kind)
	}
	chain, err := g(ctx, name, kinds, csr)
	return chain, kinds[0], err
}

// KeepChallenge keeps a challenge as if it were being shown.
func (s *Service) KeepChallenge(ctx context.Context, c acme.Challenge, domain string) error {
	return s.keepChallenge(ctx, c, domain)
}
