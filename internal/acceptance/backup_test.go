package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postroad/internal/sim"
)

// backup starts a server that is the backup of acme.example, whose primary is 127.0.0.31.
func backup(t *testing.T) (*outside, *instance) {
	t.Helper()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 primary\n@ MX 20 us\nprimary A 127.0.0.31\nus A 127.0.0.32\n")
	i := o.instance("retry = [\"5h\"]", "addresses = [\"127.0.0.32\"]")
	i.run("domain", "add", "acme.example", "--mode", "backup", "--recipients", "accept", "--proved")
	i.run("mailbox", "add", "bob@acme.example") // nothing is delivered into it
	return o, i
}

// hold sends messages that wait for the primary, and waits until it counts as down.
func (i *instance) hold(n int) {
	i.t.Helper()
	c := dialSMTP(i.t, i.smtp)
	c.say("EHLO far.example", "250")
	for k := range n {
		c.send("x@far.example", text(fmt.Sprintf("number %d", k)), "bob@acme.example")
	}
	eventually(i.t, "the primary to be down", func() bool { return strings.Contains(i.log.String(), "destination is down") })
}

func TestS5_9ABackupHoldsMailAndDrainsWhenThePrimaryIsBack(t *testing.T) {
	t.Parallel()
	o, i := backup(t)
	i.hold(20)
	logged := len(i.log.String())
	begun := time.Now()
	primary := o.peer(31, sim.Script{})
	list := primary.Await(20)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	for k, m := range list {
		if !strings.Contains(string(m.Body), fmt.Sprintf("number %d\r\n", k)) {
			t.Errorf("message %d is not the %dth", k, k)
		}
	}
	if n := len(ask[[]message](i, "mailbox", "messages", "bob@acme.example")); n != 0 {
		t.Errorf("%d messages were delivered here", n)
	}
	eventually(t, "the queue to be empty", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	if text := i.log.String()[logged:]; strings.Contains(text, "host not usable") {
		t.Errorf("looks are logged:\n%s", text)
	}
}

func TestS4_20ETRNDrainsAtOnce(t *testing.T) {
	t.Parallel()
	o, i := backup(t)
	i.hold(2)
	primary := o.peer(31, sim.Script{})
	c := i.sender()
	c.say("ETRN far.example", "459")
	c.say("ETRN acme.example", "25")
	primary.Await(2)
}
