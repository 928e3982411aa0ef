package deliver_test

import (
	"fmt"
	"testing"

	"postroad/internal/sim"
)

// at is a script that answers one command otherwise.
func at(command, step string) sim.Script {
	switch command {
	case "MAIL":
		return sim.Script{Mail: step}
	case "RCPT":
		return sim.Script{Rcpt: map[string]string{"*": step}}
	case "DATA":
		return sim.Script{Data: step}
	}
	return sim.Script{Dot: step}
}

var commands = []string{"MAIL", "RCPT", "DATA", "dot"}

func TestS4_7ATemporaryRefusalGoesToTheNextExchanger(t *testing.T) {
	for _, command := range commands {
		for _, extensions := range [][]string{nil, {"ENHANCEDSTATUSCODES"}} {
			for _, code := range []int{421, 450, 452} {
				t.Run(fmt.Sprint(command, code, extensions), func(t *testing.T) {
					play(t, twoOfEach, nil, func(w *world) {
						t := w.t
						script := at(command, fmt.Sprintf("%d 4.2.1 later", code))
						script.Extensions = extensions
						first := w.peer("[2001:db8::11]:25", script)
						other := w.peer("192.0.2.11:25", sim.Script{})
						w.peer("192.0.2.21:25", sim.Script{})
						w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "delivered 250 2.0.0 mx2.example.net")
						if first.Connections() != 1 || other.Connections() != 0 {
							t.Errorf("connections: %d to the address that refused, %d to the exchanger's other one", first.Connections(), other.Connections())
						}
					})
				})
			}
		}
	}
}

func TestS4_7APermanentRefusalEndsTheAttempt(t *testing.T) {
	for _, command := range commands {
		for _, extensions := range [][]string{nil, {"ENHANCEDSTATUSCODES"}} {
			t.Run(fmt.Sprint(command, extensions), func(t *testing.T) {
				play(t, twoOfEach, nil, func(w *world) {
					t := w.t
					script := at(command, "550 5.7.1 not this one")
					script.Extensions = extensions
					w.peer("[2001:db8::11]:25", script)
					w.place("192.0.2.11:25", "ok")
					w.place("192.0.2.21:25", "ok")
					r := w.deliver(remote("example.net"), message("m1", "a@example.net", "b@example.net"))
					w.expect(r, "failed 550 5.7.1 mx1.example.net, failed 550 5.7.1 mx1.example.net")
					if got := r.outcomes[0][1].Reply.Text; got != "not this one" {
						t.Errorf("the text is %q", got)
					}
					if n := len(w.dials(0)); n != 1 {
						t.Errorf("%d connections", n)
					}
				})
			})
		}
	}
}

func TestARefusalIsOfOneMessageOnly(t *testing.T) {
	for _, command := range commands {
		for _, step := range []string{"450 4.2.1 later", "550 5.7.1 never"} {
			t.Run(command+step, func(t *testing.T) {
				play(t, oneExchanger, nil, func(w *world) {
					w.peer("192.0.2.11:25", at(command, sim.InTurn("", step, "")))
					word := map[string]string{"450 4.2.1 later": "deferred 450 4.2.1", "550 5.7.1 never": "failed 550 5.7.1"}[step]
					w.expect(w.deliver(remote("example.net"), messages(3, "a@example.net")...),
						"delivered 250 2.0.0 mx1.example.net; "+word+" mx1.example.net; delivered 250 2.0.0 mx1.example.net")
				})
			})
		}
	}
}

func TestAMessageRefusedForNowIsNotSentToTheSameExchangerTwice(t *testing.T) {
	// The connection from the attempt before is used again, and the answer over it is the exchanger's word.
	play(t, twoOfEach, nil, func(w *world) {
		t := w.t
		p := w.peer("[2001:db8::11]:25", sim.Script{Rcpt: map[string]string{"later@example.net": "450 4.2.1 later"}})
		w.peer("192.0.2.21:25", sim.Script{Rcpt: map[string]string{"later@example.net": "450 4.2.2 later as well"}})
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), "delivered 250 2.0.0 mx1.example.net")
		w.expect(w.deliver(remote("example.net"), message("m2", "later@example.net")), "deferred 450 4.2.2 mx2.example.net")
		asked := 0
		for _, c := range p.Commands() {
			if c == "RCPT TO:<later@example.net>" {
				asked++
			}
		}
		if asked != 1 {
			t.Errorf("the exchanger was asked %d times", asked)
		}
	})
}
