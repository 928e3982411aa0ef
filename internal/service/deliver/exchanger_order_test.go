package deliver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/mail"
	"postroad/internal/sim"
)

var threeExchangers = sim.Zones{"example.net": `
	@   MX 20 mx2
	@   MX 10 mx1
	@   MX 30 mx3
	mx1 A 192.0.2.11
	mx1 A 192.0.2.12
	mx1 AAAA 2001:db8::11
	mx2 A 192.0.2.21
	mx3 A 192.0.2.31
`}

// place puts something at an address: "ok", "refused", "hole", "unreachable", or a step for the greeting.
func (w *world) place(address, what string) {
	switch what {
	case "ok":
		w.peer(address, sim.Script{})
	case "refused":
		w.net.Refuse(address)
	case "hole":
		w.net.BlackHole(address)
	case "unreachable":
		w.net.Unreachable(address)
	default:
		w.peer(address, sim.Script{Greeting: what})
	}
}

func TestS4_6ExchangersAreTriedFromLowestToHighestUntilOneAccepts(t *testing.T) {
	for _, c := range []struct{ name, six, one, two, second, third, want, dials string }{
		{"the best takes it", "ok", "ok", "ok", "ok", "ok", "delivered 250 2.0.0 mx1.example.net", "6"},
		{"its other family", "refused", "ok", "ok", "ok", "ok", "delivered 250 2.0.0 mx1.example.net", "6 1|6 2"},
		{"its last address", "unreachable", "refused", "ok", "ok", "ok", "delivered 250 2.0.0 mx1.example.net", "6 1 2|6 2"},
		{"the second", "refused", "hole", "421 4.3.2 closed", "ok", "ok", "delivered 250 2.0.0 mx2.example.net", "6 1 2 s|6 2 1 s"},
		{"the third", "554 5.7.1 no", "refused", "hole", sim.Close, "ok", "delivered 250 2.0.0 mx3.example.net", "6 1 2 s t|6 2 1 s t"},
		{"nobody", "refused", "554 no", "hole", "450 later", "refused", "- | down 4.4.1 mx3.example.net", "6 1 2 s t|6 2 1 s t"},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, threeExchangers, nil, func(w *world) {
				t := w.t
				names := map[string]string{
					"[2001:db8::11]:25": "6", "192.0.2.11:25": "1", "192.0.2.12:25": "2", "192.0.2.21:25": "s", "192.0.2.31:25": "t",
				}
				w.place("[2001:db8::11]:25", c.six)
				w.place("192.0.2.11:25", c.one)
				w.place("192.0.2.12:25", c.two)
				w.place("192.0.2.21:25", c.second)
				w.place("192.0.2.31:25", c.third)
				w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), c.want)
				var dialled []string
				for _, d := range w.dials(0) {
					dialled = append(dialled, names[d])
				}
				if got := strings.Join(dialled, " "); !slices.Contains(strings.Split(c.dials, "|"), got) {
					t.Errorf("dialled %q, want %q", got, c.dials)
				}
			})
		})
	}
}

func TestS4_6OnlyAnExhaustedListDefers(t *testing.T) {
	play(t, threeExchangers, nil, func(w *world) {
		t := w.t
		for address, reply := range map[string]string{
			"[2001:db8::11]:25": "450 4.2.1 one", "192.0.2.21:25": "450 4.2.1 two", "192.0.2.31:25": "450 4.2.1 three",
		} {
			w.peer(address, sim.Script{Rcpt: map[string]string{"a@example.net": reply}})
		}
		r := w.deliver(remote("example.net"), message("m1", "a@example.net"))
		w.expect(r, "deferred 450 4.2.1 mx3.example.net")
		if got := r.outcomes[0][0].Reply.Text; got != "three" {
			t.Errorf("the reason is %q, want the last exchanger's", got)
		}
	})
}

func TestAtMostTenAddressesAnAttempt(t *testing.T) {
	var zone strings.Builder
	var hops []string
	for x := range 4 {
		fmt.Fprintf(&zone, "@ MX %d mx%d\n", x, x)
		for a := range 4 {
			fmt.Fprintf(&zone, "mx%d A 192.0.2.%d\n", x, 10*x+a+100)
			hops = append(hops, fmt.Sprintf("192.0.2.%d:25", 10*x+a+100))
		}
	}
	play(t, sim.Zones{"example.net": zone.String()}, nil, func(w *world) {
		t := w.t
		for _, lane := range []mail.Lane{remote("example.net"), relay(strings.Join(hops, ","))} {
			before := len(w.net.Dials())
			if r := w.deliver(lane, message("m1", "a@example.net")); r.err == nil {
				t.Errorf("%s: %s", lane, r.text())
			}
			if got := w.dials(before); len(got) != 10 {
				t.Errorf("%s: %d addresses were dialled: %v", lane, len(got), got)
			}
		}
	})
}

func TestExplicitHopsAreTriedInTheirOrder(t *testing.T) {
	zones := sim.Zones{"example.net": "a A 192.0.2.1\nb A 192.0.2.2\nc AAAA 2001:db8::3"}
	play(t, zones, nil, func(w *world) {
		t := w.t
		w.peer("192.0.2.2:2525", sim.Script{Mail: "450 4.3.0 later"})
		w.peer("[2001:db8::3]:25", sim.Script{})
		w.expect(w.deliver(relay("a.example.net:25,b.example.net:2525,[2001:db8::9]:25,c.example.net:25"), message("m1", "x@customer.example")), "delivered 250 2.0.0 c.example.net")
		if got, want := w.dials(0), []string{"192.0.2.1:25", "192.0.2.2:2525", "[2001:db8::9]:25", "[2001:db8::3]:25"}; !slices.Equal(got, want) {
			t.Errorf("dialled %v, want %v", got, want)
		}
	})
}

func TestManyExchangersCauseBoundedLookUps(t *testing.T) {
	var zone strings.Builder
	for x := range 200 {
		fmt.Fprintf(&zone, "@ MX %d mx%d\nmx%d A 192.0.2.9\n", 1000-x, x, x)
	}
	play(t, sim.Zones{"example.net": zone.String()}, nil, func(w *world) {
		t := w.t
		w.peer("192.0.2.9:25", sim.Script{})
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "delivered 250 2.0.0 mx199.example.net")
		if asked := w.dns.Asked("*", "A"); asked > 50 {
			t.Errorf("%d exchangers were looked up", asked)
		}
	})
}
