package deliver_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"postroad/internal/service/deliver"
	"postroad/internal/sim"
)

var oneExchanger = sim.Zones{"example.net": `
	@   MX 10 mx1
	mx1 A 192.0.2.11
`}

// twoOfEach has an exchanger with two addresses, and a second one.
var twoOfEach = sim.Zones{"example.net": `
	@   MX 10 mx1
	@   MX 20 mx2
	mx1 A 192.0.2.11
	mx1 AAAA 2001:db8::11
	mx2 A 192.0.2.21
`}

// unusable is every way in which a host may be of no use before MAIL.
var unusable = []struct {
	name   string
	put    func(w *world, address string)
	reason string
	within time.Duration
}{
	{"refused", func(w *world, a string) { w.net.Refuse(a) }, "450 4.4.1 dial tcp 192.0.2.11:25: connection refused", 0},
	{"unreachable", func(w *world, a string) { w.net.Unreachable(a) }, "450 4.4.1 dial tcp 192.0.2.11:25: network is unreachable", 0},
	{"black hole", func(w *world, a string) { w.net.BlackHole(a) }, "i/o timeout", 30 * time.Second},
	{"too slow to connect", func(w *world, a string) { w.peer(a, sim.Script{}); w.net.Slow(a, time.Minute) }, "i/o timeout", 30 * time.Second},
	{"closes at once", greeting(sim.Close), "450 4.4.2 greeting of mx1.example.net: ", 0},
	{"resets at once", greeting(sim.Reset), "connection reset", 0},
	{"says nothing", greeting(sim.Hang), "i/o timeout", 5 * time.Minute},
	{"garbage", greeting(sim.Garbage), "not an SMTP reply", 0},
	{"421 at the greeting", greeting("421 4.3.2 too busy"), "450 4.3.2 greeting of mx1.example.net: 421 4.3.2 too busy", 0},
	{"450 at the greeting", greeting("450 try later"), "450 4.3.2 greeting of mx1.example.net: 450 try later", 0},
	{"554 at the greeting", greeting("554 5.7.1 we know you"), "450 4.3.2 greeting of mx1.example.net: 554 5.7.1 we know you", 0},
	{"another code at the greeting", greeting("250 hello"), "450 4.3.2 greeting of mx1.example.net: 250 hello", 0},
	{"421 at EHLO", hello("421 4.3.2 too busy", ""), "450 4.3.2 EHLO of mx1.example.net: 421 4.3.2 too busy", 0},
	{"450 at EHLO", hello("450 later", ""), "450 4.3.2 EHLO of mx1.example.net: 450 later", 0},
	{"550 at EHLO and HELO", hello("550 5.7.1 no", "550 5.7.1 still no"), "450 4.3.2 EHLO of mx1.example.net: 550 5.7.1 still no", 0},
	{"closes at EHLO", hello(sim.Close, ""), "450 4.4.2 EHLO of mx1.example.net: ", 0},
	{"hangs at EHLO", hello(sim.Hang, ""), "i/o timeout", 5 * time.Minute},
}

func greeting(step string) func(*world, string) {
	return func(w *world, a string) { w.peer(a, sim.Script{Greeting: step}) }
}

func hello(ehlo, helo string) func(*world, string) {
	return func(w *world, a string) { w.peer(a, sim.Script{Hello: ehlo, Helo: helo}) }
}

func TestS4_7AHostOfNoUseIsFollowedByTheNextAddress(t *testing.T) {
	for _, c := range unusable {
		t.Run(c.name, func(t *testing.T) {
			play(t, twoOfEach, nil, func(w *world) {
				t := w.t
				c.put(w, "[2001:db8::11]:25")
				w.peer("192.0.2.11:25", sim.Script{})
				spent := took(func() {
					w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "delivered 250 2.0.0 mx1.example.net")
				})
				if spent > c.within {
					t.Errorf("it took %v, want at most %v", spent, c.within)
				}
			})
		})
	}
}

func TestS4_7AHostOfNoUseIsFollowedByTheNextExchanger(t *testing.T) {
	for _, c := range unusable {
		t.Run(c.name, func(t *testing.T) {
			play(t, twoOfEach, nil, func(w *world) {
				c.put(w, "[2001:db8::11]:25")
				c.put(w, "192.0.2.11:25")
				w.peer("192.0.2.21:25", sim.Script{})
				w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "delivered 250 2.0.0 mx2.example.net")
			})
		})
	}
}

func TestS4_7WhenNoHostIsOfUseTheLaneIsDown(t *testing.T) {
	for _, c := range unusable {
		t.Run(c.name, func(t *testing.T) {
			play(t, oneExchanger, nil, func(w *world) {
				t := w.t
				c.put(w, "192.0.2.11:25")
				r := w.deliver(remote("example.net"), messages(3, "a@example.net")...)
				if got := r.text(); !strings.HasPrefix(got, "-; -; - | down 4.") || !strings.HasSuffix(got, " mx1.example.net") {
					t.Errorf("got %s, want a lane that is down and no outcomes", got)
				}
				if !strings.Contains(r.reason(), c.reason) {
					t.Errorf("the reason is %q, want %q", r.reason(), c.reason)
				}
				if n := len(w.dials(0)); n != 1 {
					t.Errorf("%d connections for an attempt of three messages", n)
				}
				if w.metric("postroad_deliver_dials_total") != 1 {
					t.Error("the dial is not counted")
				}
			})
		})
	}
}

func TestASlowButHonestHostIsWaitedFor(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		w.peer("192.0.2.11:25", sim.Script{
			Greeting: sim.After(4*time.Minute, ""), Hello: sim.After(4*time.Minute, ""), Mail: sim.After(4*time.Minute, ""),
			Data: sim.After(time.Minute, ""), Dot: sim.After(9*time.Minute, ""),
		})
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "delivered 250 2.0.0 mx1.example.net")
	})
}

func TestAServerOfOldSpeaksHELO(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{Hello: "500 what?"})
		w.expect(w.deliver(remote("example.net"), messages(2, "a@example.net")...), "delivered 250 2.0.0 mx1.example.net; delivered 250 2.0.0 mx1.example.net")
		if m := p.Messages()[0]; string(m.Body) != body || m.Hello != "us.example" || m.Parameters != "" {
			t.Errorf("it got %+v", m)
		}
	})
}

func TestTheOpeningAsAWholeIsBounded(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		w.peer("192.0.2.11:25", sim.Script{Greeting: sim.After(290*time.Second, ""), Hello: sim.After(290*time.Second, "500 no"), Helo: sim.After(290*time.Second, "")})
		spent := took(func() {
			w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "- | down 4.4.2 mx1.example.net")
		})
		if spent > 10*time.Minute {
			t.Errorf("it took %v", spent)
		}
	})
}

func TestTimeoutsAreThoseOfTheConfiguration(t *testing.T) {
	change := func(c *deliver.Config) { c.ConnectTimeout, c.Timeouts.Greeting = 3*time.Second, 4*time.Second }
	play(t, twoOfEach, change, func(w *world) {
		t := w.t
		w.net.BlackHole("[2001:db8::11]:25")
		w.peer("192.0.2.11:25", sim.Script{Greeting: sim.Hang})
		w.net.Refuse("192.0.2.21:25")
		if spent := took(func() { w.deliver(remote("example.net"), message("m1", "a@example.net")) }); spent != 7*time.Second {
			t.Errorf("it took %v", spent)
		}
	})
}

func TestTheZeroConfigurationWorks(t *testing.T) {
	play(t, sim.Zones{"example.net": "@ A 8.8.8.8"}, func(c *deliver.Config) { *c = deliver.Config{} }, func(w *world) {
		p := w.peer("8.8.8.8:25", sim.Script{})
		w.service = deliver.New(deliver.Config{}, w, w.resolver, w, w, nil, slog.New(slog.DiscardHandler))
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "delivered 250 2.0.0 example.net")
		if got := p.Commands()[0]; got != "EHLO localhost" {
			w.t.Errorf("it said %q", got)
		}
	})
}
