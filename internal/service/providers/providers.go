// Package providers reads and writes zones that others answer for: by dynamic update (RFC 2136) with TSIG (RFC 8945), and by
// the interfaces of DNS services, behind the interfaces of github.com/libdns/libdns.
//
// Only the RRsets of a change are written. Each is first seen to be as it was when the change was planned: by RFC 2136 the
// server does that, in the same message; with services it is read once more.
//
// # Failure
//
// Of a dynamic update all is written or nothing. A service has no transactions: what it has taken before it failed stays,
// and the next plan shows what is left to do. New records are written before old ones go.
//
// # Known limits
//
// Between the last look and the write of a service somebody else's change of the same RRset may be lost.
package providers

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"postroad/internal/core/publish"
	"postroad/internal/core/reach"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// The kinds of provider.
const (
	RFC2136    = "rfc2136"
	Cloudflare = "cloudflare"
	Hetzner    = "hetzner"
)

// Kinds lists the kinds of provider.
func Kinds() []string { return []string{RFC2136, Cloudflare, Hetzner} }

// timeout is how long one exchange with a provider may take.
const timeout = 15 * time.Second

// Service talks to providers. The zero value trusts the machine's certificate authorities.
type Service struct {
	RootCAs *x509.CertPool
}

var (
	errKind       = errors.New("there is no such kind of provider")
	errNotPublic  = errors.New("its address is not of the public Internet, and it was not the operator who named it")
	errPort       = errors.New("its port is not 53, and it was not the operator who named it")
	errNotPrivate = errors.New("its address is neither loopback nor private, and a token is sent nowhere without TLS but there")
)

// Read gives RRsets as the provider has them now.
func (s *Service) Read(ctx context.Context, a publish.Access, sets []publish.Set) ([]dns.Record, error) {
	if a.Kind == RFC2136 {
		return s.query(ctx, &a, sets)
	}
	service, err := s.service(&a)
	if err != nil {
		return nil, err
	}
	return readSets(ctx, service, a.Zone+".", sets)
}

// Write makes a change. publish.ErrChanged: the RRsets are not as they were before it, and nothing was written.
func (s *Service) Write(ctx context.Context, a publish.Access, d zone.Difference) error {
	if a.Kind == RFC2136 {
		return s.update(ctx, &a, d)
	}
	service, err := s.service(&a)
	if err != nil {
		return err
	}
	return writeSets(ctx, service, a.Zone+".", d)
}

// service gives the interface of a provider's service.
func (s *Service) service(a *publish.Access) (records, error) {
	w := &web{base: a.Server, token: string(a.Secret), client: s.client(a)}
	switch a.Kind {
	case Cloudflare:
		if w.base == "" {
			w.base = "https://api.cloudflare.com/client/v4"
		}
		return &cloudflare{web: w}, nil
	case Hetzner:
		if w.base == "" {
			w.base = "https://api.hetzner.cloud/v1"
		}
		return &hetzner{web: w}, nil
	}
	return nil, fmt.Errorf("%w: %.40q", errKind, a.Kind)
}

// dialer opens connections to where a provider may be, judged by the address that is dialled.
func dialer(judge func(netip.AddrPort) error) *net.Dialer {
	return &net.Dialer{Timeout: timeout / 3, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return judge(netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port()))
	}}
}

// public refuses addresses to which nobody but the operator leads us.
func public(a netip.Addr, operator bool) error {
	if !operator && reach.Unusual(a) != "" {
		return errNotPublic
	}
	return nil
}
