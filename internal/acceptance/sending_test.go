package acceptance

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sends has a login send one message to some recipients of its own and gives the replies to RCPT; a message of which no
// recipient is taken is not sent.
func (i *instance) sends(login string, recipients int) []string {
	i.t.Helper()
	c := i.loggedIn(login, "password of all")
	c.say("MAIL FROM:<"+login+">", "250")
	replies, taken := make([]string, recipients), false
	for n := range replies {
		local, domain, _ := strings.Cut(login, "@")
		if _, err := fmt.Fprintf(c, "RCPT TO:<%s+%d@%s>\r\n", local, n, domain); err != nil {
			i.t.Fatal(err)
		}
		replies[n] = c.read()
		taken = taken || strings.HasPrefix(replies[n], "250 ")
	}
	if taken {
		c.say("DATA", "354")
		c.say("From: "+login+"\r\nSubject: x\r\n\r\nx\r\n.", "250")
	}
	c.say("QUIT", "221")
	return replies
}

func TestS3_4WhatUsersSendIsLimited(t *testing.T) {
	t.Parallel()
	for { // a day of UTC may end in the midst of it
		begin := time.Now().UTC().YearDay()
		problems := sendToTheLimits(t)
		if len(problems) == 0 {
			return
		}
		if time.Now().UTC().YearDay() == begin {
			t.Fatal(strings.Join(problems, "\n"))
		}
	}
}

func sendToTheLimits(t *testing.T) (problems []string) {
	i := newInstance(t, "[sending]\nlogin_hour = 0\nlogin_day = 3\ndomain_day = 6\n")
	i.run("account", "add", "ann")
	i.run("domain", "add", "here.example", "--account", "ann", "--proved")
	bob := i.tenant("bob")
	i.run("domain", "add", "bob.example", "--account", "bob", "--proved")
	for _, address := range []string{"ann@here.example", "eve@here.example", "ivy@here.example", "bob@bob.example"} {
		i.addMailbox(address, "password of all")
	}
	sends := func(login string, recipients, taken int, refusal string) {
		for n, reply := range i.sends(login, recipients) {
			if n < taken && !strings.HasPrefix(reply, "250 ") || n >= taken && (!strings.HasPrefix(reply, "450 4.7.1 the "+refusal) || !strings.HasSuffix(reply, " 00:00 UTC")) {
				problems = append(problems, fmt.Sprintf("%s, recipient %d: %s", login, n, reply))
			}
		}
	}
	const login, domain = "login ann@here.example has reached its limit of 3 recipients in one day", "domain here.example has reached its limit of 6 recipients in one day"
	sends("ann@here.example", 5, 3, login)
	if err := i.kill(syscall.SIGTERM); err != nil { // a restart forgets nothing
		t.Fatal(err)
	}
	i.start()
	sends("ann@here.example", 1, 0, login)
	sends("eve@here.example", 3, 3, "")
	sends("ivy@here.example", 1, 0, domain)
	sends("bob@bob.example", 3, 3, "") // nobody's mail counts for another account

	if out := i.run("sending", "list"); !strings.Contains(out, "ann@here.example") || !strings.Contains(out, "bob@bob.example") {
		problems = append(problems, "the operator sees\n"+out)
	}
	if out := bob.run("sending", "list"); strings.Contains(out, "here.example") || !strings.Contains(out, "bob@bob.example") {
		problems = append(problems, "bob sees\n"+out)
	}
	if _, errs, code := bob.try("sending", "list", "--domain", "here.example"); code != 1 || !strings.Contains(errs, "There is no domain") {
		problems = append(problems, "of another account: "+errs)
	}
	return problems
}
