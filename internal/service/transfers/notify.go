package transfers

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/reach"
	"postroad/internal/core/transfer"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

const (
	tellDelay = 100 * time.Millisecond // changes in so short a time are told together
	tellTime  = 2 * time.Second        // for one answer
	tellFirst = 2 * time.Second        // until a silent server is told again; doubled each time
	tellMost  = 5 * time.Minute
	tellUntil = time.Hour // after that the secondary's own refresh has to do
)

// telling is a server that is to be told of a change of a zone.
type telling struct {
	zone  string // without the last dot
	peer  transfer.Peer
	since time.Time
}

// outage is a server that did not answer.
type outage struct {
	until time.Time
	wait  time.Duration
}

// announce has the servers of a zone told of its change.
func (s *Service) announce(domain string, owner account.ID) {
	c := s.config.Load()
	now := time.Now()
	s.peers(c, domain, owner, func(p *transfer.Peer) bool {
		if p.Tells() {
			name := domain + " " + p.Notify.String()
			s.mu.Lock()
			s.told[name] = &telling{zone: domain, peer: *p, since: now}
			s.mu.Unlock()
			s.schedule.set(task{taskTell, name}, now.Add(tellDelay))
		}
		return true
	})
}

// tell sends one NOTIFY and waits for its answer (RFC 1996 §3). Of a server that is silent one zone is tried at a time.
func (s *Service) tell(ctx context.Context, name string) {
	s.mu.Lock()
	t := s.told[name]
	address := ""
	if t != nil {
		address = t.peer.Notify.String()
	}
	gate := s.down[address]
	s.mu.Unlock()
	now := time.Now()
	switch {
	case t == nil:
		return
	case now.Sub(t.since) > tellUntil:
		s.forget(name, t)
		s.o.Metrics.DNSNotifies.WithLabelValues("out", "failed").Inc()
		s.o.Log.WarnContext(ctx, "a server was not told of a change", slog.String(obs.KeyDomain, t.zone), slog.String(obs.KeyAddress, address), slog.String(obs.KeyReason, "no answer for an hour"))
		return
	case now.Before(gate.until):
		s.schedule.set(task{taskTell, name}, gate.until.Add(time.Millisecond))
		return
	}
	s.mu.Lock() // others wait until this one has been answered
	wait := min(max(2*gate.wait, tellFirst), tellMost)
	s.down[address] = outage{until: now.Add(wait), wait: wait}
	s.mu.Unlock()
	rcode, err := s.sendNotify(ctx, t)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		left, ok := s.quiet.may("tell "+address, now)
		if ok {
			s.o.Log.WarnContext(ctx, "a server does not hear of a change", slog.String(obs.KeyDomain, t.zone), slog.String(obs.KeyAddress, address), slog.Any(obs.KeyError, err), slog.Int(obs.KeyCount, left))
		}
		s.o.Metrics.DNSNotifies.WithLabelValues("out", "silent").Inc()
		// After those that wait: it may be this zone alone that the server says nothing of.
		s.schedule.set(task{taskTell, name}, now.Add(wait+tellFirst/2))
		return
	}
	s.mu.Lock()
	delete(s.down, address)
	s.mu.Unlock()
	s.forget(name, t)
	result := "done"
	if rcode != rcodeOK {
		result = "refused"
		if left, ok := s.quiet.may("told "+address, now); ok {
			s.o.Log.WarnContext(ctx, "a server does not take NOTIFY", slog.String(obs.KeyDomain, t.zone), slog.String(obs.KeyAddress, address), slog.String(obs.KeyReason, dns.RefusedError(rcode).Error()), slog.Int(obs.KeyCount, left))
		}
	}
	s.o.Metrics.DNSNotifies.WithLabelValues("out", result).Inc()
}

// forget ends a telling, unless the zone has changed again meanwhile.
func (s *Service) forget(name string, t *telling) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[name] == t {
		delete(s.told, name)
	}
}

func newID() uint16 {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint16(b[:])
}

var (
	errKey       = errors.New("the key is not there")
	errForbidden = errors.New("not dialled without the operator's leave")
)

// sendNotify gives the RCODE of the answer.
func (s *Service) sendNotify(ctx context.Context, t *telling) (rcode int, err error) {
	if why := reach.Unusual(t.peer.Notify.Addr()); why != "" && !t.peer.Operator {
		return 0, fmt.Errorf("%w: %s", errForbidden, why)
	}
	msg, err := dns.NotifyRequest(newID(), t.zone+".")
	if err != nil {
		return 0, err
	}
	var exchange *dns.Exchange
	if t.peer.Key != "" {
		k, ok := s.config.Load().usable(t.peer.Key, t.peer.Account)
		if !ok {
			return 0, errKey
		}
		exchange = k.Begin()
		if msg, err = exchange.Sign(msg, time.Now()); err != nil {
			return 0, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	conn, err := s.o.Dialer.DialContext(ctx, "udp", t.peer.Notify.String())
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }() // a datagram has no end
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return 0, err
	}
	if _, err := conn.Write(msg); err != nil {
		return 0, err
	}
	buf := make([]byte, maxMessage)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return 0, err
		}
		got := buf[:n]
		if n < headerSize || got[0] != msg[0] || got[1] != msg[1] || got[2]>>3 != 0x80>>3|opcodeNotify {
			continue // not the answer
		}
		if exchange != nil {
			_, err := exchange.Verify(got, time.Now())
			// A server that does not know the zone may not sign that; nothing follows from it but that it was told.
			if err != nil && (!errors.Is(err, dns.ErrUnsigned) || got[3]&15 == rcodeOK) {
				return 0, err
			}
		}
		return int(got[3] & 15), nil
	}
}

// notified takes a NOTIFY: from the primary of a copy alone, under its key if it has one (RFC 1996 §3.10).
func (s *Service) notified(ctx context.Context, r *asked) {
	domain := strings.TrimSuffix(r.name, ".")
	c := s.config.Load()
	z, there := c.secondaries[domain]
	reason := ""
	switch {
	case !r.in || r.kind != dns.TypeSOA:
		reason = "not about SOA"
	case !there:
		reason = "not a secondary of the zone"
	case r.Client.Addr().Unmap() != z.Primary.Addr().Unmap():
		reason = "not from the primary"
	case z.Key != "" && (r.sign == nil || r.key.Name != z.Key+"."):
		reason = "not signed by the primary's key"
	}
	if reason != "" {
		s.log("refused", r, reason, r.key.Name)
		s.refuse(r, rcodeRefused)
		return
	}
	s.o.Metrics.DNSNotifies.WithLabelValues("in", "done").Inc()
	s.o.Log.DebugContext(ctx, "a primary tells of a change", slog.String(obs.KeyDomain, domain), slog.String(obs.KeyClient, r.Client.Addr().String()))
	s.schedule.set(task{taskCheck, domain}, s.soon(domain))
	s.refuse(r, rcodeOK)
}
