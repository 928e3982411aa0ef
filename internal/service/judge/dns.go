package judge

import (
	"context"
	"net/netip"
)

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
