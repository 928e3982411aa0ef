package judge

import (
	"context"
	"fmt"
	"net/netip"
	"runtime/debug"

	"postroad/internal/core/facts"
	"postroad/internal/core/policy"
)

// confirmed gives the names that an address leads to and that lead back to it.
func confirmed(ctx context.Context, dns policy.DNS, addr netip.Addr) []string {
	var out []string
	hosts := dns.Names(ctx, addr).Hosts
	for _, host := range hosts[:min(len(hosts), maxNames)] {
		for _, a := range dns.Family(ctx, host, addr.Is6()).Addrs {
			if a.Unmap() == addr {
				out = append(out, host)
				break
			}
		}
	}
	return out
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
