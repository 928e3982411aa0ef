// Package deliver carries queued mail to where it goes: into mailboxes here, to the exchangers of a domain, to
// explicit hosts, by SMTP (RFC 5321) or LMTP (RFC 2033), under TLS where it is offered (RFC 3207, RFC 7435).
//
// Few connections per destination are kept open and used in pipelined batches. Which host refuses what, and
// whether the next one is asked, is RFC 5321 §5.1 as docs/routing.md has it: what a host refuses for now goes to
// the next exchanger, what it refuses for good has failed, and no reply after the final dot ends the attempt,
// because the message may have arrived. A connection that breaks before the dot is no exchanger's word: the next
// address is asked.
//
// # Failure
//
// A destination that cannot be reached at all, or that takes connections and answers no message, is reported as
// *mail.LaneDown. Deliveries without an outcome were not attempted then.
//
// # Known limits
//
// EHLO gives one name from every local address. Neither DANE nor MTA-STS is looked at: TLS with exchangers is
// opportunistic. BDAT is not used.
package deliver

import (
	"context"
	"log/slog"

	"postroad/internal/core/mail"
	"postroad/internal/obs"
)

// Service is the agent of the transports remote, relay and lmtp. Its methods may be called at once.
type Service struct {
	cfg      Config
	dir      Directory
	resolver Resolver
	dialer   Dialer
	self     Self
	guard    guard
	log      *slog.Logger
	idle     idlePool
	hosts    hosts
	offers   offers
	ways     ways
	relays   relays
	m        *obs.Metrics
}

// New makes the agent. Without metrics it counts for itself.
func New(cfg Config, dir Directory, resolver Resolver, dialer Dialer, self Self, metrics *obs.Metrics, log *slog.Logger) *Service {
	if metrics == nil {
		metrics = obs.NewMetrics()
	}
	cfg = cfg.withDefaults()
	s := &Service{
		cfg: cfg, dir: dir, resolver: resolver, dialer: dialer, self: self, m: metrics, log: log,
		guard: newGuard(cfg.Allow, cfg.Port),
	}
	s.idle.init(s.quit)
	s.hosts.init(cfg.PerHost)
	return s
}

// Close ends the connections that wait for more mail, within 10 seconds. Attempts that still run end theirs
// themselves.
func (s *Service) Close() {
	s.idle.close()
	s.hosts.drain()
}

// Deliver attempts a batch of one lane, as service/queue's Agent wants it. It returns nil when every delivery has
// its outcome, a *mail.LaneDown when the destination gave out, and the context's error when that ended.
func (s *Service) Deliver(ctx context.Context, lane mail.Lane, batch []mail.Delivery, done func(int, []mail.Outcome)) error {
	for _, part := range byLastHost(batch) {
		if err := s.attempt(lane, part, batch, done).run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// part are the deliveries of a batch, by index, that were put off by the same host the last time: of exchangers
// that are equal a retry tries another one.
type part struct {
	index []int
	avoid string // that host; empty for first attempts
}

func byLastHost(batch []mail.Delivery) []part {
	var parts []part
	for i, d := range batch {
		host := ""
		if len(d.Recipients) > 0 {
			host = d.Recipients[0].LastHost
		}
		known := false
		for k := range parts {
			if parts[k].avoid == host {
				parts[k].index = append(parts[k].index, i)
				known = true
				break
			}
		}
		if !known {
			parts = append(parts, part{index: []int{i}, avoid: host})
		}
	}
	return parts
}
