package deliver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
)

// routeOf gives the outbound route of a lane as it is now; zero when the lane names none. When that was removed, what
// goes by MX records takes the installation's, and what goes through a smart host has none.
func (s *Service) routeOf(lane mail.Lane) directory.Outbound {
	id := ""
	switch lane.Transport() {
	case mail.TransportRemote:
		_, id = routing.ParseRemote(lane.Key())
	case mail.TransportRelay:
		_, _, id = routing.ParseHops(lane.Key())
	case mail.TransportLMTP, mail.TransportLocal:
	}
	if id == "" {
		return directory.Outbound{}
	}
	snap := s.dir.View().Directory
	o, ok := snap.OutboundByID(id)
	switch {
	case ok:
	case lane.Transport() == mail.TransportRemote:
		o, _ = snap.Outbound("")
	default:
		return directory.Outbound{}
	}
	return o
}

// from has a plan's mail leave by a route: hosts that cannot be dialled from one of its addresses are left out.
func (p plan) from(route directory.Outbound) (plan, *nowhere) {
	p.route = route
	if route.Source.IsZero() {
		return p, nil
	}
	p.targets = slices.DeleteFunc(p.targets, func(t target) bool { return !route.Source.For(t.addr.Addr()).IsValid() })
	if len(p.targets) == 0 {
		reply := replyNoFamily
		reply.Text += route.Source.String()
		return p, &nowhere{own: true, reply: reply}
	}
	return p, nil
}

// reach dials a target from the address that is chosen for its family, and from no other. The error is a *hostError.
func (s *Service) reach(ctx context.Context, t target, source directory.Source) (net.Conn, error) {
	dialer, from := s.dialer, source.For(t.addr.Addr())
	if !source.IsZero() {
		dialer = s.cfg.From(from)
	}
	conn, err := dialer.DialContext(ctx, t.addr.network(), t.addr.String())
	switch {
	case err == nil:
		return conn, nil
	case source.IsZero():
		return nil, &hostError{enhanced: notAnswering, err: err}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, &hostError{enhanced: misconfigured, here: true, err: fmt.Errorf("mail of this sender leaves from %s, which this machine does not have now: %w", from, err)}
	}
	return nil, &hostError{enhanced: notAnswering, err: fmt.Errorf("from %s: %w", from, err)}
}
