package deliver_test

import (
	"slices"
	"testing"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/sim"
)

const lmtpHop = "192.0.2.24:24"

var lmtp = mail.MakeLane(mail.TransportLMTP, lmtpHop)

func TestLMTPRepliesForEachRecipientAfterTheDot(t *testing.T) {
	for _, extensions := range [][]string{nil, {"ENHANCEDSTATUSCODES"}} {
		play(t, nil, nil, func(w *world) {
			t := w.t
			p := w.peer(lmtpHop, sim.Script{
				LMTP: true, Extensions: extensions,
				Rcpt: map[string]string{"who@example.net": "550 5.1.1 who?", "later@example.net": "450 4.2.1 later"},
				DotRcpt: map[string]string{
					"full@example.net": sim.InTurn("452 4.2.2 full", ""), "virus@example.net": "554 5.7.1 virus",
				},
			})
			m := message("m1", "a@example.net", "who@example.net", "full@example.net", "later@example.net", "virus@example.net", "b@example.net")
			r := w.deliver(lmtp, m, message("m2", "a@example.net"))
			w.expect(r, "delivered 250 2.0.0 192.0.2.24, failed 550 5.1.1 192.0.2.24, deferred 452 4.2.2 192.0.2.24, "+
				"deferred 450 4.2.1 192.0.2.24, failed 554 5.7.1 192.0.2.24, delivered 250 2.0.0 192.0.2.24; delivered 250 2.0.0 192.0.2.24")
			w.expect(w.deliver(lmtp, retry(m, r)), "delivered 250 2.0.0 192.0.2.24, deferred 450 4.2.1 192.0.2.24")
			if got := p.Commands()[0]; got != "LHLO us.example" {
				t.Errorf("it said %q", got)
			}
			if got := p.Messages()[2].Accepted(); !slices.Equal(got, []string{"full@example.net"}) {
				t.Errorf("the retry was for %v", got)
			}
		})
	}
}

func TestLMTPLosesTheRepliesOfSome(t *testing.T) {
	for step, wait := range map[string]time.Duration{sim.Close: 0, sim.Hang: 10 * time.Minute} {
		play(t, nil, nil, func(w *world) {
			t := w.t
			w.peer(lmtpHop, sim.Script{LMTP: true, DotRcpt: map[string]string{"b@example.net": sim.InTurn(step, "")}})
			spent := took(func() {
				w.expect(w.deliver(lmtp, message("m1", "a@example.net", "b@example.net", "c@example.net"), message("m2", "a@example.net")),
					"delivered 250 2.0.0 192.0.2.24, deferred 451 4.4.2 192.0.2.24, deferred 451 4.4.2 192.0.2.24; delivered 250 2.0.0 192.0.2.24")
			})
			if spent != wait {
				t.Errorf("it took %v", spent)
			}
		})
	}
}

func TestLMTPTriesItsHopsInOrder(t *testing.T) {
	play(t, nil, nil, func(w *world) {
		t := w.t
		lane := mail.MakeLane(mail.TransportLMTP, "192.0.2.23:24,"+lmtpHop)
		p := w.peer(lmtpHop, sim.Script{LMTP: true})
		w.expect(w.deliver(lane, message("m1", "a@example.net")), "delivered 250 2.0.0 192.0.2.24")
		p.SetScript(sim.Script{LMTP: true, Hello: "500 no LHLO here"})
		pass(10 * time.Second)
		w.expect(w.deliver(lane, message("m1", "a@example.net")), "- | down 4.3.2 192.0.2.24")
		if got := w.net.Dialled("192.0.2.23:24"); got != 2 {
			t.Errorf("the first hop was dialled %d times", got)
		}
	})
}
