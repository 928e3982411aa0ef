package acceptance

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"postroad/internal/sim"
)

// upgradeFrom names an earlier program whose data folder today's program must open; without it the test looks at
// today's program alone. scripts/upgrade-test sets it.
const upgradeFrom = "POSTROAD_UPGRADE_FROM"

// seen is what a program shows of its data from outside, by command.
type seen map[string]any

// look asks a running server everything. What the program does not know yet is not among it.
func (i *instance) look(mailboxes []string) seen {
	i.t.Helper()
	s := seen{}
	ask := func(args ...string) {
		out, errs, code := i.try(append(args, "--json")...)
		name := strings.Join(args, " ")
		var v any
		switch {
		case code == 2:
			i.t.Logf("the program does not know %q", name)
			return
		case code != 0:
			i.t.Errorf("%s: exit %d: %s", name, code, errs)
		case json.Unmarshal([]byte(out), &v) != nil:
			v = out
		}
		s[name] = v
	}
	for _, what := range []string{"account", "alias", "domain", "forward", "group", "catch-all", "outbound", "mailbox", "token", "queue"} {
		ask(what, "list")
	}
	ask("audit", "--limit", "0")
	for _, domain := range []string{"local.example", "relay.example", "inert.example"} {
		ask("domain", "show", domain)
		ask("explain", "somebody@"+domain)
	}
	for _, box := range mailboxes {
		ask("mailbox", "messages", box)
		if list, ok := s["mailbox messages "+box].([]any); ok {
			for n := range list {
				name := []string{"mailbox", "message", box, fmt.Sprint(n + 1)}
				s[strings.Join(name, " ")] = i.run(name...)
			}
		}
	}
	if list, ok := s["queue list"].([]any); ok {
		for _, m := range list {
			if id, ok := m.(map[string]any)["id"].(string); ok {
				s["content "+id] = i.run("queue", "show", id, "--content")
			}
		}
	}
	return s
}

// lost tells what of an earlier value a later one lacks: a later program may say more, never less or otherwise. What
// an attempt in between changes is left out.
func lost(path string, before, after any) []string {
	if slices.Contains([]string{"attempts", "next", "last_reply", "reply", "host"}, path[strings.LastIndex(path, "/")+1:]) {
		return nil
	}
	pending := []any{"waiting", "leased", "deferred"}
	if slices.Contains(pending, before) && slices.Contains(pending, after) {
		return nil
	}
	switch before := before.(type) {
	case map[string]any:
		later, ok := after.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s: %v became %v", path, before, after)}
		}
		var all []string
		for key, v := range before {
			all = append(all, lost(path+"/"+key, v, later[key])...)
		}
		return all
	case []any:
		later, ok := after.([]any)
		if !ok || len(later) != len(before) {
			return []string{fmt.Sprintf("%s: %v became %v", path, before, after)}
		}
		var all []string
		for n, v := range before {
			all = append(all, lost(fmt.Sprint(path, "/", n), v, later[n])...)
		}
		return all
	}
	if before != after {
		return []string{fmt.Sprintf("%s: %.300v became %.300v", path, before, after)}
	}
	return nil
}

// login sends a message as a user whose password the earlier program was told.
func (i *instance) login(user, password, to string) {
	i.t.Helper()
	conn, err := tls.Dial("tcp", i.secure, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a self-signed certificate of the test
	if err != nil {
		i.t.Fatal(err)
	}
	host, _, _ := net.SplitHostPort(i.secure)
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		i.t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // only the answers matter
	if err := c.Auth(smtp.PlainAuth("", user, password, host)); err != nil {
		i.t.Fatalf("the password of %s is not taken any more: %v", user, err)
	}
	for _, err := range []error{c.Mail(user), c.Rcpt(to)} {
		if err != nil {
			i.t.Fatal(err)
		}
	}
	w, err := c.Data()
	if err != nil {
		i.t.Fatal(err)
	}
	_, err = w.Write([]byte(strings.ReplaceAll(text("by login"), "a@far.example", user)))
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		i.t.Fatal(err)
	}
}

// TestTheDataOfAnEarlierProgramIsKept has an earlier program fill a data folder, opens it with today's, and compares
// all that both show.
func TestTheDataOfAnEarlierProgramIsKept(t *testing.T) {
	t.Parallel()
	next := sim.FreeAddress(t)
	hop := sim.NewPeer(t, sim.Script{})
	i := prepareInstance(t, t.TempDir(), "[deliver]\nallow = [\"127.0.0.0/8\"]\n[queue]\nretry = [\"1s\"]\n")
	i.binary = os.Getenv(upgradeFrom)
	i.start()
	i.run("account", "add", "acme")
	i.run("domain", "add", "local.example", "--account", "acme", "--proved")
	i.run("domain", "add", "relay.example", "--mode", "relay", "--next-hop", next, "--recipients", "accept", "--proved")
	i.run("domain", "add", "inert.example")
	i.addMailbox("ann@local.example", "a password")
	i.run("mailbox", "add", "bob@local.example", "--quota", "1GiB")
	i.run("alias", "add", "sales@local.example", "ann@local.example")
	i.run("group", "add", "all@local.example", "ann@local.example", "bob@local.example")
	i.run("forward", "add", "bob@local.example", "far@relay.example", "--keep")
	i.run("catch-all", "set", "local.example", "bob@local.example")
	i.run("token", "add", "script", "--account", "acme")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	c.send("a@far.example", text("small"), "sales@local.example")
	c.send("a@far.example", large("large"), "all@local.example")
	want := map[string]string{"queued": text("queued"), "queued-large": large("queued-large"), "held": text("held"), "large": large("large")}
	c.send("a@far.example", want["queued"], "x@relay.example")
	c.send("a@far.example", want["queued-large"], "x@relay.example", "y@relay.example")
	held := c.send("a@far.example", want["held"], "z@relay.example")
	boxes := []string{"ann@local.example", "bob@local.example"}
	i.await(boxes[0], 2)
	i.await(boxes[1], 1)
	i.run("queue", "hold", held, "--yes")
	eventually(t, "local mail to be delivered", func() bool {
		return ask[counts](i, "queue", "count", "--domain", "local.example").Messages == 0
	})
	before := i.look(boxes)
	if !strings.Contains(fmt.Sprint(before["queue list"]), "state:held") {
		t.Errorf("nothing is held: %v", before["queue list"])
	}
	if len(before) < 20 {
		t.Errorf("the earlier program shows %d things only", len(before))
	}
	if err := i.kill(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM of the earlier program: %v", err)
	}

	i.binary = ""
	i.start()
	after := i.look(boxes)
	for name, v := range before {
		if explained, ok := v.(map[string]any); ok && strings.HasPrefix(name, "explain ") {
			delete(explained, "reasons") // what is decided stays; a later program may give further reasons for it
		}
		for _, line := range lost(name, v, after[name]) {
			t.Error(line)
		}
	}
	i.login("ann@local.example", "a password", "bob@local.example")
	i.await(boxes[1], 2)
	hop.Listen(next)
	i.run("queue", "release", held, "--yes")
	i.run("queue", "retry", "--yes")
	eventually(t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	got := map[string]int{}
	for _, m := range hop.Messages() {
		for subject, content := range want {
			if strings.HasSuffix(string(m.Body), content) {
				got[subject]++
			}
		}
		if strings.Contains(string(m.Body), "Subject: held\r\n") && !strings.Contains(string(m.Body), held) {
			t.Errorf("the held message lost its queue id %s", held)
		}
	}
	for subject := range want {
		if got[subject] != 1 {
			t.Errorf("%s came %d times to the next hop", subject, got[subject])
		}
	}
}
