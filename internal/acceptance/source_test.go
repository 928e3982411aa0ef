package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"postroad/internal/sim"
)

func TestP3_5MailOfEachDomainLeavesFromItsAddress(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.11\n")
	a := o.peer(11, sim.Script{})
	i := o.instance("retry = [\"1s\"]")
	i.run("domain", "add", "there.example", "--proved")
	i.run("mailbox", "add", "bob@there.example")
	i.run("outbound", "set", "--domain", "here.example", "--source", "127.0.0.2", "--yes")
	i.run("outbound", "set", "--domain", "there.example", "--source", "127.0.0.3", "--yes")
	if out := i.run("outbound", "list"); !strings.Contains(out, "127.0.0.2") || !strings.Contains(out, "127.0.0.3") {
		t.Errorf("listed as\n%s", out)
	}
	if out := i.run("explain", "x@far.example", "--as", "local", "--sender", "bob@there.example"); !strings.Contains(out, "127.0.0.3") {
		t.Errorf("explained as\n%s", out)
	}
	s := i.sender()
	for range 2 {
		s.send("ann@here.example", text("from one address"), "x@far.example")
		s.send("bob@there.example", text("from another"), "x@far.example")
	}
	a.Await(4)
	from := map[string]string{}
	for _, m := range a.Messages() {
		from[m.From+" "+m.Client.String()] = ""
	}
	if len(from) != 2 {
		t.Errorf("it came from %v", from)
	}
	for _, want := range []string{"ann@here.example 127.0.0.2", "bob@there.example 127.0.0.3"} {
		if _, ok := from[want]; !ok {
			t.Errorf("nothing came as %s: %v", want, from)
		}
	}

	// An address that is not there is told when it is chosen and when mail waits for it; nothing leaves from another.
	if out, _, code := i.try("outbound", "set", "--domain", "here.example", "--source", "192.0.2.7"); code == 0 || !strings.Contains(out, "does not have the address 192.0.2.7") || !strings.Contains(out, "SOURCE_NOT_AUTHORISED: SPF of here.example for 192.0.2.7: none") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	i.run("outbound", "set", "--domain", "here.example", "--source", "192.0.2.7", "--yes")
	s.send("ann@here.example", text("from nowhere"), "x@far.example")
	eventually(t, "a reason", func() bool {
		return strings.Contains(i.run("queue", "list"), "192.0.2.7, which this machine does not have now") || strings.Contains(i.log.String(), "192.0.2.7, which this machine does not have now")
	})
	if n := len(a.Messages()); n != 4 {
		t.Errorf("%d messages arrived", n)
	}
	i.run("outbound", "set", "--domain", "here.example", "--source", "127.0.0.4", "--yes")
	i.run("queue", "retry", "--yes")
	a.Await(5)
	if m := a.Messages()[4]; m.Client.String() != "127.0.0.4" {
		t.Errorf("it came from %v", m.Client)
	}
}

func TestP3_5MailLeavesByBothFamiliesUnderTheNamesOfItsAddresses(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("four.example", "@ MX 10 a\na A 127.0.0.11\n")
	o.zone("six.example", "@ MX 10 a\na AAAA ::1\n")
	four, six := o.peer(11, sim.Script{}), sim.NewPeer(t, sim.Script{})
	six.Listen("[::1]:" + o.port)
	i := newInstance(t, fmt.Sprintf("[resolver]\nservers = [%q]\n[deliver]\nport = %s\nallow = [\"127.0.0.0/8\", \"::1/128\"]\n[receive]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry = [\"1s\"]\n", o.dns.Addr(), o.port))
	for _, domain := range []string{"both.example", "old.example"} {
		i.run("domain", "add", domain, "--proved")
		i.run("mailbox", "add", "ann@"+domain)
	}
	out := i.run("outbound", "set", "--domain", "both.example", "--source", "127.0.0.2=out2.test.example,::1=out6.test.example", "--yes")
	if !strings.Contains(out, "EHLO out2.test.example") || !strings.Contains(out, "EHLO out6.test.example") {
		t.Errorf("it says\n%s", out)
	}
	i.run("outbound", "set", "--domain", "old.example", "--source", "127.0.0.3", "--yes")
	s := i.sender()
	s.send("ann@old.example", text("to nobody"), "x@six.example")
	for _, to := range []string{"x@four.example", "x@six.example"} {
		s.send("ann@both.example", text("by its family"), to)
	}
	s.send("ann@old.example", text("by IPv4"), "x@four.example")
	four.Await(2)
	six.Await(1)
	came := map[string]bool{}
	for _, m := range append(four.Messages(), six.Messages()...) {
		came[fmt.Sprint(m.From, " ", m.Client, " ", m.Hello)] = true
	}
	for _, want := range []string{"ann@both.example 127.0.0.2 out2.test.example", "ann@both.example ::1 out6.test.example", "ann@old.example 127.0.0.3 mx.test.example"} {
		if !came[want] {
			t.Errorf("nothing came as %s: %v", want, came)
		}
	}
	eventually(t, "what has no way to be told of", func() bool {
		return strings.Contains(i.log.String(), "no host of the destination has an address of the family from which this mail leaves: 127.0.0.3")
	})
	if len(came) != 3 {
		t.Errorf("it came as %v", came)
	}
	if _, errs, code := i.try("outbound", "set", "--domain", "old.example", "--source", "127.0.0.3=localhost", "--yes"); code != 1 || !strings.Contains(errs, "=NAME for EHLO") {
		t.Errorf("a name that is none: %d, %s", code, errs)
	}
}
