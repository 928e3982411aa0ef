package judge

import (
	"context"
	"fmt"
	"net/netip"
	"runtime/debug"
	"slices"

	"postroad/internal/core/facts"
	"postroad/internal/core/policy"
)

// naming is what DNS says of a client's names.
type naming struct {
	confirmed []string // those that its address leads to and that lead back to it
	unsure    bool     // there may be more, DNS does not say for now
}

// named asks for the names of a client.
func named(ctx context.Context, dns policy.DNS, addr netip.Addr) (n naming) {
	names := dns.Names(ctx, addr)
	n.unsure = names.Status == facts.Temporary
	for _, host := range names.Hosts[:min(len(names.Hosts), maxNames)] {
		back := dns.Family(ctx, host, addr.Is6())
		n.unsure = n.unsure || back.Status == facts.Temporary
		if slices.ContainsFunc(back.Addrs, func(a netip.Addr) bool { return a.Unmap() == addr }) {
			n.confirmed = append(n.confirmed, host)
		}
	}
	return n
}

// known has f ask what is remembered of DNS, and reports whether that was enough. Where it was not, or f panicked, what f
// found counts for nothing.
func (s *Service) known(f func(dns policy.DNS)) (enough bool) {
	if s.cfg.Known == nil {
		return false
	}
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("judging panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			enough = false
		}
	}()
	m := memory{dns: s.cfg.Known}
	f(&m)
	return !m.lacks
}

// memory is what is remembered of DNS. After the first answer that it lacks there are no others, so that nothing follows
// from a part of the truth.
type memory struct {
	dns   policy.DNS
	lacks bool
}

var _ policy.DNS = (*memory)(nil)

// TXT implements policy.DNS.
func (m *memory) TXT(ctx context.Context, name string) (a facts.TXTAnswer) {
	a.Status = facts.Temporary
	if !m.lacks {
		a = m.dns.TXT(ctx, name)
		m.lacks = a.Status == facts.Temporary
	}
	return a
}

// MX implements policy.DNS.
func (m *memory) MX(ctx context.Context, name string) (a facts.MXAnswer) {
	a.Status = facts.Temporary
	if !m.lacks {
		a = m.dns.MX(ctx, name)
		m.lacks = a.Status == facts.Temporary
	}
	return a
}

// Family implements policy.DNS.
func (m *memory) Family(ctx context.Context, host string, six bool) (a facts.AddrAnswer) {
	a.Status = facts.Temporary
	if !m.lacks {
		a = m.dns.Family(ctx, host, six)
		m.lacks = a.Status == facts.Temporary
	}
	return a
}

// Names implements policy.DNS.
func (m *memory) Names(ctx context.Context, addr netip.Addr) (a facts.NamesAnswer) {
	a.Status = facts.Temporary
	if !m.lacks {
		a = m.dns.Names(ctx, addr)
		m.lacks = a.Status == facts.Temporary
	}
	return a
}
