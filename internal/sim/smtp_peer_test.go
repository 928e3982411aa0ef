package sim

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// dialogue is a client that speaks line by line.
type dialogue struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func talk(t *testing.T, conn net.Conn) *dialogue {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	return &dialogue{t: t, conn: conn, in: bufio.NewReader(conn)}
}

// reply reads one reply, its lines joined by "/".
func (d *dialogue) reply() string {
	d.t.Helper()
	var lines []string
	for {
		line, err := d.in.ReadString('\n')
		if err != nil {
			return strings.Join(append(lines, err.Error()), "/")
		}
		line = strings.TrimSuffix(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(lines, "/")
		}
	}
}

func (d *dialogue) send(octets string) {
	d.t.Helper()
	if _, err := d.conn.Write([]byte(octets)); err != nil {
		d.t.Fatalf("sending %.40q: %v", octets, err)
	}
}

// says sends lines one by one and compares the start of each reply: "NOOP", "250".
func (d *dialogue) says(pairs ...string) {
	d.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] != "" {
			d.send(pairs[i] + "\r\n")
		}
		if got := d.reply(); !strings.HasPrefix(got, pairs[i+1]) {
			d.t.Fatalf("%.40q got %.60q, want %q", pairs[i], got, pairs[i+1])
		}
	}
}

// stage is where a scenario plays.
type stage struct {
	t       *testing.T
	p       *Peer
	ca      *CA
	connect func() net.Conn
}

// both plays a scenario over a pipe in a bubble and over a real port.
func both(t *testing.T, script func(*CA) Script, scenario func(stage)) {
	t.Helper()
	t.Run("in process", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ca := NewCA(t)
			p := NewPeer(t, script(ca))
			scenario(stage{t, p, ca, p.Connect})
		})
	})
	t.Run("on a port", func(t *testing.T) {
		ca := NewCA(t)
		p := StartPeer(t, script(ca))
		scenario(stage{t, p, ca, func() net.Conn {
			conn, err := net.Dial("tcp", p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}})
	})
}

func fixed(s Script) func(*CA) Script { return func(*CA) Script { return s } }

func TestPeerTakesMessagesByteForByte(t *testing.T) {
	both(t, fixed(Script{Rcpt: map[string]string{"u1@example.net": "450 4.2.0 later", "@example.org": "550 5.1.1 who"}}), func(s stage) {
		t, p, connect := s.t, s.p, s.connect
		d := talk(t, connect())
		d.says("", "220 peer.sim", "EHLO client.example", "250-peer.sim/250-PIPELINING/250-SIZE 52428800/250-8BITMIME/250-SMTPUTF8/250-CHUNKING/250-DSN/250 ENHANCEDSTATUSCODES")
		d.send("MAIL FROM:<a@example.com> SIZE=9 RET=HDRS\r\nRCPT TO:<u1@example.net>\r\nRCPT TO:<u2@example.net> NOTIFY=NEVER\r\nRCPT TO:<\"x> y\"@Example.ORG>\r\nDATA\r\n")
		d.says("", "250 2.1.0", "", "450 4.2.0 later", "", "250 2.1.5", "", "550 5.1.1 who", "", "354 ")
		d.send("Subject: x\r\n\r\n..one dot\r\n.\x00\xff\r\n....\r\nno end: .\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<u2@example.net>\r\nBDAT 6\r\n.\r\n.\r\nBDAT 0\r\nBDAT 4 LAST\r\nx\r\n\nQUIT\r\n")
		d.says("", "250 2.0.0 taken", "", "250 2.1.0", "", "250 2.1.5", "", "250 2.0.0 6 octets", "", "250 2.0.0 0 octets", "", "250 2.0.0 taken", "", "221 ", "", "EOF")
		messages := p.Await(2)
		first := messages[0]
		if want := "Subject: x\r\n\r\n.one dot\r\n\x00\xff\r\n...\r\nno end: .\r\n"; string(first.Body) != want {
			t.Errorf("body %q, want %q", first.Body, want)
		}
		if first.From != "a@example.com" || first.Parameters != "SIZE=9 RET=HDRS" || first.Hello != "client.example" || first.Connection != 1 || first.Chunked {
			t.Errorf("envelope %+v", first)
		}
		if want := []Recipient{
			{"u1@example.net", "", "450 4.2.0 later"},
			{"u2@example.net", "NOTIFY=NEVER", "250 2.1.5 recipient ok"},
			{`"x> y"@Example.ORG`, "", "550 5.1.1 who"},
		}; !reflect.DeepEqual(first.Recipients, want) {
			t.Errorf("recipients %+v", first.Recipients)
		}
		if got := first.Accepted(); !reflect.DeepEqual(got, []string{"u2@example.net"}) {
			t.Errorf("accepted %v", got)
		}
		if second := messages[1]; string(second.Body) != ".\r\n.\r\nx\r\n\n" || !second.Chunked || second.From != "" || !reflect.DeepEqual(second.Replies, []string{"250 2.0.0 taken"}) {
			t.Errorf("second message %+v", second)
		}
		if faults := p.Faults(); len(faults) != 1 || !strings.Contains(faults[0], "bare LF") {
			t.Errorf("faults %v, want the bare LF at the end of the last chunk", faults)
		}
		if got := p.Commands(); len(got) != 12 || got[0] != "EHLO client.example" || got[11] != "QUIT" {
			t.Errorf("commands %q", got)
		}
		if got := p.Octets(1); !bytes.HasPrefix(got, []byte("EHLO client.example\r\n")) || !bytes.HasSuffix(got, []byte("QUIT\r\n")) {
			t.Errorf("octets %q", got)
		}
	})
}

func TestPeerEndsContentOnlyAtTheRealEnd(t *testing.T) {
	both(t, fixed(Script{}), func(s stage) {
		t, p, connect := s.t, s.p, s.connect
		d := talk(t, connect())
		d.says("", "220", "EHLO c", "250", "MAIL FROM:<a@b>", "250", "RCPT TO:<c@d>", "250", "DATA", "354")
		smuggled := "x\n.\r\ny\r\n.\nz\r.\rw\r\n"
		d.says(smuggled+".", "250")
		if got := p.Messages(); len(got) != 1 || string(got[0].Body) != "x\n.\r\ny\r\n\nz\r.\rw\r\n" {
			t.Errorf("got %+v", got)
		}
		if got := len(p.Faults()); got != 4 {
			t.Errorf("%d faults, want each bare CR and LF: %v", got, p.Faults())
		}
	})
}

func TestPeerSteps(t *testing.T) {
	for _, c := range []struct {
		name   string
		script Script
		says   []string
	}{
		{"refused at greeting", Script{Greeting: "554 5.3.2 no"}, []string{"", "554 5.3.2 no"}},
		{"greeting and gone", Script{Greeting: ThenClose("421 4.3.2 busy")}, []string{"", "421 4.3.2 busy", "", "EOF"}},
		{"closed at once", Script{Greeting: Close}, []string{"", "EOF"}},
		{"several lines", Script{Greeting: "220-one\n220 two"}, []string{"", "220-one/220 two"}},
		{"no EHLO", Script{Hello: "502 5.5.1 no"}, []string{"", "220", "EHLO c", "502", "HELO c", "250 peer.sim"}},
		{"no extensions", Script{Name: "mx", Extensions: []string{}}, []string{"", "220 mx", "EHLO c", "250 mx"}},
		{"sender refused", Script{Mail: "451 4.7.1 grey"}, []string{"", "220", "EHLO c", "250", "MAIL FROM:<>", "451 4.7.1 grey", "RCPT TO:<c@d>", "503"}},
		{"all others", Script{Rcpt: map[string]string{"*": "550 5.1.1 no", "A@b": "250 yes"}}, []string{"", "220", "EHLO c", "250", "MAIL FROM:<>", "250", "RCPT TO:<A@b>", "250 yes", "RCPT TO:<c@d>", "550"}},
		{"in turn", Script{Noop: InTurn("450 first", `250 "second"`, "421 rest")}, []string{"", "220", "NOOP", "450 first", "NOOP", `250 "second"`, "NOOP", "421", "NOOP", "421"}},
		{"raw", Script{Noop: Raw("250-half\n250 bare\r\n")}, []string{"", "220", "NOOP", "250-half\n/250 bare"}},
		{"garbage", Script{Noop: Garbage}, []string{"", "220", "NOOP", "\x00\xff"}},
		{"out of place", Script{}, []string{"", "220", "RCPT TO:<a@b>", "503", "DATA", "503", "BDAT 4\r\nxy", "503", "FOO", "500", "MAIL FROM a@b", "501", "STARTTLS", "502", "AUTH FOO", "504", "VRFY x", "252", "RSET", "250"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, fixed(c.script), func(s stage) {
				t, connect := s.t, s.connect
				talk(t, connect()).says(c.says...)
			})
		})
	}
}

func TestPeerLosesTheReply(t *testing.T) {
	both(t, fixed(Script{Dot: InTurn(CloseWithoutReply, "250 2.0.0 again")}), func(s stage) {
		t, p, connect := s.t, s.p, s.connect
		for _, want := range []string{"EOF", "250 2.0.0 again"} {
			d := talk(t, connect())
			d.says("", "220", "EHLO c", "250", "MAIL FROM:<a@b>", "250", "RCPT TO:<c@d>", "250", "DATA", "354", "x\r\n.", want)
		}
		messages := p.Await(2)
		if messages[0].Replies != nil || len(messages[1].Replies) != 1 {
			t.Errorf("replies %v and %v", messages[0].Replies, messages[1].Replies)
		}
		if p.Connections() != 2 {
			t.Errorf("%d connections", p.Connections())
		}
	})
}

func TestPeerConnectionsHaveTheirOwnScripts(t *testing.T) {
	script := Script{Limit: 2, Connection: map[int]Script{1: {Greeting: "421 4.3.2 first", Name: "one"}}}
	both(t, fixed(script), func(s stage) {
		t, p, connect := s.t, s.p, s.connect
		first, second := talk(t, connect()), talk(t, connect())
		first.says("", "421 4.3.2 first")
		second.says("", "220 peer.sim")
		third := talk(t, connect())
		third.says("", "421 4.7.0", "", "EOF")
		if p.Connections() != 3 || p.Peak() != 3 {
			t.Errorf("%d connections, %d at the same time", p.Connections(), p.Peak())
		}
		p.SetScript(Script{Noop: "250 new"})
		talk(t, connect()).says("", "220", "NOOP", "250 new")
		p.Drop()
		second.says("", "EOF")
	})
}

func TestPeerLMTP(t *testing.T) {
	script := Script{LMTP: true, DotRcpt: map[string]string{"u2@d": "452 4.2.2 full", "u3@d": InTurn("450 4.2.0 later", "250 2.1.5 now")}, Rcpt: map[string]string{"u4@d": "550 5.1.1 who"}}
	both(t, fixed(script), func(s stage) {
		t, p, connect := s.t, s.p, s.connect
		d := talk(t, connect())
		d.says("", "220", "LHLO c", "250")
		for _, third := range []string{"450", "250 2.1.5 now"} {
			d.says("MAIL FROM:<>", "250", "RCPT TO:<u1@d>", "250", "RCPT TO:<u2@d>", "250", "RCPT TO:<u3@d>", "250", "RCPT TO:<u4@d>", "550")
			d.says("DATA", "354", ".", "250", "", "452 4.2.2 full", "", third)
		}
		if got := p.Messages()[0].Replies; !reflect.DeepEqual(got, []string{"250 2.0.0 taken", "452 4.2.2 full", "450 4.2.0 later"}) {
			t.Errorf("replies %q", got)
		}
	})
}

func TestPeerTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPeer(t, Script{Greeting: After(4*time.Minute, ""), Hello: Slowly(time.Second, ""), Noop: Hang})
		d := talk(t, p.Connect())
		begun := time.Now()
		d.says("", "220 peer.sim ready")
		if spent := time.Since(begun); spent != 4*time.Minute {
			t.Errorf("greeting after %v", spent)
		}
		begun = time.Now()
		d.send("EHLO c\r\n")
		if got, spent := d.reply(), time.Since(begun); spent < time.Duration(len(got))*time.Second {
			t.Errorf("%d octets in %v", len(got), spent)
		}
		_ = d.conn.SetDeadline(time.Now().Add(24 * time.Hour))
		d.send("NOOP\r\n")
		if _, err := d.in.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("who hangs said something: %v", err)
		}
	})
}

func TestPeerLongReplies(t *testing.T) {
	both(t, fixed(Script{Noop: LongReply(250, 1<<20), Vrfy: ThenClose(LongLine(252, 1<<20))}), func(s stage) {
		t, connect := s.t, s.connect
		d := talk(t, connect())
		d.says("", "220")
		d.send("NOOP\r\n")
		if got := d.reply(); len(got) < 1<<20 || !strings.HasSuffix(got, "/250 end") {
			t.Errorf("%d octets", len(got))
		}
		d.send("VRFY x\r\n")
		if got, err := io.ReadAll(d.in); err != nil || len(got) != 1<<20 || bytes.IndexByte(got, '\n') >= 0 {
			t.Errorf("%d octets, %v", len(got), err)
		}
	})
}

func TestPeerResets(t *testing.T) {
	both(t, fixed(Script{Noop: Reset}), func(s stage) {
		t, connect := s.t, s.connect
		d := talk(t, connect())
		d.says("", "220")
		d.send("NOOP\r\n")
		if _, err := d.in.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v", err)
		}
	})
}

// secure does the client's part of STARTTLS.
func (d *dialogue) secure(config *tls.Config) error {
	secured := tls.Client(d.conn, config)
	err := secured.HandshakeContext(d.t.Context())
	d.conn, d.in = secured, bufio.NewReader(secured)
	return err
}

func TestPeerTLS(t *testing.T) {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	for _, c := range []struct {
		what   string
		script func(*CA) Script
		wants  any // the error's type, nil for none
		text   string
	}{
		{"good", func(ca *CA) Script { return Script{TLS: ca.TLS("mx.example.net")} }, nil, ""},
		{"expired", func(ca *CA) Script { return Script{TLS: ca.Expired("mx.example.net")} }, &invalid, "expired"},
		{"wrong name", func(ca *CA) Script { return Script{TLS: ca.TLS("other.example")} }, &name, "other.example"},
		{"only TLS 1.0", func(ca *CA) Script { return Script{TLS: ca.OldTLS("mx.example.net")} }, nil, "protocol version"},
		{"alert", func(ca *CA) Script { return Script{TLS: ca.TLS("mx.example.net"), Handshake: Alert} }, nil, "internal error"},
		{"closed", func(ca *CA) Script { return Script{TLS: ca.TLS("mx.example.net"), Handshake: Close} }, nil, "EOF"},
		{"garbage", func(ca *CA) Script { return Script{TLS: ca.TLS("mx.example.net"), Handshake: Garbage} }, nil, "does not look like a TLS handshake"},
	} {
		t.Run(c.what, func(t *testing.T) {
			both(t, c.script, func(s stage) {
				t, p, connect := s.t, s.p, s.connect
				d := talk(t, connect())
				d.says("", "220", "EHLO c", "250")
				d.says("STARTTLS", "220")
				err := d.secure(&tls.Config{RootCAs: s.ca.Pool(), ServerName: "mx.example.net"})
				if c.wants == nil && c.text == "" {
					if err != nil {
						t.Fatal(err)
					}
					d.says("EHLO c", "250-peer.sim/250-PIPELINING", "MAIL FROM:<a@b>", "250", "RCPT TO:<c@d>", "250", "DATA", "354", ".", "250")
					if m := p.Messages()[0]; m.TLS == nil || m.TLS.ServerName != "mx.example.net" {
						t.Errorf("state %+v", m.TLS)
					}
					p.CheckFaults(t)
					return
				}
				if err == nil || c.wants != nil && !errors.As(err, c.wants) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("handshake: %v, want %q", err, c.text)
				}
			})
		})
	}
}

func TestPeerTLSHangsAndRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := NewCA(t)
		p := NewPeer(t, Script{TLS: ca.TLS("mx"), Handshake: Hang, StartTLS: InTurn("454 4.7.0 not now", "")})
		d := talk(t, p.Connect())
		d.says("", "220", "EHLO c", "250", "STARTTLS", "454", "STARTTLS", "220")
		_ = d.conn.SetDeadline(time.Now().Add(30 * time.Second))
		if err := d.secure(&tls.Config{RootCAs: ca.Pool(), ServerName: "mx"}); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPeerImplicitTLSAndLogin(t *testing.T) {
	both(t, func(ca *CA) Script {
		return Script{TLS: ca.TLS("mx"), ImplicitTLS: true, Users: map[string]string{"user": "secret"}}
	}, func(s stage) {
		t, p, connect := s.t, s.p, s.connect
		d := talk(t, connect())
		if err := d.secure(&tls.Config{RootCAs: s.ca.Pool(), ServerName: "mx"}); err != nil {
			t.Fatal(err)
		}
		d.says("", "220", "EHLO c", "250", "AUTH PLAIN AHVzZXIAd3Jvbmc=", "535", "AUTH LOGIN", "334 VXNlcm5hbWU6", "dXNlcg==", "334 UGFzc3dvcmQ6", "c2VjcmV0", "235", "AUTH PLAIN", "334 ", "AHVzZXIAc2VjcmV0", "235")
		d.says("MAIL FROM:<a@b>", "250", "RCPT TO:<c@d>", "250", "DATA", "354", ".", "250")
		if m := p.Messages()[0]; m.User != "user" || m.TLS == nil {
			t.Errorf("user %q, TLS %v", m.User, m.TLS != nil)
		}
	})
}

func TestPeerSeesOctetsAheadOfTheHandshake(t *testing.T) {
	both(t, func(ca *CA) Script { return Script{TLS: ca.TLS("mx")} }, func(s stage) {
		t, p, connect := s.t, s.p, s.connect
		d := talk(t, connect())
		d.says("", "220", "EHLO c", "250", "STARTTLS\r\nNOOP", "220")
		_ = d.conn.Close()
		p.stopOnce(t)
		if got := p.Faults(); len(got) != 1 || !strings.Contains(got[0], "6 octets ahead of the handshake") {
			t.Errorf("faults %v", got)
		}
	})
}

// stopOnce waits until all sessions have ended.
func (p *Peer) stopOnce(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	for c := range p.closers {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}
