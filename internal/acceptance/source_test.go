package acceptance

import (
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
	if out, _, code := i.try("outbound", "set", "--domain", "here.example", "--source", "192.0.2.7"); code == 0 || !strings.Contains(out, "does not have the address 192.0.2.7") {
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
