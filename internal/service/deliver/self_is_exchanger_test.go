package deliver_test

import (
	"net/netip"
	"strings"
	"testing"

	"postroad/internal/core/mail"
	"postroad/internal/service/deliver"
	"postroad/internal/sim"
)

func TestOurselvesAmongTheExchangers(t *testing.T) {
	const hosts = "us A 192.0.2.1\nus6 AAAA 2001:db8::1\nnat A 203.0.113.1\na A 192.0.2.11\nb A 192.0.2.21\n"
	for _, c := range []struct{ name, zone, want, own, dials string }{
		{"we are worse", "@ MX 10 a\n@ MX 20 us", "delivered 250 2.0.0 a.example.net", "", "192.0.2.11:25"},
		{"equal and worse are dropped", "@ MX 10 a\n@ MX 20 us\n@ MX 20 b\n@ MX 30 b", "- | down 4.4.1 a.example.net", "", "192.0.2.11:25"},
		{"equal to the best", "@ MX 10 us\n@ MX 10 a\n@ MX 20 b", "failed 554 5.4.6", "held 554 5.4.6", ""},
		{"only we", "@ MX 10 us", "failed 554 5.4.6", "held 554 5.4.6", ""},
		{"only we, by another name", "@ MX 10 mail\nmail CNAME us", "failed 554 5.4.6", "held 554 5.4.6", ""},
		{"only we, by IPv6", "@ MX 10 us6\n@ MX 20 a", "failed 554 5.4.6", "held 554 5.4.6", ""},
		{"only we, before a NAT", "@ MX 10 nat", "failed 554 5.4.6", "held 554 5.4.6", ""},
		{"implicit", "@ A 192.0.2.1", "failed 554 5.4.6", "held 554 5.4.6", ""},
		{"implicit, in the clothes of IPv6", "@ AAAA ::ffff:192.0.2.1", "failed 554 5.4.6", "held 554 5.4.6", ""},
		{"one address of several is ours", "@ MX 10 both\nboth A 192.0.2.11\nboth A 192.0.2.1", "failed 554 5.4.6", "held 554 5.4.6", ""},
		{"a better one without address now", "@ MX 10 broken\n@ MX 20 us", "- | down 4.4.3 us.example", "", ""},
		{"a better one without address", "@ MX 10 none\n@ MX 20 us", "failed 554 5.4.6", "held 554 5.4.6", ""},
	} {
		for _, own := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				play(t, sim.Zones{"example.net": hosts + c.zone}, nil, func(w *world) {
					t := w.t
					w.dns.Script("broken.example.net", "*", sim.DNSServFail)
					for _, a := range []string{"192.0.2.1", "2001:db8::1", "203.0.113.1"} {
						w.ours = append(w.ours, netip.MustParseAddr(a))
					}
					want := c.want
					if own {
						w.ownDomain("example.net", true)
						if c.own != "" {
							want = c.own
						}
					}
					if strings.HasPrefix(want, "delivered") {
						w.peer("192.0.2.11:25", sim.Script{})
					}
					w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), want)
					if got := strings.Join(w.dials(0), " "); got != c.dials {
						t.Errorf("dialled %q, want %q", got, c.dials)
					}
				})
			})
		}
	}
}

func TestTheNextHopIsThisServerItself(t *testing.T) {
	zones := sim.Zones{"example.net": "us A 192.0.2.1\nother A 192.0.2.11\nboth A 192.0.2.1\nboth A 192.0.2.11"}
	for _, c := range []struct{ hops, want string }{
		{"192.0.2.1:2525", "- | down 4.4.6 us.example"},
		{"us.example.net:2525", "- | down 4.4.6 us.example"},
		{"::ffff:192.0.2.1:2525", "- | down 4.4.6 us.example"},
		{"192.0.2.1:25", "- | down 4.4.6 us.example"}, // where strangers' mail for our address comes in
		{"us.example.net:2526", "delivered 250 2.0.0 us.example.net"},
		{"us.example.net:2525,other.example.net:25", "delivered 250 2.0.0 other.example.net"},
		{"both.example.net:25", "delivered 250 2.0.0 both.example.net"},
	} {
		for _, transport := range []mail.Transport{mail.TransportRelay, mail.TransportLMTP} {
			play(t, zones, nil, func(w *world) {
				t := w.t
				w.ours = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
				w.listeners = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:2525")}
				for _, a := range []string{"192.0.2.1:2526", "192.0.2.11:25"} {
					w.peer(a, sim.Script{LMTP: transport == mail.TransportLMTP})
				}
				r := w.deliver(mail.MakeLane(transport, c.hops), message("m1", "a@customer.example"))
				w.expect(r, c.want)
				if r.err != nil && !strings.Contains(r.reason(), "the next hop is this server itself") {
					t.Errorf("%s: the reason is %q", c.hops, r.reason())
				}
			})
		}
	}
}

func TestANextHopThatCannotBeFoundIsNeverPermanent(t *testing.T) {
	zones := sim.Zones{"example.net": "none TXT x\nlate A 192.0.2.11"}
	for hops, want := range map[string]string{
		"nosuch.invalid:25":                     "- | down 4.4.4 us.example",
		"none.example.net:25":                   "- | down 4.4.4 us.example",
		"late.example.net:25":                   "- | down 4.4.3 us.example",
		"nosuch.invalid:25,late.example.net:25": "- | down 4.4.3 us.example",
		"":                                      "- | down 4.4.4 us.example",
		"no port":                               "- | down 4.4.4 us.example",
		"smart.example:25#gone":                 "- | down 4.3.5 us.example",
		"late.example.net:25,192.0.2.12:25":     "delivered 250 2.0.0 192.0.2.12",
		"nosuch.invalid:25,[2001:db8::12]:25":   "delivered 250 2.0.0 [2001:db8::12]",
		"[IPv6:2001:db8::12]:25":                "delivered 250 2.0.0 [IPv6:2001:db8::12]",
	} {
		play(t, zones, func(c *deliver.Config) { c.Hostname = "us.example" }, func(w *world) {
			w.dns.Script("late.example.net", "A", sim.DNSTimeout)
			w.peer("192.0.2.12:25", sim.Script{})
			w.peer("[2001:db8::12]:25", sim.Script{})
			w.expect(w.deliver(relay(hops), message("m1", "a@customer.example")), want)
		})
	}
}

func TestALaneOfAnotherTransportIsDown(t *testing.T) {
	play(t, nil, nil, func(w *world) {
		w.expect(w.deliver("local/mailboxes", message("m1", "a@customer.example")), "- | down 4.3.5 us.example")
		w.expect(w.deliver("pigeon", message("m1", "a@customer.example")), "- | down 4.3.5 us.example")
	})
}
