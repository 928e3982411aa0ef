package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control"
	"postroad/internal/service/resolver"
	"postroad/internal/service/signer"
)

// joinSigner makes the service that signs zones. Every node that changes zones has it; those that answer for zones have
// it renew them.
func (s *Server) joinSigner(ctx context.Context) error {
	s.signer = signer.New(signer.Options{
		Store: s.stores.control, Box: s.box, Parents: parents{s.resolver}, Metrics: s.metrics, Log: s.log,
		Missing: func(err error) bool { return errors.Is(err, control.ErrNotFound) },
	})
	return s.signer.Start(ctx)
}

// watchZones has signed zones renewed.
func (s *Server) watchZones() {
	if !s.runs(RoleDNS) {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.signer.Run(ctx, s.control); close(ended) }()
	s.atEnd(func(context.Context) {
		cancel()
		<-ended
	})
}

// parents asks the zones above.
type parents struct{ resolver *resolver.Service }

// DS asks every server of the zone above a domain. Where the domain is not handed out there is no DS.
func (p parents) DS(ctx context.Context, domain string) (ds [][]byte, ttl time.Duration, source string, err error) {
	d := p.resolver.Delegation(ctx, domain)
	switch {
	case d.Status == facts.Temporary:
		return nil, 0, "", errors.New(d.Detail)
	case !d.Delegated():
		return nil, d.TTL, "the zone " + dotted(d.Zone), nil
	}
	above := dotted(d.Parent)
	var first *facts.Answer
	for _, answer := range p.resolver.Everywhere(ctx, d.Above, domain, dns.TypeDS) {
		switch {
		case !answer.Grants() && !answer.Denies():
			return nil, 0, "", fmt.Errorf("the server %s of %s does not tell: %s", answer.Server, above, answer.Detail)
		case first == nil:
			first = &answer
		case !slices.Equal(first.Lines(), answer.Lines()):
			return nil, 0, "", fmt.Errorf("the servers %s and %s of %s say different things", first.Server, answer.Server, above)
		}
	}
	if first == nil {
		return nil, 0, "", fmt.Errorf("no server of %s can be asked", above)
	}
	for _, r := range first.Records {
		ds = append(ds, bytes.Clone(r.Data))
	}
	return ds, first.TTLOfRecords(), "the zone " + above, nil
}

// dotted writes a zone as people do: the root is a dot.
func dotted(zone string) string {
	if zone == "" {
		return "."
	}
	return zone
}
