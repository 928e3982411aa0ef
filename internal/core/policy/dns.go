package policy

import (
	"context"
	"errors"
	"net/netip"

	"postroad/internal/core/facts"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/dmarc"
	"postroad/internal/proto/spf"
)

// DNS is foreign DNS as services ask it. The standards ask it by SPF, DMARC and Key.
type DNS interface {
	TXT(ctx context.Context, name string) facts.TXTAnswer
	MX(ctx context.Context, name string) facts.MXAnswer
	// Family gives the addresses of a host in one family.
	Family(ctx context.Context, host string, six bool) facts.AddrAnswer
	// Names gives the names that an address leads to.
	Names(ctx context.Context, addr netip.Addr) facts.NamesAnswer
}

// SPF is DNS as package spf asks it.
func SPF(dns DNS) spf.Resolver { return spfDNS{dns} }

// DMARC is DNS as package dmarc asks it.
func DMARC(dns DNS) dmarc.Resolver { return dmarcDNS{dns} }

// Key fetches what DNS has at the name of a DKIM key, as package dkim asks it.
func Key(ctx context.Context, dns DNS, name string) ([]string, error) {
	a := dns.TXT(ctx, name)
	switch a.Status {
	case facts.Found:
		return a.Records, nil
	case facts.NXDomain, facts.NoData:
		return nil, dkim.ErrNoRecord
	case facts.Temporary:
	}
	return nil, unknown(a.Origin)
}

// unknown says why DNS did not answer, in the words of the resolver.
func unknown(o facts.Origin) error { return errors.New(o.Detail) }

type spfDNS struct{ DNS }

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
	a := r.DNS.TXT(ctx, name)
	return a.Records, spfError(a.Status, a.Origin, false)
}

// Addrs implements spf.Resolver.
func (r spfDNS) Addrs(ctx context.Context, name string, six bool) ([]netip.Addr, error) {
	a := r.Family(ctx, name, six)
	return a.Addrs, spfError(a.Status, a.Origin, len(a.Addrs) == 0)
}

// MX implements spf.Resolver.
func (r spfDNS) MX(ctx context.Context, name string) ([]string, error) {
	a := r.DNS.MX(ctx, name)
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

type dmarcDNS struct{ DNS }

// TXT implements dmarc.Resolver.
func (r dmarcDNS) TXT(ctx context.Context, name string) ([]string, error) {
	a := r.DNS.TXT(ctx, name)
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
