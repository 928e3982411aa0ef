// Package reach says which addresses are on the public Internet, for all who connect to where somebody else leads
// them, and whose addresses count as one customer.
package reach

import (
	"net/netip"
	"slices"
)

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

// Unusual says why an address is none of the public Internet; "" when it is one.
func Unusual(a netip.Addr) string {
	a = a.Unmap()
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
	}
	return ""
}
