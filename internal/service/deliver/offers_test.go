package deliver_test

import (
	"testing"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/sim"
)

func TestWhatANextHopOffersIsRememberedForATime(t *testing.T) {
	zones := sim.Zones{"example.net": "@ MX 10 hop\nhop A 192.0.2.11"}
	play(t, zones, nil, func(w *world) {
		t, hops := w.t, w.service.Hops()
		hop := routing.Hop{Host: "hop.example.net", Port: 25}
		ask := func(when string, utf8, small, large routing.Answer) {
			t.Helper()
			u, _ := hops.UTF8(hop)
			s, _ := hops.Takes(hop, 1000)
			l, _ := hops.Takes(hop, 1001)
			if u != utf8 || s != small || l != large {
				t.Errorf("%s: SMTPUTF8 %d, 1000 octets %d, 1001 octets %d", when, u, s, l)
			}
		}
		p := w.peer("192.0.2.11:25", sim.Script{Extensions: []string{"SIZE 1000"}})
		ask("at first", routing.Unknown, routing.Unknown, routing.Unknown)
		w.deliver(remote("example.net"), message("m1", "a@example.net"))
		ask("after delivery by MX", routing.Unknown, routing.Unknown, routing.Unknown)
		w.deliver(relay("hop.example.net:25"), message("m2", "a@example.net"))
		ask("after an EHLO", routing.No, routing.Yes, routing.No)
		if _, age := hops.UTF8(hop); age != 0 {
			t.Errorf("the age is %v", age)
		}
		pass(time.Hour - time.Second)
		ask("before an hour", routing.No, routing.Yes, routing.No)
		pass(time.Second)
		ask("after an hour", routing.Unknown, routing.Yes, routing.Unknown)
		pass(23*time.Hour - time.Second)
		ask("before a day", routing.Unknown, routing.Yes, routing.Unknown)
		pass(time.Second)
		ask("after a day", routing.Unknown, routing.Unknown, routing.Unknown)
		for _, c := range []struct {
			offers            []string
			utf8, small, more routing.Answer
		}{
			{[]string{"SMTPUTF8"}, routing.Yes, routing.Yes, routing.Yes},
			{[]string{"SIZE"}, routing.No, routing.Yes, routing.Yes},
			{[]string{"SMTPUTF8", "SIZE 999"}, routing.Yes, routing.No, routing.No},
		} {
			p.SetScript(sim.Script{Extensions: c.offers})
			pass(10 * time.Second) // the connection that waits for more mail has ended
			w.deliver(relay("hop.example.net:25"), message("m3", "a@example.net"))
			ask("offering "+c.offers[0], c.utf8, c.small, c.more)
		}
	})
}

func TestWhatIsOfferedByLMTPIsRememberedToo(t *testing.T) {
	play(t, nil, nil, func(w *world) {
		w.peer(lmtpHop, sim.Script{LMTP: true, Extensions: []string{}})
		w.deliver(mail.MakeLane(mail.TransportLMTP, lmtpHop), message("m1", "a@example.net"))
		if u, _ := w.service.Hops().UTF8(routing.Hop{Host: "192.0.2.24", Port: 24}); u != routing.No {
			w.t.Errorf("SMTPUTF8: %d", u)
		}
	})
}
