package deliver_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/service/deliver"
	"postroad/internal/sim"
)

// different is a message whose rows go out as four: b as a does, the others each in its own way.
func different() mail.Delivery {
	m := message("m1", "a@example.net", "headed@example.net", "b@example.net", "forwarded@example.net", "copied@example.net")
	m.Recipients[1].Head = []byte("X-Own: 1\r\n")
	m.Recipients[3].Rewritten, m.Recipients[3].Sender = true, "srs0=x@us.example"
	m.Recipients[4].Rewritten = true
	return m
}

func TestRowsThatDifferNeverShareATransaction(t *testing.T) {
	for _, c := range []struct {
		lane    mail.Lane
		address string
		script  sim.Script
	}{
		{remote("example.net"), "192.0.2.11:25", sim.Script{}},
		{lmtp, lmtpHop, sim.Script{LMTP: true}},
		{relay(lmtpHop), lmtpHop, sim.Script{Extensions: []string{"SIZE 99"}}},
	} {
		for _, inline := range []bool{true, false} {
			play(t, oneExchanger, nil, func(w *world) {
				t := w.t
				p := w.peer(c.address, c.script)
				m := different()
				if !inline {
					m.Content = rereadable(body)
				}
				r := w.deliver(c.lane, m)
				for _, o := range r.outcomes[0] {
					if o.Result != mail.Delivered {
						t.Errorf("%s: %v", c.lane, r.text())
						break
					}
				}
				got := map[string]string{}
				for _, sent := range p.Messages() {
					head, same := strings.CutSuffix(string(sent.Body), body)
					if want := fmt.Sprintf("SIZE=%d", len(sent.Body)); !same || strings.Contains(sent.Parameters, "SIZE") && !strings.Contains(sent.Parameters, want) {
						t.Errorf("%s: %d octets %q are announced as %q", c.lane, len(sent.Body), sent.Body, sent.Parameters)
					}
					got["<"+sent.From+"> "+head] = strings.Join(sent.Accepted(), ",")
				}
				want := map[string]string{
					"<m1@sender.example> ":             "a@example.net,b@example.net",
					"<m1@sender.example> X-Own: 1\r\n": "headed@example.net",
					"<srs0=x@us.example> ":             "forwarded@example.net",
					"<> ":                              "copied@example.net",
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: it sent %q", c.lane, got)
				}
			})
		}
	}
}

func TestAHeadThatIsTooMuchForTheNextHop(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		w.peer("192.0.2.11:25", sim.Script{Extensions: []string{fmt.Sprintf("SIZE %d", len(body)+5)}})
		m := message("m1", "a@example.net", "headed@example.net")
		m.Recipients[1].Head = []byte("X-Own: 1\r\n")
		w.expect(w.deliver(remote("example.net"), m), okMX1+", failed 552 5.3.4")
	})
}

func TestAConnectionThatBreaksBetweenRowsThatDiffer(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{Rcpt: map[string]string{"forwarded@example.net": sim.InTurn(sim.Close, "")}})
		m := different()
		r := w.deliver(remote("example.net"), m)
		seen := map[string]int{}
		for _, sent := range p.Messages() {
			for _, to := range sent.Accepted() {
				seen[to]++
			}
		}
		for j, o := range r.outcomes[0] {
			to := m.Recipients[j].Destination
			if (o.Result == mail.Delivered) != (seen[to] == 1) || seen[to] > 1 {
				t.Errorf("%s: %v, and %d copies", to, o, seen[to])
			}
		}
	})
}

func TestTheHeadGoesBelowTheTrace(t *testing.T) {
	play(t, oneExchanger, func(c *deliver.Config) { c.Trace = routing.NewTracer("secret") }, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{})
		m := message("m1", "a@example.net")
		m.Message.Root, m.Recipients[0].Head = "01j00000000000000000000000", []byte("X-Own: 1\r\n")
		w.expect(w.deliver(remote("example.net"), m), okMX1)
		got := string(p.Messages()[0].Body)
		if !strings.HasPrefix(got, routing.TraceField) || !strings.HasSuffix(got, "\r\nX-Own: 1\r\n"+body) {
			t.Errorf("it sent %q", got)
		}
	})
}

func TestAMailboxGetsARowsOwnFieldsAndSender(t *testing.T) {
	t.Parallel()
	b := &boxes{answers: map[string]error{"ann": nil, "bea": nil}}
	d := toBoxes("m1", "ann", "bea")
	d.Recipients[0].Head = []byte("X-Own: 1\r\n")
	d.Recipients[1].Rewritten = true
	runLocal(t.Context(), t, deliver.NewLocal(b), d)
	var got []string
	for _, item := range b.items {
		got = append(got, string(item.Prefix)+item.Keyword)
	}
	// What has the null sender in place of the message's is an archive copy: no read receipt is sent of it.
	if want := []string{"Return-Path: <m1@sender.example>\r\nDelivered-To: ann\r\nX-Own: 1\r\n", "Return-Path: <>\r\nDelivered-To: bea\r\n$MDNSent"}; !slices.Equal(got, want) {
		t.Errorf("prefixes %q", got)
	}
}

// rereadable is a content that can be opened as often as one likes.
func rereadable(text string) mail.Content {
	return mail.Content{Blob: "b", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}
