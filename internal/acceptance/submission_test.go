package acceptance

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postroad/internal/sim"
)

// swaks runs Debian's swaks and gives its dialogue and exit code.
func swaks(t *testing.T, args ...string) (string, int) {
	t.Helper()
	if _, err := exec.LookPath("swaks"); err != nil {
		missing(t, "this needs: apt-get install swaks libnet-ssleay-perl")
	}
	cmd := exec.Command("swaks", args...)
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

// addMailbox adds a mailbox with a password.
func (i *instance) addMailbox(address, password string) {
	i.t.Helper()
	cmd := exec.Command(i.path(), "--data", i.data, "mailbox", "add", address, "--password-stdin")
	cmd.Stdin = strings.NewReader(password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		i.t.Fatalf("mailbox add %s: %v\n%s", address, err, out)
	}
}

func TestP3_6ALoginSendsAsItselfAndAsNobodyElse(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.11\n")
	a := o.peer(11, sim.Script{})
	i := o.instance("")
	i.run("domain", "add", "other.example", "--proved")
	i.addMailbox("ann@other.example", "a password")
	i.addMailbox("bob@other.example", "another password")
	i.run("alias", "add", "sales@other.example", "ann@other.example")
	for _, c := range []struct {
		name, server, tls, auth, user, password, from, header, want string
	}{
		{"own address, STARTTLS", i.submit, "--tls", "PLAIN", "ann@other.example", "a password", "ann@other.example", "ann@other.example", "250 2.0.0"},
		{"own address, TLS", i.secure, "--tls-on-connect", "LOGIN", "ann@other.example", "a password", "ann@other.example", "ann@other.example", "250 2.0.0"},
		{"own alias", i.secure, "--tls-on-connect", "PLAIN", "ann@other.example", "a password", "sales@other.example", "sales@other.example", "250 2.0.0"},
		{"neighbour in MAIL", i.submit, "--tls", "PLAIN", "ann@other.example", "a password", "bob@other.example", "ann@other.example", "553 5.7.1"},
		{"neighbour in From", i.submit, "--tls", "PLAIN", "ann@other.example", "a password", "ann@other.example", "bob@other.example", "553 5.7.1"},
		{"another account", i.submit, "--tls", "PLAIN", "ann@other.example", "a password", "ann@here.example", "ann@here.example", "553 5.7.1"},
		{"wrong password", i.submit, "--tls", "PLAIN", "ann@other.example", "guess", "ann@other.example", "ann@other.example", "535 5.7.8"},
		{"nobody", i.submit, "--tls", "PLAIN", "nobody@other.example", "guess", "ann@other.example", "ann@other.example", "535 5.7.8"},
	} {
		out, code := swaks(t, "--server", c.server, c.tls, "--auth", c.auth, "--auth-user", c.user, "--auth-password", c.password,
			"--from", c.from, "--to", "x@far.example", "--h-From", c.header, "--h-Subject", c.name)
		if !strings.Contains(out, c.want) || (code == 0) != strings.HasPrefix(c.want, "250") {
			t.Errorf("%s: exit %d, want %s\n%s", c.name, code, c.want, out)
		}
	}
	out, _ := swaks(t, "--server", i.submit, "--from", "ann@other.example", "--to", "x@far.example")
	if !strings.Contains(out, "530 5.7.0") || strings.Contains(out, "AUTH PLAIN") {
		t.Errorf("in clear:\n%s", out)
	}
	a.Await(3)
	for _, m := range a.Messages() {
		if bytes.Contains(m.Body, []byte("neighbour")) {
			t.Error("a forged message left")
		}
		if !bytes.Contains(m.Body, []byte("ESMTPSA")) {
			t.Errorf("the Received field does not tell of TLS and AUTH: %.300s", m.Body)
		}
	}
}

// mutt sends mail on both ports, after a login that shows nobody its password.
func TestP3_6MuttSendsMailBySCRAM(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.11\n")
	far := o.peer(11, sim.Script{})
	r := &reader{instance: o.instance("")}
	r.addMailbox("bob@here.example", "a pass phrase")
	for n, server := range []string{"smtp://bob%40here.example@" + r.submit, "smtps://bob%40here.example@" + r.secure} {
		rc := r.file("muttrc", fmt.Sprintf(`set smtp_url="%s/"
set smtp_pass="a pass phrase"
set smtp_authenticators="scram-sha-256"
set ssl_starttls=yes ssl_force_tls=yes
set certificate_file="%s"
set ssl_verify_host=no ssl_verify_dates=no ssl_usesystemcerts=no
set from="Bob <bob@here.example>" use_envelope_from=yes copy=no hostname=client.example
`, server, filepath.Join(r.data, "self-signed.crt")))
		r.client("Sent by mutt.\n", "mutt", "-n", "-F", rc, "-s", "by mutt", "x@far.example")
		m := far.Await(n + 1)[n]
		if m.From != "bob@here.example" || !bytes.Contains(m.Body, []byte("From: Bob <bob@here.example>")) || !bytes.Contains(m.Body, []byte("with ESMTPSA")) {
			t.Errorf("by %s it arrives from %s:\n%s", server, m.From, m.Body)
		}
	}
	eventually(t, "the logins in the log", func() bool { return strings.Count(r.log.String(), "mechanism=SCRAM-SHA-256") == 2 })
}

// Postfix, as it is configured for a smart host by default, lets no password be seen: it logs in by SCRAM or not at all.
func TestP3_6PostfixSendsMailBySCRAM(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.11\n")
	far := o.peer(11, sim.Script{})
	i := o.instance("")
	i.addMailbox("bob@here.example", "passphrase")
	p := newPostfix(t, "relayhost = [127.0.0.1]:"+port(t, i.submit)+`
smtp_tls_security_level = encrypt
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = static:bob@here.example:passphrase
`)
	out, code := swaks(t, "--server", p.addr, "--from", "bob@here.example", "--h-From", "bob@here.example", "--to", "x@far.example", "--h-Subject", "by Postfix")
	if code != 0 {
		t.Fatalf("Postfix does not take it:\n%s", out)
	}
	if m := far.Await(1)[0]; m.From != "bob@here.example" || !bytes.Contains(m.Body, []byte("Subject: by Postfix")) {
		t.Errorf("it arrives from %s:\n%s", m.From, m.Body)
	}
	eventually(t, "the login in the log", func() bool { return strings.Contains(i.log.String(), "login=bob@here.example mechanism=SCRAM-SHA-256") })
}

// Whoever has a copy of the database without the secret beside it has nothing to guess passwords by; and without the secret
// nobody is let in.
func TestMailboxPasswordsLieSealedInTheDatabase(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "")
	i.run("domain", "add", "here.example", "--proved")
	i.addMailbox("bob@here.example", "a pass phrase")
	login := func(want string) {
		t.Helper()
		out, _ := swaks(t, "--server", i.submit, "--tls", "--auth", "PLAIN", "--auth-user", "bob@here.example", "--auth-password", "a pass phrase", "--quit-after", "AUTH")
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	login("235 2.7.0")
	if err := i.kill(syscall.SIGTERM); err != nil {
		t.Fatalf("SIGTERM: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(i.data, "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("sealed:")) || bytes.Contains(text, []byte("SCRAM-SHA-256")) {
		t.Error("the database holds a verifier that is not sealed")
	}
	i.start()
	login("235 2.7.0")
	if err := i.kill(syscall.SIGTERM); err != nil {
		t.Fatalf("SIGTERM: %v", err)
	}
	if err := os.WriteFile(filepath.Join(i.data, "keys.secret"), []byte(strings.Repeat("ab", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.start()
	login("454 4.7.0")
	eventually(t, "the reason in the log", func() bool {
		return strings.Contains(i.log.String(), "the password of bob@here.example cannot be read: set it again, or bring back keys.secret")
	})
}

func TestSmartHostGetsItsLoginOverVerifiedTLSOnly(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("smart.example", "@ A 127.0.0.11\n")
	ca := sim.NewCA(t)
	smart := o.peer(11, sim.Script{TLS: ca.TLS("smart.example"), TLSExtensions: []string{"PIPELINING", "AUTH PLAIN LOGIN"}, Users: map[string]string{"us": "their password"}})
	i := o.instance("retry = [\"1s\"]")
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--data", i.data, "outbound", "set", "smart.example:"+o.port, "--user", "us", "--password-stdin", "--yes")
	cmd.Stdin = strings.NewReader("their password\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("outbound set: %v\n%s", err, out)
	}
	i.sender().send("ann@here.example", text("by the smart host"), "x@far.example")
	eventually(t, "an attempt", func() bool { return strings.Contains(i.log.String(), "destination is down") })
	if n := len(smart.Messages()); n != 0 || strings.Contains(strings.Join(smart.Commands(), "\n"), "AUTH") {
		t.Fatalf("a smart host that nobody vouches for got %d messages, or the login", n)
	}
	file := filepath.Join(i.dir, "ca.pem")
	if err := os.WriteFile(file, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := i.kill(syscall.SIGTERM); err != nil {
		t.Fatalf("SIGTERM: %v", err)
	}
	i.env = append(i.env, "SSL_CERT_FILE="+file)
	i.start()
	smart.Await(1)
	if m := smart.Messages()[0]; m.User != "us" || m.TLS == nil || m.Accepted()[0] != "x@far.example" {
		t.Errorf("arrived as user %q, TLS %v, for %v", m.User, m.TLS != nil, m.Accepted())
	}
}
