package deliver_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"postroad/internal/sim"
)

func TestS4_18WhatDNSSaysOfTheExchangers(t *testing.T) {
	zones := sim.Zones{
		"mx.example":       "@ MX 10 mx1\nmx1 A 192.0.2.11",
		"implicit.example": "@ A 192.0.2.11\n@ AAAA 2001:db8::11",
		"empty.example":    "@ TXT nothing",
		"null.example":     "@ MX 0 .",
		"odd.example":      "@ MX 10 .\n@ A 192.0.2.11",
		"noaddr.example":   "@ MX 10 mx1\n@ MX 20 mx2\nmx1 TXT x\n@ A 192.0.2.11",
		"partial.example":  "@ MX 10 mx1\n@ MX 20 mx2\nmx2 A 192.0.2.11",
		"alias.example":    "@ MX 10 mx1\nmx1 CNAME host\nhost A 192.0.2.11",
		"broken.example":   "@ A 192.0.2.11",
		"silent.example":   "@ A 192.0.2.11",
		"lame.example":     "@ A 192.0.2.11",
	}
	for _, c := range []struct {
		domain string
		script func(*sim.DNS)
		want   string // for a foreign domain
		own    string // for one of ours
	}{
		{"mx.example", nil, "delivered 250 2.0.0 mx1.mx.example", ""},
		{"implicit.example", nil, "delivered 250 2.0.0 implicit.example", ""},
		{"alias.example", nil, "delivered 250 2.0.0 mx1.alias.example", ""},
		{"partial.example", nil, "delivered 250 2.0.0 mx2.partial.example", ""},
		{"partial.example", func(d *sim.DNS) { d.Script("mx1.partial.example", "*", sim.DNSServFail) }, "delivered 250 2.0.0 mx2.partial.example", ""},
		{"nosuch.invalid", nil, "failed 550 5.1.2", "held 550 5.1.2"},
		{"null.example", nil, "failed 556 5.1.10", "held 556 5.1.10"},
		{"empty.example", nil, "failed 550 5.4.4", "held 550 5.4.4"},
		{"noaddr.example", nil, "failed 550 5.4.4", "held 550 5.4.4"},
		{"odd.example", nil, "failed 550 5.4.4", "held 550 5.4.4"},
		{"noaddr.example", func(d *sim.DNS) { d.Script("mx2.noaddr.example", "A", sim.DNSServFail) }, "- | down 4.4.3 us.example", ""},
		{"noaddr.example", func(d *sim.DNS) { d.Script("mx2.noaddr.example", "AAAA", sim.DNSTimeout) }, "- | down 4.4.3 us.example", ""},
		{"empty.example", func(d *sim.DNS) { d.Script("empty.example", "A", sim.DNSTimeout) }, "- | down 4.4.3 us.example", ""},
		{"broken.example", func(d *sim.DNS) { d.Script("broken.example", "MX", sim.DNSServFail) }, "- | down 4.4.3 us.example", ""},
		{"silent.example", func(d *sim.DNS) { d.Script("silent.example", "MX", sim.DNSTimeout) }, "- | down 4.4.3 us.example", ""},
		{"silent.example", func(d *sim.DNS) { d.Script("*", "*", sim.DNSTimeout) }, "- | down 4.4.3 us.example", ""},
		{"lame.example", func(d *sim.DNS) { d.Script("lame.example", "MX", sim.DNSReferral) }, "- | down 4.4.3 us.example", ""},
		{"lame.example", func(d *sim.DNS) { d.Script("lame.example", "MX", sim.DNSRefused) }, "- | down 4.4.3 us.example", ""},
		{"lame.example", func(d *sim.DNS) { d.Script("lame.example", "MX", sim.DNSTruncateNoTCP) }, "- | down 4.4.3 us.example", ""},
	} {
		for _, whose := range []string{"foreign", "ours", "inert"} {
			t.Run(c.domain+" "+whose, func(t *testing.T) {
				play(t, zones, nil, func(w *world) {
					t := w.t
					if c.script != nil {
						c.script(w.dns)
					}
					p := w.peer("192.0.2.11:25", sim.Script{})
					want := c.want
					switch whose {
					case "ours":
						w.ownDomain(c.domain, true)
						if c.own != "" {
							want = c.own
						}
					case "inert": // unproved: as not ours
						w.ownDomain(c.domain, false)
					}
					r := w.deliver(remote(c.domain), message("m1", "a@"+c.domain))
					w.expect(r, want)
					if strings.Contains(want, "down") {
						if p.Connections() != 0 {
							t.Error("a failed look-up fell back to the address")
						}
						if !strings.Contains(r.reason(), "looked up") {
							t.Errorf("the reason is %q", r.reason())
						}
					}
				})
			})
		}
	}
}

func TestS4_18HeldMailGoesWhenDNSIsBack(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		w.peer("192.0.2.11:25", sim.Script{})
		w.dns.Script("*", "*", sim.DNSServFail)
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "- | down 4.4.3 us.example")
		w.dns.Script("*", "*")
		pass(resolverMemory)
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "delivered 250 2.0.0 mx1.example.net")
	})
}

// resolverMemory is longer than the resolver remembers a failure.
const resolverMemory = 31e9

func TestMailToAnAddressLiteral(t *testing.T) {
	play(t, nil, nil, func(w *world) {
		t := w.t
		w.peer("192.0.2.11:25", sim.Script{})
		w.peer("[2001:db8::11]:25", sim.Script{})
		w.ours = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		for literal, want := range map[string]string{
			"[192.0.2.11]":             "delivered 250 2.0.0 [192.0.2.11]",
			"[IPv6:2001:db8::11]":      "delivered 250 2.0.0 [IPv6:2001:db8::11]",
			"[192.0.2.1]":              "failed 554 5.4.6",
			"[IPv6:::ffff:192.0.2.1]":  "failed 554 5.4.6",
			"[IPv6:::ffff:192.0.2.11]": "delivered 250 2.0.0 [IPv6:::ffff:192.0.2.11]",
			"[x400:whatever]":          "failed 550 5.1.2",
			"192.0.2.11":               "failed 550 5.1.2",
		} {
			w.expect(w.deliver(remote(literal), message("m1", "a@"+literal)), want)
		}
		if slices.Contains(w.dials(0), "192.0.2.1:25") {
			t.Error("we called ourselves")
		}
	})
}
