package acceptance

import (
	"strings"
	"syscall"
	"testing"

	"postroad/internal/sim"
)

// Mail that waits for a host that is away is delivered here once the domain is.
func TestQueuedMailGoesTheNewWay(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	i := o.instance("retry = [\"1h\"]")
	away := "127.0.0.21:" + o.port
	i.run("domain", "add", "acme.example", "--mode", "relay", "--next-hop", away, "--recipients", "accept", "--proved")
	c := i.sender()
	c.send("ann@here.example", text("waits"), "bob@acme.example", "nobody@acme.example", "carl@acme.example")
	eventually(t, "the destination to be down", func() bool { return strings.Contains(i.log.String(), "destination is down") })
	i.run("mailbox", "add", "bob@acme.example")

	back := o.peer(22, sim.Script{})
	i.run("domain", "set", "acme.example", "--next-hop", "127.0.0.22:"+o.port, "--yes")
	back.Await(1)
	if n := len(back.Messages()[0].Accepted()); n != 3 {
		t.Errorf("%d recipients at the new next hop", n)
	}

	i.run("domain", "set", "acme.example", "--next-hop", away, "--yes")
	c.send("ann@here.example", text("waits again"), "bob@acme.example", "nobody@acme.example")
	i.run("domain", "set", "acme.example", "--mode", "local", "--yes")
	i.await("bob@acme.example", 1)
	eventually(t, "the other to be held", func() bool { return ask[counts](i, "queue", "count").Held == 1 })
	if shown := i.run("domain", "show", "acme.example"); !strings.Contains(shown, "QUEUED_MAIL_HELD") {
		t.Errorf("the domain shows\n%s", shown)
	}
	if err := i.kill(syscall.SIGKILL); err == nil {
		t.Error("it was not killed")
	}
	i.start()
	i.run("mailbox", "add", "nobody@acme.example")
	i.run("queue", "release", "--domain", "acme.example", "--yes")
	i.await("nobody@acme.example", 1)
	eventually(t, "the finding to end", func() bool { return !strings.Contains(i.run("domain", "show", "acme.example"), "QUEUED_MAIL_HELD") })
	if n := ask[counts](i, "queue", "count").Messages; n != 0 {
		t.Errorf("%d messages are left", n)
	}
}
