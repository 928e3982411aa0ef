package judge

import (
	"context"
	"errors"
	"net/netip"

	"postroad/internal/core/facts"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/dmarc"
	"postroad/internal/proto/spf"
)

// unknown says why DNS did not answer, in the words of the resolver.
func unknown(o facts.Origin) error { return errors.New(o.Detail) }

// spfDNS is the resolver as SPF asks it.
type spfDNS struct{ Resolver }

func spfError(status facts.Status, o facts.Origin, empty bool) error {
	switch {
	case status == facts.Found && !empty:
		return nil
	case status == facts.Temporary:
		return unknown(o)
	}
	return spf.ErrNotFound
}

// TXT implements spf.Resolver.
func (r spfDNS) TXT(ctx context.Context, name string) ([]string, error) {
	a := r.Resolver.TXT(ctx, name)
	return a.Records, spfError(a.Status, a.Origin, false)
}

// Addrs implements spf.Resolver.
func (r spfDNS) Addrs(ctx context.Context, name string, six bool) ([]netip.Addr, error) {
	a := r.Family(ctx, name, six)
	return a.Addrs, spfError(a.Status, a.Origin, len(a.Addrs) == 0)
}

// MX implements spf.Resolver.
func (r spfDNS) MX(ctx context.Context, name string) ([]string, error) {
	a := r.Resolver.MX(ctx, name)
	hosts := make([]string, len(a.Records))
	for i, mx := range a.Records {
		hosts[i] = mx.Host
	}
	return hosts, spfError(a.Status, a.Origin, false)
}

// PTR implements spf.Resolver.
func (r spfDNS) PTR(ctx context.Context, addr netip.Addr) ([]string, error) {
	a := r.Names(ctx, addr)
	return a.Hosts, spfError(a.Status, a.Origin, len(a.Hosts) == 0)
}

// dmarcDNS is the resolver as DMARC asks it.
type dmarcDNS struct{ Resolver }

// TXT implements dmarc.Resolver.
func (r dmarcDNS) TXT(ctx context.Context, name string) ([]string, error) {
	a := r.Resolver.TXT(ctx, name)
	switch a.Status {
	case facts.Found:
		return a.Records, nil
	case facts.NXDomain:
		return nil, dmarc.ErrNoSuchName
	case facts.NoData:
		return nil, dmarc.ErrNotFound
	case facts.Temporary:
	}
	return nil, unknown(a.Origin)
}

// key fetches what DNS has at the name of a DKIM key.
func (s *Service) key(ctx context.Context, name string) ([]string, error) {
	a := s.resolver.TXT(ctx, name)
	switch a.Status {
	case facts.Found:
		return a.Records, nil
	case facts.NXDomain, facts.NoData:
		return nil, dkim.ErrNoRecord
	case facts.Temporary:
	}
	return nil, unknown(a.Origin)
}

// confirmed gives the names that an address leads to and that lead back to it.
func (s *Service) confirmed(ctx context.Context, addr netip.Addr) []string {
	var out []string
	hosts := s.resolver.Names(ctx, addr).Hosts
	for _, host := range hosts[:min(len(hosts), maxNames)] {
		for _, a := range s.resolver.Family(ctx, host, addr.Is6()).Addrs {
			if a.Unmap() == addr {
				out = append(out, host)
				break
			}
		}
	}
	return out
}
