package deliver_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/sim"
)

var twins = sim.Zones{"example.net": `
	@   MX 10 mx1
	@   MX 10 mx2
	@   MX 20 mx3
	mx1 A 192.0.2.11
	mx2 A 192.0.2.21
	mx3 A 192.0.2.31
`}

const later = "450 4.2.1 later"

func TestS5_16EqualExchangersShareTheMail(t *testing.T) {
	play(t, twins, nil, func(w *world) {
		t := w.t
		one, two := w.peer("192.0.2.11:25", sim.Script{}), w.peer("192.0.2.21:25", sim.Script{})
		three := w.peer("192.0.2.31:25", sim.Script{})
		const n = 10_000
		for i := range n {
			if r := w.deliver(remote("example.net"), message(fmt.Sprint(i), "a@example.net")); r.err != nil {
				t.Fatal(r.text())
			}
		}
		first, second := len(one.Messages()), len(two.Messages())
		if share := float64(first) / n; first+second != n || math.Abs(share-0.5) > 0.03 {
			t.Errorf("%d and %d of %d messages", first, second, n)
		}
		if three.Connections() > 0 {
			t.Error("a worse exchanger was used")
		}
		if c := one.Connections() + two.Connections(); c > 2+n/500 {
			t.Errorf("%d connections for %d messages", c, n)
		}
	})
}

func TestS5_16WhatOneRefusesTheOtherIsAskedFor(t *testing.T) {
	refusing := sim.Script{Rcpt: map[string]string{"*": later}}
	for range 20 {
		play(t, twins, nil, func(w *world) {
			t := w.t
			one, two := w.peer("192.0.2.11:25", refusing), w.peer("192.0.2.21:25", sim.Script{})
			w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "delivered 250 2.0.0 mx2.example.net")
			if one.Connections() > 1 || two.Connections() != 1 {
				t.Errorf("%d and %d connections", one.Connections(), two.Connections())
			}
		})
	}
}

func TestS5_16ARetryTriesTheOther(t *testing.T) {
	for range 20 {
		play(t, twins, nil, func(w *world) {
			t := w.t
			// Whoever is asked first loses the reply, which ends the attempt.
			losing := sim.Script{Dot: sim.InTurn(sim.CloseWithoutReply, "")}
			one, two := w.peer("192.0.2.11:25", losing), w.peer("192.0.2.21:25", losing)
			m := message("m1", "a@example.net")
			for range 2 {
				r := w.deliver(remote("example.net"), m)
				if len(r.outcomes[0]) != 1 || r.outcomes[0][0].Result != mail.Deferred {
					t.Fatal(r.text())
				}
				m = retry(m, r)
			}
			if len(one.Messages()) != 1 || len(two.Messages()) != 1 {
				t.Errorf("one has %d copies, the other %d", len(one.Messages()), len(two.Messages()))
			}
		})
	}
}

func TestS5_16ARetryTriesTheOtherThoughAConnectionIsOpen(t *testing.T) {
	play(t, twins, nil, func(w *world) {
		t := w.t
		one, two := w.peer("192.0.2.11:25", sim.Script{}), w.peer("192.0.2.21:25", sim.Script{})
		for i := range 40 { // both connections are open then
			w.deliver(remote("example.net"), message(fmt.Sprint(i), "a@example.net"))
		}
		before := len(two.Messages())
		var batch []mail.Delivery
		for i := range 20 {
			m := message(fmt.Sprintf("r%d", i), "a@example.net")
			m.Recipients[0].LastHost = []string{"mx1.example.net", "mx2.example.net"}[i%2]
			batch = append(batch, m)
		}
		if r := w.deliver(remote("example.net"), batch...); r.err != nil {
			t.Fatal(r.text())
		}
		for i, m := range batch {
			p := map[string]*sim.Peer{"mx1.example.net": two, "mx2.example.net": one}[m.Recipients[0].LastHost]
			if copies(p)[string(m.Message.ID)] != 1 {
				t.Errorf("retry %d did not go to the other", i)
			}
		}
		if len(two.Messages()) != before+10 || one.Connections() != 1 || two.Connections() != 1 {
			t.Errorf("%d and %d connections", one.Connections(), two.Connections())
		}
	})
}

func TestARetryKeepsToTheBetterExchanger(t *testing.T) {
	play(t, twoOfEach, nil, func(w *world) {
		w.peer("[2001:db8::11]:25", sim.Script{})
		w.peer("192.0.2.21:25", sim.Script{})
		m := message("m1", "a@example.net")
		m.Recipients[0].LastHost = "mx1.example.net"
		w.expect(w.deliver(remote("example.net"), m), "delivered 250 2.0.0 mx1.example.net")
	})
}

func TestAnEqualThatFailedAMomentAgoComesLater(t *testing.T) {
	play(t, twins, nil, func(w *world) {
		t := w.t
		w.net.BlackHole("192.0.2.11:25")
		w.peer("192.0.2.21:25", sim.Script{Limit: 1})
		deliver := func() {
			w.expect(w.deliver(remote("example.net"), message("m", "a@example.net")), "delivered 250 2.0.0 mx2.example.net")
		}
		for w.net.Dialled("192.0.2.11:25") == 0 {
			deliver()
		}
		spent := took(func() {
			for range 100 {
				deliver()
			}
		})
		if spent > 0 {
			t.Errorf("a hundred messages took %v", spent)
		}
		pass(time.Minute) // then it gets another chance, sooner or later
		for range 100 {
			deliver()
		}
		if n := w.net.Dialled("192.0.2.11:25"); n != 2 {
			t.Errorf("the dead exchanger was dialled %d times, want once a minute", n)
		}
	})
}
