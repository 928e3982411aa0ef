// Package acceptance tests the program from outside: the binary as an operator starts it, SMTP as strangers speak
// it, the command line as people type it.
package acceptance

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

func TestS1_11UnknownRecipientsAreRefusedAtRCPT(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "")
	i.run("domain", "add", "local.example", "--proved")
	i.run("mailbox", "add", "ann@local.example")
	i.run("domain", "add", "inert.example")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	c.say("MAIL FROM:<x@far.example>", "250")
	c.say("RCPT TO:<nobody@local.example>", "550 5.1.1")
	c.say("RCPT TO:<x@elsewhere.example>", "550 5.7.1")
	c.say("RCPT TO:<x@inert.example>", "550 5.7.1")
	c.say("RCPT TO:<ANN+tag@LOCAL.example>", "250 2.1.5")
	c.say("RCPT TO:<postmaster@local.example>", "250 2.1.5")
	c.say("RCPT TO:<postmaster>", "250 2.1.5")
}

func TestOneMessageIsReadBackByteForByte(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "")
	i.run("domain", "add", "local.example", "--proved")
	i.run("mailbox", "add", "ann@local.example")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	large := text("large") + strings.Repeat(strings.Repeat("0123456789", 99)+"\r\n", 300)
	id := c.send("a@far.example", text("small"), "ann@local.example")
	c.send("a@far.example", large, "ann@local.example", "postmaster@local.example")
	list := i.await("ann@local.example", 2)
	if list[0].Subject != "small" || !strings.Contains(list[0].From, "a@far.example") || list[1].Subject != "large" {
		t.Errorf("listed as %+v", list)
	}
	for n, want := range []string{text("small"), large} {
		got := i.run("mailbox", "message", "ann@local.example", []string{"1", "2"}[n])
		if !strings.HasSuffix(got, "\r\n"+want) || !strings.HasPrefix(got, "Return-Path: <a@far.example>\r\nDelivered-To: ann@local.example\r\nAuthentication-Results: mx.test.example;") {
			t.Errorf("message %d does not end in what was sent, or begins without trace: %.300q", n, got)
		}
		if int64(len(got)) != list[n].Size {
			t.Errorf("message %d has %d octets and is listed with %d", n, len(got), list[n].Size)
		}
	}
	if got := i.run("mailbox", "message", "ann@local.example", "1"); !strings.Contains(got, id) {
		t.Errorf("the Received field does not name the queue id %s", id)
	}
	i.await("postmaster@mx.test.example", 1)
	eventually(t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	if err := i.kill(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
}

func TestRelayedMailWaitsForItsHost(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "[deliver]\nallow = [\"127.0.0.0/8\"]\n")
	i.run("domain", "add", "relay.example", "--mode", "relay", "--next-hop", "127.0.0.1:9", "--recipients", "accept", "--proved")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	c.send("a@far.example", text("one"), "u1@relay.example", "u2@relay.example")
	if n := ask[counts](i, "queue", "count"); n.Messages != 1 || n.Recipients != 2 {
		t.Errorf("queue count: %+v", n)
	}
	x := ask[explanation](i, "explain", "anybody@relay.example")
	if x.EffectiveMode != "relay" || x.Class != "relay" || x.DeliverHere || len(x.NextHops) != 1 || x.NextHops[0].Port != 9 || x.Reply.Code != 250 || len(x.Reasons) == 0 {
		t.Errorf("explain: %+v", x)
	}
}

// explanation is what `explain --json` has at least.
type explanation struct {
	EffectiveMode string `json:"effective_mode"`
	Class         string `json:"class"`
	DeliverHere   bool   `json:"deliver_here"`
	NextHops      []struct {
		Host string `json:"host"`
		Port int    `json:"port"`
	} `json:"next_hops"`
	Reply struct {
		Code int `json:"code"`
	} `json:"reply"`
	Reasons []struct {
		Rule string `json:"rule"`
	} `json:"reasons"`
}

func TestS3_3AnyNumberOfMailboxes(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "")
	i.run("domain", "add", "local.example", "--proved")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	const n = 60
	for k := range n {
		i.run("mailbox", "add", fmt.Sprintf("user%d@local.example", k))
		c.send("a@far.example", text(fmt.Sprint("to ", k)), fmt.Sprintf("user%d@local.example", k))
	}
	type usage struct {
		Address  string `json:"address"`
		Messages int    `json:"messages"`
	}
	eventually(t, "a message in each mailbox", func() bool {
		full := 0
		for _, m := range ask[[]usage](i, "mailbox", "list", "--domain", "local.example") {
			if m.Messages == 1 {
				full++
			}
		}
		return full == n
	})
}
