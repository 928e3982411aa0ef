package resolver

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"postroad/internal/proto/dns"
)

// Bounds of a zone that is taken over.
const (
	transferRecords = 10_000
	transferOctets  = 8 << 20
)

// Transfer asks one server for a whole zone (AXFR, RFC 5936). Most give it to nobody but their own secondaries. The
// context bounds how long that may take.
func (s *Service) Transfer(ctx context.Context, server, zone string) ([]dns.Record, error) {
	var random [2]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	id, apex := binary.BigEndian.Uint16(random[:]), plainName(zone)+"."
	request, err := dns.TransferRequest(id, apex, dns.TypeAXFR, nil)
	if err != nil {
		return nil, err
	}
	conn, err := s.open(ctx, "tcp", server)
	if err != nil {
		return nil, errors.New(cause(err))
	}
	defer func() { _ = conn.Close() }() // all is here, or nothing is of use
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(request))) //nolint:gosec // a question is short
	if _, err := conn.Write(append(framed, request...)); err != nil {
		return nil, errors.New(cause(err))
	}
	in := dns.NewInbound(id, apex, dns.TypeAXFR, 0, dns.Limits{Octets: transferOctets, Records: transferRecords})
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return nil, fmt.Errorf("the transfer ended early: %s", cause(err))
		}
		message := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, message); err != nil {
			return nil, fmt.Errorf("the transfer ended early: %s", cause(err))
		}
		done, err := in.Read(message)
		if err != nil {
			return nil, err
		}
		if done {
			return in.Result().Records, nil
		}
	}
}
