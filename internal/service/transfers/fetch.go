package transfers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/reach"
	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

const (
	dialTime    = 5 * time.Second
	awayTime    = 30 * time.Second // a server that did not answer is not dialled for others meanwhile
	messageTime = 30 * time.Second // for one message
	fetchTime   = 15 * time.Minute // for a whole zone
	maxOctets   = 256 << 20        // of one transfer
)

// primary is a conversation with a primary over TCP.
type primary struct {
	s    *Service
	conn net.Conn
	of   transfer.Secondary
	key  *dns.TSIGKey
	buf  []byte
}

// fetch asks the primary for its version of a zone and gives what is newer than the one that is here; without records when
// nothing is. how says by which means.
func (s *Service) fetch(ctx context.Context, of transfer.Secondary, have bool, serial uint32) (got transfer.Copy, how string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	p, err := s.call(ctx, of)
	if err != nil {
		return got, "", err
	}
	defer func() { p.close() }()
	got.Refreshed = time.Now().UTC()
	theirs, err := p.version()
	if err != nil {
		return got, "", fmt.Errorf("asked for its SOA record: %w", err)
	}
	if have && !zone.Newer(theirs, serial) {
		return got, "refresh", nil
	}
	if have {
		records, err := p.differences(ctx, serial)
		switch {
		case err == nil && records == nil: // the version that it told before is not there any more
			return got, "refresh", nil
		case err == nil:
			return got, "ixfr", fill(&got, records, of.Domain, true, serial)
		case ctx.Err() != nil:
			return got, "", err
		}
		s.o.Log.InfoContext(ctx, "IXFR failed: the zone is fetched whole", slog.String(obs.KeyDomain, of.Domain), slog.String(obs.KeyAddress, of.Primary.String()), slog.Any(obs.KeyError, err))
		p.close()
		again, err := s.call(ctx, of)
		if err != nil {
			return got, "", err
		}
		p = again
	}
	in, err := p.transfer(dns.TypeAXFR, nil, 0)
	if err != nil {
		return got, "", fmt.Errorf("AXFR: %w", err)
	}
	return got, "axfr", fill(&got, in.Records, of.Domain, have, serial)
}

// fill takes the records of a version that must be newer than the one that is here.
func fill(got *transfer.Copy, records []dns.Record, domain string, have bool, serial uint32) error {
	soa, at := zone.SOARecord(records, domain+".")
	if at < 0 {
		return errors.New("the zone has no SOA record")
	}
	now, err := dns.SerialOf(&soa)
	if err != nil {
		return err
	}
	if have && !zone.Newer(now, serial) {
		return fmt.Errorf("the zone came with serial %d, and %d is here", now, serial)
	}
	got.Serial = now
	got.Records, got.Signatures = split(records)
	return nil
}

// errAway says that a primary is not dialled, because it could not be reached a moment ago.
var errAway = errors.New("it could not be reached a moment ago")

// call connects to the primary of a zone.
func (s *Service) call(ctx context.Context, of transfer.Secondary) (*primary, error) {
	p := &primary{s: s, of: of}
	if why := reach.Unusual(of.Primary.Addr()); why != "" && !of.Operator {
		return nil, fmt.Errorf("%w: %s", errForbidden, why)
	}
	if of.Key != "" {
		k, ok := s.config.Load().usable(of.Key, of.Account)
		if !ok {
			return nil, errKey
		}
		p.key = &k.TSIGKey
	}
	address := of.Primary.String()
	s.mu.Lock()
	until := s.away[address]
	s.mu.Unlock()
	if time.Now().Before(until) {
		return nil, errAway
	}
	dial, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var err error
	p.conn, err = s.o.Dialer.DialContext(dial, "tcp", address)
	s.mu.Lock()
	if delete(s.away, address); err != nil {
		s.away[address] = time.Now().Add(awayTime)
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, p.close) // nobody waits longer for it
	return p, nil
}

func (p *primary) close() { _ = p.conn.Close() }

// send sends a request and gives what its answers are verified with; nil without a key.
func (p *primary) send(msg []byte) (*dns.Exchange, error) {
	var exchange *dns.Exchange
	if p.key != nil {
		exchange = p.key.Begin()
		var err error
		if msg, err = exchange.Sign(msg, time.Now()); err != nil {
			return nil, err
		}
	}
	if err := p.conn.SetDeadline(time.Now().Add(messageTime)); err != nil {
		return nil, err
	}
	_, err := p.conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)) //nolint:gosec // a question
	return exchange, err
}

// receive gives the next message, verified. It is good until the next one.
func (p *primary) receive(exchange *dns.Exchange) ([]byte, error) {
	if err := p.conn.SetDeadline(time.Now().Add(messageTime)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(p.conn, size[:]); err != nil {
		return nil, cut(err)
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	p.buf = slices.Grow(p.buf[:0], n)[:n]
	if _, err := io.ReadFull(p.conn, p.buf); err != nil {
		return nil, cut(err)
	}
	if exchange == nil {
		bare, sig, err := dns.SplitTSIG(p.buf)
		if err == nil && sig != nil {
			return nil, errors.New("the answer is signed, and the request was not")
		}
		return bare, err
	}
	return exchange.Verify(p.buf, time.Now())
}

// cut names the end of a connection in the middle.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the connection ended before the answer")
	}
	return err
}

// version asks for the serial number of the primary's zone.
func (p *primary) version() (uint32, error) {
	msg, err := dns.TransferRequest(newID(), p.of.Domain+".", dns.TypeSOA, nil)
	if err != nil {
		return 0, err
	}
	exchange, err := p.send(msg)
	if err != nil {
		return 0, err
	}
	answer, err := p.receive(exchange)
	if err != nil {
		return 0, err
	}
	soa, err := dns.ReadSOA(msg, answer)
	if err != nil {
		return 0, err
	}
	return dns.SerialOf(&soa)
}

// transfer asks for the zone, or for what has changed since the SOA record.
func (p *primary) transfer(kind dns.Type, have *dns.Record, serial uint32) (dns.Received, error) {
	id := newID()
	msg, err := dns.TransferRequest(id, p.of.Domain+".", kind, have)
	if err != nil {
		return dns.Received{}, err
	}
	exchange, err := p.send(msg)
	if err != nil {
		return dns.Received{}, err
	}
	limit := p.s.o.Limits.Records
	if limit == 0 {
		limit = zone.MaxRecords
	}
	in := dns.NewInbound(id, p.of.Domain+".", kind, serial, dns.Limits{Octets: maxOctets, Records: 8*limit + 2}) // signed, a zone is several times as large
	for {
		answer, err := p.receive(exchange)
		if err != nil {
			return dns.Received{}, err
		}
		done, err := in.Read(answer)
		if err != nil {
			return dns.Received{}, err
		}
		if done {
			break
		}
	}
	if exchange != nil && exchange.Open() {
		return dns.Received{}, errors.New("the last messages of the transfer are not signed")
	}
	return in.Result(), nil
}

// differences gives the records of the primary's version by IXFR; nil when it has nothing newer.
func (p *primary) differences(ctx context.Context, serial uint32) ([]dns.Record, error) {
	kept, err := p.s.o.Store.Copy(ctx, account.System(), p.of.Domain)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(kept.Records, kept.Signatures)
	slices.SortFunc(all, dns.Compare)
	soa, _, ok := content(all, p.of.Domain+".")
	if !ok || kept.Serial != serial {
		return nil, errors.New("the version that is here cannot be read")
	}
	got, err := p.transfer(dns.TypeIXFR, &soa, serial)
	if err != nil || got.Current {
		return nil, err
	}
	if got.Records != nil {
		return got.Records, nil
	}
	for _, step := range got.Steps {
		if all, err = step.Apply(all); err != nil {
			return nil, err
		}
	}
	return all, nil
}
