package receive_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/service/receive"
)

// left is the trace field of a message that left for a recipient.
func left(tracer *routing.Tracer, to string) string {
	root := mail.NewID(time.Unix(1, 0), 0, 1, 1)
	return string(tracer.AppendTo(nil, root, []mail.Recipient{{Destination: to}}))
}

func TestAMessageThatComesBackForTheSameRecipientIsALoop(t *testing.T) {
	t.Parallel()
	ours, others := routing.NewTracer("secret"), routing.NewTracer("other")
	delivered := func(to string) string { return "Delivered-To: " + to + "\r\n" }
	relayed := left(ours, "u@relay.example")
	for _, c := range []struct {
		name, header, rcpts, reply string
	}{
		{"nothing", "", "u@relay.example", "250"},
		{"its own token", relayed, "u@relay.example", "554 5.4.6"},
		{"its own token below others", "Received: x\r\n" + left(others, "v@relay.example") + relayed, "u@relay.example", "554 5.4.6"},
		{"another recipient", relayed, "v@relay.example", "250"},
		{"another installation's token", left(others, "u@relay.example"), "u@relay.example", "250"},
		{"a token in the body", "\r\n" + relayed, "u@relay.example", "250"},
		{"both recipients", relayed + left(ours, "v@relay.example"), "u@relay.example v@relay.example", "554 5.4.6"},
		{"one of two recipients", relayed, "u@relay.example v@relay.example", "250"},
		{"what is delivered here now", left(ours, "ann@local.example"), "ann@local.example", "250"},
		{"the same mailbox", delivered("Ann@LOCAL.example"), "ann@local.example", "554 5.4.6"},
		{"the same mailbox by another name", delivered("ann@local.example"), "ann+news@local.example", "554 5.4.6"},
		{"another mailbox", delivered("bob@local.example"), "ann@local.example", "250"},
		{"one of two mailboxes", delivered("ann@local.example"), "ann@local.example bob@local.example", "250"},
		{"a mailbox elsewhere of that name", delivered("u@relay.example"), "u@relay.example", "250"},
	} {
		w := newWorld(t, func(cfg *receive.Config) { cfg.Trace = ours })
		client := w.dial(t)
		var script strings.Builder
		script.WriteString("S: 220\nC: EHLO client.example\nS: 250\nC: MAIL FROM:<x@far.example>\nS: 250\n")
		for rcpt := range strings.FieldsSeq(c.rcpts) {
			script.WriteString("C: RCPT TO:<" + rcpt + ">\nS: 250\n")
		}
		script.WriteString("C: DATA\nS: 354\n")
		client.play(script.String())
		_, _ = io.WriteString(client, c.header+"Subject: x\r\n\r\nx\r\n.\r\n") // the reply tells
		if got := client.reply(); !strings.HasPrefix(got, c.reply) {
			t.Errorf("%s: %q, want %s", c.name, got, c.reply)
		}
		if taken := len(w.accepted); (taken == 1) != (c.reply == "250") {
			t.Errorf("%s: %d messages", c.name, taken)
		}
	}
}

// TestTheCopyOfDualDeliveryIsSwallowedWhenItComesBack: the mailbox has the message, so it is neither stored again nor
// refused, which the next hop would tell the sender.
func TestTheCopyOfDualDeliveryIsSwallowedWhenItComesBack(t *testing.T) {
	t.Parallel()
	ours := routing.NewTracer("secret")
	for header, want := range map[string]string{
		"":                             "here, copy",
		left(ours, "ann@dual.example"): "",
		left(ours, "x@dual.example"):   "here, copy",
		left(ours, "x@dual.example") + "A: b\r\n": "here, copy",
	} {
		w := newWorld(t, func(cfg *receive.Config) { cfg.Trace = ours })
		client := w.dial(t)
		client.play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<x@far.example>\nS: 250\nC: RCPT TO:<ann@dual.example>\nS: 250\nC: DATA\nS: 354")
		_, _ = io.WriteString(client, header+"Subject: x\r\n\r\nx\r\n.\r\n")
		client.play("S: 250 2.0.0")
		var got []string
		for _, st := range w.accepted {
			for _, r := range st.Rows {
				if r.Mailbox != "" {
					got = append(got, "here")
				} else {
					got = append(got, "copy")
				}
			}
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("with %q: %s, want %s", header, text, want)
		}
	}
}
