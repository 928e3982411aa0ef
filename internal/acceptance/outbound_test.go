package acceptance

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"

	"postroad/internal/sim"
)

// outside is the Internet of a test: a DNS, and peers that all listen on one port of loopback addresses of their own.
type outside struct {
	t    *testing.T
	dns  *sim.DNS
	port string
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	_, port, _ := net.SplitHostPort(sim.FreeAddress(t))
	return &outside{t: t, dns: sim.StartDNS(t, sim.Zones{}), port: port}
}

// zone makes a zone with the given records.
func (o *outside) zone(origin, records string) {
	o.t.Helper()
	o.dns.SetZone(origin, "$TTL 60\n@ SOA ns x 1 60 60 60 60\n@ NS ns\nns A 127.0.53.1\n"+records)
}

// peer starts a host at 127.0.0.n.
func (o *outside) peer(n int, script sim.Script) *sim.Peer {
	o.t.Helper()
	p := sim.NewPeer(o.t, script)
	p.Listen(fmt.Sprintf("127.0.0.%d:%s", n, o.port))
	return p
}

// instance starts a server in this Internet, with a domain here.example whose mail may be sent from loopback.
// Further lines are of the configuration's top.
func (o *outside) instance(queue string, top ...string) *instance {
	o.t.Helper()
	i := newInstance(o.t, strings.Join(top, "\n")+fmt.Sprintf("\n[resolver]\nservers = [%q]\n[deliver]\nport = %s\nallow = [\"127.0.0.0/8\"]\n[receive]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\n%s\n", o.dns.Addr(), o.port, queue))
	i.run("domain", "add", "here.example", "--proved")
	i.run("mailbox", "add", "ann@here.example")
	return i
}

// sender is a session of a client in a trusted network.
func (i *instance) sender() *talk {
	c := dialSMTP(i.t, i.smtp)
	c.say("EHLO client.here.example", "250")
	return c
}

func TestS4_6ExchangersAreTriedFromTheLowestNumber(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 30 c\n@ MX 10 a\n@ MX 20 b\na A 127.0.0.11\nb A 127.0.0.12\nc A 127.0.0.13\n")
	a := o.peer(11, sim.Script{Mail: "450 4.3.2 not now"})
	b := o.peer(12, sim.Script{})
	c := o.peer(13, sim.Script{})
	i := o.instance("")
	i.sender().send("ann@here.example", text("in order"), "x@far.example")
	b.Await(1)
	if a.Connections() != 1 || c.Connections() != 0 {
		t.Errorf("connections: %d to the best, %d to the worst", a.Connections(), c.Connections())
	}
	if n := len(b.Messages()); n != 1 {
		t.Errorf("%d messages at the second exchanger", n)
	}
}

func TestS4_7APermanentRefusalOfARecipientEndsItsAttempt(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\n@ MX 20 b\na A 127.0.0.11\na A 127.0.0.12\nb A 127.0.0.13\n")
	refusing := sim.Script{Greeting: "554 5.3.2 go away"}
	o.peer(11, refusing) // the exchanger's one address refuses at the greeting: its other address is tried
	a := o.peer(12, sim.Script{Rcpt: map[string]string{"bad@far.example": "550 5.1.1 who is that?"}})
	b := o.peer(13, sim.Script{})
	i := o.instance("")
	i.sender().send("ann@here.example", text("refused"), "bad@far.example", "good@far.example")
	a.Await(1)
	list := i.await("ann@here.example", 1)
	report := i.run("mailbox", "message", "ann@here.example", fmt.Sprint(list[0].UID))
	for _, want := range []string{"Action: failed", "Status: 5.1.1", "bad@far.example", "who is that?", "From: Mail Delivery System", "Auto-Submitted:"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	if strings.Contains(report, "good@far.example") || b.Connections() != 0 {
		t.Errorf("the other recipient is in the report, or the next exchanger was asked (%d connections)", b.Connections())
	}
	if got := a.Messages()[0].Accepted(); len(got) != 1 || got[0] != "good@far.example" {
		t.Errorf("accepted: %v", got)
	}
}

func TestS4_18DNSDecidesBetweenHoldingAndReturning(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("nullmx.example", "@ MX 0 .\n")
	o.zone("noanswer.example", "@ MX 10 mx\nmx A 127.0.0.19\n@ A 127.0.0.11\n")
	o.dns.Script("noanswer.example", "MX", sim.DNSTimeout)
	o.zone("servfail.example", "@ A 127.0.0.11\n")
	o.dns.Script("servfail.example", "MX", sim.DNSServFail)
	o.zone("implicit.example", "@ A 127.0.0.12\n")
	o.zone("example", "")
	web := o.peer(11, sim.Script{})
	implicit := o.peer(12, sim.Script{})
	i := o.instance("")
	c := i.sender()
	for _, domain := range []string{"nullmx.example", "noanswer.example", "servfail.example", "implicit.example", "nothere.example"} {
		c.send("ann@here.example", text(domain), "x@"+domain)
	}
	implicit.Await(1)
	reports := map[string]string{}
	for _, m := range i.await("ann@here.example", 2) {
		b := i.run("mailbox", "message", "ann@here.example", fmt.Sprint(m.UID))
		for _, domain := range []string{"nullmx.example", "nothere.example"} {
			if strings.Contains(b, "x@"+domain) {
				reports[domain] = b
			}
		}
	}
	for domain, status := range map[string]string{"nullmx.example": "5.1.10", "nothere.example": "5.1.2"} {
		if !strings.Contains(reports[domain], "Status: "+status) {
			t.Errorf("%s: no report with %s: %s", domain, status, reports[domain])
		}
	}
	eventually(t, "only the two whose DNS is silent to wait", func() bool { return ask[counts](i, "queue", "count").Messages == 2 })
	if web.Connections() != 0 {
		t.Errorf("a timeout fell back to the address record: %d connections", web.Connections())
	}
}

func TestS4_15HeldToldAndReturned(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.11\n") // nobody listens there
	i := o.instance("hold = \"8s\"\ndelay_notice = \"2s\"\nretry = [\"1s\"]")
	i.sender().send("ann@here.example", text("late"), "x@far.example")
	for n, action := range []string{"Action: delayed", "Action: failed"} {
		list := i.await("ann@here.example", n+1)
		report := i.run("mailbox", "message", "ann@here.example", fmt.Sprint(list[n].UID))
		if !strings.Contains(report, action) || !strings.Contains(report, "x@far.example") {
			t.Errorf("report %d: not %s:\n%s", n, action, report)
		}
		if n == 0 && !strings.Contains(report, "Will-Retry-Until:") {
			t.Errorf("the notice does not say until when:\n%s", report)
		}
		if n == 0 {
			if q := ask[counts](i, "queue", "count"); q.Messages != 1 {
				t.Errorf("S4.17: the original is not in the queue after the notice: %+v", q)
			}
		}
	}
	eventually(t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
}

func TestS4_17LateSuccessAfterTheNotice(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.11\n")
	i := o.instance("delay_notice = \"2s\"\nretry = [\"1s\"]")
	c := i.sender()
	c.say("MAIL FROM:<ann@here.example>", "250")
	c.say("RCPT TO:<x@far.example> NOTIFY=SUCCESS,DELAY", "250")
	c.say("DATA", "354")
	c.say(text("late but well")+".", "250")
	i.await("ann@here.example", 1)
	a := o.peer(11, sim.Script{Extensions: []string{"PIPELINING"}})
	a.Await(1)
	list := i.await("ann@here.example", 2)
	report := i.run("mailbox", "message", "ann@here.example", fmt.Sprint(list[1].UID))
	if !strings.Contains(report, "Action: relayed") {
		t.Errorf("the late success is not reported as asked:\n%s", report)
	}
	if n := len(a.Messages()); n != 1 || !bytes.HasSuffix(a.Messages()[0].Body, []byte(text("late but well"))) {
		t.Errorf("%d messages arrived, or with other bytes", n)
	}
}

func TestS5_16EqualExchangersShareTheMail(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\n@ MX 10 b\na A 127.0.0.11\nb A 127.0.0.12\n")
	a, b := o.peer(11, sim.Script{}), o.peer(12, sim.Script{})
	i := o.instance("")
	const n = 10_000
	list := make([]sample, n)
	for k := range list {
		list[k] = sample{from: "ann@here.example", content: text(fmt.Sprint(k))}
	}
	inject(t, i.smtp, list, func(int) string { return "x@far.example" })
	eventually(t, "all messages at the exchangers", func() bool { return len(a.Messages())+len(b.Messages()) >= n })
	share := float64(len(a.Messages())) / n * 100
	if math.Abs(share-50) > 3 {
		t.Errorf("one of two equal exchangers got %.1f %%", share)
	}
	t.Logf("%.1f %% of %d", share, n)
}

func TestWhatTheNextHopLacksIsRefusedAtRCPT(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	p := o.peer(11, sim.Script{Extensions: []string{"SIZE 5000"}})
	i := o.instance("")
	i.run("domain", "add", "relay.example", "--mode", "relay", "--recipients", "accept", "--proved", "--next-hop", "127.0.0.11:"+o.port)
	c := i.sender()
	c.say("MAIL FROM:<ann@here.example> SMTPUTF8 SIZE=6000", "250")
	c.say("RCPT TO:<x@relay.example>", "250") // nothing is known yet
	c.say("RSET", "250")
	c.send("ann@here.example", text("first"), "x@relay.example")
	p.Await(1)
	c.say("MAIL FROM:<ann@here.example> SIZE=6000", "250")
	c.say("RCPT TO:<x@relay.example>", "552 5.3.4")
	c.say("RSET", "250")
	c.say("MAIL FROM:<ann@here.example> SMTPUTF8", "250")
	c.say("RCPT TO:<x@relay.example>", "550 5.6.7")
	c.say("RCPT TO:<ann@here.example>", "250")
	if x := i.run("explain", "ü@relay.example"); !strings.Contains(x, "550 5.6.7") || !strings.Contains(x, "did not offer SMTPUTF8") {
		t.Errorf("explain does not say why:\n%s", x)
	}
}

func TestS1_18AWayBackToOurselvesIsFoundAndMailIsHeld(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	i := o.instance("", `addresses = ["127.0.0.12"]`)
	for _, domain := range []string{"away.example", "none.example"} {
		o.zone(domain, "$TTL 1\n@ MX 10 a\na A 127.0.0.11\n") // nobody answers there
		i.run("domain", "add", domain, "--mode", "remote", "--proved")
		i.sender().send("ann@here.example", text(domain), "x@"+domain)
	}
	o.zone("away.example", "$TTL 1\n@ MX 10 us\nus A 127.0.0.12\n")
	o.zone("none.example", "$TTL 1\n@ MX 0 .\n")
	for domain, reply := range map[string]string{"away.example": "451 4.4.6", "none.example": "451 4.4.3"} {
		eventually(t, "the refusal of "+domain, func() bool {
			return strings.Contains(i.run("explain", "x@"+domain, "--as", "ann@here.example"), reply)
		})
		c := i.sender()
		c.say("MAIL FROM:<ann@here.example>", "250")
		c.say("RCPT TO:<x@"+domain+">", reply)
	}
	i.run("queue", "retry", "--yes")
	for domain, name := range map[string]string{"away.example": "ROUTE_LOOP_SELF since", "none.example": "PRIMARY_MX_MISSING since"} {
		eventually(t, "a finding of "+domain, func() bool { return strings.Contains(i.run("domain", "show", domain), name) })
	}
	if q := ask[counts](i, "queue", "count"); q.Messages != 2 || q.Held != 2 {
		t.Errorf("the mail is not held: %+v", q)
	}
	p := o.peer(11, sim.Script{})
	i.run("domain", "set", "away.example", "--next-hop", "127.0.0.11:"+o.port, "--yes")
	if d := i.run("domain", "show", "away.example"); strings.Contains(d, "ROUTE_LOOP_SELF") {
		t.Errorf("the finding outlives the way that it is about:\n%s", d)
	}
	i.sender().send("ann@here.example", text("mended"), "x@away.example")
	p.Await(1)
	o.zone("none.example", "@ MX 10 a\na A 127.0.0.11\n")
	i.run("domain", "set", "none.example", "--hold", "1d")
	if d := i.run("domain", "show", "none.example"); !strings.Contains(d, "PRIMARY_MX_MISSING") {
		t.Errorf("the finding is gone before mail has arrived:\n%s", d)
	}
}
