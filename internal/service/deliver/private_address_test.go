package deliver_test

import (
	"net/netip"
	"strings"
	"testing"

	"postroad/internal/core/directory"
	"postroad/internal/service/deliver"
	"postroad/internal/sim"
)

// guarded are addresses that nobody's MX or next hop may lead us to, and why.
var guarded = []struct{ address, why string }{
	{"0.0.0.0", "no address"},
	{"0.1.2.3", "not an address of the public Internet"},
	{"10.0.0.1", "a private address"},
	{"10.255.255.255", "a private address"},
	{"100.64.0.1", "not an address of the public Internet"},
	{"100.127.255.254", "not an address of the public Internet"},
	{"127.0.0.1", "a loopback address"},
	{"127.255.255.254", "a loopback address"},
	{"169.254.0.1", "a link-local address"},
	{"169.254.169.254", "a link-local address"},
	{"172.16.0.1", "a private address"},
	{"172.31.255.255", "a private address"},
	{"192.0.0.8", "not an address of the public Internet"},
	{"192.0.2.1", "not an address of the public Internet"},
	{"192.88.99.1", "not an address of the public Internet"},
	{"192.168.0.1", "a private address"},
	{"192.168.255.255", "a private address"},
	{"198.18.0.1", "not an address of the public Internet"},
	{"198.19.255.255", "not an address of the public Internet"},
	{"198.51.100.7", "not an address of the public Internet"},
	{"203.0.113.7", "not an address of the public Internet"},
	{"224.0.0.1", "a multicast address"},
	{"239.255.255.250", "a multicast address"},
	{"240.0.0.1", "not an address of the public Internet"},
	{"255.255.255.255", "not an address of the public Internet"},
	{"::", "no address"},
	{"::1", "a loopback address"},
	{"::10.0.0.1", "not an address of the public Internet"},
	{"::ffff:10.0.0.1", "a private address"},
	{"::ffff:127.0.0.1", "a loopback address"},
	{"::ffff:169.254.169.254", "a link-local address"},
	{"::ffff:0:10.0.0.1", "not an address of the public Internet"}, // SIIT
	{"::ffff:100.64.0.1", "not an address of the public Internet"},
	{"64:ff9b::10.0.0.1", "not an address of the public Internet"},
	{"64:ff9b::8.8.8.8", "not an address of the public Internet"},
	{"64:ff9b:1::1", "not an address of the public Internet"},
	{"100::1", "not an address of the public Internet"},
	{"2001::1", "not an address of the public Internet"},
	{"2001:0:a00:1::1", "not an address of the public Internet"},
	{"2001:20::1", "not an address of the public Internet"},
	{"2001:db8::1", "not an address of the public Internet"},
	{"2002:a00:1::1", "not an address of the public Internet"},
	{"2002:7f00:1::1", "not an address of the public Internet"},
	{"3fff::1", "not an address of the public Internet"},
	{"4000::1", "not an address of the public Internet"},
	{"5f00::1", "not an address of the public Internet"},
	{"fc00::1", "a private address"},
	{"fd12:3456:789a::1", "a private address"},
	{"fe80::1", "a link-local address"},
	{"fe80::1%eth0", "a link-local address"},
	{"febf::1", "a link-local address"},
	{"fec0::1", "not an address of the public Internet"},
	{"ff01::1", "a multicast address"},
	{"ff02::1", "a multicast address"},
	{"ff0e::1", "a multicast address"},
}

func noneAllowed(c *deliver.Config) { c.Allow = nil }

func TestPrivateAddressesAreNeverDialled(t *testing.T) {
	for _, c := range guarded {
		play(t, nil, noneAllowed, func(w *world) {
			t := w.t
			for _, lane := range []string{"[" + c.address + "]:25", c.address + ":587"} {
				r := w.deliver(relay(lane), message("m1", "a@customer.example"))
				if !strings.Contains(r.text(), "- | down 4.7.0 ") || !strings.Contains(r.reason(), "is not dialled: "+c.why+" (") {
					t.Errorf("%s: %s: %s", lane, r.text(), r.reason())
				}
			}
			if len(w.dials(0)) > 0 || w.metric("postroad_deliver_dials_total") != 2 {
				t.Errorf("dialled %v", w.dials(0))
			}
		})
	}
}

func TestPublicAddressesAreDialledOnPortsForMail(t *testing.T) {
	play(t, nil, func(c *deliver.Config) { c.Allow, c.Port = nil, 2525 }, func(w *world) {
		t := w.t
		for _, address := range []string{
			"1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.0.1.1",
			"192.167.1.1", "198.17.0.1", "198.20.0.1", "223.255.255.255", "::ffff:8.8.8.8", "2001:200::1", "2606:4700::1", "2a00::1", "3ffe::1",
		} {
			addr := netip.MustParseAddr(address).Unmap()
			for _, port := range []uint16{25, 465, 587, 2525} {
				before := len(w.net.Dials())
				w.deliver(relay(netip.AddrPortFrom(addr, port).String()), message("m1", "a@customer.example"))
				if got := w.dials(before); len(got) != 1 || got[0] != netip.AddrPortFrom(addr, port).String() {
					t.Errorf("%s port %d: dialled %v", address, port, got)
				}
			}
			for _, port := range []uint16{0, 1, 22, 24, 26, 53, 80, 443, 2526, 5432, 8080, 65535} {
				before := len(w.net.Dials())
				r := w.deliver(relay(netip.AddrPortFrom(addr, port).String()), message("m1", "a@customer.example"))
				if got := w.dials(before); len(got) != 0 || !strings.Contains(r.reason(), "not a port for mail") {
					t.Errorf("%s port %d: dialled %v: %s", address, port, got, r.reason())
				}
			}
		}
	})
}

func TestAllowLiftsTheGuardForItsNetworksOnly(t *testing.T) {
	for _, c := range []struct {
		allow, address string
		dialled        bool
	}{
		{"10.1.0.0/16", "10.1.2.3:10025", true},
		{"10.1.0.0/16", "10.1.2.3:25", true},
		{"10.1.0.0/16", "[::ffff:10.1.2.3]:24", true},
		{"10.1.0.0/16", "10.2.0.1:25", false},
		{"10.1.2.3/32", "10.1.2.3:1", true},
		{"10.1.2.3/32", "10.1.2.4:25", false},
		{"10.1.2.3/16", "10.1.9.9:25", true}, // host bits are of no account
		{"::ffff:10.1.0.0/112", "10.1.2.3:25", true},
		{"::ffff:10.1.0.0/112", "10.2.0.1:25", false},
		{"127.0.0.0/8", "127.0.0.1:2525", true},
		{"127.0.0.0/8", "[::1]:2525", false},
		{"::1/128", "[::1]:2525", true},
		{"fe80::/10", "[fe80::1%eth0]:25", true},
		{"fd00::/8", "[fd00::1]:2525", true},
		{"fd00::/8", "[fc00::1]:25", false},
		{"2001:db8::/32", "[2001:db8::1]:25", true},
		{"8.8.8.0/24", "8.8.8.8:2526", true},
		{"8.8.8.0/24", "8.8.9.8:2526", false},
	} {
		play(t, nil, func(cfg *deliver.Config) { cfg.Allow = []netip.Prefix{netip.MustParsePrefix(c.allow)} }, func(w *world) {
			t := w.t
			w.deliver(relay(c.address), message("m1", "a@customer.example"))
			if got := w.dials(0); (len(got) == 1) != c.dialled {
				t.Errorf("with %s allowed %s: dialled %v", c.allow, c.address, got)
			}
		})
	}
}

func TestANextHopOfTheOperatorMayBePrivate(t *testing.T) {
	zones := sim.Zones{"example.net": `
		ten   A 10.0.0.5
		six   AAAA fd00::5
		nat   A 100.64.1.1
		loop  A 127.0.0.1
		meta  A 169.254.169.254
		doc   A 192.0.2.5
		wrap  AAAA 64:ff9b::a9fe:a9fe
		open  A 8.8.8.8
		zero  A 0.0.0.0
	`}
	for _, c := range []struct{ hop, dialled string }{
		{"10.0.0.5:2525", "10.0.0.5:2525"},
		{"127.0.0.1:10025", "127.0.0.1:10025"},
		{"[::1]:24", "[::1]:24"},
		{"169.254.1.1:25", "169.254.1.1:25"},
		{"8.8.8.8:2526", "8.8.8.8:2526"},
		{"0.0.0.0:25", ""},
		{"[::]:25", ""},
		{"224.0.0.1:25", ""},
		{"ten.example.net:2525", "10.0.0.5:2525"},
		{"six.example.net:25", "[fd00::5]:25"},
		{"nat.example.net:25", "100.64.1.1:25"},
		{"open.example.net:2526", "8.8.8.8:2526"},
		{"localhost:24", "[::1]:24"},
		{"loop.example.net:25", ""}, // whoever has the zone leads it nowhere but into private networks
		{"meta.example.net:80", ""},
		{"doc.example.net:25", ""},
		{"wrap.example.net:25", ""},
		{"zero.example.net:25", ""},
	} {
		play(t, zones, noneAllowed, func(w *world) {
			t := w.t
			w.deliver(relay(c.hop+directory.OperatorMark), message("m1", "a@customer.example"))
			if got := strings.Join(w.dials(0), " "); !strings.HasPrefix(got, c.dialled) || (got == "") != (c.dialled == "") {
				t.Errorf("%s of the operator: dialled %q", c.hop, got)
			}
			before := len(w.net.Dials())
			w.deliver(relay(c.hop), message("m2", "a@customer.example"))
			if got := w.dials(before); len(got) > 0 {
				t.Errorf("%s of somebody else: dialled %v", c.hop, got)
			}
		})
	}
}

func TestExchangersAtPrivateAddressesAreNotDialled(t *testing.T) {
	zones := sim.Zones{"example.net": `
		@   MX 10 mx1
		@   MX 20 mx2
		@   MX 30 mx3
		mx1 A 10.0.0.5
		mx1 AAAA ::ffff:10.0.0.5
		mx1 A 169.254.169.254
		mx2 A 127.0.0.1
		mx2 A 8.8.4.4
		mx3 A 8.8.8.8
	`}
	play(t, zones, noneAllowed, func(w *world) {
		t := w.t
		w.peer("8.8.4.4:25", sim.Script{Greeting: "554 no"})
		w.peer("8.8.8.8:25", sim.Script{})
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "delivered 250 2.0.0 mx3.example.net")
		if got := strings.Join(w.dials(0), " "); got != "8.8.4.4:25 8.8.8.8:25" {
			t.Errorf("dialled %s", got)
		}
	})
}

func TestANameThatTurnsPrivateIsNotFollowed(t *testing.T) {
	// The answer is public first and private from then on: whatever is looked up again, only what was judged is
	// dialled.
	play(t, sim.Zones{"example.net": "@ MX 10 mx\nmx A 8.8.8.8"}, noneAllowed, func(w *world) {
		t := w.t
		w.dns.Script("mx.example.net", "AAAA", sim.DNSEmpty)
		w.dns.Script("mx.example.net", "A", sim.DNSRecords("0 A 8.8.8.8"), sim.DNSRecords("0 A 10.0.0.5"))
		w.peer("10.0.0.5:25", sim.Script{})
		w.peer("8.8.8.8:25", sim.Script{Mail: sim.InTurn("", sim.Close)})
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "delivered 250 2.0.0 mx.example.net")
		pass(resolverMemory)
		for range 3 {
			w.expect(w.deliver(remote("example.net"), message("m2", "a@example.net")), "- | down 4.7.0 mx.example.net")
			pass(resolverMemory)
		}
		for _, d := range w.dials(0) {
			if d != "8.8.8.8:25" {
				t.Errorf("dialled %s", d)
			}
		}
		if w.dns.Asked("mx.example.net", "A") < 2 {
			t.Error("the name was looked up only once: this shows nothing")
		}
	})
}
