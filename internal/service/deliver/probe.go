package deliver

import (
	"context"
	"errors"
	"net"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
)

const (
	probeTargets = 4                // of a lane that are looked at, in their order
	probeDial    = 2 * time.Second  // a host that is back answers at once; one that is away is asked again soon
	probeTime    = 10 * time.Second // for the greeting and the farewell
)

var errNobody = errors.New("no host can be looked at")

// Probe looks whether a host of a lane takes connections for mail: it waits for the greeting and leaves. Nothing of it
// is logged or counted as an attempt.
func (s *Service) Probe(ctx context.Context, lane mail.Lane) error {
	p, why := s.plan(ctx, lane, "")
	if why != nil {
		return &smtp.ReplyError{Reply: why.reply}
	}
	err := errNobody
	for _, t := range p.targets[:min(len(p.targets), probeTargets)] {
		if s.guard.denied(t) != "" {
			continue
		}
		if err = s.greeted(ctx, t, p); err == nil {
			return nil
		}
	}
	return err
}

// greeted connects to a target, waits for its greeting and quits.
func (s *Service) greeted(ctx context.Context, t target, p plan) error {
	dialCtx, cancel := context.WithTimeout(ctx, probeDial)
	conn, err := s.reach(dialCtx, t, p.route.Source)
	cancel()
	if err != nil {
		return err
	}
	return s.greeting(ctx, conn, t, p)
}

func (s *Service) greeting(ctx context.Context, conn net.Conn, t target, p plan) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // what is waited for fails by it
	defer stop()
	var over smtp.Conn = conn
	if t.addr.Port() == implicitTLS {
		secured, err := s.handshake(ctx, &connection{conn: conn, host: t.host}, p.verify)
		if err != nil {
			return err
		}
		over = secured
	}
	client := smtp.NewClient(over, time.Now, s.cfg.Timeouts, p.lmtp)
	reply, err := client.Greet()
	if err = judged(reply, err, 220, "greeting", t.host); err != nil {
		_ = client.Close() // it is of no use
		return err
	}
	_ = client.Quit() // the greeting was all that counted
	return nil
}
