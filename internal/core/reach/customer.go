package reach

import "net/netip"

// Customer is what somebody far away is counted by: the address, or the first one of the /64 that one IPv6 customer
// commonly has.
func Customer(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
