package acceptance

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

func TestTwoInstancesThatRelayToEachOtherStopAtTheSecondPass(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	a := o.instance("")
	b := newInstance(t, fmt.Sprintf("hostname = \"mx.other.example\"\n[resolver]\nservers = [%q]\n[deliver]\nallow = [\"127.0.0.0/8\"]\n", o.dns.Addr()))
	for from, to := range map[*instance]*instance{a: b, b: a} {
		from.run("domain", "add", "round.example", "--mode", "relay", "--recipients", "accept", "--proved", "--next-hop", to.smtp)
	}
	b.run("outbound", "set", a.smtp, "--yes") // the way of b's reports
	a.sender().send("ann@here.example", text("round and round"), "u@round.example")
	list := a.await("ann@here.example", 1)
	report := a.run("mailbox", "message", "ann@here.example", fmt.Sprint(list[0].UID))
	for _, want := range []string{"Action: failed", "Status: 5.4.6", "u@round.example", "From: Mail Delivery System <postmaster@mx.other.example>"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	for name, i := range map[string]*instance{"the first": a, "the second": b} {
		eventually(t, "an empty queue of "+name, func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	}
	for _, i := range []*instance{a, b} {
		_ = i.kill(syscall.SIGTERM) // its log is whole then
	}
	// a took the message and the report, b the message.
	if taken, passed := strings.Count(a.log.String(), "message accepted"), strings.Count(b.log.String(), "message accepted"); taken != 2 || passed != 1 {
		t.Errorf("%d messages were taken by the first, %d by the second", taken, passed)
	}
}

func TestAMailboxBearsItsAddressAndStopsWhatComesBack(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "")
	i.run("domain", "add", "local.example", "--proved")
	i.run("mailbox", "add", "ann@local.example")
	i.run("mailbox", "add", "bob@local.example")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	c.send("a@far.example", text("once"), "ann@local.example")
	list := i.await("ann@local.example", 1)
	got := i.run("mailbox", "message", "ann@local.example", fmt.Sprint(list[0].UID))
	if !strings.Contains(got, "\r\nDelivered-To: ann@local.example\r\n") {
		t.Fatalf("the message does not tell its mailbox:\n%s", got)
	}
	c.say("MAIL FROM:<a@far.example>", "250")
	c.say("RCPT TO:<ann+again@local.example>", "250")
	c.say("DATA", "354")
	c.say(got+".", "554 5.4.6")
	c.send("a@far.example", got, "bob@local.example")
	i.await("bob@local.example", 1)
}
