package acceptance

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// submissionServer starts Postfix as a company's own server has it: TLS and a login are demanded, by users of Dovecot, and each
// of them sends as his own addresses. It gives the server and its port.
func submissionServer(t *testing.T, certificate, key []byte) (p *postfix, port string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "postroad-users") //nolint:usetesting // as for Postfix
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, text := range map[string]string{
		"cert.pem": string(certificate), "key.pem": string(key), "users": "crm:{PLAIN}crm's password\n",
		"dovecot.conf": fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols =
ssl = no
auth_mechanisms = plain login
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
passdb {
  driver = passwd-file
  args = %[1]s/users
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}
service anvil {
  chroot =
}
service auth {
  unix_listener %[1]s/auth {
    mode = 0666
  }
}
`, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // daemons of other users read them
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // as above
		t.Fatal(err)
	}
	dovecot := exec.Command("/usr/sbin/dovecot", "-F", "-c", filepath.Join(dir, "dovecot.conf"))
	if err := dovecot.Start(); err != nil {
		t.Fatalf("Dovecot has the users: apt-get install dovecot-imapd: %v", err)
	}
	t.Cleanup(func() {
		_ = dovecot.Process.Signal(syscall.SIGTERM)
		_ = dovecot.Wait() // it ends by a signal
		if text, err := os.ReadFile(filepath.Join(dir, "log")); err == nil && t.Failed() {
			t.Logf("Dovecot's log:\n%s", tail(string(text), 3000))
		}
	})
	eventually(t, "Dovecot's socket", func() bool { _, err := os.Stat(filepath.Join(dir, "auth")); return err == nil })
	p = newPostfix(t, fmt.Sprintf(`mynetworks = 192.0.2.1
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = %[1]s/cert.pem
smtpd_tls_key_file = %[1]s/key.pem
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = %[1]s/auth
smtpd_client_restrictions = permit_sasl_authenticated, reject
smtpd_sender_login_maps = inline:{ann@acme.example=crm}
smtpd_sender_restrictions = reject_sender_login_mismatch
`, dir))
	_, port, _ = net.SplitHostPort(p.addr)
	return p, port
}

// TestS3_10PostfixTakesWhatIsRelayedThroughIt: Postfix takes mail of an address of its domain, and refuses another one in words
// that the sender is told, and its owner.
func TestS3_10PostfixTakesWhatIsRelayedThroughIt(t *testing.T) {
	t.Parallel()
	b := newBeside(t)
	certificate, key := b.ca.Files("postfix.acme.example")
	p, port := submissionServer(t, certificate, key)
	if out, err := b.given("crm's password", "outbound", "set", "postfix.acme.example:"+port, "--identity", "acme.example", "--account", "acme", "--user", "crm", "--password-stdin", "--yes"); err != nil {
		t.Fatalf("outbound set: %v: %s", err, out)
	}
	send := func(as, test string) {
		t.Helper()
		out, _ := swaks(t, "--server", b.submit, "--tls", "--auth", "PLAIN", "--auth-user", annsOwn, "--auth-password", "a password",
			"--from", as, "--to", "x@virtual.example", "--h-From", as, "--add-header", "X-Test: "+test)
		if !strings.Contains(out, "250 2.0.0") {
			t.Fatalf("it says %s", tail(out, 800))
		}
	}
	send(annsOther, "hers")
	eventually(t, "the message at Postfix", func() bool { return len(p.delivered()["hers"]) > 0 })
	if body := string(p.delivered()["hers"]); !strings.Contains(body, "Return-Path: <ann@acme.example>") || !strings.Contains(body, "From: ann@acme.example") {
		t.Errorf("it arrives as %s", body)
	}
	b.confirm(annsOwn, "sales@acme.example", 2)
	send("sales@acme.example", "not hers there")
	b.primary.Await(4) // the report
	if report := string(b.primary.Messages()[3].Body); !strings.Contains(report, "not owned by user crm") {
		t.Errorf("the report: %s", report)
	}
	eventually(t, "the finding", func() bool {
		out := b.as(b.acme, "domain", "show", "crm.acme.example", "--json")
		return strings.Contains(out, "IDENTITY_RELAY_REFUSED") && strings.Contains(out, "not owned by user crm")
	})
}
