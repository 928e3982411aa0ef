package routing_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"postroad/internal/core/facts"
	"postroad/internal/core/routing"
)

func TestExchangersInOrderWithoutOurselves(t *testing.T) {
	t.Parallel()
	const us = "192.0.2.1"
	addr := func(texts ...string) facts.AddrAnswer {
		a := facts.AddrAnswer{Status: facts.Found}
		for _, s := range texts {
			a.Addrs = append(a.Addrs, netip.MustParseAddr(s))
		}
		return a
	}
	none := facts.AddrAnswer{Status: facts.NoData}
	broken := facts.AddrAnswer{Status: facts.Temporary}
	known := map[string]facts.AddrAnswer{
		"a": addr("198.51.100.1"), "b": addr("198.51.100.2", "2001:db8::2"), "us": addr(us), "usv6": addr("198.51.100.9", us),
		"none": none, "broken": broken, "many": addr("198.51.100.10", "198.51.100.11", "198.51.100.12", "198.51.100.13", "198.51.100.14", "198.51.100.15", "198.51.100.16", "198.51.100.17", "198.51.100.18", "198.51.100.19", "198.51.100.20"),
	}
	for _, c := range []struct{ mx, want string }{
		// MX records                       hosts in order, or the enhanced code
		{"20 b, 10 a", "a b"},
		{"0 a, 65535 b", "a b"},
		{"10 a, 20 us, 30 b", "a"},
		{"10 a, 20 us, 20 b", "a"},
		{"10 us, 20 a", "5.4.6"},
		{"10 usv6, 20 a", "5.4.6"},
		{"10 none, 20 a", "a"},
		{"10 broken, 20 a", "a"},
		{"10 none", "5.4.4"},
		{"10 none, 10 broken", "4.4.3"},
		{"10 broken, 20 us", "4.4.3"},
		{"10 unasked", "5.4.4"},
		{"10 many, 20 a", "many"},
		{"", "5.4.4"},
	} {
		var list []facts.MX
		for part := range strings.SplitSeq(c.mx, ", ") {
			var mx facts.MX
			if n, _ := fmt.Sscan(part, &mx.Preference, &mx.Host); n == 2 {
				list = append(list, mx)
			}
		}
		got, reply := routing.Exchangers(list, known, func(a netip.Addr) bool { return a.String() == us }, routing.Better, func(int, func(int, int)) {})
		text, addrs := reply.Enhanced.String(), 0
		if reply.Code == 0 {
			var hosts []string
			for _, x := range got {
				hosts = append(hosts, x.Host)
				addrs += len(x.Addrs)
			}
			text = strings.Join(hosts, " ")
		}
		if text != c.want || addrs > routing.MaxAddresses {
			t.Errorf("%s: %s with %d addresses, want %s", c.mx, text, addrs, c.want)
		}
	}
}

func TestCandidatesOfAnMXAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer facts.MXAnswer
		want   string
	}{
		{facts.MXAnswer{Name: "d", Status: facts.Found, Records: []facts.MX{{Host: "a"}}}, "a"},
		{facts.MXAnswer{Name: "d", Status: facts.NoData}, "d"},
		{facts.MXAnswer{Name: "d", Status: facts.Found, Null: true}, "5.1.10"},
		{facts.MXAnswer{Name: "d", Status: facts.NXDomain}, "5.1.2"},
		{facts.MXAnswer{Name: "d", Status: facts.Temporary}, "4.4.3"},
	} {
		list, reply := routing.Candidates(c.answer)
		got := reply.Enhanced.String()
		if reply.Code == 0 {
			got = list[0].Host
		}
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.answer.Status, got, c.want)
		}
	}
}
