package deliver_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/service/deliver"
	"postroad/internal/sim"
)

const okMX1 = "delivered 250 2.0.0 mx1.example.net"

// times joins n copies of an outcome.
func times(n int, outcome string) string {
	return strings.TrimSuffix(strings.Repeat(outcome+"; ", n), "; ")
}

func TestBatchesOfALaneShareAConnection(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{})
		for range 3 {
			w.expect(w.deliver(remote("example.net"), messages(10, "a@example.net")...), times(10, okMX1))
			pass(4 * time.Second)
		}
		if p.Connections() != 1 || len(p.Messages()) != 30 {
			t.Errorf("%d connections for %d messages", p.Connections(), len(p.Messages()))
		}
		if open := w.metric("postroad_deliver_connections"); open != 1 {
			t.Errorf("%v connections are counted as open", open)
		}
		if got := w.metric("postroad_deliver_seconds"); got != 30 {
			t.Errorf("%v deliveries are timed", got)
		}
		pass(2 * time.Second)
		synctest.Wait()
		if p.Open() != 0 || w.metric("postroad_deliver_connections") != 0 {
			t.Error("the connection waits for more mail longer than 5 s")
		}
		if last := p.Commands()[len(p.Commands())-1]; last != "QUIT" {
			t.Errorf("the last word was %q", last)
		}
		if got := w.metric("postroad_deliver_dials_total"); got != 1 {
			t.Errorf("%v dials are counted", got)
		}
	})
}

func TestAPeerThatHasLeftMeanwhileCostsNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(w *world, p *sim.Peer)
		first sim.Script
	}{
		{"closed", func(_ *world, p *sim.Peer) { p.Drop() }, sim.Script{}},
		{"says 421 to the next MAIL", nil, sim.Script{Mail: sim.InTurn("", sim.ThenClose("421 4.4.2 idle too long"))}},
		{"said 421 while nobody listened", nil, sim.Script{Dot: sim.ThenClose(sim.Raw("250 2.0.0 taken\r\n421 4.4.2 idle too long\r\n"))}},
		{"resets at the next MAIL", nil, sim.Script{Mail: sim.InTurn("", sim.Reset)}},
		{"closes at the next RCPT", nil, sim.Script{Rcpt: map[string]string{"*": sim.InTurn("", sim.Close)}}},
		{"closes at the next DATA", nil, sim.Script{Data: sim.InTurn("", sim.Close)}},
		{"talks nonsense at the next MAIL", nil, sim.Script{Mail: sim.InTurn("", sim.Garbage)}},
	} {
		for _, extensions := range [][]string{nil, {"8BITMIME"}} {
			t.Run(c.name, func(t *testing.T) {
				play(t, twoOfEach, nil, func(w *world) {
					t := w.t
					first := c.first
					first.Extensions = extensions
					p := w.peer("[2001:db8::11]:25", sim.Script{Extensions: extensions, Connection: map[int]sim.Script{1: first}})
					w.expect(w.deliver(remote("example.net"), message("m0", "a@example.net")), okMX1)
					if c.leave != nil {
						c.leave(w, p)
					}
					synctest.Wait()
					spent := took(func() {
						w.expect(w.deliver(remote("example.net"), messages(5, "a@example.net")...), times(5, okMX1))
					})
					if spent != 0 || p.Connections() != 2 || len(w.dials(0)) != 2 {
						t.Errorf("%v, %d connections, dialled %v", spent, p.Connections(), w.dials(0))
					}
					for id, n := range copies(p) {
						if n != 1 {
							t.Errorf("%d copies of %s", n, id)
						}
					}
				})
			})
		}
	}
}

func TestAReusedConnectionThatLosesAReplyIsNotForgiven(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{Dot: sim.InTurn("", sim.CloseWithoutReply, "")})
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), okMX1)
		w.expect(w.deliver(remote("example.net"), message("m2", "a@example.net"), message("m3", "a@example.net")),
			"deferred 451 4.4.2 mx1.example.net; "+okMX1)
		if got := copies(p); got["m2"] != 1 || got["m3"] != 1 {
			t.Errorf("copies %v", got)
		}
	})
}

func TestAPeerThatEndsConnectionsInTheMiddle(t *testing.T) {
	third := func(step string) string { return cycle("", "", step) }
	for _, c := range []struct {
		name   string
		script sim.Script
	}{
		{"421 at the third MAIL", sim.Script{Mail: third(sim.ThenClose("421 4.7.0 enough for one connection"))}},
		{"421 at the third RCPT", sim.Script{Rcpt: map[string]string{"*": third(sim.ThenClose("421 4.7.0 enough"))}}},
		{"421 at the third DATA", sim.Script{Data: third(sim.ThenClose("421 4.7.0 enough"))}},
		{"closes after two", sim.Script{Dot: cycle("", sim.ThenClose("250 2.0.0 taken"))}},
		{"resets after two", sim.Script{Mail: third(sim.Reset), Extensions: []string{}}},
		{"closes at the third MAIL", sim.Script{Mail: third(sim.Close), Extensions: []string{}}},
		{"MAILMAX", sim.Script{Extensions: []string{"PIPELINING", "LIMITS MAILMAX=2"}}},
		{"MAILMAX without pipelining", sim.Script{Extensions: []string{"LIMITS MAILMAX=2"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, oneExchanger, nil, func(w *world) {
				t := w.t
				p := w.peer("192.0.2.11:25", c.script)
				w.expect(w.deliver(remote("example.net"), messages(7, "a@example.net")...), times(7, okMX1))
				if p.Connections() != 4 || len(p.Messages()) != 7 {
					t.Errorf("%d connections for %d messages, want two messages over each", p.Connections(), len(p.Messages()))
				}
			})
		})
	}
}

// cycle does the steps again and again.
func cycle(steps ...string) string { return sim.InTurn(slices.Repeat(steps, 10)...) }

func TestAConnectionIsRenewedAfterManyMessages(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{})
		for range 1001 / 7 {
			w.deliver(remote("example.net"), messages(7, "a@example.net")...)
		}
		for range 2 {
			w.expect(w.deliver(remote("example.net"), messages(100, "a@example.net")...), times(100, okMX1))
		}
		if p.Connections() != 3 || len(p.Messages()) != 1201 || w.mostAtOnce() != 1 {
			t.Errorf("%d connections, %d at once, for %d messages", p.Connections(), w.mostAtOnce(), len(p.Messages()))
		}
	})
}

func TestAHostGetsOnlySoManyConnectionsOverAllLanes(t *testing.T) {
	zones := sim.Zones{"example.net": "mx A 192.0.2.11"}
	for i := range 6 {
		zones[fmt.Sprintf("d%d.example", i)] = "@ MX 10 mx.example.net."
	}
	change := func(c *deliver.Config) { c.PerHost = 2 }
	play(t, zones, change, func(w *world) {
		t := w.t
		w.peer("192.0.2.11:25", sim.Script{Dot: sim.After(time.Second, "")})
		for i := range 6 {
			domain := fmt.Sprintf("d%d.example", i)
			w.lanes.Go(func() {
				w.expect(w.deliver(remote(domain), messages(2, "a@"+domain)...), times(2, "delivered 250 2.0.0 mx.example.net"))
			})
		}
		w.lanes.Wait()
		if w.mostAtOnce() != 2 {
			t.Errorf("%d connections at once, want 2", w.mostAtOnce())
		}
	})
}

func TestALaneThatGetsNoConnectionIsDownForNow(t *testing.T) {
	zones := sim.Zones{"a.example": "@ A 192.0.2.11", "b.example": "@ A 192.0.2.11"}
	play(t, zones, func(c *deliver.Config) { c.PerHost = 1 }, func(w *world) {
		t := w.t
		w.peer("192.0.2.11:25", sim.Script{Dot: sim.After(time.Minute, "")})
		w.lanes.Go(func() {
			w.expect(w.deliver(remote("a.example"), message("m1", "x@a.example")), "delivered 250 2.0.0 a.example")
		})
		synctest.Wait()
		spent := took(func() {
			w.expect(w.deliver(remote("b.example"), message("m2", "x@b.example")), "- | down 4.4.5 b.example")
		})
		if spent != 10*time.Second {
			t.Errorf("it waited %v", spent)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r := w.deliverIn(ctx, remote("b.example"), message("m2", "x@b.example")); r.text() != "- | context deadline exceeded" {
			t.Errorf("called off while it waited: %s", r.text())
		}
	})
}

func TestAConnectionThatWaitsMakesRoomForAnotherLane(t *testing.T) {
	zones := sim.Zones{"a.example": "@ A 192.0.2.11", "b.example": "@ A 192.0.2.11"}
	play(t, zones, func(c *deliver.Config) { c.PerHost = 1 }, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{})
		spent := took(func() {
			for range 5 {
				w.expect(w.deliver(remote("a.example"), message("m1", "x@a.example")), "delivered 250 2.0.0 a.example")
				w.expect(w.deliver(remote("b.example"), message("m2", "x@b.example")), "delivered 250 2.0.0 b.example")
			}
		})
		if spent != 0 || w.mostAtOnce() != 1 || p.Connections() != 10 {
			t.Errorf("%v, %d connections, %d at once", spent, p.Connections(), w.mostAtOnce())
		}
	})
}

func TestOnlyAFewConnectionsWait(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{Dot: sim.After(time.Second, "")})
		for range 7 {
			w.lanes.Go(func() { w.expect(w.deliver(remote("example.net"), message("m", "a@example.net")), okMX1) })
		}
		w.lanes.Wait()
		synctest.Wait()
		if w.mostAtOnce() != 7 || p.Open() != 4 {
			t.Errorf("%d connections, %d are kept", w.mostAtOnce(), p.Open())
		}
	})
}

func TestAHostThatHangsAtQuitHoldsNobody(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		w.peer("192.0.2.11:25", sim.Script{Quit: sim.Hang})
		w.expect(w.deliver(remote("example.net"), message("m", "a@example.net")), okMX1)
		if spent := took(w.service.Close); spent != 5*time.Second {
			t.Errorf("Close took %v", spent)
		}
	})
}

func TestAfterCloseNothingWaits(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{Dot: sim.After(time.Minute, "")})
		w.lanes.Go(func() { w.expect(w.deliver(remote("example.net"), message("m", "a@example.net")), okMX1) })
		synctest.Wait()
		if spent := took(w.service.Close); spent != 10*time.Second {
			t.Errorf("Close waited %v for an attempt that runs", spent)
		}
		w.lanes.Wait()
		synctest.Wait()
		if p.Open() != 0 {
			t.Error("the connection was kept")
		}
	})
}

func TestLanesToOneHostDoNotShareAConnection(t *testing.T) {
	// What one lane has said (a login, for example) is no business of another.
	zones := sim.Zones{"a.example": "@ A 192.0.2.11", "b.example": "@ A 192.0.2.11"}
	play(t, zones, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{})
		for _, d := range []string{"a.example", "b.example"} {
			w.expect(w.deliver(remote(d), message("m1", "x@"+d)), "delivered 250 2.0.0 "+d)
		}
		if p.Connections() != 2 {
			t.Errorf("%d connections", p.Connections())
		}
	})
}

func TestAnEmptyBatch(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		w.peer("192.0.2.11:25", sim.Script{})
		w.expect(w.deliver(remote("example.net")), "")
		if len(w.dials(0)) > 0 {
			t.Error("somebody was called for nothing")
		}
		var none []mail.Delivery
		w.expect(w.deliver(remote("example.net"), none...), "")
	})
}

func TestConnectionsThatFailTakeNoPlace(t *testing.T) {
	play(t, oneExchanger, func(c *deliver.Config) { c.PerHost = 2 }, func(w *world) {
		p := w.peer("192.0.2.11:25", sim.Script{})
		for _, script := range []sim.Script{{Greeting: "554 no"}, {Hello: sim.Close}, {Mail: sim.Close}, {Dot: sim.Close}} {
			p.SetScript(script)
			for range 5 {
				w.deliver(remote("example.net"), message("m", "a@example.net"))
			}
		}
		w.net.Refuse("192.0.2.11:25")
		for range 5 {
			w.deliver(remote("example.net"), message("m", "a@example.net"))
		}
		w.net.Peer("192.0.2.11:25", p)
		p.SetScript(sim.Script{})
		w.expect(w.deliver(remote("example.net"), message("m", "a@example.net")), okMX1)
	})
}
