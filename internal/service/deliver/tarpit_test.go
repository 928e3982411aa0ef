package deliver_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/sim"
)

func TestATarpitEndsByTheTimeouts(t *testing.T) {
	for _, c := range []struct {
		name   string
		script sim.Script
		want   string
		within time.Duration
	}{
		{"hangs after MAIL", sim.Script{Mail: sim.Hang}, "deferred 450 4.4.2 mx1.example.net | down 4.4.2 mx1.example.net", 5 * time.Minute},
		{"hangs after RCPT", sim.Script{Rcpt: map[string]string{"*": sim.Hang}}, "deferred 450 4.4.2 mx1.example.net | down 4.4.2 mx1.example.net", 5 * time.Minute},
		{"hangs after DATA", sim.Script{Data: sim.Hang}, "deferred 450 4.4.2 mx1.example.net | down 4.4.2 mx1.example.net", 2 * time.Minute},
		{"an octet a second", slowly(time.Second), okMX1, 10 * time.Minute},
		{"an octet in ten seconds", slowly(10 * time.Second), "- | down 4.4.2 mx1.example.net", 10 * time.Minute},
		{"an octet a minute", slowly(time.Minute), "- | down 4.4.2 mx1.example.net", 5 * time.Minute},
		{"an octet a minute for MAIL", sim.Script{Mail: sim.Slowly(time.Minute, "")}, "deferred 450 4.4.2 mx1.example.net | down 4.4.2 mx1.example.net", 5 * time.Minute},
		{"four minutes for each reply", sim.Script{
			Extensions: []string{}, Rcpt: map[string]string{"*": sim.After(4*time.Minute, "")}, Mail: sim.After(4*time.Minute, ""), Data: sim.After(time.Minute, ""),
		}, okMX1, 15 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, oneExchanger, nil, func(w *world) {
				t := w.t
				w.peer("192.0.2.11:25", c.script)
				spent := took(func() { w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), c.want) })
				if spent > c.within {
					t.Errorf("it took %v", spent)
				}
			})
		})
	}
}

// slowly drips every reply.
func slowly(each time.Duration) sim.Script {
	drip := sim.Slowly(each, "")
	return sim.Script{Greeting: drip, Hello: drip, Mail: drip, Rcpt: map[string]string{"*": drip}, Data: drip, Dot: drip}
}

func TestAMessageAsAWholeIsBounded(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		w.peer("192.0.2.11:25", sim.Script{Extensions: []string{}, Rcpt: map[string]string{"*": sim.After(4*time.Minute, "")}})
		to := make([]string, 100)
		for i := range to {
			to[i] = "a@example.net"
		}
		var r report
		spent := took(func() { r = w.deliver(remote("example.net"), message("m1", to...)) })
		if spent > 31*time.Minute {
			t.Errorf("it took %v", spent)
		}
		if !strings.Contains(r.outcomes[0][0].Reply.Text, "took too long") {
			t.Errorf("the reason is %q", r.outcomes[0][0].Reply.Text)
		}
	})
}

func TestASlowMessageDoesNotShortenTheNext(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		slow := sim.After(9*time.Minute, "")
		p := w.peer("192.0.2.11:25", sim.Script{Dot: slow})
		w.expect(w.deliver(remote("example.net"), messages(10, "a@example.net")...), times(10, okMX1))
		if p.Connections() != 1 {
			t.Errorf("%d connections", p.Connections())
		}
	})
}

func TestATarpitHoldsNoOtherLane(t *testing.T) {
	zones := sim.Zones{"example.net": "@ MX 10 mx1\nmx1 A 192.0.2.11"}
	for _, d := range []string{"tar1.example", "tar2.example", "tar3.example"} {
		zones[d] = "@ A 192.0.2.66"
	}
	play(t, zones, nil, func(w *world) {
		t := w.t
		w.peer("192.0.2.66:25", sim.Script{Mail: sim.Hang})
		w.peer("192.0.2.11:25", sim.Script{})
		for d := range zones {
			if d != "example.net" {
				for range 8 {
					w.lanes.Go(func() { w.deliver(remote(d), message("m", "a@"+d)) })
				}
			}
		}
		synctest.Wait()
		spent := took(func() {
			for range 10 {
				w.expect(w.deliver(remote("example.net"), messages(100, "a@example.net")...), times(100, okMX1))
			}
		})
		if spent != 0 {
			t.Errorf("a thousand messages of another lane took %v", spent)
		}
	})
}

func TestACancelledContextEndsDeliverSoon(t *testing.T) {
	for _, c := range []struct {
		name   string
		script sim.Script
		put    func(w *world)
		want   string
	}{
		{"while it is looked up", sim.Script{}, func(w *world) { w.dns.Script("*", "*", sim.DNSTimeout) }, "-; - | context canceled"},
		{"while it connects", sim.Script{}, func(w *world) { w.net.BlackHole("192.0.2.11:25") }, "-; - | context canceled"},
		{"at the greeting", sim.Script{Greeting: sim.Hang}, nil, "-; - | context canceled"},
		{"at EHLO", sim.Script{Hello: sim.Hang}, nil, "-; - | context canceled"},
		{"at STARTTLS", sim.Script{Extensions: []string{"STARTTLS"}, StartTLS: sim.Hang}, nil, "-; - | context canceled"},
		{"in the handshake", sim.Script{Extensions: []string{"STARTTLS"}, StartTLS: go220, Handshake: sim.Hang}, nil, "-; - | context canceled"},
		{"at MAIL", sim.Script{Mail: sim.Hang}, nil, "-; - | context canceled"},
		{"at RCPT", sim.Script{Rcpt: map[string]string{"*": sim.Hang}}, nil, "-; - | context canceled"},
		{"at DATA", sim.Script{Data: sim.Hang}, nil, "-; - | context canceled"},
		{"after the dot", sim.Script{Dot: sim.Hang}, nil, "deferred 451 4.4.2 mx1.example.net; - | context canceled"},
		{"at the second message", sim.Script{Mail: sim.InTurn("", sim.Hang)}, nil, okMX1 + "; - | context canceled"},
		{"after the second dot", sim.Script{Extensions: []string{}, Dot: sim.InTurn("", sim.Hang)}, nil, okMX1 + "; deferred 451 4.4.2 mx1.example.net"},
		{"while a reply is on its way", sim.Script{Dot: sim.After(30500*time.Millisecond, "")}, nil, okMX1 + "; - | context canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, twoOfEach, nil, func(w *world) {
				t := w.t
				w.dns.SetZone("example.net", "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.11\nmx2 A 192.0.2.21")
				w.peer("192.0.2.11:25", c.script)
				if c.put != nil {
					c.put(w)
				}
				ctx, cancel := context.WithCancel(t.Context())
				wait := 5 * time.Second
				if strings.Contains(c.name, "on its way") {
					wait = 30 * time.Second
				}
				timer := time.AfterFunc(wait, cancel)
				defer timer.Stop()
				spent := took(func() { w.expect(w.deliverIn(ctx, remote("example.net"), messages(2, "a@example.net")...), c.want) })
				if strings.Contains(c.name, "dot") {
					wait += 10 * time.Second // the reply is waited for
				}
				if spent > wait+time.Second {
					t.Errorf("it took %v after the end of the context", spent-wait)
				}
				for _, d := range w.dials(0) {
					if d == "192.0.2.21:25" {
						t.Error("the next exchanger was called after the end")
					}
				}
			})
		})
	}
	t.Run("before", func(t *testing.T) {
		play(t, oneExchanger, nil, func(w *world) {
			t := w.t
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			w.expect(w.deliverIn(ctx, remote("example.net"), message("m", "a@example.net")), "- | context canceled")
			if len(w.net.Dials()) > 0 {
				t.Error("somebody was asked")
			}
		})
	})
}

// Whoever cuts a connection between a final dot and its reply sends a second copy after the restart.
func TestTheEndWaitsForTheReplyToADot(t *testing.T) {
	for _, c := range []struct {
		name   string
		script sim.Script
		want   string
		spent  time.Duration
		copies int
	}{
		{"that comes in time", sim.Script{Dot: sim.After(20*time.Second, "")}, okMX1 + "; - | context canceled", 20 * time.Second, 1},
		{"in lock step", sim.Script{Extensions: []string{}, Dot: sim.After(20*time.Second, "")}, okMX1 + "; - | context canceled", 20 * time.Second, 1},
		{"of the last message", sim.Script{Dot: sim.InTurn("", sim.After(20*time.Second, ""))}, okMX1 + "; " + okMX1, 20 * time.Second, 2},
		{"that never comes", sim.Script{Dot: sim.Hang}, "deferred 451 4.4.2 mx1.example.net; - | context canceled", 28 * time.Second, 1},
		{"while the dot leaves after the end", sim.Script{Data: sim.After(5500*time.Millisecond, ""), Dot: sim.After(15*time.Second, "")}, okMX1 + "; - | context canceled", 20500 * time.Millisecond, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, oneExchanger, nil, func(w *world) {
				t := w.t
				p := w.peer("192.0.2.11:25", c.script)
				ctx, cancel := context.WithCancelCause(t.Context())
				by := time.Now().Add(28 * time.Second)
				timer := time.AfterFunc(5*time.Second, func() { cancel(&mail.Ending{By: by}) })
				defer timer.Stop()
				spent := took(func() { w.expect(w.deliverIn(ctx, remote("example.net"), messages(2, "a@example.net")...), c.want) })
				if spent < c.spent || spent > c.spent+time.Second {
					t.Errorf("it took %v, want %v", spent, c.spent)
				}
				if n := len(p.Messages()); n != c.copies {
					t.Errorf("the peer has %d messages, want %d", n, c.copies)
				}
			})
		})
	}
}

func TestACancelledBatchKeepsWhatWasHeard(t *testing.T) {
	play(t, twoOfEach, nil, func(w *world) {
		t := w.t
		w.peer("[2001:db8::11]:25", sim.Script{Rcpt: map[string]string{"later@example.net": later}})
		w.peer("192.0.2.21:25", sim.Script{Mail: sim.Hang})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		r := w.deliverIn(ctx, remote("example.net"), message("m1", "a@example.net", "later@example.net"), message("m2", "a@example.net"))
		w.expect(r, "delivered 250 2.0.0 mx1.example.net, deferred 450 4.2.1 mx1.example.net; "+okMX1)
		if r.outcomes[0][1].Result != mail.Deferred {
			t.Error(r.text())
		}
	})
}
