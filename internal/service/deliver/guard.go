package deliver

import (
	"net/netip"
	"slices"
	"strings"
)

// guard says which addresses may be dialled: none outside the public Internet, unless the operator allows its
// network or names the host; and only ports on which mail is taken. It judges the address that is dialled, after
// resolution, so that no name can lead it elsewhere: also one that the operator named leads into private networks
// only, not to this machine or to its neighbours' services.
type guard struct {
	allow []netip.Prefix
	port  uint16 // of exchangers, allowed besides the standard ones
}

func newGuard(allow []netip.Prefix, port uint16) guard {
	g := guard{port: port}
	for _, p := range allow {
		if p.Addr().Is4In6() && p.Bits() >= 96 { // addresses are judged unmapped
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		g.allow = append(g.allow, p.Masked())
	}
	return g
}

// global is what of IPv6 has been given out (RFC 4291 §2.4); all else is something special.
var global = netip.MustParsePrefix("2000::/3")

// special are networks that nobody on the public Internet has, or that lead to other addresses in disguise,
// beside those that netip knows by name.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network (RFC 1122 §3.2.1.3)
	netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT (RFC 6598)
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments (RFC 6890)
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation (RFC 5737)
	netip.MustParsePrefix("192.88.99.0/24"),  // relays of 6to4 (RFC 7526)
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks (RFC 2544)
	netip.MustParsePrefix("198.51.100.0/24"), // documentation (RFC 5737)
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation (RFC 5737)
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast (RFC 1112 §4)
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo among them (RFC 2928, RFC 4380)
	netip.MustParsePrefix("2001:db8::/32"),   // documentation (RFC 3849)
	netip.MustParsePrefix("2002::/16"),       // 6to4 (RFC 7526)
	netip.MustParsePrefix("3fff::/20"),       // documentation (RFC 9637)
}

// shared is carrier-grade NAT (RFC 6598), which companies use as a private network too.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// denied says why a target may not be dialled; "" when it may.
func (g *guard) denied(t target) string {
	if t.addr.socket != "" {
		return "" // only the operator names one
	}
	a := t.addr.Addr().Unmap().WithZone("")
	if slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return ""
	}
	if t.operator && a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() {
		_, address := literal(t.host)
		local := t.host == "localhost" || strings.HasSuffix(t.host, ".localhost") // no DNS answers for these (RFC 6761)
		if address || local && a.IsLoopback() || a.IsPrivate() || shared.Contains(a) {
			return ""
		}
		return g.unusual(a, smtpPort) // on any port
	}
	return g.unusual(a, t.addr.Port())
}

// unusual says what is wrong with an address and port for mail; "" when nothing is.
func (g *guard) unusual(a netip.Addr, port uint16) string {
	switch {
	case !a.IsValid() || a.IsUnspecified():
		return "no address"
	case a.IsLoopback():
		return "a loopback address"
	case a.IsPrivate():
		return "a private address"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	case a.IsMulticast():
		return "a multicast address"
	case a.Is6() && !global.Contains(a), slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) }):
		return "not an address of the public Internet"
	case port != smtpPort && port != implicitTLS && port != submission && port != g.port:
		return "not a port for mail"
	}
	return ""
}
