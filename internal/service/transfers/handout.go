package transfers

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/transfer"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

// errGone says that a zone that may be handed out is not there.
var errGone = errors.New("the zone is not here")

// handing is a zone on its way out.
type handing struct {
	soa     dns.Record
	serial  uint32
	rest    []dns.Record
	journal []transfer.Step // nil: it goes out whole
}

// allowed reports whether who asks may have the zone, and whose it is: a peer of it may, under a key that is the zone's
// account's or the operator's (RFC 5936 §5). A zone that is not there, or not shown to be its account's, nobody may have.
func (s *Service) allowed(r *asked) (owner account.ID, admitted bool) {
	c := s.config.Load()
	domain := strings.TrimSuffix(r.name, ".")
	owner, there := s.owner(c, domain)
	if !there {
		return "", false
	}
	signed := ""
	if r.sign != nil {
		signed = strings.TrimSuffix(r.key.Name, ".")
	}
	s.peers(c, domain, owner, func(p *transfer.Peer) bool {
		if !p.Admits(r.Client.Addr(), signed) {
			return true
		}
		if p.Key != "" {
			if _, ours := c.usable(p.Key, p.Account); !ours {
				return true
			}
		}
		admitted = true
		return false
	})
	return owner, admitted
}

// owner gives the account of a zone that can be handed out.
func (s *Service) owner(c *config, domain string) (account.ID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if z, there := s.served[domain]; there {
		return z.account, !z.pending
	}
	if z, there := s.copies[domain]; there {
		return z.of.Account, z.have && !z.pending && !z.expired
	}
	for i := range c.catalogs {
		if c.catalogs[i].Name == domain {
			return c.catalogs[i].Account, true
		}
	}
	return "", false
}

// handOut answers AXFR and IXFR. Over UDP, AXFR is not defined (RFC 5936 §4.2).
func (s *Service) handOut(ctx context.Context, r *asked) {
	owner, admitted := s.allowed(r)
	if !admitted {
		reason := "not signed"
		if r.sign != nil {
			reason = "not for this key and address"
		}
		s.log("refused", r, reason, r.key.Name)
		s.refuse(r, rcodeRefused)
		return
	}
	if !r.TCP {
		if r.kind == dns.TypeAXFR {
			s.refuse(r, rcodeForm)
		} else {
			s.tellVersion(r)
		}
		return
	}
	leave, ok := s.places(ctx, owner)
	if !ok {
		s.log("failed", r, "too many transfers at a time", r.key.Name)
		s.refuse(r, rcodeServer)
		return
	}
	defer leave()
	begin := time.Now()
	z, err := s.load(ctx, r)
	if err != nil {
		s.o.Log.ErrorContext(ctx, "a zone could not be handed out", slog.String(obs.KeyDomain, printable(r.name)), slog.Any(obs.KeyError, err))
		s.log("failed", r, "the zone could not be read", r.key.Name)
		s.refuse(r, rcodeServer)
		return
	}
	stream, how, err := s.send(r, z)
	if err != nil {
		switch {
		case stream == nil && errors.Is(err, dns.ErrSyntax): // of the request
			s.refuse(r, rcodeForm)
		case stream == nil || stream.Messages == 0 && !errors.Is(err, errSend):
			s.refuse(r, rcodeServer)
		}
		s.log("failed", r, "not taken to the end", r.key.Name)
		return
	}
	s.o.Metrics.DNSTransfers.WithLabelValues("out", kindOf(r.kind), "done").Inc()
	s.o.Log.InfoContext(ctx, "a zone was handed out", slog.String(obs.KeyDomain, printable(r.name)), slog.String(obs.KeyOperation, how),
		slog.String(obs.KeyClient, r.Client.Addr().String()), slog.String(obs.KeyTSIG, strings.TrimSuffix(r.key.Name, ".")), slog.Uint64(obs.KeySerial, uint64(z.serial)),
		slog.Int64(obs.KeyCount, stream.Records), slog.Int64(obs.KeyBytes, stream.Octets), slog.Duration(obs.KeyElapsed, time.Since(begin)))
}

// places waits for a place among the transfers that go out: one of those that an account may have, so that slow readers of
// one account's zones keep no other's waiting, and one of all.
func (s *Service) places(ctx context.Context, owner account.ID) (leave func(), ok bool) {
	ctx, cancel := context.WithTimeout(ctx, placeTime)
	defer cancel()
	s.mu.Lock()
	own := s.outOf[owner]
	if own == nil {
		own = make(chan struct{}, maxOutOfOne)
		s.outOf[owner] = own
	}
	s.mu.Unlock()
	select {
	case own <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	select {
	case s.out <- struct{}{}:
		return func() { <-s.out; <-own }, true
	case <-ctx.Done():
		<-own
		return nil, false
	}
}

// tellVersion answers IXFR over UDP with the SOA record that is answered for, so that it comes again by TCP (RFC 1995 §2).
// Nothing is read for that, and nobody waits.
func (s *Service) tellVersion(r *asked) {
	question := r.header(0)
	question[2] &^= 0x80
	binary.BigEndian.PutUint16(question[r.end-4:], uint16(dns.TypeSOA))
	answer := r.Plain(question)
	if len(answer) < r.end || answer[3]&15 != 0 || binary.BigEndian.Uint16(answer[6:]) != 1 {
		s.refuse(r, rcodeServer)
		return
	}
	_, _, end, err := dns.ReadRecord(answer, r.end)
	if err != nil {
		s.refuse(r, rcodeServer)
		return
	}
	answer = answer[:end]
	clear(answer[8:headerSize])
	copy(answer[r.end-4:r.end-2], r.bare[r.end-4:])
	s.reply(r, r.withOPT(answer))
}

// load reads a zone with its journal.
func (s *Service) load(ctx context.Context, r *asked) (*handing, error) {
	domain := strings.TrimSuffix(r.name, ".")
	s.mu.Lock()
	_, home := s.served[domain]
	fetched := s.copies[domain]
	var journal []transfer.Step
	if fetched != nil && r.kind == dns.TypeIXFR {
		journal = fetched.steps
	}
	s.mu.Unlock()
	var all []dns.Record
	switch {
	case home:
		z, err := s.o.Store.Zone(ctx, account.System(), domain)
		if err != nil {
			return nil, err
		}
		if r.kind == dns.TypeIXFR {
			if journal, err = s.o.Store.Journal(ctx, account.System(), domain); err != nil {
				s.o.Log.ErrorContext(ctx, "a journal could not be read: the zone goes out whole", slog.String(obs.KeyDomain, domain), slog.Any(obs.KeyError, err))
				journal = nil
			}
		}
		all = z.Content()
	case fetched != nil:
		c, err := s.o.Store.Copy(ctx, account.System(), domain)
		if err != nil {
			return nil, err
		}
		all = slices.Concat(c.Records, c.Signatures)
	default:
		all = s.members(domain)
	}
	soa, rest, ok := content(all, r.name)
	if !ok {
		return nil, errGone
	}
	serial, err := dns.SerialOf(&soa)
	return &handing{soa, serial, rest, journal}, err
}

// errSend says that the client no longer takes what is sent.
var errSend = errors.New("not taken")

// send writes the answer. how says in which form: whole, as differences, or that there is nothing newer.
func (s *Service) send(r *asked, z *handing) (stream *dns.Stream, how string, err error) {
	limit := maxMessage
	if r.sign != nil {
		limit -= r.key.SignatureRoom()
	}
	stream, err = dns.NewStream(r.bare, limit, func(msg []byte) error {
		if r.sign != nil {
			var err error
			if msg, err = r.sign.Sign(msg, time.Now()); err != nil {
				return err
			}
		}
		if err := r.Send(msg); err != nil {
			return errors.Join(errSend, err)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	list := []dns.Record{z.soa}
	var steps []transfer.Step
	how = "axfr"
	if r.kind == dns.TypeIXFR {
		have, err := serialOfRequest(r)
		if err != nil {
			return nil, "", err
		}
		steps = transfer.Chain(z.journal, have, z.serial)
		switch {
		case have == z.serial || have-z.serial < 1<<31:
			how = "soa"
		case steps != nil && smaller(steps, len(z.rest)):
			how = "ixfr"
		}
	}
	switch how {
	case "axfr":
		list = append(append(list, z.rest...), z.soa)
	case "ixfr":
		for i := range steps {
			list = append(append(list, steps[i].Removed...), steps[i].Added...)
		}
		list = append(list, z.soa)
	}
	for i := range list {
		if err := stream.Add(&list[i]); err != nil {
			return stream, how, err
		}
	}
	return stream, how, stream.Flush()
}

// smaller reports whether differences are shorter than a zone.
func smaller(steps []transfer.Step, records int) bool {
	n := 0
	for i := range steps {
		n += len(steps[i].Removed) + len(steps[i].Added)
	}
	return n <= records+4
}

// serialOfRequest reads the version that a client of IXFR has, from the authority section (RFC 1995 §3).
func serialOfRequest(r *asked) (uint32, error) {
	if r.bare[7] != 0 || r.bare[6] != 0 || r.bare[9] != 1 {
		return 0, dns.ErrSyntax
	}
	soa, _, _, err := dns.ReadRecord(r.bare, r.end)
	if err != nil || soa.Name != r.name {
		return 0, dns.ErrSyntax
	}
	return dns.SerialOf(&soa)
}
