package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postroad/internal/service/checks"
	"postroad/internal/service/control"
	"postroad/internal/service/dkimsign"
	"postroad/internal/service/forwarding"
	"postroad/internal/service/notices"
	"postroad/internal/service/queue"
)

// joinDKIM makes the service that signs mail, and what looks after its keys.
func (s *Server) joinDKIM(v *view) {
	s.keys = checks.NewKeys(v, s.log)
	s.dkim = dkimsign.New(dkimsign.Options{
		Store: s.stores.control, Open: s.box.Open, Needed: s.keys.Needed, Log: s.log,
		Missing: func(err error) bool { return errors.Is(err, control.ErrNotFound) },
	})
}

// joinForwarding makes the service that makes forwarded mail believable elsewhere.
func (s *Server) joinForwarding(ctx context.Context, v *view) (*forwarding.Service, error) {
	f := forwarding.New(forwarding.Options{
		Hostname: s.cfg.Hostname, Derive: s.box.Derive, Keys: s.dkim, Resolver: s.resolver, PerHour: s.cfg.Limits.ForwardsPerHour, Store: s.stores.control, Log: s.log,
	})
	if err := f.Start(ctx); err != nil {
		return nil, fmt.Errorf("read what was forwarded: %w", err)
	}
	s.atEnd(f.Stop)
	v.returns = f
	return f, nil
}

// probes is what messages are sent by that try forwards at primaries.
func (s *Server) probes() control.ProbeOptions {
	return control.ProbeOptions{Outbox: s.queue, Signer: s.dkim, Key: s.box.Derive("probes of forwards")}
}

// queueHold is how long mail is kept in the queue.
func (s *Server) queueHold() time.Duration {
	if s.cfg.Queue.Hold > 0 {
		return s.cfg.Queue.Hold
	}
	return queue.DefaultHold
}

// poster sends control's letters.
type poster struct{ letters *notices.Letters }

// Post implements control.Poster.
func (p poster) Post(ctx context.Context, l control.Letter) error {
	return p.letters.Post(ctx, l.Account, l.To, l.Subject, l.Text)
}
