package acceptance

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postroad/internal/sim"
)

// dnsAddress is where Postfix finds the test's DNS: it reads only resolv.conf, and asks port 53.
const dnsAddress = "127.0.53.1:53"

// postfix is a real Postfix from Debian's package with a configuration, a queue and mailboxes of its own, in a mount
// namespace whose resolv.conf names the test's DNS.
type postfix struct {
	t    *testing.T
	dir  string
	addr string
}

// newPostfix starts Postfix with the given further lines of main.cf. Mail for virtual.example ends in its maildirs.
func newPostfix(t *testing.T, config string) *postfix {
	t.Helper()
	for _, tool := range []string{"postfix", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil || os.Getuid() != 0 {
			missing(t, "Postfix as a peer needs root and: apt-get install postfix util-linux")
		}
	}
	dir, err := os.MkdirTemp("", "postroad-postfix") //nolint:usetesting // other users must get in: t.TempDir lies below a folder of ours
	if err != nil {
		t.Fatal(err)
	}
	p := &postfix{t: t, dir: dir, addr: sim.FreeAddress(t)}
	_, port, _ := net.SplitHostPort(p.addr)
	p.shell(`
		cd "$DIR"; chmod 755 .; mkdir -m 755 conf spool data mail; chown postfix data; chown 60000:60000 mail
		printf 'nameserver 127.0.53.1\n' > resolv.conf; : > maillog
		sed -e "s|^smtp  *inet .*|127.0.0.1:$PORT inet n - n - 100 smtpd|" -e '/^#/d' /usr/share/postfix/master.cf.dist |
			awk '/^[^ \t]/ { if (NF >= 8 && $5 == "y") $5 = "n"; skip = ($1 ~ /^(maildrop|uucp|ifmail|bsmtp|scalemail-backend|mailman)$/) } !skip' > conf/master.cf`, "PORT="+port)
	text := `compatibility_level = 3.6
queue_directory = ` + dir + `/spool
data_directory = ` + dir + `/data
maillog_file = ` + dir + `/maillog
maillog_file_prefixes = ` + dir + `
myhostname = peer.test.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = virtual.example
virtual_mailbox_base = ` + dir + `/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:60000
virtual_gid_maps = static:60000
virtual_mailbox_limit = 0
message_size_limit = 52428800
smtpd_peername_lookup = no
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_tls_security_level = none
in_flow_delay = 0
smtputf8_enable = yes
` + config
	if err := os.WriteFile(filepath.Join(dir, "conf", "main.cf"), []byte(text), 0o644); err != nil { //nolint:gosec // Postfix's users read it
		t.Fatal(err)
	}
	p.start()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "maillog"))
			t.Logf("Postfix's log:\n%s", tail(string(log), 6000))
		}
		_ = os.RemoveAll(dir)
	})
	return p
}

// start runs Postfix and waits until it takes connections.
func (p *postfix) start() {
	p.t.Helper()
	p.shell(`unshare -m --propagation private sh -c 'mount --bind "$DIR/resolv.conf" /etc/resolv.conf && exec postfix -c "$DIR/conf" start'`)
	eventually(p.t, "Postfix's greeting", func() bool {
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// stop ends Postfix and waits until its port is free.
func (p *postfix) stop() {
	p.t.Helper()
	p.shell(`postfix -c "$DIR/conf" stop; i=0; while [ $i -lt 50 ] && postfix -c "$DIR/conf" status 2>/dev/null; do sleep 0.1; i=$((i+1)); done; true`)
}

// missing skips a test for want of a peer; where tests count it fails instead.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func (p *postfix) shell(script string, env ...string) {
	p.t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append(append(os.Environ(), "DIR="+p.dir, "MAIL_CONFIG="+p.dir+"/conf"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
}

// delivered gives the contents of what lies in Postfix's maildir, by the value of their X-Test field.
func (p *postfix) delivered() map[string][]byte {
	p.t.Helper()
	out := map[string][]byte{}
	files, err := filepath.Glob(filepath.Join(p.dir, "mail", "all", "new", "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		out[testField(b)] = b
	}
	return out
}

// testField gives the value of the field X-Test, which names a message.
func testField(b []byte) string {
	_, rest, _ := bytes.Cut(b, []byte("X-Test: "))
	name, _, _ := bytes.Cut(rest, []byte("\n"))
	return strings.TrimRight(string(name), "\r")
}

// sample is one message of the mixed thousand.
type sample struct {
	name    string
	content string
	utf8    bool
	from    string
}

// samples makes n messages of mixed shapes: small and large, with dots, with lines of 998 octets, with octets over 127,
// with a UTF-8 header, and a few of 10 MB.
func samples(n int) []sample {
	random := rand.New(rand.NewPCG(1, 2))
	line := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(33 + random.IntN(94))
		}
		return string(b)
	}
	out := make([]sample, n)
	for i := range out {
		s := sample{name: fmt.Sprintf("m%04d", i), from: "sender@far.example"}
		var body strings.Builder
		switch i % 10 {
		case 0:
			body.WriteString(".\r\n..\r\n.x\r\n.\r\n\r\n")
		case 1:
			body.WriteString(line(998) + "\r\n" + "." + line(997) + "\r\n")
		case 2:
			body.WriteString("caf\xc3\xa9 \xe2\x82\xac\r\n")
		case 3:
			s.utf8, s.from = true, "jos\u00e9@far.example"
		default:
		}
		size := 200 + random.IntN(20_000)
		if i%400 == 7 {
			size = 10 << 20
		}
		for body.Len() < size {
			body.WriteString(line(1+random.IntN(100)) + "\r\n")
		}
		subject := "mixed"
		if s.utf8 {
			subject = "gr\u00fc\u00dfe"
		}
		s.content = "X-Test: " + s.name + "\r\nFrom: <" + s.from + ">\r\nTo: <all@there.example>\r\nSubject: " + subject +
			"\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <" + s.name + "@far.example>\r\n\r\n" + body.String()
		out[i] = s
	}
	return out
}

// inject sends samples to a server over a few sessions.
func inject(t *testing.T, addr string, list []sample, rcpt func(i int) string) {
	t.Helper()
	const sessions = 8
	errs := make(chan error, sessions)
	for w := range sessions {
		go func() {
			errs <- func() error {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					return err
				}
				defer conn.Close() //nolint:errcheck // every message has its answer
				_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
				c := &talk{t: t, Conn: conn, r: bufio.NewReader(conn)}
				if got := c.read(); !strings.HasPrefix(got, "220") {
					return fmt.Errorf("greeting %q", got)
				}
				return injectSession(c, list, rcpt, w, sessions)
			}()
		}()
	}
	for range sessions {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

func injectSession(c *talk, list []sample, rcpt func(i int) string, from, step int) error {
	exchange := func(line, want string) error {
		if _, err := io.WriteString(c, line); err != nil {
			return err
		}
		if got := c.read(); !strings.HasPrefix(got, want) {
			return fmt.Errorf("%.60q: %q", line, got)
		}
		return nil
	}
	if err := exchange("EHLO client.example\r\n", "250"); err != nil {
		return err
	}
	for i := from; i < len(list); i += step {
		s := list[i]
		params := " BODY=8BITMIME"
		if s.utf8 {
			params += " SMTPUTF8"
		}
		stuffed := strings.ReplaceAll("\r\n"+s.content, "\r\n.", "\r\n..")[2:]
		for _, e := range [][2]string{
			{"MAIL FROM:<" + s.from + ">" + params + "\r\n", "250"},
			{"RCPT TO:<" + rcpt(i) + ">\r\n", "250"},
			{"DATA\r\n", "354"},
			{stuffed + ".\r\n", "250"},
		} {
			if err := exchange(e[0], e[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestPostfixSendsAThousandMessagesByMXAndBySmartHost has a real Postfix send to us.
func TestPostfixSendsAThousandMessagesByMXAndBySmartHost(t *testing.T) {
	i := newInstance(t, "")
	_, port, _ := net.SplitHostPort(i.smtp)
	sim.NewDNS(t, sim.Zones{
		"bymx.example": "$TTL 60\n@ SOA ns.bymx.example. x. 1 60 60 60 60\n@ NS ns\nns A 127.0.53.1\n@ MX 10 mx\nmx A 127.0.0.1\n",
		"far.example":  "$TTL 60\n@ SOA ns.far.example. x. 1 60 60 60 60\n@ NS ns\nns A 127.0.53.1\n",
	}).Listen(dnsAddress)
	p := newPostfix(t, "transport_maps = inline:{ { bymx.example = smtp:bymx.example:"+port+" }, { smart.example = smtp:[127.0.0.1]:"+port+" } }\n")
	i.run("domain", "add", "bymx.example", "--proved")
	i.run("domain", "add", "smart.example", "--proved")
	i.run("mailbox", "add", "all@bymx.example")
	i.run("mailbox", "add", "all@smart.example")
	list := samples(1000)
	inject(t, p.addr, list, func(n int) string { return []string{"all@bymx.example", "all@smart.example"}[n%2] })
	got := map[string][]byte{}
	for _, address := range []string{"all@bymx.example", "all@smart.example"} {
		for _, m := range i.await(address, len(list)/2) {
			b := []byte(i.run("mailbox", "message", address, fmt.Sprint(m.UID)))
			if old := got[testField(b)]; old != nil {
				t.Errorf("%s came twice", testField(b))
			}
			got[testField(b)] = b
		}
	}
	for _, s := range list {
		b := got[s.name]
		if n := bytes.Index(b, []byte("X-Test: ")); n < 0 || string(b[n:]) != s.content {
			t.Errorf("%s: %d octets arrived for %d sent, or they differ", s.name, len(b), len(s.content))
		}
	}
}

// TestWeRelayAThousandMessagesToPostfix has a real Postfix receive from us.
func TestWeRelayAThousandMessagesToPostfix(t *testing.T) {
	sim.NewDNS(t, sim.Zones{}).Listen(dnsAddress)
	p := newPostfix(t, "")
	i := newInstance(t, "[deliver]\nallow = [\"127.0.0.0/8\"]\n")
	i.run("domain", "add", "virtual.example", "--mode", "relay", "--next-hop", p.addr, "--recipients", "accept", "--proved")
	list := samples(1000)
	inject(t, i.smtp, list, func(n int) string { return fmt.Sprintf("u%d@virtual.example", n) })
	eventually(t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	var got map[string][]byte
	eventually(t, "all mail in Postfix's maildir", func() bool {
		got = p.delivered()
		return len(got) == len(list)
	})
	for _, s := range list {
		b := got[s.name]
		want := strings.ReplaceAll(s.content, "\r\n", "\n") // a maildir has bare line ends
		if n := bytes.Index(b, []byte("X-Test: ")); n < 0 || string(b[n:]) != want {
			t.Errorf("%s: %d octets arrived for %d sent, or they differ", s.name, len(b), len(want))
		}
	}
}
