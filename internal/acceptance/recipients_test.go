package acceptance

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"postroad/internal/sim"
)

// facing starts a server in this Internet that trusts nobody.
func (o *outside) facing() *instance {
	o.t.Helper()
	return newInstance(o.t, fmt.Sprintf("[resolver]\nservers = [%q]\n[deliver]\nport = %s\nallow = [\"127.0.0.0/8\"]\n", o.dns.Addr(), o.port))
}

// knowing is a server that knows some addresses only, and says so in its own words.
func knowing(addresses ...string) sim.Script {
	s := sim.Script{Rcpt: map[string]string{"*": "550 5.1.1 nobody of that name at Real Example Inc"}}
	for _, a := range addresses {
		s.Rcpt[a] = "250 2.1.5 ours"
	}
	return s
}

// away is a server that takes connections and has no time.
var away = sim.Script{Greeting: sim.ThenClose("421 4.3.2 Real Example Inc is closed")}

// questions counts the lines by which a peer was asked for an address, and fails for any content that was sent.
func questions(t *testing.T, p *sim.Peer, address string) int {
	t.Helper()
	n := 0
	for _, line := range p.Commands() {
		if strings.EqualFold(line, "RCPT TO:<"+address+">") {
			n++
		}
		if strings.HasPrefix(line, "DATA") || strings.HasPrefix(line, "BDAT") {
			t.Fatalf("the real server was sent %s", line)
		}
	}
	return n
}

// rcpt asks for a recipient in a transaction of its own and gives the reply, which must tell nothing of the real server.
func (c *talk) rcpt(sender, to, prefix string) {
	c.t.Helper()
	c.say("MAIL FROM:<"+sender+">", "250")
	reply := c.say("RCPT TO:<"+to+">", prefix)
	if strings.Contains(reply, "Real Example") || strings.Contains(reply, "real.") || strings.Contains(reply, "127.0.0.11") {
		c.t.Errorf("a stranger was told of the real server: %s", reply)
	}
	c.say("RSET", "250")
}

func (i *instance) stranger() *talk {
	i.t.Helper()
	c := dialSMTP(i.t, i.smtp)
	c.say("EHLO far.example", "250")
	return c
}

// metric gives the lines of a metric.
func (i *instance) metric(name string) string {
	i.t.Helper()
	r, err := http.Get("http://" + i.http + "/metrics")
	if err != nil {
		i.t.Fatal(err)
	}
	defer r.Body.Close() //nolint:errcheck // only read from
	text, err := io.ReadAll(r.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, name) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func TestS1_24TheRealServerIsAskedForRecipientsUnknownHere(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("part.example", "@ MX 10 us\n@ MX 20 real\nus A 127.0.0.1\nreal A 127.0.0.11\n")
	script := knowing("bob@part.example")
	p := o.peer(11, script)
	i := o.facing()
	i.run("domain", "add", "part.example", "--mode", "split", "--proved", "--yes")
	i.run("mailbox", "add", "ann@part.example")
	c := i.stranger()
	c.rcpt("a@far.example", "ann@part.example", "250")
	if p.Connections() != 0 {
		t.Error("the real server was asked for a mailbox that is here")
	}
	for range 3 {
		c.rcpt("a@far.example", "bob@part.example", "250 2.1.5")
		c.rcpt("", "Nobody@part.example", "550 5.1.1")
	}
	asked := func(address string, want int) {
		t.Helper()
		if n := questions(t, p, address); n != want {
			t.Errorf("the real server was asked %d times for %s, want %d", n, address, want)
		}
	}
	asked("bob@part.example", 1)
	asked("nobody@part.example", 1)
	if m := i.metric("postroad_verify_probes_total"); !strings.Contains(m, `{result="present"} 1`) || !strings.Contains(m, `{result="absent"} 1`) {
		t.Errorf("metrics:\n%s", m)
	}
	x := ask[struct {
		Reply   struct{ Code int }
		Reasons []struct{ Rule, Fact string }
	}](i, "explain", "nobody@part.example")
	if x.Reply.Code != 550 || !slices.ContainsFunc(x.Reasons, func(r struct{ Rule, Fact string }) bool {
		return r.Rule == "recipient-absent" && strings.Contains(r.Fact, "real.part.example")
	}) {
		t.Errorf("explain: %+v", x)
	}

	// Answers outlive the program.
	if err := i.kill(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	i.start()
	c = i.stranger()
	c.rcpt("a@far.example", "bob@part.example", "250")
	c.rcpt("a@far.example", "nobody@part.example", "550 5.1.1")
	asked("bob@part.example", 1)
	asked("nobody@part.example", 1)

	// When it cannot be asked what is known counts, else the domain's policy.
	p.SetScript(away)
	p.Drop()
	c.rcpt("a@far.example", "bob@part.example", "250")
	c.rcpt("a@far.example", "nobody@part.example", "550 5.1.1")
	c.rcpt("a@far.example", "carol@part.example", "450 4.4.1")
	i.run("domain", "set", "part.example", "--unreachable", "queue", "--yes")
	c.rcpt("a@far.example", "carol@part.example", "250")
	p.CheckFaults(t)
}

func TestS5_11ABackupRefusesWhoDoesNotExistAndWritesToNoForgedSender(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("box.example", "@ MX 10 real\n@ MX 20 us\nus A 127.0.0.1\nreal A 127.0.0.11\n")
	o.zone("forged.example", "@ MX 10 mx\nmx A 127.0.0.21\n")
	p, victim := o.peer(11, knowing("bob@box.example")), o.peer(21, sim.Script{})
	i := o.facing()
	i.run("domain", "add", "box.example", "--mode", "backup", "--proved", "--yes")
	flood := func() {
		t.Helper()
		for n := range 100 {
			c := i.stranger()
			for k := range 10 {
				c.rcpt(fmt.Sprintf("s%d-%d@forged.example", n, k), fmt.Sprintf("u%d@box.example", (10*n+k)%50), "550 5.1.1")
			}
			c.say("QUIT", "221")
		}
	}
	flood()
	c := i.stranger()
	c.rcpt("a@forged.example", "bob@box.example", "250")
	if n := questions(t, p, "u7@box.example"); n != 1 || p.Peak() > 2 || p.Connections() > 10 {
		t.Errorf("asked %d times for one address, %d connections, %d at once", n, p.Connections(), p.Peak())
	}
	p.SetScript(away)
	p.Drop()
	flood()
	c.send("a@forged.example", text("held"), "bob@box.example")
	if q := ask[counts](i, "queue", "count"); q.Messages != 1 {
		t.Errorf("%d messages in the queue", q.Messages)
	}
	p.SetScript(sim.Script{})
	i.run("queue", "retry", "--yes")
	eventually(t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	if got := p.Await(1); len(got) != 1 || !slices.Equal(got[0].Accepted(), []string{"bob@box.example"}) {
		t.Errorf("the real server got %v", got)
	}
	if n := victim.Connections(); n != 0 {
		t.Errorf("%d connections to the server of forged senders", n)
	}
}

func TestAnUploadedListTellsWhoIsThere(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	p := o.peer(11, sim.Script{})
	i := o.facing()
	i.run("domain", "add", "list.example", "--mode", "relay", "--next-hop", "127.0.0.11:"+o.port, "--recipients", "list", "--proved")
	c := i.stranger()
	c.rcpt("a@far.example", "ann@list.example", "450 4.4.1") // there is no list yet
	file := filepath.Join(t.TempDir(), "recipients")
	if err := os.WriteFile(file, []byte("# ours\nann@list.example\n\nBob@list.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := i.run("recipients", "import", "list.example", file); !strings.Contains(out, "2 added, 0 removed") {
		t.Errorf("%s", out)
	}
	c.rcpt("a@far.example", "ann@list.example", "250")
	c.rcpt("a@far.example", "bob@list.example", "250")
	c.rcpt("a@far.example", "carol@list.example", "550 5.1.1")
	if x := i.run("explain", "carol@list.example"); !strings.Contains(x, "list by upload") {
		t.Errorf("explain does not show the list:\n%s", x)
	}
	if err := os.WriteFile(file, []byte("ann@list.example\ncarol@list.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, code := i.try("recipients", "import", "list.example", file); code != 1 || !strings.Contains(out, "1 added, 1 removed") {
		t.Errorf("exit %d: %s", code, out)
	}
	i.run("recipients", "import", "list.example", file, "--yes")
	c.rcpt("a@far.example", "carol@list.example", "250")
	c.rcpt("a@far.example", "bob@list.example", "550 5.1.1")
	l := ask[struct {
		Count     int
		Outdated  bool
		Addresses []string
	}](i, "recipients", "list", "list.example")
	if l.Count != 2 || l.Outdated || !slices.Equal(l.Addresses, []string{"ann@list.example", "carol@list.example"}) {
		t.Errorf("%+v", l)
	}
	i.run("recipients", "remove", "list.example", "--yes")
	c.rcpt("a@far.example", "bob@list.example", "450 4.4.1")
	if n := p.Connections(); n != 0 {
		t.Errorf("the real server was asked in %d connections", n)
	}
}

// given runs a command with a line on its standard input.
func (i *instance) given(line string, args ...string) (string, error) {
	i.t.Helper()
	cmd := exec.Command(i.path(), append([]string{"--data", i.data}, args...)...)
	cmd.Stdin = strings.NewReader(line + "\n")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestS5_11AListIsKeptAsThePrimaryHasIt(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	primary, i := o.facing(), o.facing()
	primary.run("domain", "add", "box.example", "--proved")
	primary.run("mailbox", "add", "ann@box.example")
	primary.run("alias", "add", "info@box.example", "ann@box.example")
	secret := ask[struct{ Secret string }](primary, "token", "add", "backup").Secret
	i.run("domain", "add", "box.example", "--mode", "backup", "--next-hop", primary.smtp, "--recipients", "list", "--proved")
	from := "http://" + primary.http
	sync := []string{"recipients", "sync", "box.example", "--from", from, "--token-stdin", "--every", "1s", "--yes"}
	if out, err := i.given(secret, sync...); err == nil || !strings.Contains(out, "--plain") {
		t.Errorf("without TLS: %v: %s", err, out)
	}
	sync = append(sync, "--plain")
	if out, err := i.given("wrong", sync...); err == nil || !strings.Contains(out, "401") {
		t.Errorf("with another token: %v: %s", err, out)
	}
	if out, err := i.given(secret, sync...); err != nil || !strings.Contains(out, "3 added, 0 removed") {
		t.Fatalf("%v: %s", err, out)
	}
	c := i.stranger()
	for address, prefix := range map[string]string{"ann": "250", "info": "250", "postmaster": "250", "ann+news": "250", "bob": "550 5.1.1"} {
		c.rcpt("a@far.example", address+"@box.example", prefix)
	}
	primary.run("mailbox", "add", "bob@box.example")
	primary.run("alias", "remove", "info@box.example", "--yes")
	type shown struct {
		Addresses []string
		Problem   string
		Source    string
	}
	eventually(t, "the list as it is now", func() bool {
		l := ask[shown](i, "recipients", "list", "box.example")
		return slices.Equal(l.Addresses, []string{"ann@box.example", "bob@box.example", "postmaster@box.example"})
	})
	c.rcpt("a@far.example", "bob@box.example", "250")
	c.rcpt("a@far.example", "info@box.example", "550 5.1.1")
	if err := primary.kill(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a list that cannot be fetched", func() bool { return ask[shown](i, "recipients", "list", "box.example").Problem != "" })
	c.rcpt("a@far.example", "bob@box.example", "250")
	c.rcpt("a@far.example", "nobody@box.example", "550 5.1.1") // the list is not too old
	for _, args := range [][]string{{"recipients", "list", "box.example", "--json"}, {"audit", "--json"}, {"explain", "bob@box.example", "--json"}} {
		if strings.Contains(i.run(args...), secret) {
			t.Errorf("%v shows the token", args)
		}
	}
	if strings.Contains(i.log.String(), secret) {
		t.Error("the log shows the token")
	}
}
