package providers

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"postroad/internal/core/publish"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// query asks a zone's primary for RRsets.
func (s *Service) query(ctx context.Context, a *publish.Access, sets []publish.Set) ([]dns.Record, error) {
	var out []dns.Record
	err := s.session(ctx, a, func(c *session) error {
		for _, set := range sets {
			request, err := dns.TransferRequest(newID(), set.Name, set.Type, nil)
			if err != nil {
				return err
			}
			answer, err := c.exchange(request)
			if err != nil {
				return err
			}
			got, err := dns.ReadSet(request, answer, set.Name, set.Type)
			if err != nil {
				return err
			}
			out = append(out, got...)
		}
		return nil
	})
	return out, err
}

// update changes RRsets at a zone's primary.
func (s *Service) update(ctx context.Context, a *publish.Access, d zone.Difference) error {
	sets := make([]dns.SetUpdate, len(d))
	for i, c := range d {
		sets[i] = dns.SetUpdate{Name: c.Name, Type: c.Type, Before: c.Before, After: c.After}
	}
	request, err := dns.UpdateRequest(newID(), a.Zone+".", sets)
	if err != nil {
		return err
	}
	err = s.session(ctx, a, func(c *session) error {
		answer, err := c.exchange(request)
		if err != nil {
			return err
		}
		return dns.ReadUpdate(request, answer)
	})
	if errors.Is(err, dns.ErrPrerequisite) {
		return publish.ErrChanged
	}
	return err
}

// newID is a message id that strangers cannot guess.
func newID() uint16 {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint16(b[:])
}

// session is a connection to a primary. Every message is signed, and every answer must be.
type session struct {
	conn net.Conn
	key  dns.TSIGKey
}

func (s *Service) session(ctx context.Context, a *publish.Access, talk func(*session) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := dialer(func(at netip.AddrPort) error {
		if !a.Operator && at.Port() != 53 {
			return errPort
		}
		return public(at.Addr(), a.Operator)
	}).DialContext(ctx, "tcp", a.Server)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // all is answered, or given up
	end, _ := ctx.Deadline()
	if err := conn.SetDeadline(end); err != nil {
		return err
	}
	return talk(&session{conn: conn, key: dns.TSIGKey{Name: a.Key, Algorithm: a.Algorithm, Secret: a.Secret}})
}

// exchange sends a message and gives the answer, verified (RFC 1035 §4.2.2, RFC 8945 §5.3).
func (c *session) exchange(request []byte) ([]byte, error) {
	x := c.key.Begin()
	signed, err := x.Sign(request, time.Now())
	if err != nil {
		return nil, err
	}
	if _, err := c.conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(signed))), signed...)); err != nil { //nolint:gosec // at most 65,535 and a signature
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(c.conn, size[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c.conn, answer); err != nil {
		return nil, err
	}
	bare, err := x.Verify(answer, time.Now())
	if err != nil {
		if len(answer) > 3 && answer[3]&15 != 0 {
			err = errors.Join(dns.RefusedError(answer[3]&15), err)
		}
		return nil, fmt.Errorf("its answer is not signed by the key %s: %w", c.key.Name, err)
	}
	return bare, nil
}
