package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postroad/internal/sim"
)

// traced is a message's life as `trace ID --json` tells it.
type traced struct {
	ID         string   `json:"id"`
	Sender     string   `json:"sender"`
	Recipients []string `json:"recipients"`
	State      string   `json:"state"` // in listings
	Steps      []struct {
		Time     time.Time `json:"time"`
		Kind     string    `json:"kind"`
		Sentence string    `json:"sentence"`
		Reply    string    `json:"reply"`
		Login    string    `json:"login"`
	} `json:"steps"`
}

func (t *traced) kinds() string {
	var all []string
	for _, s := range t.Steps {
		all = append(all, s.Kind)
	}
	return strings.Join(all, " ")
}

// customer makes an account with a proved domain and gives a token for it.
func (i *instance) customer(name, domain string) (token string) {
	i.t.Helper()
	i.run("account", "add", name)
	i.run("domain", "add", domain, "--account", name, "--proved")
	out := ask[struct {
		Secret string `json:"secret"`
	}](i, "token", "add", name, "--account", name)
	return out.Secret
}

// call asks the API with a token and gives status and body.
func (i *instance) call(token, path string) (status int, body string) {
	i.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+i.http+"/api/v1"+path, http.NoBody)
	if err != nil {
		i.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		i.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestAMessagesLifeIsForItsOwnerToRead(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.11\n")
	p := o.peer(11, sim.Script{Rcpt: map[string]string{"x@far.example": "450 4.3.2 not now, dear"}, Rset: "421 4.3.2 bye"})
	i := o.instance("retry = [\"1s\"]")
	red, blue := i.customer("red", "red.example"), i.customer("blue", "blue.example")
	i.run("mailbox", "add", "rob@red.example")
	i.run("mailbox", "add", "bea@blue.example")
	i.run("forward", "add", "away@red.example", "x@far.example")
	id := i.sender().send("stranger@else.example", text("life"), "away@red.example", "rob@red.example", "bea@blue.example")
	eventually(t, "a deferral in the trace", func() bool {
		return strings.Contains(i.run("trace", id), "not now, dear")
	})
	p.SetScript(sim.Script{})
	p.Await(1)
	var whole traced
	eventually(t, "a delivery in the trace", func() bool {
		whole = ask[traced](i, "trace", id)
		return strings.Count(whole.kinds(), "delivered") == 3
	})
	look := func() {
		t.Helper()
		for token, mine := range map[string]string{red: "red.example", blue: "blue.example"} {
			status, body := i.call(token, "/traces/"+id)
			other := "red.example"
			if mine == other {
				other = "blue.example"
			}
			if status != http.StatusOK || !strings.Contains(body, mine) || strings.Contains(body, other) {
				t.Errorf("%s reads %d: %s", mine, status, body)
			}
			if seen := strings.Contains(body, "not now, dear"); seen != (token == red) {
				t.Errorf("%s sees the attempt: %v", mine, seen)
			}
		}
	}
	look()
	if !strings.HasPrefix(whole.kinds(), "accepted decided decided decided") || !strings.Contains(whole.kinds(), "deferred") {
		t.Errorf("steps: %s", whole.kinds())
	}
	other := i.customer("green", "green.example")
	for _, path := range []string{"/traces/" + id, "/traces/" + id + "/replay"} {
		if status, body := i.call(other, path); status != http.StatusNotFound {
			t.Errorf("a stranger to the message reads %d: %s", status, body)
		}
	}
	if _, body := i.call(other, "/traces?recipient=rob@red.example"); strings.Contains(body, id) {
		t.Errorf("a stranger to the message finds it: %s", body)
	}
	for _, query := range []string{"recipient=AWAY@red.example", "recipient=rob@red.example", "sender=stranger@else.example", "sender=stranger@else.example&day=" + time.Now().UTC().Format(time.DateOnly)} {
		if status, body := i.call(red, "/traces?"+query); status != http.StatusOK || !strings.Contains(body, id) {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	if status, body := i.call(red, "/traces?recipient=rob@red.example&day=2020-02-02"); status != http.StatusOK || strings.Contains(body, id) {
		t.Errorf("another day: %d %s", status, body)
	}
	if err := i.kill(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	i.start()
	look()
	if again := ask[traced](i, "trace", id); again.kinds() != whole.kinds() {
		t.Errorf("after a restart: %s, before: %s", again.kinds(), whole.kinds())
	}
}

func TestRefusedMailIsFoundBySender(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "[limits]\nmessage_size = \"2KiB\"\n")
	red := i.customer("red", "red.example")
	i.run("mailbox", "add", "rob@red.example")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO mx.far.example", "250")
	c.say("MAIL FROM:<joe@far.example>", "250")
	c.say("RCPT TO:<nobody@red.example>", "550")
	c.say("RCPT TO:<x@elsewhere.example>", "550")
	c.say("RCPT TO:<rob@red.example>", "250")
	c.say("DATA", "354")
	c.say("Subject: large\r\n\r\n"+strings.Repeat("0123456789\r\n", 400)+".", "552")
	status, body := i.call(red, "/traces?sender=joe@far.example")
	var list struct{ Items []traced }
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	if len(list.Items) != 2 {
		t.Fatalf("found %s", body)
	}
	for _, found := range list.Items {
		want := map[string]string{"rob@red.example": "552 5.3.4 message too large", "nobody@red.example": "550 5.1.1"}[found.Recipients[0]]
		out := i.run("trace", found.ID)
		if want == "" || found.State != "refused" || !strings.Contains(out, want) || !strings.Contains(out, "mx.far.example [127.0.0.1]") {
			t.Errorf("%+v:\n%s", found, out)
		}
	}
	if out := i.run("trace", "--sender", "joe@far.example"); strings.Count(out, "refused") != 3 {
		t.Errorf("the operator does not find all three:\n%s", out)
	}
}

func TestKill9LosesNoTraceOlderThanASecond(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "")
	i.run("domain", "add", "local.example", "--proved")
	i.run("mailbox", "add", "b@local.example")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO mx.far.example", "250")
	const n = 20
	sent := map[string]time.Time{}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for k := range n {
		<-tick.C
		sent[c.send("a@far.example", text(fmt.Sprint(k)), "b@local.example")] = time.Now()
	}
	killed := time.Now()
	_ = i.kill(syscall.SIGKILL) // it ends by a signal
	i.start()
	for id, at := range sent {
		if _, errs, code := i.try("trace", id); code != 0 && killed.Sub(at) > time.Second {
			t.Errorf("the trace of %s, accepted %v before the kill, is lost: %s", id, killed.Sub(at), errs)
		}
	}
	i.await("b@local.example", n)
}

func TestReplayTellsWhatAChangeOfModeMeans(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "")
	red := i.customer("red", "red.example")
	i.run("mailbox", "add", "rob@red.example")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO mx.far.example", "250")
	id := c.send("joe@far.example", text("again"), "rob@red.example")
	if out := i.run("trace", "replay", id); !strings.Contains(out, "Now the same would happen.") {
		t.Errorf("nothing has changed:\n%s", out)
	}
	i.run("domain", "set", "red.example", "--mode", "remote", "--yes")
	out := i.run("trace", "replay", id)
	if !strings.Contains(out, "It would go to rob@red.example by remote/red.example now.") || !strings.Contains(out, "into the mailbox rob@red.example") {
		t.Errorf("the change of mode is not told:\n%s", out)
	}
	if status, body := i.call(red, "/traces/"+id+"/replay"); status != http.StatusOK || !strings.Contains(body, "It would go to rob@red.example") {
		t.Errorf("the owner reads %d: %s", status, body)
	}
	i.run("domain", "set", "red.example", "--mode", "local", "--yes")
	i.run("mailbox", "remove", "rob@red.example", "--yes")
	if out := i.run("trace", "replay", id); !strings.Contains(out, "It would be refused now: 550 5.1.1") {
		t.Errorf("the end of the mailbox is not told:\n%s", out)
	}
}

func TestATraceTellsOfReportsActionsAndNewDecisions(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.11\n")
	o.peer(11, sim.Script{Rcpt: map[string]string{"bad@far.example": "550 5.1.1 who is that?", "late@far.example": "450 4.2.1 later"}})
	i := o.instance("retry = [\"1h\"]")
	told := func(id string, texts ...string) {
		t.Helper()
		for _, text := range texts {
			eventually(t, text+" in the trace", func() bool { return strings.Contains(i.run("trace", id), text) })
		}
	}
	id := i.sender().send("ann@here.example", text("bad"), "bad@far.example")
	told(id, "who is that?", "The sender is told that it could not be delivered, by message ")
	_, report, _ := strings.Cut(i.run("trace", id), "by message ")
	report, _, _ = strings.Cut(report, ".")
	told(report, "Made here: a report", "Delivered into the mailbox ann@here.example")

	id = i.sender().send("ann@here.example", text("late"), "late@far.example")
	told(id, "a.far.example [127.0.0.11] answered: 450 4.2.1 later")
	i.run("queue", "hold", id, "--yes")
	i.run("queue", "release", id, "--yes")
	told(id, "Held by operator.", "Let go by operator.")
	i.run("queue", "drop", id, "--yes")
	told(id, "nobody is told, by operator.")

	i.run("domain", "add", "relay.example", "--mode", "relay", "--recipients", "accept", "--proved", "--next-hop", "127.0.0.12:"+o.port)
	id = i.sender().send("ann@here.example", text("anew"), "x@relay.example")
	told(id, "It waits in the queue", "Its destination is not tried before")
	p := o.peer(13, sim.Script{})
	i.run("domain", "set", "relay.example", "--next-hop", "127.0.0.13:"+o.port, "--yes")
	p.Await(1)
	told(id, "Decided anew: mail for x@relay.example goes to 127.0.0.13:"+o.port, "Handed to ")
	if out := i.run("trace", "replay", id); !strings.Contains(out, "Now the same would happen.") {
		t.Errorf("the replay goes by the first decision:\n%s", out)
	}
}

// Mail does not depend on traces: not on their being kept, and not on their store being whole.
func TestMailGoesOnWithoutTraces(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(i *instance){
		"off": func(i *instance) { i.env = append(i.env, "POSTROAD_TRACE_KEEP=0s") },
		"damaged": func(i *instance) {
			for _, end := range []string{"", "-wal", "-shm"} {
				if err := os.WriteFile(filepath.Join(i.data, "trace.db"+end), bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newInstance(t, "")
			i.run("domain", "add", "local.example", "--proved")
			i.run("mailbox", "add", "b@local.example")
			if err := i.kill(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			spoil(i)
			i.start()
			c := dialSMTP(t, i.smtp)
			c.say("EHLO mx.far.example", "250")
			id := c.send("a@far.example", text("untraced"), "b@local.example")
			i.await("b@local.example", 1)
			if out, errs, code := i.try("trace", id); code != 1 || !strings.Contains(errs, "keeps no traces") {
				t.Errorf("exit %d: %s%s", code, out, errs)
			}
		})
	}
}

func TestTracesTellOfWhatIsRefusedBesideRecipients(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 mx\nmx A 127.0.0.11\n")
	o.peer(11, sim.Script{Rcpt: map[string]string{"late@far.example": "450 4.2.1 later"}})
	i := newInstance(t, fmt.Sprintf("[resolver]\nservers = [%q]\n[deliver]\nport = %s\nallow = [\"127.0.0.0/8\"]\n[limits]\nmessage_size = \"100KiB\"\n", o.dns.Addr(), o.port))
	red := i.customer("red", "red.example")
	i.customer("blue", "blue.example")
	i.addMailbox("rob@red.example", "a password")

	// At MAIL: too large, and somebody else's address.
	c := dialSMTP(t, i.smtp)
	c.say("EHLO mx.far.example", "250")
	c.say("MAIL FROM:<big@far.example> SIZE=1000000", "552 5.3.4")
	own := i.loggedIn("rob@red.example", "a password")
	own.say("MAIL FROM:<bea@blue.example>", "553 5.7.1")
	if out := i.run("trace", "--sender", "big@far.example"); !strings.Contains(out, "refused") {
		t.Errorf("the operator does not find what was refused at MAIL:\n%s", out)
	}
	status, body := i.call(red, "/traces?sender=bea@blue.example")
	var list struct{ Items []traced }
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != http.StatusOK || len(list.Items) != 1 {
		t.Fatalf("the account of the login reads %d %s: %v", status, body, err)
	}
	if out := i.run("trace", list.Items[0].ID); !strings.Contains(out, "Refused at MAIL, from client.example [127.0.0.1]") || !strings.Contains(out, "553 5.7.1") {
		t.Errorf("at MAIL:\n%s", out)
	}

	// Content whose end nobody can tell.
	c.say("MAIL FROM:<bare@far.example>", "250")
	c.say("RCPT TO:<rob@red.example>", "250")
	c.say("DATA", "354")
	c.say("Subject: bare\r\n\r\na\nb\r\n.", "521 5.5.2")
	if out := i.run("trace", "--recipient", "rob@red.example"); !strings.Contains(out, "521 5.5.2") {
		t.Errorf("a bare LF is not told:\n%s", out)
	}

	// Where the next hop is.
	id := own.send("rob@red.example", "From: rob@red.example\r\nSubject: hello\r\n\r\nHello.\r\n", "late@far.example", "ok@far.example")
	eventually(t, "the attempts in the trace", func() bool {
		out := i.run("trace", id)
		return strings.Contains(out, "Handed to mx.far.example [127.0.0.11]") && strings.Contains(out, "mx.far.example [127.0.0.11] answered: 450 4.2.1 later")
	})
}
