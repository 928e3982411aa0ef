package acceptance

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"postroad/internal/sim"
)

// dkimKeys is what `dkim show --json` tells.
type dkimKeys struct {
	On   bool
	Keys []struct {
		Selector, Algorithm, State string
	}
	Records []struct {
		Selector, Name, Text, Line, World string
		Strings                           []string
	}
	Next string
}

func (i *instance) dkim(domain string) dkimKeys {
	i.t.Helper()
	return ask[dkimKeys](i, "dkim", "show", domain)
}

// states tells the keys' algorithms and states.
func (d dkimKeys) states() string {
	var out []string
	for _, k := range d.Keys {
		out = append(out, k.Algorithm+" "+k.State)
	}
	return strings.Join(out, ", ")
}

// lines are the records as lines of a zone file.
func (d dkimKeys) lines() string {
	var b strings.Builder
	for _, r := range d.Records {
		b.WriteString(r.Line + "\n")
	}
	return b.String()
}

// opendkim starts Debian's opendkim as a filter that verifies by records, and gives its address.
func opendkim(t *testing.T, records map[string]string) string {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/opendkim"); err != nil {
		missing(t, "this needs: apt-get install opendkim")
	}
	dir, address := t.TempDir(), sim.FreeAddress(t)
	host, port, _ := net.SplitHostPort(address)
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	var keys strings.Builder
	for name, text := range records {
		keys.WriteString(name + " " + text + "\n")
	}
	config := write("opendkim.conf", "Mode v\nSyslog no\nAuthservID peer.test.example\nAlwaysAddARHeader yes\nSocket inet:"+port+"@"+host+
		"\nTestPublicKeys "+write("keys", keys.String())+"\nInternalHosts "+write("internal", "192.0.2.254\n")+"\nPidFile "+filepath.Join(dir, "pid")+"\n")
	cmd := exec.Command("/usr/sbin/opendkim", "-f", "-x", config)
	var log output
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("opendkim:\n%s", log.String())
		}
	})
	eventually(t, "opendkim takes connections", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return address
}

// pass hands connections to an address on to another one.
func pass(t *testing.T, from, to string) {
	t.Helper()
	l, err := net.Listen("tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close() //nolint:errcheck // the other side has said all
				out, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer out.Close() //nolint:errcheck // as above
				go func() { _, _ = io.Copy(out, in) }()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
}

// A login's mail goes directly to the recipient's exchanger, as the mailbox's address, and is believed there: by Postfix with
// opendkim, and by dkimpy.
func TestS3_4OwnMailIsSignedAndBelievedElsewhere(t *testing.T) {
	w := newTree(t)
	const nameServer = "127.1.3.2"
	i := prepareInstance(t, t.TempDir(), w.config())
	i.env = append(i.env, "POSTROAD_LISTEN_DNS="+net.JoinHostPort(nameServer, w.dnsPort))
	i.start()
	w.hand("acme.example", [2]string{"ns.acme.example", nameServer})
	i.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	i.addMailbox("ann@acme.example", "a password")
	i.run("dkim", "on", "acme.example")
	d := i.dkim("acme.example")
	records := map[string]string{}
	for _, r := range d.Records {
		records[r.Name] = r.Text
		if answer := digAt(t, net.JoinHostPort(nameServer, w.dnsPort), "+short", r.Name, "TXT"); strings.ReplaceAll(strings.TrimSpace(answer), `" "`, "") != `"`+r.Text+`"` {
			t.Errorf("our name server says %s", answer)
		}
	}
	if d.states() != "rsa published, ed25519 published" || len(d.Records[0].Strings) != 2 {
		t.Fatalf("%+v", d)
	}
	w.zone("acme.example", d.lines()) // the resolver hears of it
	if said := i.run("dkim", "activate", "acme.example", "--yes"); !strings.Contains(said, "signs from now on") {
		t.Errorf("it says %s", said)
	}

	sim.NewDNS(t, sim.Zones{}).Listen(dnsAddress)
	p := newPostfix(t, "smtpd_milters = inet:"+opendkim(t, records)+"\nmilter_default_action = tempfail\n")
	pass(t, "127.0.0.21:"+w.port, p.addr)
	w.zone("virtual.example", "@ MX 10 mx\nmx A 127.0.0.21\n")
	letter := filepath.Join(t.TempDir(), "letter")
	large := strings.Repeat("A line of a longer letter.  \n", 5000)
	for name, body := range map[string]string{"small": "Hello.\n\n.dot\n", "large": large} {
		text := "From: Ann <ann@acme.example>\nTo: u@virtual.example\nSubject: hello\nDate: Sat, 28 Nov 2026 10:00:00 +0000\nMessage-ID: <" + name + "@acme.example>\nX-Test: " + name + "\n\n" + body
		if err := os.WriteFile(letter, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := swaks(t, "--server", i.submit, "--tls", "--auth", "PLAIN", "--auth-user", "ann@acme.example", "--auth-password", "a password",
			"--from", "ann@acme.example", "--to", "u@virtual.example", "--data", "@"+letter); code != 0 {
			t.Fatalf("%s", tail(out, 2000))
		}
	}
	var got map[string][]byte
	eventually(t, "the mail in Postfix's maildir", func() bool {
		got = p.delivered()
		return len(got) == 2
	})
	for name, content := range got {
		text := string(content)
		if n := strings.Count(strings.ReplaceAll(text, "\n\t", " "), "Authentication-Results: peer.test.example;"); n == 0 || strings.Count(text, "dkim=pass") != 2 || strings.Contains(text, "dkim=fail") {
			t.Errorf("%s: %.2000s", name, text)
		}
		if !strings.HasPrefix(text, "Return-Path: <ann@acme.example>\n") || !strings.Contains(text, "From: Ann <ann@acme.example>\n") || strings.Count(text, "d=acme.example;") != 2 {
			t.Errorf("%s: %.2000s", name, text)
		}
		// What comes back from the maildir has bare line ends: dkimpy gets it as it was sent.
		if out := dkimpy(t, strings.ReplaceAll(text, "\n", "\r\n"), records); out != "pass pass" {
			t.Errorf("%s: dkimpy says %s", name, out)
		}
	}
}

// dkimpy gives the judgement of Debian's python3-dkim on each signature of a message.
func dkimpy(t *testing.T, content string, records map[string]string) string {
	t.Helper()
	script := `import sys, dkim
message, records = sys.stdin.buffer.read(), dict(a.split(" ", 1) for a in sys.argv[1:])
look = lambda name, timeout=5: records.get(name.decode().rstrip("."), "").encode() or None
verifier = dkim.DKIM(message)
out = []
for i in range(message.split(b"\r\n\r\n")[0].count(b"DKIM-Signature:")):
    out.append("pass" if dkim.DKIM(message).verify(idx=i, dnsfunc=look) else "fail")
print(" ".join(out))`
	args := []string{"-c", script}
	for name, text := range records {
		args = append(args, name+" "+text)
	}
	cmd := exec.Command("/usr/bin/python3", args...)
	cmd.Stdin = strings.NewReader(content)
	out, err := cmd.CombinedOutput()
	if err != nil {
		missing(t, fmt.Sprintf("this needs: apt-get install python3-dkim python3-nacl (%v: %s)", err, out))
	}
	return strings.TrimSpace(string(out))
}

// What the world has of a key is held against it: a record that a form has cut signs nothing. Replaced keys go on signing
// until the new ones can be checked.
func TestP4_1KeysAreHeldAgainstTheWorldAndReplaced(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	i := newInstance(t, fmt.Sprintf("[resolver]\nservers = [%q]\n", o.dns.Addr()))
	i.run("domain", "add", "acme.example", "--proved")
	i.run("dkim", "on", "acme.example")
	d := i.dkim("acme.example")
	cut := d
	cut.Records = slices.Clone(d.Records)
	whole := `"` + strings.Join(d.Records[0].Strings, `" "`) + `"`
	if len(d.Records[0].Strings) != 2 || !strings.Contains(d.Records[0].Line, whole) {
		t.Fatalf("%+v", d.Records[0])
	}
	cut.Records[0].Line = strings.Replace(d.Records[0].Line, whole, `"`+d.Records[0].Strings[0]+`"`, 1)
	o.zone("acme.example", cut.lines())
	if said := i.run("dkim", "activate", "acme.example", "--yes"); !strings.Contains(said, "enter it in pieces of at most 255 characters") || !strings.Contains(said, d.Records[1].Selector+" of acme.example signs from now on") {
		t.Errorf("of a record that was cut it says %s", said)
	}
	if d = i.dkim("acme.example"); d.states() != "rsa published, ed25519 active" || d.Records[0].World != "truncated" || d.Records[1].World != "published" {
		t.Errorf("%+v", d)
	}
	o.zone("acme.example", d.lines())
	eventually(t, "the whole record to be seen", func() bool {
		i.run("dkim", "activate", "acme.example", "--yes")
		d = i.dkim("acme.example")
		return d.states() == "rsa active, ed25519 active"
	})
	i.run("dkim", "rotate", "acme.example", "--yes")
	d = i.dkim("acme.example")
	o.zone("acme.example", d.lines())
	if said := i.run("dkim", "activate", "acme.example", "--yes"); strings.Contains(said, "signs from now on") || !strings.Contains(said, "when no cache can hold any longer that there was no record") {
		t.Errorf("a cache may still hold that there was no record: %s", said)
	}
	if d = i.dkim("acme.example"); d.states() != "rsa active, ed25519 active, rsa published, ed25519 published" || d.Keys[0].Selector == d.Keys[2].Selector {
		t.Errorf("%+v", d)
	}
	i.run("dkim", "off", "acme.example", "--yes")
	if d = i.dkim("acme.example"); d.On || strings.Contains(d.states(), "active") || len(d.Records) == 0 {
		t.Errorf("after its end: %+v", d)
	}
}
