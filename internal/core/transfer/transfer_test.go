package transfer

import (
	"net/netip"
	"testing"
)

func TestWhoMayHaveAZone(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}
	for _, c := range []struct {
		name   string
		peer   Peer
		client string
		key    string
		want   bool
	}{
		{"nobody", Peer{}, "192.0.2.1", "", false},
		{"nobody, with a key", Peer{}, "192.0.2.1", "k", false},
		{"by network", Peer{Networks: networks}, "192.0.2.1", "", true},
		{"by network, mapped", Peer{Networks: networks}, "::ffff:192.0.2.1", "", true},
		{"by network, signed by any key", Peer{Networks: networks}, "2001:db8::1", "k", true},
		{"elsewhere", Peer{Networks: networks}, "198.51.100.1", "", false},
		{"by key", Peer{Key: "k"}, "198.51.100.1", "k", true},
		{"unsigned", Peer{Key: "k"}, "198.51.100.1", "", false},
		{"another key", Peer{Key: "k"}, "198.51.100.1", "other", false},
		{"by both", Peer{Key: "k", Networks: networks}, "192.0.2.1", "k", true},
		{"by both, unsigned", Peer{Key: "k", Networks: networks}, "192.0.2.1", "", false},
		{"by both, elsewhere", Peer{Key: "k", Networks: networks}, "198.51.100.1", "k", false},
		{"one that is told", Peer{Key: "k", Networks: networks, Notify: netip.MustParseAddrPort("192.0.2.1:53")}, "192.0.2.1", "k", false},
	} {
		if got := c.peer.Admits(netip.MustParseAddr(c.client), c.key); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestChainsOfAJournal(t *testing.T) {
	journal := []Step{{From: 9, To: 1}, {From: 1, To: 2}, {From: 2, To: 4294967295}, {From: 4294967295, To: 3}, {From: 5, To: 6}}
	for _, c := range []struct {
		from, to uint32
		want     int
	}{{1, 3, 3}, {9, 3, 4}, {2, 3, 2}, {4294967295, 3, 1}, {1, 6, 0}, {5, 6, 1}, {3, 3, 0}, {7, 6, 0}} {
		if got := Chain(journal, c.from, c.to); len(got) != c.want {
			t.Errorf("from %d to %d: %v", c.from, c.to, got)
		}
	}
	if Chain(nil, 1, 2) != nil {
		t.Error("of nothing")
	}
}
