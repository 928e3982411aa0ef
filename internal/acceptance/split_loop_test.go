package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"postroad/internal/sim"
)

func TestS1_22AForwardThatWouldComeBackIsRefusedWithItsPath(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 us\nus A 127.0.0.12\n")
	i := o.strict()
	i.run("domain", "add", "acme.example", "--proved", "--mode", "split", "--recipients", "accept", "--yes")
	i.run("mailbox", "add", "bob@acme.example")
	i.run("forward", "add", "fine@here.example", "bob@acme.example") // it is here
	_, errs, code := i.try("forward", "add", "away@here.example", "gone@acme.example", "--yes")
	const path = "away@here.example → gone@acme.example → us.acme.example → gone@acme.example"
	if code != 1 || !strings.Contains(errs, "SPLIT_LOOP") || !strings.Contains(errs, path) {
		t.Errorf("exit %d: %s", code, errs)
	}
	if out := i.run("forward", "list"); strings.Contains(out, "away@here.example") {
		t.Errorf("it is saved all the same:\n%s", out)
	}
}

// TestS1_22MailThatComesBackIsStoppedWithOneBounce: the domain's own server, another Postroad, sends all its mail here,
// and what has no mailbox here is sent back to it.
func TestS1_22MailThatComesBackIsStoppedWithOneBounce(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 mx\nmx A 127.0.0.13\n")
	sender := o.peer(13, sim.Script{})
	ours := o.facing()
	theirs := newInstance(t, fmt.Sprintf("hostname = \"mx.other.example\"\n[resolver]\nservers = [%q]\n[deliver]\nport = %s\nallow = [\"127.0.0.0/8\"]\n", o.dns.Addr(), o.port))
	ours.run("domain", "add", "acme.example", "--proved", "--mode", "split", "--recipients", "accept", "--next-hop", theirs.smtp)
	ours.run("mailbox", "add", "bob@acme.example")
	theirs.run("domain", "add", "acme.example", "--proved", "--mode", "relay", "--recipients", "accept", "--next-hop", ours.smtp)
	for client, to := range map[*instance]string{theirs: "bob@acme.example", ours: "gone@acme.example"} {
		c := dialSMTP(t, client.smtp)
		c.say("EHLO mx.far.example", "250")
		c.send("s@far.example", text("for "+to), to)
	}
	ours.await("bob@acme.example", 1) // what they forward arrives
	bounce := sender.Await(1)[0]
	for _, want := range []string{"Action: failed", "Status: 5.4.6", "Final-Recipient: rfc822; gone@acme.example", "From: Mail Delivery System <postmaster@mx.other.example>"} {
		if !strings.Contains(string(bounce.Body), want) {
			t.Errorf("the bounce lacks %q:\n%s", want, bounce.Body)
		}
	}
	for _, i := range []*instance{ours, theirs} {
		eventually(t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	}
	if n := len(sender.Messages()); n != 1 {
		t.Errorf("%d bounces", n)
	}
	d := ask[shownDomain](ours, "domain", "show", "acme.example")
	if len(d.Findings) != 1 || d.Findings[0].Name != "SPLIT_LOOP" || !strings.Contains(d.Findings[0].Evidence, "gone@acme.example was brought back by mx.other.example [127.0.0.1]") {
		t.Errorf("found: %+v", d.Findings)
	}
}

// TestS1_22HopsAreCountedWhereTheTraceIsLost: a server between that drops the fields it does not know.
func TestS1_22HopsAreCountedWhereTheTraceIsLost(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	i := o.facing()
	i.run("domain", "add", "acme.example", "--proved", "--mode", "split", "--recipients", "accept", "--next-hop", "127.0.0.11:"+o.port)
	back := o.peer(11, sim.Script{})
	c := dialSMTP(t, i.smtp)
	c.say("EHLO mx.acme.example", "250")
	c.send("s@far.example", strings.Repeat("Received: by mx.acme.example\r\n", 49)+text("nearly"), "gone@acme.example")
	back.Await(1)
	c.say("MAIL FROM:<s@far.example>", "250")
	c.say("RCPT TO:<gone@acme.example>", "250")
	c.say("DATA", "354")
	c.say(strings.Repeat("Received: by mx.acme.example\r\n", 50)+text("too many")+".", "554 5.4.6")
	if d := ask[shownDomain](i, "domain", "show", "acme.example"); len(d.Findings) != 1 || d.Findings[0].Name != "SPLIT_LOOP" || !strings.Contains(d.Findings[0].Evidence, "too many hops") {
		t.Errorf("found: %+v", d.Findings)
	}
}
