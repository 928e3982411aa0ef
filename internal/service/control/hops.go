package control

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/idna"
	"postroad/internal/service/control/words"
)

// defaultHopPort is the port of a next hop that names none (RFC 5321 §4.5.4.2).
const defaultHopPort = 25

// maxHops bounds a list of next hops.
const maxHops = 20

// nextHops reads a list of "host:port".
func (s *Service) nextHops(actor Actor, list []string) ([]directory.HostPort, error) {
	if len(list) > maxHops {
		return nil, words.Invalid("There are "+strconv.Itoa(len(list))+" next hops.", "at most "+strconv.Itoa(maxHops))
	}
	out := make([]directory.HostPort, 0, len(list))
	for _, text := range list {
		h, err := s.nextHop(actor, text)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, h) {
			return nil, words.Invalid("The next hop "+showHop(h)+" is named twice.", "")
		}
		out = append(out, h)
	}
	return out, nil
}

// nextHop reads "host:port" or "host" (port 25). A host is a name, an IPv4 address, or an IPv6 address in brackets.
func (s *Service) nextHop(actor Actor, text string) (directory.HostPort, error) {
	host, port, err := splitHop(text)
	if err != nil {
		return directory.HostPort{}, err
	}
	h := directory.HostPort{Host: host, Port: port}
	addr, err := netip.ParseAddr(host)
	literal := err == nil
	if literal {
		addr = addr.Unmap()
		h.Host = addr.String()
	}
	if s.isOurselves(h, addr) {
		return directory.HostPort{}, &RefusedError{
			Err: ErrInvalid, Finding: finding.RouteLoopSelf, Sentence: "The next hop " + showHop(h) + " is this installation itself.", Hint: "name the domain's own server",
		}
	}
	if actor.Operator {
		return h, nil
	}
	if (literal && !IsPublic(addr)) || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return directory.HostPort{}, words.Denied("Only the operator may name a private or loopback next hop: " + showHop(h) + ".")
	}
	if !slices.Contains([]uint16{25, 465, 587}, port) {
		return directory.HostPort{}, words.Denied("Only the operator may name a next hop on a port other than 25, 465 and 587: " + showHop(h) + ".")
	}
	return h, nil
}

func splitHop(text string) (host string, port uint16, err error) {
	bad := func() (string, uint16, error) {
		return "", 0, words.Invalid("The next hop "+words.Quote(text)+" is not host:port.", "write mail.example.org:25, 192.0.2.1:25 or [2001:db8::1]:25")
	}
	host, port = text, defaultHopPort
	if a, err := netip.ParseAddr(text); err != nil || a.Is4() {
		if i := strings.LastIndexByte(text, ':'); i >= 0 {
			n, err := strconv.ParseUint(text[i+1:], 10, 16)
			if err != nil || n == 0 {
				return bad()
			}
			host, port = text[:i], uint16(n)
		}
	}
	if v6, ok := strings.CutPrefix(host, "["); ok {
		v6, closed := strings.CutSuffix(v6, "]")
		a, err := netip.ParseAddr(v6)
		if err != nil || !closed || !a.Is6() || a.Zone() != "" {
			return bad()
		}
		return v6, port, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" || (a.Is6() && host != text) {
			return bad()
		}
		return host, port, nil
	}
	ascii, nameErr := idna.ToASCII(strings.TrimSuffix(host, "."))
	if nameErr != nil || endsInNumber(ascii) {
		return bad()
	}
	return ascii, port, nil
}

// endsInNumber tells names that some resolvers take for an address in decimal, octal or hexadecimal.
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	return strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x")
}

// isOurselves reports whether mail sent there comes back to us, as far as the configuration tells.
func (s *Service) isOurselves(h directory.HostPort, addr netip.Addr) bool {
	listens := func(at netip.AddrPort) bool {
		return at.Port() == h.Port && addr.IsValid() && (at.Addr() == addr || at.Addr().IsUnspecified() && addr.IsLoopback())
	}
	if slices.ContainsFunc(s.o.Listeners, listens) {
		return true
	}
	if h.Port != defaultHopPort {
		return false
	}
	return h.Host == s.o.Hostname && h.Host != "localhost" || addr.IsValid() && slices.Contains(s.o.Addresses, addr)
}

// IsPublic reports whether an address is one of the public Internet: not private, loopback, link-local, shared
// (RFC 6598), multicast, unspecified, documentation or reserved (RFC 6890), whatever it is wrapped in.
func IsPublic(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("::/96"), netip.MustParsePrefix("fec0::/10"),
}

func showHop(h directory.HostPort) string {
	return net.JoinHostPort(h.Host, strconv.Itoa(int(h.Port)))
}

func showHops(list []directory.HostPort) []string {
	out := make([]string, len(list))
	for i, h := range list {
		out[i] = showHop(h)
	}
	return out
}
