package routing_test

import (
	"net/netip"
	"testing"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/routing"
)

func TestS5_4TheModeThatPublicDNSGives(t *testing.T) {
	t.Parallel()
	ours := func(a netip.Addr) bool { return a == netip.MustParseAddr(ourAddr) }
	implicit := func(addr string) facts.ExchangersAnswer {
		x := facts.ExchangersAnswer{MX: facts.MXAnswer{Name: "d.example", Status: facts.NoData}, Addrs: map[string]facts.AddrAnswer{}}
		if addr != "" {
			x.Addrs["d.example"] = facts.AddrAnswer{Status: facts.Found, Addrs: []netip.Addr{netip.MustParseAddr(addr)}}
		} else {
			x.Addrs["d.example"] = facts.AddrAnswer{Status: facts.NoData}
		}
		return x
	}
	with := func(list, host string, a facts.AddrAnswer) facts.ExchangersAnswer {
		x := mx(list)
		x.Addrs[host] = a
		return x
	}
	failed, none := facts.AddrAnswer{Status: facts.Temporary}, facts.AddrAnswer{Status: facts.NXDomain}
	for _, c := range []struct {
		name string
		x    facts.ExchangersAnswer
		want directory.Mode // empty: unresolved
	}{
		{"ours alone", mx("10 us"), directory.ModeLocal},
		{"ours is best", mx("10 us, 20 real"), directory.ModeLocal},
		{"ours is best, listed last", mx("20 real, 10 us"), directory.ModeLocal},
		{"ours is as good as the best", mx("10 real, 10 us"), directory.ModeLocal},
		{"ours is not best", mx("10 real, 20 us"), directory.ModeBackup},
		{"none is ours", mx("10 real, 20 real2"), directory.ModeRemote},
		{"no MX, the address is ours", implicit(ourAddr), directory.ModeLocal},
		{"no MX, ours in the clothes of IPv6", implicit("::ffff:" + ourAddr), directory.ModeLocal},
		{"no MX, the address is elsewhere", implicit(realAddr), directory.ModeRemote},
		{"no MX and no address", implicit(""), ""},
		{"no such domain", mx("nxdomain"), ""},
		{"null MX", mx("null"), ""},
		{"servfail", mx("servfail"), ""},
		{"the best cannot be looked up", with("10 real, 20 us", "real", failed), ""},
		{"another cannot be looked up", with("10 us, 20 real", "real", failed), directory.ModeLocal},
		{"the best is nowhere", with("10 real, 20 us", "real", none), ""},
		{"one of two others is nowhere", with("10 gone, 20 real", "gone", none), directory.ModeRemote},
		{"none has an address", with("10 gone", "gone", none), ""},
	} {
		mode, evidence, ok := routing.AutoMode(c.x, ours)
		if mode != c.want || ok != (c.want != "") || evidence == "" {
			t.Errorf("%s: %q %v (%s), want %q", c.name, mode, ok, evidence, c.want)
		}
	}
}

func TestS5_5ASwitchNeedsTwoAgreeingObservations(t *testing.T) {
	t.Parallel()
	const local, backup, remote = directory.ModeLocal, directory.ModeBackup, directory.ModeRemote
	type seen struct {
		after    time.Duration
		mode     directory.Mode // empty: unresolved
		switches bool
	}
	for _, c := range []struct {
		name  string
		fresh bool
		list  []seen
	}{
		{"nothing changes", false, []seen{{0, local, false}, {time.Hour, local, false}}},
		{"two agree", false, []seen{{0, remote, false}, {time.Minute, remote, true}}},
		{"too soon", false, []seen{{0, remote, false}, {59 * time.Second, remote, false}, {time.Second, remote, true}}},
		{"the old one in between", false, []seen{{0, remote, false}, {time.Minute, local, false}, {time.Minute, remote, false}, {time.Minute, remote, true}}},
		{"a third one in between", false, []seen{{0, remote, false}, {time.Minute, backup, false}, {time.Minute, remote, false}, {time.Minute, remote, true}}},
		{"a failure in between", false, []seen{{0, remote, false}, {time.Minute, "", false}, {time.Minute, remote, false}, {time.Minute, remote, true}}},
		{"failures alone", false, []seen{{0, "", false}, {time.Hour, "", false}}},
		{"the first of a domain", true, []seen{{0, remote, true}}},
		{"the first that says anything", true, []seen{{0, "", false}, {time.Minute, backup, true}}},
	} {
		var w routing.AutoWatch
		at := noon
		for i, s := range c.list {
			at = at.Add(s.after)
			if got := w.Observe(local, s.mode, s.mode != "", c.fresh, at, time.Minute); got != s.switches {
				t.Errorf("%s: observation %d switches: %v", c.name, i+1, got)
			}
		}
	}
}
