package receive

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/proto/message"
	"postroad/internal/proto/sasl"
	"postroad/internal/proto/smtp"
)

// tape is a connection on which everything has been said already.
type tape struct {
	in    bytes.Reader
	piece int // octets that come at once
	out   bytes.Buffer
}

func (c *tape) Read(p []byte) (int, error)  { return c.in.Read(p[:min(len(p), c.piece)]) }
func (c *tape) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c *tape) Close() error                { return nil }
func (c *tape) LocalAddr() net.Addr         { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25} }

func (c *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711} }
func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }

// post is everything around a session, and what came of it.
type post struct {
	view     routing.View
	ids      uint64
	accepted []mail.Stored
	contents []string
	blobs    int // begun and neither committed nor removed
	errors   []string
}

func (p *post) View() routing.View                 { return p.view }
func (p *post) Room(int64) error                   { return nil }
func (p *post) NewID(at time.Time) mail.ID         { p.ids++; return mail.NewID(at, 0, 1, p.ids) }
func (p *post) Create() (Blob, error)              { p.blobs++; return &page{post: p}, nil }
func (p *post) WithAttrs([]slog.Attr) slog.Handler { return p }
func (p *post) WithGroup(string) slog.Handler      { return p }

func (p *post) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

func (p *post) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	p.errors = append(p.errors, text)
	return nil
}

func (p *post) Accept(_ context.Context, _ account.Scope, st mail.Stored) error {
	content := string(st.Content.Inline)
	if st.Content.Open != nil {
		r, err := st.Content.Open()
		if err != nil {
			return err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		content = string(b)
	}
	p.accepted, p.contents = append(p.accepted, st), append(p.contents, content)
	return nil
}

func (p *post) Begin(_ context.Context, _ netip.Addr, mechanism string) (Exchange, bool) {
	check := func(user, password string) error {
		if user != "ann@local.example" || password != "pw" {
			return sasl.ErrAuthFailed
		}
		return nil
	}
	switch mechanism {
	case sasl.Plain:
		return known{sasl.NewPlainServer(check)}, true
	case sasl.Login:
		return known{sasl.NewLoginServer(check)}, true
	case sasl.ScramSHA256:
		return known{sasl.NewScramServer(func(user string) (sasl.Verifier, error) {
			return sasl.FakeVerifier(user, []byte("x")), nil
		}, nil)}, true
	}
	return nil, false
}

// known is an exchange that only ann can end well.
type known struct{ sasl.Server }

func (known) Login() (string, account.ID) { return "ann@local.example", "a" }

type page struct {
	post *post
	bytes.Buffer
}

func (b *page) Commit(int64, uint64) (string, func() (io.ReadCloser, error), error) {
	b.post.blobs--
	return "blob", func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }, nil
}

func (b *page) Abort() { b.post.blobs-- }

// newPost has a domain of ours, one that is relayed, and another tenant's.
func newPost() *post {
	return &post{view: routing.View{
		Directory: directory.NewSnapshot(1,
			[]directory.Domain{
				{Name: "local.example", Account: "a", Proved: true, Mode: directory.ModeLocal},
				{Name: "relay.example", Account: "a", Proved: true, Mode: directory.ModeRelay, Recipients: directory.RecipientsAccept, NextHops: []directory.NextHop{{Host: "h.example", Port: 25}}},
				{Name: "tenant.example", Account: "b", Proved: true, Mode: directory.ModeLocal},
				{Name: "inert.example", Account: "b", Mode: directory.ModeLocal},
			},
			[]directory.Mailbox{
				{ID: "1", Account: "a", Domain: "local.example", Local: "ann"}, {ID: "2", Account: "b", Domain: "tenant.example", Local: "kim"},
			},
			[]directory.Rule{{ID: "3", Account: "a", Domain: "local.example", Local: "info", Kind: directory.RuleAlias, Targets: []string{"ann@local.example"}}}, nil),
		Self: routing.Self{Hostname: "mx.test.example"},
	}}
}

// start is a state in which a session is left to its client.
type start struct {
	kind   Kind
	tls    string
	script string
}

const (
	introduced = "EHLO c.example\r\n"
	envelope   = "MAIL FROM:<x@far.example>\r\nRCPT TO:<ann@local.example>\r\n"
	ownSender  = "MAIL FROM:<ann@local.example>\r\nRCPT TO:<x@far.example>\r\n"
)

var (
	loggedIn = introduced + "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00ann@local.example\x00pw")) + "\r\n"
	starts   = []start{
		{kind: MX},
		{kind: MX, script: introduced},
		{kind: MX, script: introduced + envelope},
		{kind: MX, script: introduced + envelope + "DATA\r\n"},
		{kind: MX, script: introduced + envelope + "BDAT 6\r\na: b\r\n"},
		{kind: MX, script: introduced + envelope + "BDAT 64 LAST\r\n"},
		{kind: Submission, script: introduced},
		{kind: Submission, tls: "TLS1.3 x", script: introduced},
		{kind: Submission, tls: "TLS1.3 x", script: introduced + "AUTH PLAIN\r\n"},
		{kind: Submission, tls: "TLS1.3 x", script: introduced + "AUTH LOGIN\r\n"},
		{kind: Submission, tls: "TLS1.3 x", script: introduced + "AUTH SCRAM-SHA-256 biwsbj1hbm5AbG9jYWwuZXhhbXBsZSxyPXg=\r\n"},
		{kind: Submission, tls: "TLS1.3 x", script: loggedIn},
		{kind: Submission, tls: "TLS1.3 x", script: loggedIn + ownSender + "DATA\r\n"},
		{kind: Submission, tls: "TLS1.3 x", script: loggedIn + ownSender + "BDAT 100 LAST\r\n"},
	}
)

// FuzzSession lets a client say anything in every state.
func FuzzSession(f *testing.F) {
	for i := range starts {
		for _, in := range []string{
			"", "QUIT\r\n", "NOOP\r\nRSET\r\nVRFY x\r\nHELP\r\nEXPN x\r\nSTARTTLS\r\n", introduced + envelope + "DATA\r\nFrom: ann@local.example\r\n\r\nx\r\n.\r\nQUIT\r\n",
			"From: ann@local.example\r\n\r\n..x\r\n.\r\nMAIL FROM:<>\r\n", "\n.\n\r\n.\r\n\r.\r", "BDAT 3 LAST\r\nx\r\nBDAT 99999999999999999999\r\n",
			"From: kim@tenant.example\r\n\r\n.\r\n", "*\r\n", "AGFubkBsb2NhbC5leGFtcGxlAHB3\r\n" + ownSender, "MAIL FROM:<x@y> SIZE=1 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<kim@tenant.example> NOTIFY=NEVER\r\n",
			"GET / HTTP/1.1\r\n\r\n", "\x00\r\n\xff\xfe\r\n", "AUTH PLAIN =\r\nAUTH LOGIN\r\n=\r\n", strings.Repeat("RCPT TO:<nobody@local.example>\r\n", 30),
			strings.Repeat("x", 3000) + "\r\n", "RCPT TO:<x@far.example>\r\nRCPT TO:<x%far.example@local.example>\r\nRCPT TO:<@local.example:x@far.example>\r\n",
		} {
			f.Add(byte(i), uint16(0), []byte(in))
			f.Add(byte(i), uint16(1), []byte(in))
		}
	}
	p := newPost()
	service := New(Config{Hostname: "mx.test.example", TLS: &tls.Config{}, MessageSize: 4096}, p, p, p, p, nil, slog.New(p))
	service.Stop(f.Context()) // nobody waits for what is slowed down
	f.Fuzz(func(t *testing.T, state byte, piece uint16, said []byte) {
		from := starts[int(state)%len(starts)]
		p.accepted, p.contents, p.errors = nil, nil, nil
		conn := &tape{piece: int(piece)}
		if piece == 0 {
			conn.piece = readBuffer
		}
		all := append([]byte(from.script), said...)
		conn.in.Reset(all)
		s := newSession(service, service.sessions.NewClient(&service.kinds[from.kind], conn), from.kind)
		s.tls = from.tls
		s.Run()
		if len(p.errors) > 0 {
			t.Fatalf("errors: %q", p.errors)
		}
		if p.blobs != 0 {
			t.Fatalf("%d blobs left", p.blobs)
		}
		p.judgeReplies(t, conn.out.String())
		p.judgeAccepted(t, from, all)
	})
}

// judgeReplies looks at the form of what the client was told, and whether as much was acknowledged as was accepted.
func (p *post) judgeReplies(t *testing.T, said string) {
	t.Helper()
	said, _, _ = strings.Cut(said, "220 2.0.0 go ahead\r\n") // TLS follows
	rest, ended := strings.CutSuffix(said, "\r\n")
	if said != "" && !ended {
		t.Fatalf("the last reply has no end: %q", said)
	}
	acknowledged, code := 0, ""
	for line := range strings.SplitSeq(rest, "\r\n") {
		if said == "" {
			break
		}
		if len(line) < 4 || len(line) > 510 || line[0] < '2' || line[0] > '5' || line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9' || line[3] != ' ' && line[3] != '-' {
			t.Fatalf("reply %q", line)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("controls in reply %q", line)
		}
		if code != "" && line[:3] != code {
			t.Fatalf("reply %q continues one of %s", line, code)
		}
		code = ""
		if line[3] == '-' {
			code = line[:3]
		}
		if strings.HasPrefix(line, "250 2.0.0 queued as ") {
			acknowledged++
		}
	}
	if code != "" {
		t.Fatalf("a reply of %s has no last line", code)
	}
	if acknowledged != len(p.accepted) {
		t.Fatalf("%d messages accepted, %d acknowledged", len(p.accepted), acknowledged)
	}
}

// judgeAccepted looks at what was accepted: whole, from whom it says, and to whom this client may send.
func (p *post) judgeAccepted(t *testing.T, from start, all []byte) {
	t.Helper()
	if ends := bytes.Count(all, []byte("\r\n.\r\n")) + bytes.Count(bytes.ToUpper(all), []byte("LAST")); len(p.accepted) > ends {
		t.Fatalf("%d messages with %d ends", len(p.accepted), ends)
	}
	for i, st := range p.accepted {
		if strings.ContainsAny(strings.ReplaceAll(p.contents[i], "\r\n", ""), "\r\n") {
			t.Fatalf("CR or LF alone in %q", p.contents[i])
		}
		if int(st.Message.Size) != len(p.contents[i]) || len(st.Rows) == 0 || st.Message.Account == "" {
			t.Fatalf("%+v", st)
		}
		if from.kind == MX {
			for _, row := range st.Rows {
				if row.Lane != routing.LocalLane && row.Lane != "relay/h.example:25" || st.Message.Client.Login != "" {
					t.Fatalf("a stranger's mail goes to %+v", row)
				}
			}
			continue
		}
		if st.Message.Client.Login != "ann@local.example" {
			t.Fatalf("mail of %q", st.Message.Client.Login)
		}
		header, _, _ := message.SplitHeader([]byte(p.contents[i]))
		authors, senders, ok := message.FromAddresses(header)
		if st.Message.Sender != "" {
			authors = append(authors, st.Message.Sender)
		}
		owned := func(text string) bool {
			a, err := smtp.ParseAddress(text, true)
			return err == nil && a.Domain == "local.example" && slices.Contains([]string{"ann", "info"}, directory.Base(directory.FoldLocal(a.Local)))
		}
		for _, author := range append(authors, senders...) {
			if !ok || !owned(author) {
				t.Fatalf("mail in the name of %q", author)
			}
		}
	}
}
