package deliver_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"postroad/internal/sim"
)

func TestS4_7EachRecipientHasItsOwnResult(t *testing.T) {
	table := map[string]string{"later@example.net": "450 4.2.1 later", "never@example.net": "550 5.1.1 who?"}
	for _, extensions := range [][]string{nil, {"ENHANCEDSTATUSCODES"}} {
		play(t, twoOfEach, nil, func(w *world) {
			t := w.t
			first := w.peer("[2001:db8::11]:25", sim.Script{Rcpt: table, Extensions: extensions})
			second := w.peer("192.0.2.21:25", sim.Script{})
			w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net", "later@example.net", "never@example.net", "b@example.net")),
				"delivered 250 2.0.0 mx1.example.net, delivered 250 2.0.0 mx2.example.net, failed 550 5.1.1 mx1.example.net, delivered 250 2.0.0 mx1.example.net")
			if got := first.Messages()[0].Accepted(); !slices.Equal(got, []string{"a@example.net", "b@example.net"}) {
				t.Errorf("the first exchanger took %v", got)
			}
			if got := second.Messages(); len(got) != 1 || len(got[0].Recipients) != 1 || got[0].Recipients[0].Address != "later@example.net" {
				t.Errorf("the second exchanger was told %+v", got)
			}
		})
	}
}

func TestOnlyDeferredRecipientsAreTriedAgain(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{Rcpt: map[string]string{
			"later@example.net": sim.InTurn("450 4.2.1 later", ""), "never@example.net": "550 5.1.1 who?",
		}})
		m := message("m1", "a@example.net", "later@example.net", "never@example.net")
		r := w.deliver(remote("example.net"), m)
		w.expect(r, "delivered 250 2.0.0 mx1.example.net, deferred 450 4.2.1 mx1.example.net, failed 550 5.1.1 mx1.example.net")
		w.expect(w.deliver(remote("example.net"), retry(m, r)), "delivered 250 2.0.0 mx1.example.net")
		if got := p.Messages(); len(got) != 2 || len(got[1].Recipients) != 1 {
			t.Errorf("it got %+v", got)
		}
	})
}

func TestPartialResultsOfATransaction(t *testing.T) {
	const taken, later, never = "", "450 4.2.1 later", "550 5.1.1 who?"
	for _, c := range []struct {
		name      string
		a, b      string // replies to RCPT
		data, dot string
		want      string
	}{
		{"all taken, DATA refused for now", taken, taken, "451 4.3.0 disk", "", "deferred 451 4.3.0 mx1.example.net, deferred 451 4.3.0 mx1.example.net"},
		{"all taken, DATA refused for good", taken, taken, "554 5.6.0 no", "", "failed 554 5.6.0 mx1.example.net, failed 554 5.6.0 mx1.example.net"},
		{"one later, DATA refused for now", taken, later, "451 4.3.0 disk", "", "deferred 451 4.3.0 mx1.example.net, deferred 450 4.2.1 mx1.example.net"},
		{"one never, DATA refused for now", taken, never, "451 4.3.0 disk", "", "deferred 451 4.3.0 mx1.example.net, failed 550 5.1.1 mx1.example.net"},
		{"one later, dot refused for good", later, taken, "", "554 5.7.1 virus", "deferred 450 4.2.1 mx1.example.net, failed 554 5.7.1 mx1.example.net"},
		{"one later, dot refused for now", taken, later, "", "452 4.3.1 full", "deferred 452 4.3.1 mx1.example.net, deferred 450 4.2.1 mx1.example.net"},
		{"one never, reply lost", never, taken, "", sim.CloseWithoutReply, "failed 550 5.1.1 mx1.example.net, deferred 451 4.4.2 mx1.example.net"},
		{"one later, reply lost", later, taken, "", sim.CloseWithoutReply, "deferred 450 4.2.1 mx1.example.net, deferred 451 4.4.2 mx1.example.net"},
		{"all refused", later, never, "", "", "deferred 450 4.2.1 mx1.example.net, failed 550 5.1.1 mx1.example.net"},
	} {
		for _, extensions := range [][]string{nil, {"ENHANCEDSTATUSCODES"}} {
			t.Run(c.name, func(t *testing.T) {
				play(t, oneExchanger, nil, func(w *world) {
					w.peer("192.0.2.11:25", sim.Script{
						Extensions: extensions, Data: c.data, Dot: c.dot, Rcpt: map[string]string{"a@example.net": c.a, "b@example.net": c.b},
					})
					w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net", "b@example.net")), c.want)
				})
			})
		}
	}
}

func TestA354ThoughAllRecipientsWereRefused(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		w.net.Serve("192.0.2.11:25", dialogue(t, "220 hi", map[string]string{
			"EHLO": "250-peer\r\n250 PIPELINING", "MAIL": "250 ok", "RCPT": "550 5.1.1 who?", "DATA": "354 go on", ".": "554 5.5.1 nobody to give it to", "QUIT": "221 bye",
		}))
		w.expect(w.deliver(remote("example.net"), messages(2, "a@example.net")...), "failed 550 5.1.1 mx1.example.net; failed 550 5.1.1 mx1.example.net")
	})
}

func TestMoreRecipientsThanAHostTakesAtOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		script sim.Script
	}{
		{"told by LIMITS", sim.Script{Extensions: []string{"PIPELINING", "LIMITS RCPTMAX=2"}}},
		{"told by 452 4.5.3", sim.Script{Rcpt: map[string]string{
			"c@example.net": sim.InTurn("452 4.5.3 too many", ""), "d@example.net": sim.InTurn("452 4.5.3 too many", ""),
			"e@example.net": sim.InTurn("452 4.5.3 too many", "452 4.5.3 too many", ""),
		}}},
		{"told by 452", sim.Script{Extensions: []string{}, Rcpt: map[string]string{"e@example.net": sim.InTurn("452 enough", "")}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, oneExchanger, nil, func(w *world) {
				t := w.t
				p := w.peer("192.0.2.11:25", c.script)
				const ok = "delivered 250 2.0.0 mx1.example.net"
				w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net", "b@example.net", "c@example.net", "d@example.net", "e@example.net")),
					ok+", "+ok+", "+ok+", "+ok+", "+ok)
				if p.Connections() != 1 {
					t.Errorf("%d connections", p.Connections())
				}
			})
		})
	}
	t.Run("always too many", func(t *testing.T) {
		play(t, oneExchanger, nil, func(w *world) {
			w.peer("192.0.2.11:25", sim.Script{Rcpt: map[string]string{"*": "452 4.5.3 too many"}})
			w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "deferred 452 4.5.3 mx1.example.net")
		})
	})
}

func TestRecipientsThatWereLeftWhenAHostGaveOut(t *testing.T) {
	extensions := []string{"PIPELINING", "LIMITS RCPTMAX=1"}
	play(t, oneExchanger, nil, func(w *world) {
		w.peer("192.0.2.11:25", sim.Script{Connection: map[int]sim.Script{
			1: {Extensions: extensions, Dot: sim.ThenClose("250 2.0.0 taken")}, 2: {Greeting: "554 5.3.2 no more"},
		}})
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net", "b@example.net")),
			"delivered 250 2.0.0 mx1.example.net, deferred 450 4.3.2 mx1.example.net")
	})
	play(t, oneExchanger, nil, func(w *world) {
		w.peer("192.0.2.11:25", sim.Script{Extensions: extensions, Mail: sim.InTurn("", sim.Hang)})
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		w.expect(w.deliverIn(ctx, remote("example.net"), message("m1", "a@example.net", "b@example.net")),
			"delivered 250 2.0.0 mx1.example.net, deferred 451 4.3.2")
	})
}

func TestAHostThatGivesOutLeavesTheRestToTheNextLookUp(t *testing.T) {
	// The connection that waited takes the first message; then nothing is known of the domain any more.
	play(t, oneExchanger, nil, func(w *world) {
		w.peer("192.0.2.11:25", sim.Script{Extensions: []string{}, Mail: sim.InTurn("", "", sim.Close)})
		w.dns.Script("mx1.example.net", "A", sim.DNSRecords("0 A 192.0.2.11"), sim.DNSServFail)
		w.expect(w.deliver(remote("example.net"), message("m0", "a@example.net")), okMX1)
		pass(4 * time.Second)
		w.expect(w.deliver(remote("example.net"), messages(3, "a@example.net")...), okMX1+"; -; - | down 4.4.3 us.example")
	})
	play(t, oneExchanger, nil, func(w *world) {
		w.ownDomain("example.net", true)
		w.peer("192.0.2.11:25", sim.Script{Extensions: []string{}, Mail: sim.InTurn("", "", sim.Close), Rcpt: map[string]string{"later@example.net": later}})
		w.dns.Script("mx1.example.net", "A", sim.DNSRecords("0 A 192.0.2.11"), sim.DNSNXDomain)
		w.expect(w.deliver(remote("example.net"), message("m0", "a@example.net")), okMX1)
		pass(4 * time.Second)
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net", "later@example.net"), message("m2", "a@example.net")),
			okMX1+", held 550 5.4.4; held 550 5.4.4")
	})
}
