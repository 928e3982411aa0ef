package reach

import (
	"net/netip"
	"testing"
)

func TestWhoeverHasANetworkIsOneCustomer(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.7":               "192.0.2.7",
		"2001:db8:1:2:3:4:5:6":    "2001:db8:1:2::",
		"2001:db8:1:2::":          "2001:db8:1:2::",
		"2001:db8:1:3:ffff::ffff": "2001:db8:1:3::",
	} {
		if got := Customer(netip.MustParseAddr(addr)); got != netip.MustParseAddr(want) {
			t.Errorf("%s is counted as %s", addr, got)
		}
	}
	if got := Customer(netip.Addr{}); got.IsValid() {
		t.Errorf("no address is counted as %s", got)
	}
}
