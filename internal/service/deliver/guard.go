package deliver

import (
	"net/netip"
	"slices"
	"strings"

	"postroad/internal/core/reach"
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
	if why := reach.Unusual(a); why != "" {
		return why
	}
	if port != smtpPort && port != implicitTLS && port != submission && port != g.port {
		return "not a port for mail"
	}
	return ""
}
