package deliver_test

import (
	"strings"
	"testing"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
	"postroad/internal/sim"
)

func TestS4_6NoReplyAfterTheFinalDotEndsTheAttempt(t *testing.T) {
	for _, c := range []struct {
		name, step string
		within     time.Duration
	}{
		{"closes", sim.CloseWithoutReply, 0},
		{"resets", sim.Reset, 0},
		{"hangs", sim.Hang, 10 * time.Minute},
		{"garbage", sim.Garbage, 0},
		{"half a reply", sim.ThenClose(sim.Raw("250-2.0.0 ta")), 0},
		{"continuation", "354 more", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, twoOfEach, nil, func(w *world) {
				t := w.t
				first := w.peer("[2001:db8::11]:25", sim.Script{Dot: sim.InTurn(c.step, "")})
				other := w.peer("192.0.2.11:25", sim.Script{})
				backup := w.peer("192.0.2.21:25", sim.Script{})
				m := message("m1", "a@example.net", "b@example.net")
				var r report
				if spent := took(func() { r = w.deliver(remote("example.net"), m) }); spent > c.within {
					t.Errorf("it took %v", spent)
				}
				w.expect(r, "deferred 451 4.4.2 mx1.example.net, deferred 451 4.4.2 mx1.example.net")
				if !strings.Contains(r.outcomes[0][0].Reply.Text, "may have arrived") {
					t.Errorf("the reason is %q", r.outcomes[0][0].Reply.Text)
				}
				w.expect(w.deliver(remote("example.net"), retry(m, r)), "delivered 250 2.0.0 mx1.example.net, delivered 250 2.0.0 mx1.example.net")
				if n := len(first.Messages()); n != 2 {
					t.Errorf("%d copies, want the one that was lost sight of and one more", n)
				}
				if string(first.Messages()[0].Body) != string(first.Messages()[1].Body) {
					t.Error("the copies differ")
				}
				if other.Connections()+backup.Connections() > 0 {
					t.Error("somebody else was asked too")
				}
			})
		})
	}
}

// retry is a delivery as the queue hands it out the next time: only the rows that were deferred.
func retry(d mail.Delivery, r report) mail.Delivery {
	var left []mail.Recipient
	for j, o := range r.outcomes[0] {
		if o.Result == mail.Deferred {
			row := d.Recipients[j]
			row.LastHost, row.LastReply, row.Attempts = o.Host, o.Reply.String(), row.Attempts+1
			left = append(left, row)
		}
	}
	d.Recipients = left
	return d
}

func TestAReplyThatComesLateIsNoLostReply(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{Dot: sim.After(9*time.Minute, "")})
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "delivered 250 2.0.0 mx1.example.net")
		if n := len(p.Messages()); n != 1 {
			t.Errorf("%d copies", n)
		}
	})
}

func TestALostReplyCostsNoOtherMessage(t *testing.T) {
	for _, step := range []string{sim.CloseWithoutReply, sim.Hang, sim.ThenClose("250 2.0.0 taken")} {
		for _, extensions := range [][]string{nil, {"8BITMIME"}} {
			t.Run(step+strings.Join(extensions, ""), func(t *testing.T) {
				play(t, twoOfEach, nil, func(w *world) {
					t := w.t
					p := w.peer("[2001:db8::11]:25", sim.Script{Extensions: extensions, Dot: sim.InTurn("", step, "")})
					second := "deferred 451 4.4.2 mx1.example.net"
					if strings.Contains(step, "250") {
						second = "delivered 250 2.0.0 mx1.example.net"
					}
					w.expect(w.deliver(remote("example.net"), messages(4, "a@example.net")...),
						"delivered 250 2.0.0 mx1.example.net; "+second+"; delivered 250 2.0.0 mx1.example.net; delivered 250 2.0.0 mx1.example.net")
					for id, n := range copies(p) {
						if n != 1 {
							t.Errorf("%d copies of %s", n, id)
						}
					}
					if p.Connections() != 2 || len(w.dials(0)) != 2 {
						t.Errorf("%d connections", p.Connections())
					}
				})
			})
		}
	}
}

func TestAReplyThatRefusesAfterTheDotIsNoLostReply(t *testing.T) {
	play(t, twoOfEach, nil, func(w *world) {
		t := w.t
		w.peer("[2001:db8::11]:25", sim.Script{Dot: sim.ThenClose("421 4.3.0 going down")})
		w.peer("192.0.2.21:25", sim.Script{})
		r := w.deliver(remote("example.net"), message("m1", "a@example.net"))
		w.expect(r, "delivered 250 2.0.0 mx2.example.net")
		if r.outcomes[0][0].Reply.Enhanced != (smtp.Enhanced{2, 0, 0}) {
			t.Errorf("%+v", r.outcomes[0][0])
		}
	})
}
