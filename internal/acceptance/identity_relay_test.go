package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postroad/internal/sim"
)

// beside is crm.acme.example of the account acme and bob.example of the account bob, beside acme.example, whose mail is
// elsewhere: both accounts' users have shown that they read mail there, and each account has a server of acme.example take it.
type beside struct {
	*instance
	o        *outside
	ca       *sim.CA
	far      *sim.Peer
	primary  *sim.Peer // where mail for acme.example goes
	acme     string    // tokens
	bob      string
	firstOf  *sim.Peer // the server that acme's mail is to leave through
	secondOf *sim.Peer // and bob's
}

func newBeside(t *testing.T) *beside {
	t.Helper()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx\n@ TXT \"v=spf1 mx -all\"\nmx A 127.0.0.11\nsmtp A 127.0.0.13\nother A 127.0.0.14\npostfix A 127.0.0.1\n")
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.12\n")
	b := &beside{o: o, ca: sim.NewCA(t), far: o.peer(12, sim.Script{})}
	b.primary = o.peer(11, sim.Script{})
	relay := func(n int, name, user string) *sim.Peer {
		return o.peer(n, sim.Script{
			TLS: b.ca.TLS(name), TLSExtensions: []string{"PIPELINING", "AUTH PLAIN LOGIN"}, Users: map[string]string{user: user + "'s password"},
		})
	}
	b.firstOf, b.secondOf = relay(13, "smtp.acme.example", "crm"), relay(14, "other.acme.example", "bob")
	b.instance = o.instance(`retry = ["1h"]`, `addresses = ["203.0.113.5"]`)
	file := filepath.Join(b.dir, "ca.pem")
	if err := os.WriteFile(file, b.ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	b.env = append(b.env, "SSL_CERT_FILE="+file)
	if err := b.kill(syscall.SIGTERM); err != nil {
		t.Fatalf("SIGTERM: %v", err)
	}
	b.start()
	b.acme, b.bob = b.customer("acme", "crm.acme.example"), b.customer("bob", "bob.example")
	for n, pair := range [][2]string{{"ann@crm.acme.example", "ann@acme.example"}, {"bob@bob.example", "bob@acme.example"}} {
		b.addMailbox(pair[0], "a password")
		b.confirm(pair[0], pair[1], n)
	}
	return b
}

// confirm has a mailbox send as an address, whose code is letter n that comes to acme.example.
func (b *beside) confirm(mailbox, address string, n int) {
	b.t.Helper()
	b.run("identity", "add", mailbox, address)
	b.primary.Await(n + 1)
	b.run("identity", "confirm", mailbox, address, mailedCode.FindString(string(b.primary.Messages()[n].Body)))
}

// as runs a command with a token.
func (b *beside) as(token string, args ...string) string {
	b.t.Helper()
	return b.run(append([]string{"--server", "http://" + b.http, "--token", token}, args...)...)
}

// sends has a login send a message to x@far.example.
func (b *beside) sends(login, envelope, header, subject string) (id string) {
	b.t.Helper()
	out, _ := swaks(b.t, "--server", b.submit, "--tls", "--auth", "PLAIN", "--auth-user", login, "--auth-password", "a password",
		"--from", envelope, "--to", "x@far.example", "--h-From", header, "--h-Subject", subject)
	if !strings.Contains(out, "250 2.0.0") {
		b.t.Fatalf("it says %s", tail(out, 800))
	}
	_, id, _ = strings.Cut(out, "queued as ")
	return strings.TrimSpace(id[:26])
}

// through sets the route of an account, with the operator's right to name a loopback host.
func (b *beside) through(account, host, user, password string) {
	b.t.Helper()
	out, err := b.given(password, "outbound", "set", host+":"+b.o.port, "--identity", "acme.example", "--account", account, "--user", user, "--password-stdin", "--yes")
	if err != nil {
		b.t.Fatalf("outbound set: %v: %s", err, out)
	}
}

const annsOwn, annsOther = "ann@crm.acme.example", "ann@acme.example"

func TestS3_10MailAsThePrimaryAddressLeavesThroughThePrimary(t *testing.T) {
	t.Parallel()
	b := newBeside(t)
	said := b.run("identity", "add", annsOwn, "sales@acme.example", "--plan")
	for _, want := range []string{"IDENTITY_NOT_AUTHORISED", "dkim on, and enter the DKIM record", "outbound set HOST:PORT --identity sales@acme.example --user USER --password-stdin"} {
		if !strings.Contains(said, want) {
			t.Errorf("it lacks %q: %s", want, said)
		}
	}
	found := func(name string) bool {
		return strings.Contains(b.run("domain", "show", "crm.acme.example", "--json"), name)
	}
	eventually(t, "the finding", func() bool { return found("IDENTITY_NOT_AUTHORISED") })
	b.through("acme", "smtp.acme.example", "crm", "crm's password")
	if found("IDENTITY_NOT_AUTHORISED") {
		t.Error("it is still found")
	}
	if said := b.run("identity", "add", annsOwn, "sales@acme.example", "--plan"); strings.Contains(said, "IDENTITY_NOT_AUTHORISED") || !strings.Contains(said, "leaves through smtp.acme.example:"+b.o.port) {
		t.Errorf("it says %s", said)
	}
	if out := b.run("explain", "x@far.example", "--as", annsOwn, "--sender", annsOther); !strings.Contains(out, "smtp.acme.example") || !strings.Contains(out, "sent as ann@acme.example") || !strings.Contains(out, "verified") {
		t.Errorf("explained as %s", out)
	}
	b.sends(annsOwn, annsOther, "Ann <"+annsOther+">", "both")
	id := b.sends(annsOwn, annsOwn, annsOther, "the author alone")
	b.firstOf.Await(2)
	eventually(t, "the same way when it is decided again", func() bool {
		out, _, code := b.try("trace", "replay", id, "--json")
		return code == 0 && strings.Contains(out, "identity-route") && strings.Contains(out, `"differs": []`)
	})
	for _, m := range b.firstOf.Messages() {
		if m.User != "crm" || m.TLS == nil || !strings.Contains(string(m.Body), annsOther) || strings.Contains(string(m.Body), "d=crm.acme.example") {
			t.Errorf("it arrives as of user %q, TLS %v: %s", m.User, m.TLS != nil, m.Body)
		}
	}
	b.sends(annsOwn, annsOwn, annsOwn, "as herself")
	b.far.Await(1)
	if m := b.far.Messages(); len(m) != 1 || m[0].From != annsOwn || len(b.firstOf.Messages()) != 2 {
		t.Errorf("%d messages went around the relay", len(m))
	}
	// It is taken back as other changes are; the password is nowhere to be read.
	if text := b.run("audit", "--json") + b.run("outbound", "list", "--json"); strings.Contains(text, "crm's password") {
		t.Errorf("the password is shown: %s", text)
	}
	b.run("undo", fmt.Sprint(ask[entries](b.instance, "audit").newest("outbound").ID), "--yes")
	if out := b.run("explain", "x@far.example", "--as", annsOwn, "--sender", annsOther); strings.Contains(out, "smtp.acme.example") {
		t.Errorf("undone, it is explained as %s", out)
	}
}

func TestS3_10TwoAccountsUseTheirOwnRoutesAlone(t *testing.T) {
	t.Parallel()
	b := newBeside(t)
	b.through("acme", "smtp.acme.example", "crm", "crm's password")
	b.sends("bob@bob.example", "bob@acme.example", "bob@acme.example", "without a route")
	b.far.Await(1)
	b.through("bob", "other.acme.example", "bob", "bob's password")
	for n := range 3 {
		b.sends(annsOwn, annsOther, annsOther, fmt.Sprint("ann's ", n))
		b.sends("bob@bob.example", "bob@acme.example", "bob@acme.example", fmt.Sprint("bob's ", n))
	}
	b.firstOf.Await(3)
	b.secondOf.Await(3)
	for peer, want := range map[*sim.Peer][2]string{b.firstOf: {"crm", annsOther}, b.secondOf: {"bob", "bob@acme.example"}} {
		for _, m := range peer.Messages() {
			if m.User != want[0] || m.From != want[1] {
				t.Errorf("%s's mail is from %s", m.User, m.From)
			}
		}
	}
	if n := len(b.far.Messages()); n != 1 {
		t.Errorf("%d messages went around the relays", n)
	}
	// Neither sees anything of the other's.
	for token, hidden := range map[string]string{b.acme: "other.acme.example", b.bob: "smtp.acme.example"} {
		for _, command := range [][]string{{"outbound", "list"}, {"identity", "list"}, {"audit"}} {
			if out := b.as(token, append(command, "--json")...); strings.Contains(out, hidden) {
				t.Errorf("%v shows %s", command, out)
			}
		}
	}
	if _, errs, code := b.try("--server", "http://"+b.http, "--token", b.bob, "outbound", "remove", "--identity", "acme.example", "--account", "acme", "--yes"); code != 1 {
		t.Errorf("the other account's route is removed: %s", errs)
	}
	b.as(b.bob, "outbound", "remove", "--identity", "acme.example", "--yes")
	if out := b.as(b.acme, "outbound", "list"); !strings.Contains(out, "smtp.acme.example") {
		t.Errorf("the other account's route went with it: %s", out)
	}
}

func TestS3_10ARelayThatRefusesIsNamed(t *testing.T) {
	t.Parallel()
	b := newBeside(t)
	b.through("acme", "smtp.acme.example", "crm", "a wrong password")
	b.sends(annsOwn, annsOther, annsOther, "held up")
	found := func() bool {
		out := b.as(b.acme, "domain", "show", "crm.acme.example", "--json")
		return strings.Contains(out, "IDENTITY_RELAY_REFUSED") && strings.Contains(out, "login to the smart host as crm")
	}
	eventually(t, "the finding", found)
	id := ask[[]struct{ ID string }](b.instance, "queue", "list")[0].ID
	shown := func() string { return b.run("queue", "show", id) + b.run("trace", id) }
	eventually(t, "the reason", func() bool {
		return strings.Contains(b.run("queue", "show", id), "535 5.7.8") && strings.Contains(b.run("queue", "show", id), "relay/smtp.acme.example:"+b.o.port)
	})
	// It survives a kill, and leaves by the route as it is then.
	if err := b.kill(syscall.SIGKILL); err == nil {
		t.Fatal("it was not killed")
	}
	b.start()
	b.run("outbound", "remove", "--identity", "acme.example", "--yes")
	b.run("queue", "retry", id, "--yes")
	eventually(t, "the reason", func() bool { return strings.Contains(shown(), "route was removed") })
	b.through("acme", "smtp.acme.example", "crm", "crm's password")
	b.run("queue", "retry", id, "--yes")
	b.firstOf.Await(1)
	eventually(t, "the end of the finding", func() bool { return !found() })
	if len(b.far.Messages()) != 0 {
		t.Error("it went around the relay")
	}
}
