package deliver_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"postroad/internal/core/mail"
	"postroad/internal/sim"
)

// breaking is a server that ends the connection when a line holds a word, as a filter on the way does.
func breaking(word string, taken *[]string) func(net.Conn) {
	return func(conn net.Conn) {
		defer func() { _ = conn.Close() }() // the other end is gone
		_, _ = io.WriteString(conn, "220 hi\r\n")
		in, sender, content := bufio.NewReader(conn), "", false
		for {
			line, err := in.ReadString('\n')
			if err != nil || strings.Contains(line, word) {
				return
			}
			reply := "250 2.0.0 ok"
			switch {
			case content && line != ".\r\n":
				continue
			case content:
				content = false
				*taken = append(*taken, sender)
			case strings.HasPrefix(line, "EHLO"):
				reply = "250-hi\r\n250 PIPELINING"
			case strings.HasPrefix(line, "MAIL"):
				sender, _, _ = strings.Cut(strings.TrimPrefix(line, "MAIL FROM:<"), "@")
			case strings.HasPrefix(line, "DATA"):
				reply, content = "354 go on", true
			}
			if _, err := io.WriteString(conn, reply+"\r\n"); err != nil {
				return
			}
		}
	}
}

func TestAMessageThatBreaksConnectionsHoldsNoOther(t *testing.T) {
	for _, word := range []string{"MAIL FROM:<poison", "poison@example.net", "POISON"} {
		t.Run(word, func(t *testing.T) {
			play(t, oneExchanger, nil, func(w *world) {
				t := w.t
				var taken []string
				w.net.Serve("192.0.2.11:25", breaking(word, &taken))
				batch := messages(6, "a@example.net")
				for _, i := range []int{2, 4} {
					batch[i] = message("poison", "poison@example.net")
					batch[i].Content.Inline = []byte("Subject: POISON\r\n\r\n")
				}
				broken := "deferred 450 4.4.2 mx1.example.net"
				if word == "POISON" { // content and final dot left together
					broken = "deferred 451 4.4.2 mx1.example.net"
				}
				w.expect(w.deliver(remote("example.net"), batch...), okMX1+"; "+okMX1+"; "+broken+"; "+okMX1+"; "+broken+"; "+okMX1)
				if got := strings.Join(taken, " "); got != "m1 m2 m4 m6" {
					t.Errorf("taken %s", got)
				}
				if n := len(w.dials(0)); n > 6 {
					t.Errorf("%d connections", n)
				}
			})
		})
	}
}

func TestAHostThatBreaksOffForEveryMessageIsDown(t *testing.T) {
	for _, script := range []sim.Script{{Mail: sim.Close}, {Rcpt: map[string]string{"*": sim.Reset}}, {Data: sim.Close}, {Mail: sim.Garbage}} {
		play(t, twoOfEach, nil, func(w *world) {
			t := w.t
			for _, a := range []string{"[2001:db8::11]:25", "192.0.2.11:25", "192.0.2.21:25"} {
				w.peer(a, script)
			}
			r := w.deliver(remote("example.net"), messages(20, "a@example.net")...)
			tried := 0
			for _, o := range r.outcomes {
				if o != nil {
					tried++
					if o[0].Result != mail.Deferred {
						t.Error(r.text())
					}
				}
			}
			if r.err == nil || tried != 1 || len(w.dials(0)) != 3 {
				t.Errorf("%d messages were tried over %d connections, %v", tried, len(w.dials(0)), r.err)
			}
		})
	}
}

func TestALostConnectionGoesToTheNextAddress(t *testing.T) {
	for _, script := range []sim.Script{{Mail: sim.Close}, {Rcpt: map[string]string{"*": sim.Close}}, {Data: sim.Reset}} {
		play(t, twoOfEach, nil, func(w *world) {
			t := w.t
			w.peer("[2001:db8::11]:25", script)
			p := w.peer("192.0.2.11:25", sim.Script{})
			w.expect(w.deliver(remote("example.net"), messages(3, "a@example.net")...), times(3, okMX1))
			if len(p.Messages()) != 3 || len(w.dials(0)) != 2 {
				t.Errorf("dialled %v", w.dials(0))
			}
		})
	}
}

func TestWhatCouldNotBeTriedStaysUntouched(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		// The second message meets the end of a connection, and nobody answers any more.
		p := w.peer("192.0.2.11:25", sim.Script{Extensions: []string{}, Mail: sim.InTurn("", sim.Close)})
		p.SetScript(sim.Script{Extensions: []string{}, Mail: sim.InTurn("", sim.Close), Connection: map[int]sim.Script{2: {Greeting: sim.Close}}})
		w.expect(w.deliver(remote("example.net"), messages(4, "a@example.net")...), okMX1+"; -; -; - | down 4.4.2 mx1.example.net")
		if p.Connections() != 2 {
			t.Errorf("%d connections", p.Connections())
		}
	})
}
