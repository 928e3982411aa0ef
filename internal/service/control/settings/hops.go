package settings

import (
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/idna"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// HopPort is the port of a next hop that names none (RFC 5321 §4.5.4.2); of one by LMTP, which never uses that of SMTP
// (RFC 2033 §5), it is lmtpPort.
const (
	HopPort  = 25
	lmtpPort = 24
)

// lmtpScheme begins a next hop that takes mail by LMTP.
const lmtpScheme = "lmtp://"

// maxSocketPath is the longest path of a unix socket, in octets.
const maxSocketPath = 100

// maxHops bounds a list of next hops.
const maxHops = 20

// NextHops reads a list of next hops, all by SMTP or all by LMTP.
func (in *Installation) NextHops(actor rights.Actor, list []string) ([]directory.NextHop, error) {
	if len(list) > maxHops {
		return nil, words.Invalid("There are "+strconv.Itoa(len(list))+" next hops.", "at most "+strconv.Itoa(maxHops))
	}
	out := make([]directory.NextHop, 0, len(list))
	for _, text := range list {
		h, err := in.NextHop(actor, text)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, h) {
			return nil, words.Invalid("The next hop "+ShowHop(h)+" is named twice.", "")
		}
		if len(out) > 0 && out[0].LMTP != h.LMTP {
			return nil, words.Invalid("Some of the next hops take mail by SMTP, some by LMTP.", "write lmtp:// before all of them or before none")
		}
		out = append(out, h)
	}
	return out, nil
}

// NextHop reads "host:port" or "host" (port 25), "lmtp://host:port" (port 24 when it names none), or the path of a
// unix socket as "lmtp:///path". A host is a name, an IPv4 address, or an IPv6 address in brackets.
func (in *Installation) NextHop(actor rights.Actor, text string) (directory.NextHop, error) {
	rest, lmtp := strings.CutPrefix(text, lmtpScheme)
	if lmtp && strings.HasPrefix(rest, "/") {
		return socketHop(actor, rest)
	}
	port := uint16(HopPort)
	if lmtp {
		port = lmtpPort
	}
	host, port, err := splitHop(rest, port)
	if err != nil {
		return directory.NextHop{}, err
	}
	if lmtp && port == HopPort {
		return directory.NextHop{}, words.Invalid("LMTP is not spoken on port 25, which is that of SMTP (RFC 2033).", "name the port of the LMTP server, 24 as a rule")
	}
	h := directory.NextHop{Host: host, Port: port, LMTP: lmtp, Operator: actor.Operator}
	addr, err := netip.ParseAddr(host)
	literal := err == nil
	if literal {
		addr = addr.Unmap()
		h.Host = addr.String()
	}
	if in.isOurselves(h, addr) {
		return directory.NextHop{}, &words.RefusedError{
			Err: words.ErrInvalid, Finding: finding.RouteLoopSelf, Sentence: "The next hop " + ShowHop(h) + " is this installation itself.", Hint: "name the domain's own server",
		}
	}
	if actor.Operator {
		return h, nil
	}
	if (literal && !Public(addr)) || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return directory.NextHop{}, words.Denied("Only the operator may name a private or loopback next hop: " + ShowHop(h) + ".")
	}
	if !slices.Contains([]uint16{25, 465, 587}, port) {
		return directory.NextHop{}, words.Denied("Only the operator may name a next hop on a port other than 25, 465 and 587: " + ShowHop(h) + ".")
	}
	return h, nil
}

// socketHop is an LMTP server behind a unix socket of this machine. Lanes are named by their hops, so that the path
// has none of the characters that part them there.
func socketHop(actor rights.Actor, socket string) (directory.NextHop, error) {
	if !actor.Operator {
		return directory.NextHop{}, words.Denied("Only the operator may name a unix socket as next hop: " + words.Quote(socket) + ".")
	}
	odd := func(r rune) bool { return r <= ' ' || r == ',' || r == '#' || r == '!' || r >= 0x7f }
	if len(socket) > maxSocketPath || strings.ContainsFunc(socket, odd) || path.Clean(socket) != socket || socket == "/" {
		return directory.NextHop{}, words.Invalid(words.Quote(socket)+" is no path of a unix socket that is taken here.", "write lmtp:///run/dovecot/lmtp: absolute, at most 100 characters, without spaces, commas, # and !")
	}
	return directory.NextHop{Host: socket, LMTP: true, Operator: true}, nil
}

// splitHop parts host and port; port is that of a text without one.
func splitHop(text string, port uint16) (string, uint16, error) {
	bad := func() (string, uint16, error) {
		return "", 0, words.Invalid("The next hop "+words.Quote(text)+" is not host:port.", "write mail.example.org:25, 192.0.2.1:25 or [2001:db8::1]:25; lmtp:// before it for a server that speaks LMTP")
	}
	host := text
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
func (in *Installation) isOurselves(h directory.NextHop, addr netip.Addr) bool {
	listens := func(at netip.AddrPort) bool {
		return at.Port() == h.Port && addr.IsValid() && (at.Addr() == addr || at.Addr().IsUnspecified() && addr.IsLoopback())
	}
	if slices.ContainsFunc(in.Listeners, listens) {
		return true
	}
	if h.Port != HopPort {
		return false
	}
	named := h.Host == in.Hostname && h.Host != "localhost" || h.Host == in.RoutingDomain && h.Host != ""
	return named || addr.IsValid() && slices.Contains(in.Addresses, addr)
}

// Leads reports whether mail for a next hop comes back to us, as far as the configuration tells.
func (in *Installation) Leads(h directory.NextHop) bool {
	addr, err := netip.ParseAddr(h.Host)
	if err != nil {
		return in.isOurselves(h, netip.Addr{})
	}
	return in.isOurselves(h, addr.Unmap())
}

// Public reports whether an address is one of the public Internet: not private, loopback, link-local, shared
// (RFC 6598), multicast, unspecified, documentation or reserved (RFC 6890), whatever it is wrapped in.
func Public(a netip.Addr) bool {
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

// ShowHop writes a next hop as people name it.
func ShowHop(h directory.NextHop) string {
	switch {
	case h.Port == 0:
		return lmtpScheme + h.Host
	case h.LMTP:
		return lmtpScheme + net.JoinHostPort(h.Host, strconv.Itoa(int(h.Port)))
	}
	return net.JoinHostPort(h.Host, strconv.Itoa(int(h.Port)))
}

// ShowHost writes a smart host as people name it.
func ShowHost(h directory.HostPort) string {
	return ShowHop(directory.NextHop{Host: h.Host, Port: h.Port})
}

// ShowHops writes a list of next hops as people name them.
func ShowHops(list []directory.NextHop) []string {
	out := make([]string, len(list))
	for i, h := range list {
		out[i] = ShowHop(h)
	}
	return out
}
