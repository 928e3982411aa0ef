package acceptance

import (
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"postroad/internal/sim"
)

// noticed is a line of `notice list --json`.
type noticed struct {
	Domain, Event, State, Subject, Text, Problem string
	Ended                                        bool
	To                                           []string
}

// told waits until a domain has so many notices and gives them, the oldest first.
func (i *instance) told(domain string, n int) []noticed {
	i.t.Helper()
	var list []noticed
	eventually(i.t, "notices about "+domain, func() bool {
		list = ask[[]noticed](i, "notice", "list", "--domain", domain)
		return len(list) >= n && !slices.ContainsFunc(list, func(n noticed) bool { return n.State == "waits" })
	})
	slices.Reverse(list)
	return list
}

// tellSoon is a configuration that tells people early.
const tellSoon = "retry = [\"5h\"]\n[notices]\nwait = \"1s\"\n"

func TestS5_9PeopleAreToldThatAPrimaryIsAwayAndThatItIsBack(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 primary\n@ MX 20 us\nprimary A 127.0.0.31\nus A 127.0.0.32\n")
	i := o.instance(tellSoon, "addresses = [\"127.0.0.32\"]")
	acme, other := i.customer("acme", "office.example"), i.customer("other", "other.example")
	i.run("mailbox", "add", "it@office.example")
	i.run("account", "set", "acme", "--notices", "it@office.example", "--notices", "it@acme.example")
	i.run("domain", "add", "acme.example", "--account", "acme", "--mode", "backup", "--recipients", "accept", "--proved")
	i.hold(3)
	i.told("acme.example", 2)
	down := i.run("mailbox", "message", "it@office.example", "1")
	for _, want := range []string{
		"Return-Path: <>\r\n", "Subject: acme.example: its mail server takes no mail, 3 messages held\r\n", "From: Postroad <postmaster@mx.test.example>\r\n", "To: it@office.example\r\n",
		"Auto-Submitted: auto-generated\r\n", "Nothing is lost.", "postroad queue count --domain acme.example",
	} {
		if !strings.Contains(down, want) {
			t.Errorf("the customer's notice lacks %q:\n%s", want, down)
		}
	}
	i.await("postmaster@mx.test.example", 1)
	_ = i.kill(syscall.SIGTERM) // what has been told is not told again
	i.start()
	primary := o.peer(31, sim.Script{})
	primary.Await(3)
	list := i.told("acme.example", 4)
	if len(list) != 4 || list[0].Ended || !list[3].Ended {
		t.Errorf("told: %+v", list)
	}
	if back := i.await("it@office.example", 2)[1].Subject; back != "acme.example: nothing is held for its mail server any more" {
		t.Errorf("the customer is told %q", back)
	}
	if n := len(i.await("postmaster@mx.test.example", 2)); n != 2 {
		t.Errorf("the operator was told %d times", n)
	}
	for _, m := range primary.Messages() {
		if strings.Contains(string(m.Body), "Auto-Submitted") {
			t.Errorf("a notice about the domain went to the domain:\n%s", m.Body)
		}
	}
	if status, body := i.call(acme, "/notices"); status != http.StatusOK || strings.Count(body, `"id"`) != 2 {
		t.Errorf("the account reads %d %s", status, body)
	}
	if status, body := i.call(other, "/notices?domain=acme.example"); status != http.StatusOK || body != `{"items":[]}`+"\n" {
		t.Errorf("another account reads %d %s", status, body)
	}
}

func TestS5_7WhoComesAroundTheFilterIsFoundAndTold(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "[queue]\n"+tellSoon)
	for name, domain := range map[string]string{"acme": "acme.example", "bare": "bare.example"} {
		i.customer(name, domain)
		i.run("mailbox", "add", "ann@"+domain)
		i.run("domain", "set", domain, "--gateway", "192.0.2.0/24", "--yes")
	}
	i.run("mailbox", "add", "postmaster@acme.example")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO spam.example", "250")
	c.say("MAIL FROM:<x@spam.example>", "250")
	for range 3 {
		c.say("RCPT TO:<ann@acme.example>", "450 4.7.1")
		c.say("RCPT TO:<ann@bare.example>", "450 4.7.1")
	}
	d := ask[shownDomain](i, "domain", "show", "acme.example")
	if len(d.Findings) != 1 || d.Findings[0].Name != "GATEWAY_BYPASSED" || !strings.Contains(d.Findings[0].Evidence, "spam.example [127.0.0.1]") {
		t.Errorf("found: %+v", d.Findings)
	}
	list := i.told("acme.example", 2)
	if len(list) != 2 || list[0].State != "sent" || !strings.Contains(list[0].Text, "somebody has been trying to deliver") {
		t.Errorf("told: %+v", list)
	}
	// Without an address of its own an account hears by its domain's postmaster, and without that reads the list.
	if got := i.await("postmaster@acme.example", 1)[0].Subject; got != "acme.example: mail comes around its filter" {
		t.Errorf("the postmaster is told %q", got)
	}
	states := map[string]bool{}
	for _, n := range i.told("bare.example", 2) {
		states[n.State+" "+strings.Join(n.To, ",")] = true
	}
	if !states["listed "] || !states["sent postmaster@mx.test.example"] {
		t.Errorf("told of a domain without a postmaster: %v", states)
	}
}
