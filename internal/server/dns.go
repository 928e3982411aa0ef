package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"postroad/internal/service/control"
	"postroad/internal/service/dnsd"
)

// answering is one open DNS address: its TCP listener and its UDP sockets.
type answering struct {
	tcp net.Listener
	udp []*net.UDPConn
}

// openDNS binds the addresses of DNS. TCP goes first: where a port is taken, it says so, and where the system chooses
// one, UDP takes the same.
func (s *Server) openDNS(ctx context.Context) error {
	if !s.runs(RoleDNS) {
		return nil
	}
	for _, address := range s.cfg.Listen.DNS {
		suffix := family(address, s.cfg.Listen.DNS)
		l, err := s.opts.Listen(ctx, "tcp"+suffix, address)
		if err != nil {
			return fmt.Errorf("listener dns: %w", err)
		}
		s.atEnd(func(context.Context) { _ = l.Close() })
		conns, err := dnsd.ListenUDP(ctx, "udp"+suffix, l.Addr().String())
		if err != nil {
			return fmt.Errorf("listener dns: %w", err)
		}
		s.atEnd(func(context.Context) {
			for _, c := range conns {
				_ = c.Close()
			}
		})
		s.dns = append(s.dns, answering{tcp: l, udp: conns})
	}
	return nil
}

// family says which family of addresses a listener is for: "4" or "6", or "" for both, which is what [::] stands for as
// long as no IPv4 address is listed with the same port.
func family(address string, all []string) string {
	ap, err := netip.ParseAddrPort(address)
	switch {
	case err != nil:
		return ""
	case ap.Addr().Is4():
		return "4"
	case !ap.Addr().IsUnspecified():
		return "6"
	case slices.ContainsFunc(all, func(other string) bool {
		o, err := netip.ParseAddrPort(other)
		return err == nil && o.Addr().Is4() && o.Port() == ap.Port()
	}):
		return "6"
	}
	return ""
}

// joinDNS makes the name server.
func (s *Server) joinDNS(ctx context.Context) error {
	if !s.runs(RoleDNS) {
		return nil
	}
	secret, err := s.secret(ctx, settingCookieSecret)
	if err != nil {
		return err
	}
	s.dnsd = dnsd.New(dnsd.Config{RateLimit: s.cfg.DNS.RateLimit, Secret: secret, Transfers: transferring{s}}, s.metrics, s.log)
	s.atEnd(s.dnsd.Stop)
	s.joinTransfers()
	return nil
}

// serveDNS begins to answer. It does so once every zone is published: no answer is better than REFUSED.
func (s *Server) serveDNS(context.Context) error {
	for _, a := range s.dns {
		s.serving.Go(func() {
			if err := s.dnsd.ServeTCP(a.tcp); err != nil {
				s.fail(fmt.Errorf("listener dns: %w", err))
			}
		})
		for _, c := range a.udp {
			s.serving.Go(func() {
				if err := s.dnsd.ServeUDP(c); err != nil {
					s.fail(fmt.Errorf("listener dns: %w", err))
				}
			})
		}
	}
	return nil
}

// names is what control tells of zones; nil on a node that answers no questions.
func (s *Server) names() control.Names {
	if s.dnsd == nil {
		return nil
	}
	return published{s}
}
