package acceptance

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"postroad/internal/sim"
)

// drainTime is how soon a backup's queue has to be empty after its primary is back.
const drainTime = 5 * time.Second

// small makes n small messages, each with its name.
func small(n int) []sample {
	out := make([]sample, n)
	for i := range out {
		name := fmt.Sprintf("s%04d", i)
		out[i] = sample{name: name, from: "sender@far.example", content: "X-Test: " + name + "\r\nSubject: small\r\n\r\nHello.\r\n"}
	}
	return out
}

// TestS5_9PostfixIsAPrimaryThatGoesAwayAndComesBack: a backup holds what comes meanwhile, and hands it on at once when
// the primary is back, each message once.
func TestS5_9PostfixIsAPrimaryThatGoesAwayAndComesBack(t *testing.T) {
	sim.NewDNS(t, sim.Zones{}).Listen(dnsAddress)
	p := newPostfix(t, "")
	i := newInstance(t, "[deliver]\nallow = [\"127.0.0.0/8\"]\n")
	i.run("domain", "add", "virtual.example", "--mode", "backup", "--next-hop", p.addr, "--recipients", "accept", "--proved")
	list := small(150)
	to := func(n int) string { return fmt.Sprintf("u%d@virtual.example", n) }
	inject(t, i.smtp, list[:50], to)
	eventually(t, "mail at the primary", func() bool { return len(p.delivered()) == 50 })
	p.stop()
	inject(t, i.smtp, list[50:], to)
	eventually(t, "held mail", func() bool { return ask[counts](i, "queue", "count").Messages == 100 })
	held := ask[struct {
		Waiting struct {
			Recipients int
			Since      time.Time
			Reason     string
			GiveUpFrom time.Time `json:"senders_give_up_from"`
		}
	}](i, "queue", "count", "--domain", "virtual.example").Waiting
	if held.Recipients != 100 || held.Since.IsZero() || !held.GiveUpFrom.After(held.Since) || !strings.Contains(held.Reason, "refused") {
		t.Errorf("what is held is told as %+v", held)
	}
	if text := i.run("queue", "count", "--domain", "virtual.example"); !strings.Contains(text, "holding 100 for the domain's own server since") {
		t.Errorf("what is held is told as\n%s", text)
	}
	p.start()
	back := time.Now()
	eventually(t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	if took := time.Since(back); took > drainTime {
		t.Errorf("the queue was empty %s after the primary came back", took)
	}
	eventually(t, "all mail at the primary", func() bool { return len(p.delivered()) == len(list) })
}

// TestS1_16PostfixIsTheRealServerOfASplitDomain: it knows bob and hands on what is for ann to her routing address;
// we know ann and hand on what is for everybody else.
func TestS1_16PostfixIsTheRealServerOfASplitDomain(t *testing.T) {
	sim.NewDNS(t, sim.Zones{}).Listen(dnsAddress)
	i := newInstance(t, "[deliver]\nallow = [\"127.0.0.0/8\"]\n")
	_, port, _ := net.SplitHostPort(i.smtp)
	p := newPostfix(t, `virtual_mailbox_domains = split.example
virtual_mailbox_maps = inline:{ { bob@split.example = all/ } }
virtual_alias_maps = inline:{ { ann@split.example = ann=split.example@in.mx.test.example } }
transport_maps = inline:{ { in.mx.test.example = smtp:[127.0.0.1]:`+port+` } }
`)
	i.run("domain", "add", "split.example", "--mode", "split", "--next-hop", p.addr, "--proved")
	i.run("mailbox", "add", "ann@split.example")
	list := small(40)
	to := func(n int) string { return []string{"ann@split.example", "bob@split.example"}[n%2] }
	inject(t, i.smtp, list[:20], to) // 10 for each
	inject(t, p.addr, list[20:], to) // 10 for each
	c := dialSMTP(t, i.smtp)
	c.say("EHLO client.example", "250")
	c.say("MAIL FROM:<x@far.example>", "250")
	c.say("RCPT TO:<nobody@split.example>", "550 5.1.1")
	got := map[string]bool{}
	for _, m := range i.await("ann@split.example", 20) {
		got[testField([]byte(i.run("mailbox", "message", "ann@split.example", fmt.Sprint(m.UID))))] = true
	}
	eventually(t, "bob's mail at Postfix", func() bool { return len(p.delivered()) == 20 })
	for name := range p.delivered() {
		got[name] = true
	}
	if len(got) != len(list) {
		t.Errorf("%d of %d messages have arrived", len(got), len(list))
	}
	if q := i.run("queue", "list"); strings.Contains(q, "@") {
		t.Errorf("something is still queued:\n%s", q)
	}
}
