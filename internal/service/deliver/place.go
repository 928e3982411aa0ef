package deliver

import (
	"net/netip"
	"strings"
)

// place is where a host is reached: an address and port, or a unix socket of this machine.
type place struct {
	netip.AddrPort
	socket string // path; empty for an address
}

// at is the place of an address.
func at(ap netip.AddrPort) place { return place{AddrPort: ap} }

// network is that of a Dialer.
func (p place) network() string {
	if p.socket != "" {
		return "unix"
	}
	return "tcp"
}

// String is the place as it is dialled.
func (p place) String() string {
	if p.socket != "" {
		return p.socket
	}
	return p.AddrPort.String()
}

// told is the name by which a host is told to strangers: a socket of this machine is this server.
func (s *Service) told(host string) string {
	if strings.HasPrefix(host, "/") {
		return s.cfg.Hostname
	}
	return host
}
