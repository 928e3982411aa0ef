package acceptance

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"postroad/internal/sim"
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

// asksFor has a login ask for recipients of one message at another server, and send it to those that are taken. It gives how
// many were, and the last reply.
func (i *instance) asksFor(login string, recipients int) (taken int, last string) {
	i.t.Helper()
	c := i.loggedIn(login, "password of all")
	c.say("MAIL FROM:<"+login+">", "250")
	for n := range recipients {
		if _, err := fmt.Fprintf(c, "RCPT TO:<x%d@far.example>\r\n", n); err != nil {
			i.t.Fatal(err)
		}
		if last = c.read(); strings.HasPrefix(last, "250 ") {
			taken++
		}
	}
	c.say("DATA", "354")
	c.say("From: "+login+"\r\nSubject: of "+login+"\r\n\r\nx\r\n.", "250")
	c.say("QUIT", "221")
	return taken, last
}

// queued are the rows in the queue of what a login has sent, as texts.
func (i *instance) queued(login string) []string {
	i.t.Helper()
	var out []string
	for _, m := range ask[[]struct {
		ID, Login  string
		Recipients []struct {
			State     string
			LastReply string `json:"last_reply"`
		}
	}](i, "queue", "list") {
		for _, r := range m.Recipients {
			if m.Login == login {
				out = append(out, m.ID+" "+r.State+" "+r.LastReply)
			}
		}
	}
	return out
}

func TestS3_4ALoginThatSendsTooMuchIsPausedAndItsMailHeld(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.11\n")
	i := o.instance("retry = [\"5h\"]\n[notices]\nwait = \"1s\"\n[sending]\nlogin_hour = 0\nlogin_day = 4\npause_after = 2\n")
	ann, bob := i.tenant("ann"), i.tenant("bob")
	for _, who := range []string{"ann", "bob"} {
		i.run("domain", "add", who+".example", "--account", who, "--proved")
		i.addMailbox(who+"@"+who+".example", "password of all")
		i.asksFor(who+"@"+who+".example", 1)
	}
	const login, held = "ann@ann.example", " held the login ann@ann.example is paused"
	kept, _, _ := strings.Cut(i.queued(login)[0], " ")
	i.run("queue", "hold", kept)
	taken, last := i.asksFor(login, 12) // three are taken, and four more where a day of UTC ends in the midst of it
	if taken < 3 || taken > 7 || !strings.HasPrefix(last, "450 4.7.1 the login ann@ann.example has reached its limit of 4") {
		t.Errorf("%d recipients were taken, then: %s", taken, last)
	}
	paused := func() (n int) {
		for _, row := range i.queued(login) {
			if strings.HasSuffix(row, held) {
				n++
			}
		}
		return n
	}
	eventually(t, "the login's mail to be held", func() bool { return paused() == taken })
	refused := func() {
		t.Helper()
		c := i.loggedIn(login, "password of all") // its password still holds
		c.say("MAIL FROM:<"+login+">", "450")
	}
	refused()
	if rows := i.queued("bob@bob.example"); len(rows) != 1 || strings.Contains(rows[0], " held ") {
		t.Errorf("another login's mail: %q", rows)
	}
	if told := i.told("ann.example", 1); told[0].Event != "sending-paused" || !strings.Contains(told[0].Text, login) {
		t.Errorf("told: %+v", told)
	}
	if out := ann.run("mailbox", "list"); !strings.Contains(out, " limit ") {
		t.Errorf("the owner sees\n%s", out)
	}
	for _, verb := range []string{"pause", "resume"} {
		if _, errs, code := bob.try("mailbox", verb, login, "--yes"); code != 1 || !strings.Contains(errs, "There is no mailbox") {
			t.Errorf("%s by another account: %d, %s", verb, code, errs)
		}
	}
	i.run("mailbox", "pause", login, "--reason", "under inquiry", "--yes")
	if _, errs, code := ann.try("mailbox", "resume", login, "--yes"); code != 1 || !strings.Contains(errs, "the operator has paused it") {
		t.Errorf("the owner resumes what the operator has paused: %d, %s", code, errs)
	}
	_ = i.kill(syscall.SIGKILL) // which it tells as its end
	i.start()
	refused()
	if n := paused(); n != taken {
		t.Errorf("%d rows are held after a restart", n)
	}
	far := o.peer(11, sim.Script{})
	i.run("mailbox", "resume", login, "--yes")
	i.run("queue", "retry") // the server was down
	eventually(t, "the login's mail to go on", func() bool { return len(i.queued(login)) == 1 })
	if rows := i.queued(login); !strings.HasPrefix(rows[0], kept+" held ") {
		t.Errorf("what somebody holds: %q", rows)
	}
	rcpts := 0
	for _, m := range far.Messages() {
		if strings.Contains(string(m.Body), "Subject: of "+login) {
			rcpts += len(m.Accepted())
		}
	}
	if rcpts != taken {
		t.Errorf("%d recipients have it", rcpts)
	}
}
