package acceptance

import (
	"fmt"
	"slices"
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

func TestP3_1WhatUsersSendIsLimited(t *testing.T) {
	t.Parallel()
	withinAnHour(t, sendToTheLimits)
}

// withinAnHour does something until no hour of UTC ends in the midst of it.
func withinAnHour(t *testing.T, do func(t *testing.T) (problems []string)) {
	t.Helper()
	for {
		begin := time.Now().Truncate(time.Hour)
		problems := do(t)
		if len(problems) == 0 {
			return
		}
		if time.Now().Truncate(time.Hour).Equal(begin) {
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

func TestP3_2ALoginThatSendsTooMuchIsPausedAndItsMailHeld(t *testing.T) {
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
	// Each login that is paused is told of once, to its account and to the operator, and before that it comes near its limit.
	tells := func(event string, logins ...string) {
		t.Helper()
		var list []noticed
		eventually(t, fmt.Sprint(event, " of ", logins), func() bool {
			list = slices.DeleteFunc(ask[[]noticed](i, "notice", "list", "--domain", "ann.example"), func(n noticed) bool { return n.Event != event })
			return len(list) >= 2*len(logins)
		})
		slices.Reverse(list)
		for k, login := range logins {
			for _, n := range list[2*k : 2*k+2] {
				if text := strings.Join(strings.Fields(n.Text), " "); !strings.Contains(text, "What was seen: "+login) && !strings.Contains(text, "What was seen: the login "+login) {
					t.Errorf("told: %+v", n)
				}
			}
		}
		if len(list) != 2*len(logins) {
			t.Errorf("told: %+v", list)
		}
	}
	const second = "eve@ann.example"
	tells("sending-near-limit", login)
	tells("sending-paused", login)
	i.addMailbox(second, "password of all")
	i.asksFor(second, 12)
	tells("sending-paused", login, second)
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

func TestP3_3LimitsAreSetForLoginsDomainsAndAccounts(t *testing.T) {
	t.Parallel()
	withinAnHour(t, setLimits)
}

func setLimits(t *testing.T) (problems []string) {
	i := newInstance(t, "[sending]\nlogin_hour = 0\nlogin_day = 2\n")
	ann, bob := i.tenant("ann"), i.tenant("bob")
	i.run("domain", "add", "ann.example", "--account", "ann", "--proved")
	for _, address := range []string{"a@ann.example", "b@ann.example"} {
		i.addMailbox(address, "password of all")
	}
	refused := func(by *tenant, want string, args ...string) {
		t.Helper()
		if _, errs, code := by.try(append([]string{"sending"}, append(args, "--yes")...)...); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
	shows := func(want string) {
		t.Helper()
		out := strings.Join(strings.Fields(i.run("sending", "list")), " ")
		if !strings.Contains(out, want) {
			problems = append(problems, fmt.Sprintf("%q is not in %s", want, out))
		}
	}
	// What is decided holds from the next recipient on, also in a transaction that has begun.
	c := i.loggedIn("a@ann.example", "password of all")
	c.say("MAIL FROM:<a@ann.example>", "250")
	n := 0
	rcpt := func(want string) {
		t.Helper()
		n++
		if _, err := fmt.Fprintf(c, "RCPT TO:<a+%d@ann.example>\r\n", n); err != nil {
			t.Fatal(err)
		}
		if reply := c.read(); !strings.HasPrefix(reply, want) {
			problems = append(problems, fmt.Sprintf("recipient %d: %s", n, reply))
		}
	}
	const reached = "450 4.7.1 the login a@ann.example has reached its limit of "
	rcpt("250 ")
	rcpt("250 ")
	rcpt(reached + "2 recipients in one day")
	refused(ann, "The operator allows 2 recipients in a day here", "set", "a@ann.example", "--day", "9")
	refused(ann, "The operator allows 2 recipients in a day here", "set", "a@ann.example", "--day", "none")
	refused(bob, "There is no mailbox", "set", "a@ann.example", "--day", "1")
	if out := i.run("sending", "set", "a@ann.example", "--day", "5", "--plan"); !strings.Contains(out, "5 recipients in a day") {
		t.Errorf("the plan:\n%s", out)
	}
	rcpt(reached + "2 recipients")
	i.run("sending", "set", "a@ann.example", "--day", "5", "--yes")
	rcpt("250 ")
	ann.run("sending", "set", "a@ann.example", "--day", "4", "--yes")
	rcpt("250 ")
	rcpt(reached + "4 recipients in one day")
	shows("login a@ann.example 4 4 of 4 installation/owner")
	ann.run("sending", "set", "a@ann.example", "--day", "default", "--yes")
	rcpt("250 ")
	rcpt(reached + "5 recipients")
	shows("login a@ann.example 5 5 of 5 installation/operator")
	i.run("sending", "set", "a@ann.example", "--day", "none", "--yes")
	i.run("sending", "set", "ann.example", "--hour", "7", "--day", "6", "--yes")
	rcpt("250 ")
	rcpt("450 4.7.1 the domain ann.example has reached its limit of 6 recipients in one day")
	i.run("sending", "set", "ann.example", "--day", "none", "--hour", "none", "--yes")
	i.run("sending", "set", "--account", "ann", "--day", "7", "--yes")
	rcpt("250 ")
	rcpt("450 4.7.1 the account of a@ann.example has reached its limit of 7 recipients in one day")
	shows("account ann 7 of 10000 7 of 7 installation/operator")

	// It is audited and undone, and is there after a restart.
	var last struct {
		ID              int64
		Action, Subject string
	}
	for _, e := range ask[[]struct {
		ID              int64
		Action, Subject string
	}](i, "audit") {
		if e.ID > last.ID {
			last = e
		}
	}
	if last.Action != "sending set" || last.Subject != "ann" {
		t.Errorf("the last entry is %+v", last)
	}
	i.run("undo", fmt.Sprint(last.ID), "--yes")
	rcpt("250 ")
	if err := i.kill(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	i.start()
	shows("login a@ann.example 8 8 installation/operator")
	for k, reply := range i.sends("b@ann.example", 3) {
		if k < 2 != strings.HasPrefix(reply, "250 ") {
			problems = append(problems, reply)
		}
	}
	return problems
}

func TestP3_4APauseOutlivesWhatItIsOf(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.11\n")
	i := o.instance("retry = [\"5h\"]")
	ann := i.tenant("ann")
	const login = "a@ann.example"
	i.run("domain", "add", "ann.example", "--account", "ann", "--proved")
	i.addMailbox(login, "password of all")
	i.asksFor(login, 2)
	i.run("mailbox", "pause", login, "--reason", "abuse", "--yes")
	held := func(when string) {
		t.Helper()
		eventually(t, "mail to be held "+when, func() bool {
			rows := i.queued(login)
			return len(rows) == 2 && strings.HasSuffix(rows[0], " held the login "+login+" is paused") && strings.HasSuffix(rows[1], " held the login "+login+" is paused")
		})
	}
	stays := func(when string) {
		t.Helper()
		c := i.loggedIn(login, "password of all")
		c.say("MAIL FROM:<"+login+">", "450")
		if _, errs, code := ann.try("sending", "resume", login, "--yes"); code != 1 || !strings.Contains(errs, "the operator has paused it") {
			t.Errorf("the owner resumes it %s: %d, %s", when, code, errs)
		}
		held(when)
	}
	stays("at first")
	ann.run("mailbox", "remove", login, "--yes")
	i.run("queue", "retry")
	held("while there is no mailbox")
	i.addMailbox("b@ann.example", "password of all")
	ann.run("alias", "add", login, "b@ann.example")
	other := i.loggedIn("b@ann.example", "password of all")
	other.say("MAIL FROM:<b@ann.example>", "250")
	other.say("RSET", "250")
	other.say("MAIL FROM:<"+login+">", "450") // nor by another login
	ann.run("alias", "remove", login, "--yes")
	if out := func() string { i.addMailbox(login, "password of all"); return ann.run("mailbox", "list") }(); !strings.Contains(out, " operator ") {
		t.Errorf("the owner sees\n%s", out)
	}
	stays("after the mailbox was added again")
	ann.run("domain", "remove", "ann.example", "--yes")
	_ = i.kill(syscall.SIGKILL) // which it tells as its end
	i.start()
	i.run("queue", "retry")
	held("while there is no domain")
	if out := ann.run("domain", "add", "ann.example"); strings.Contains(out, "It may send nothing") {
		t.Errorf("a pause of a login is told as the domain's:\n%s", out)
	}
	i.run("domain", "set", "ann.example", "--proved", "--yes")
	if out := ann.run("mailbox", "add", login); !strings.Contains(out, "It may send nothing until it is resumed") {
		t.Errorf("added with\n%s", out)
	}
	ann.run("mailbox", "remove", login, "--yes")
	i.addMailbox(login, "password of all")
	stays("after the domain was added again")

	// A pause of the account is for every address that it makes.
	i.run("sending", "resume", login, "--yes")
	i.run("sending", "pause", "--account", "ann", "--yes")
	ann.run("domain", "add", "more.example")
	i.run("domain", "set", "more.example", "--proved", "--yes")
	i.addMailbox("new@more.example", "password of all")
	for _, address := range []string{login, "new@more.example"} {
		c := i.loggedIn(address, "password of all")
		c.say("MAIL FROM:<"+address+">", "450")
	}
	held("with its account")
	far := o.peer(11, sim.Script{})
	i.run("sending", "resume", "--account", "ann", "--yes")
	i.run("queue", "retry") // the server was down
	far.Await(1)
	eventually(t, "the login's mail to go on", func() bool { return len(i.queued(login)) == 0 })
}

func TestP3_1NodesCountTogether(t *testing.T) {
	t.Parallel()
	one, two := twoNodes(t)
	withinAnHour(t, func(t *testing.T) (problems []string) {
		begin := time.Now().Truncate(time.Hour)
		login := fmt.Sprintf("a%d@acme.example", time.Now().UnixNano())
		if !strings.Contains(one.run("domain", "list"), "acme.example") {
			one.run("domain", "add", "acme.example", "--proved")
		}
		one.addMailbox(login, "password of all")
		one.run("sending", "set", login, "--day", "6", "--yes")
		count := func(replies []string, taken int) {
			for n, reply := range replies {
				if n < taken != strings.HasPrefix(reply, "250 ") {
					problems = append(problems, fmt.Sprintf("recipient %d: %s", n, reply))
				}
			}
		}
		count(one.sends(login, 4), 4)
		shows := func(i *answering, want string) {
			t.Helper()
			eventually(t, want, func() bool {
				return strings.Contains(i.run("sending", "list"), want) || !time.Now().Truncate(time.Hour).Equal(begin)
			})
		}
		shows(two, "4 of 6")
		count(two.sends(login, 3), 2)
		shows(one, "6 of 6")
		return problems
	})
}
