package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"postroad/internal/service/receive"
)

// listening is one open SMTP listener.
type listening struct {
	kind     receive.Kind
	listener net.Listener
}

// openListeners binds all ports, before anything is stored, so that a port in use leaves no half start behind, and
// learns from those for SMTP which addresses are ours. A node that does not receive learns them from the configuration:
// mail must not go round between nodes.
func (s *Server) openListeners(ctx context.Context) error {
	s.self = &self{machine: machineAddresses()}
	for _, a := range s.cfg.Addresses {
		s.self.addresses = append(s.self.addresses, a.Unmap())
	}
	for _, list := range []struct {
		kind      receive.Kind
		addresses []string
	}{
		{receive.MX, s.cfg.Listen.SMTP},
		{receive.Submission, s.cfg.Listen.Submission},
		{receive.Submissions, s.cfg.Listen.Submissions},
	} {
		for _, address := range list.addresses {
			if !s.runs(RoleReceive) {
				s.self.learn(address)
				continue
			}
			l, err := s.opts.Listen(ctx, "tcp", address)
			if err != nil {
				return fmt.Errorf("listener %s: %w", list.kind, err)
			}
			s.atEnd(func(context.Context) { _ = l.Close() })
			s.listeners = append(s.listeners, listening{kind: list.kind, listener: l})
			s.self.learn(l.Addr().String())
		}
	}
	for _, list := range []struct {
		name      string
		addresses []string
		open      *[]net.Listener
	}{{"http", s.cfg.Listen.HTTP, &s.web}, {"https", s.cfg.Listen.HTTPS, &s.secureWeb}} {
		for _, address := range list.addresses {
			l, err := s.opts.Listen(ctx, "tcp", address)
			if err != nil {
				return fmt.Errorf("listener %s: %w", list.name, err)
			}
			s.atEnd(func(context.Context) { _ = l.Close() })
			*list.open = append(*list.open, l)
		}
	}
	if len(s.listeners) == 0 && s.runs(RoleReceive) && !(s.runs(RoleDNS) && len(s.cfg.Listen.DNS) > 0) {
		return errNoListener
	}
	return nil
}

// learn takes a listener's address for ours; one that begins with a name says nothing before it is open. A loopback address is everybody's own: what DNS says of it is for the
// dialler's guard, not for the loop check.
func (s *self) learn(address string) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	s.listeners = append(s.listeners, ap)
	switch {
	case ap.Addr().IsUnspecified():
		s.every = true
	case !ap.Addr().IsLoopback():
		s.addresses = append(s.addresses, ap.Addr())
	}
}

// hasAddress reports whether the machine has an address now.
func hasAddress(a netip.Addr) bool { return slices.Contains(machineAddresses(), a) }

func machineAddresses() []netip.Addr {
	var out []netip.Addr
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr().Unmap())
		}
	}
	return out
}
