package receive_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/routing"
	"postroad/internal/proto/sasl"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/receive"
	"postroad/internal/sim"
)

const (
	ann    = "ann@local.example"
	secret = "correct horse"
)

// certificate is self-signed for mx.test.example.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mx.test.example"}, NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

// clientTLS is a client that believes every certificate.
var clientTLS = &tls.Config{ServerName: "mx.test.example", InsecureSkipVerify: true}

// logins knows two mailboxes, with one password.
type logins struct {
	hang chan struct{} // when not nil, answers wait for it or for the end of the context
}

func (l *logins) Begin(ctx context.Context, client netip.Addr, mechanism string) (receive.Exchange, bool) {
	x := &exchange{}
	if !client.IsLoopback() {
		return nil, false
	}
	check := func(user, password string) error {
		x.user = strings.ToLower(user)
		if l.hang != nil {
			select {
			case <-l.hang:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if password != secret || x.user != ann && x.user != "bob@local.example" {
			return sasl.ErrAuthFailed
		}
		return nil
	}
	switch mechanism {
	case "PLAIN":
		x.server = sasl.NewPlainServer(check)
	case "LOGIN":
		x.server = sasl.NewLoginServer(check)
	case "SCRAM-SHA-256":
		x.server = sasl.NewScramServer(func(user string) (sasl.Verifier, error) {
			x.user = user
			return sasl.NewVerifier(secret, []byte("salt of the test"), sasl.MinIterations)
		}, nil)
	default:
		return nil, false
	}
	return x, true
}

type exchange struct {
	server sasl.Server
	user   string
}

func (x *exchange) Login() (string, account.ID) { return x.user, "a" }

func (x *exchange) Next(response []byte) ([]byte, bool, error) {
	challenge, done, err := x.server.Next(response)
	switch {
	case err == nil:
		return challenge, done, nil
	case errors.Is(err, sasl.ErrAuthFailed):
		err = &smtp.ReplyError{Reply: smtp.Reply{Code: 535, Enhanced: smtp.Enhanced{5, 7, 8}, Text: "authentication failed"}}
	case errors.Is(err, sasl.ErrMalformed):
		err = &smtp.ReplyError{Reply: smtp.Reply{Code: 501, Enhanced: smtp.Enhanced{5, 5, 2}, Text: "malformed"}}
	default:
		err = &smtp.ReplyError{Reply: smtp.Reply{Code: 454, Enhanced: smtp.Enhanced{4, 7, 0}, Text: "not now"}}
	}
	return nil, false, err
}

// newSubmission is a submission listener over two accounts' domains.
func newSubmission(t *testing.T, kind receive.Kind, l receive.Logins, change func(*receive.Config)) (*world, *sim.Output) {
	t.Helper()
	w := &world{view: routing.View{
		Directory: directory.NewSnapshot(1,
			[]directory.Domain{
				{Name: "local.example", Account: "a", Proved: true, Mode: directory.ModeLocal},
				{Name: "xn--mller-kva.example", Account: "a", Proved: true, Mode: directory.ModeLocal},
				{Name: "tenant.example", Account: "b", Proved: true, Mode: directory.ModeLocal},
				{Name: "xn--bcher-kva.example", Account: "b", Proved: true, Mode: directory.ModeLocal},
				{Name: "victim.example", Account: "a", Mode: directory.ModeLocal},
			},
			[]directory.Mailbox{
				{ID: "1", Account: "a", Domain: "local.example", Local: "ann"},
				{ID: "2", Account: "a", Domain: "local.example", Local: "bob"},
				{ID: "3", Account: "b", Domain: "tenant.example", Local: "kim"},
			},
			[]directory.Rule{
				{ID: "4", Account: "a", Domain: "local.example", Local: "info", Kind: directory.RuleAlias, Targets: []string{ann}},
				{ID: "5", Account: "a", Domain: "xn--mller-kva.example", Local: "ann", Kind: directory.RuleAlias, Targets: []string{ann}},
				{ID: "6", Account: "b", Domain: "tenant.example", Local: "trap", Kind: directory.RuleAlias, Targets: []string{ann}},
				{ID: "8", Account: "a", Domain: "victim.example", Local: "ann", Kind: directory.RuleAlias, Targets: []string{ann}},
				{ID: "7", Account: "a", Domain: "local.example", Local: "bobs", Kind: directory.RuleAlias, Targets: []string{"bob@local.example"}},
			}, nil),
		Self: routing.Self{Hostname: "mx.test.example"},
	}}
	cfg := receive.Config{Hostname: "mx.test.example", TLS: certificate(t)}
	if change != nil {
		change(&cfg)
	}
	log := &sim.Output{}
	w.service = receive.New(cfg, w, w, w, l, nil, slog.New(slog.NewTextHandler(log, nil)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- w.service.Serve(listener, kind) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		w.service.Stop(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return w, log
}

// secured puts a client under TLS.
func (c *client) secured() *client {
	c.t.Helper()
	conn := tls.Client(c.Conn, clientTLS)
	if err := conn.Handshake(); err != nil {
		c.t.Fatalf("handshake: %v", err)
	}
	return &client{t: c.t, Conn: conn, r: bufio.NewReader(conn)}
}

// authenticated is a submissions session after a login.
func authenticated(t *testing.T) (*world, *client) {
	t.Helper()
	w, _ := newSubmission(t, receive.Submissions, &logins{}, nil)
	c := w.dial(t).secured()
	c.play("S: 220\nC: EHLO c\nS: 250\nC: AUTH PLAIN " + plain("", ann, secret) + "\nS: 235 2.7.0")
	return w, c
}

func plain(authzid, user, password string) string {
	return b64(authzid + "\x00" + user + "\x00" + password)
}

// loose sets a bit in base64 that stands for nothing.
func loose(text string) string {
	last := len(strings.TrimRight(text, "=")) - 1
	return text[:last] + string(text[last]+1) + text[last+1:]
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestAuthIsOfferedUnderTLSOnly(t *testing.T) {
	t.Parallel()
	w, _ := newSubmission(t, receive.Submission, &logins{}, nil)
	c := w.dial(t)
	c.play("S: 220\nC: EHLO c")
	if offers := c.reply(); strings.Contains(offers, "AUTH") || !strings.HasSuffix(offers, "250 STARTTLS") {
		t.Errorf("in clear: %s", offers)
	}
	c.play("C: STARTTLS\nS: 220")
	c = c.secured()
	c.play("C: EHLO c")
	if offers := c.reply(); !strings.HasSuffix(offers, "250 AUTH PLAIN LOGIN SCRAM-SHA-256") || strings.Contains(offers, "STARTTLS") {
		t.Errorf("under TLS: %s", offers)
	}
	c.play("C: AUTH PLAIN " + plain("", ann, secret) + "\nS: 235\nC: EHLO c")
	if offers := c.reply(); strings.Contains(offers, "AUTH") {
		t.Errorf("after the login: %s", offers)
	}
}

func TestAuthInClearIsRefused(t *testing.T) {
	t.Parallel()
	w, _ := newSubmission(t, receive.Submission, &logins{}, nil)
	w.dial(t).play(`
		S: 220
		C: EHLO c
		S: 250
		C: AUTH PLAIN ` + plain("", ann, secret) + `
		S: 538 5.7.11
		C: AUTH SCRAM-SHA-256
		S: 538 5.7.11
		C: MAIL FROM:<ann@local.example>
		S: 530 5.7.0
		C: RCPT TO:<bob@local.example>
		S: 503`)
	without, _ := newSubmission(t, receive.Submission, &logins{}, func(c *receive.Config) { c.TLS = nil })
	without.dial(t).play("S: 220\nC: EHLO c\nS: 250\nC: AUTH PLAIN\nS: 502 5.5.1\nC: MAIL FROM:<ann@local.example>\nS: 530")
}

// TestStrangersMailKnowsNoAuth tries it on the MX listener, under TLS too.
func TestStrangersMailKnowsNoAuth(t *testing.T) {
	t.Parallel()
	w, _ := newSubmission(t, receive.MX, &logins{}, nil)
	c := w.dial(t)
	c.play("S: 220\nC: EHLO c\nS: 250\nC: AUTH PLAIN\nS: 502 5.5.1\nC: STARTTLS\nS: 220")
	c = c.secured()
	c.play("C: EHLO c")
	if offers := c.reply(); strings.Contains(offers, "AUTH") {
		t.Errorf("offers %s", offers)
	}
	c.play("C: AUTH PLAIN " + plain("", ann, secret) + "\nS: 502 5.5.1")
}

func TestAuthOutOfOrder(t *testing.T) {
	t.Parallel()
	w, _ := newSubmission(t, receive.Submissions, &logins{}, nil)
	c := w.dial(t).secured()
	c.play(`
		S: 220
		C: AUTH PLAIN ` + plain("", ann, secret) + `
		S: 503 5.5.1
		C: HELO c
		S: 250
		C: AUTH PLAIN ` + plain("", ann, secret) + `
		S: 503 5.5.1
		C: EHLO c
		S: 250
		C: MAIL FROM:<ann@local.example>
		S: 530 5.7.0
		C: AUTH
		S: 501 5.5.4
		C: AUTH CRAM-MD5
		S: 504 5.5.4
		C: AUTH XOAUTH2 AAAA
		S: 504 5.5.4
		C: auth plain ` + plain("", ann, secret) + `
		S: 235 2.7.0
		C: AUTH PLAIN ` + plain("", "bob@local.example", secret) + `
		S: 503 5.5.1
		C: MAIL FROM:<bob@local.example>
		S: 553 5.7.1
		C: MAIL FROM:<ann@local.example>
		S: 250
		C: AUTH PLAIN
		S: 503 5.5.1
		C: STARTTLS
		S: 503 5.5.1
		C: RSET
		S: 250
		C: AUTH PLAIN
		S: 503 5.5.1`)
}

func TestAuthExchanges(t *testing.T) {
	t.Parallel()
	good := plain("", ann, secret)
	for _, tt := range []struct{ name, script string }{
		{"PLAIN in two steps", "C: AUTH PLAIN\nS: 334 \nC: " + good + "\nS: 235 2.7.0"},
		{"LOGIN", "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: " + b64(ann) + "\nS: 334 UGFzc3dvcmQ6\nC: " + b64(secret) + "\nS: 235"},
		{"LOGIN with an initial response", "C: AUTH LOGIN " + b64(ann) + "\nS: 334 UGFzc3dvcmQ6\nC: " + b64(secret) + "\nS: 235"},
		{"empty initial response", "C: AUTH PLAIN =\nS: 501 5.5.2\nC: NOOP\nS: 250"},
		{"empty response", "C: AUTH PLAIN\nS: 334 \nC:\nS: 501 5.5.2\nC: NOOP\nS: 250"},
		{"cancelled", "C: AUTH PLAIN\nS: 334 \nC: *\nS: 501 5.7.0\nC: AUTH LOGIN\nS: 334\nC: " + b64(ann) + "\nS: 334\nC: *\nS: 501 5.7.0\nC: AUTH PLAIN " + good + "\nS: 235"},
		{"cancelled at once", "C: AUTH PLAIN *\nS: 501 5.5.2\nC: NOOP\nS: 250"},
		{"not base64", "C: AUTH PLAIN !!!!\nS: 501 5.5.2 not base64\nC: AUTH PLAIN\nS: 334\nC: AAAA=\nS: 501 5.5.2\nC: NOOP\nS: 250"},
		{"base64 with loose bits", "C: AUTH PLAIN " + loose(good) + "\nS: 501 5.5.2 not base64"},
		{"base64 without padding", "C: AUTH PLAIN " + strings.TrimRight(b64("\x00"+ann+"\x00"+secret+"x"), "=") + "x\nS: 501 5.5.2"},
		{"base64 in two words", "C: AUTH PLAIN " + good[:8] + " " + good[8:] + "\nS: 501 5.5.2"},
		{"equals sign as response", "C: AUTH PLAIN\nS: 334\nC: =\nS: 501 5.5.2"},
		{"command as response", "C: AUTH PLAIN\nS: 334\nC: MAIL FROM:<ann@local.example>\nS: 501 5.5.2\nC: RSET\nS: 250"},
		{"line over the limit", "C: AUTH PLAIN\nS: 334\nC: " + strings.Repeat("A", smtp.MaxAuthLine) + "\nS: 500 5.5.6\nC: NOOP\nS: 250"},
		{"long line", "C: AUTH PLAIN\nS: 334\nC: " + strings.Repeat("A", smtp.MaxAuthLine-4) + "\nS: 501 5.5.2\nC: NOOP\nS: 250"},
		{"bare LF", "C: AUTH PLAIN\nS: 334\nR: " + good + `\n` + "\nS: 500 5.5.2\nC: NOOP\nS: 250"},
		{"bare CR", "C: AUTH PLAIN\nS: 334\nR: " + good + `\r\r\n` + "\nS: 500 5.5.2\nC: NOOP\nS: 250"},
		{"NUL in the line", "C: AUTH PLAIN\nS: 334\nR: " + good + `\0\r\n` + "\nS: 500 5.5.2\nC: NOOP\nS: 250"},
		{"NUL behind the password", "C: AUTH PLAIN " + plain("", ann, secret+"\x00") + "\nS: 501 5.5.2"},
		{"NUL in the user", "C: AUTH PLAIN " + plain("", ann+"\x00", secret) + "\nS: 501 5.5.2"},
		{"two logins in one", "C: AUTH PLAIN " + b64("\x00"+ann+"\x00"+secret+"\x00\x00bob@local.example\x00x") + "\nS: 501 5.5.2"},
		{"acting as another", "C: AUTH PLAIN " + plain("bob@local.example", ann, secret) + "\nS: 535 5.7.8"},
		{"acting as oneself", "C: AUTH PLAIN " + plain(ann, ann, secret) + "\nS: 235"},
		{"NUL in LOGIN", "C: AUTH LOGIN\nS: 334\nC: " + b64(ann+"\x00x") + "\nS: 334\nC: " + b64(secret) + "\nS: 501"},
		{"wrong password", "C: AUTH PLAIN " + plain("", ann, "wrong") + "\nS: 535 5.7.8 authentication failed\nC: MAIL FROM:<ann@local.example>\nS: 530"},
		{"unknown user", "C: AUTH PLAIN " + plain("", "x@local.example", "wrong") + "\nS: 535 5.7.8 authentication failed\nC: AUTH PLAIN " + good + "\nS: 235"},
		{"pipelined", "R: AUTH PLAIN\\r\\n" + good + "\\r\\nNOOP\\r\\n\nS: 334 \nS: 235\nS: 250"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, log := newSubmission(t, receive.Submissions, &logins{}, nil)
			c := w.dial(t).secured()
			c.play("S: 220\nC: EHLO c\nS: 250\n" + tt.script)
			c.play("C: QUIT\nS: 221\nS: closed")
			if text := log.String(); strings.Contains(text, "horse") || strings.Contains(text, good) {
				t.Errorf("the log tells the password: %s", text)
			}
		})
	}
}

// TestScram has our own client engine log in.
func TestScram(t *testing.T) {
	t.Parallel()
	for _, password := range []string{secret, "wrong"} {
		w, log := newSubmission(t, receive.Submission, &logins{}, nil)
		c := smtp.NewClient(w.dial(t), time.Now, smtp.Timeouts{}, false)
		if _, err := c.Greet(); err != nil {
			t.Fatal(err)
		}
		if ext, _, err := c.Hello("c"); err != nil || !ext.StartTLS {
			t.Fatal(ext, err)
		}
		upgrade := func(conn smtp.Conn) (smtp.Conn, error) {
			raw, _ := conn.(*client)
			return tls.Client(raw.Conn, clientTLS), nil
		}
		if r, err := c.StartTLS(upgrade); err != nil || r.Code != 220 {
			t.Fatal(r, err)
		}
		ext, _, err := c.Hello("c")
		if err != nil || len(ext.Auth) != 3 {
			t.Fatal(ext, err)
		}
		login := sasl.NewScramClient(ann, password)
		mechanism, initial, _ := login.Start()
		r, err := c.Auth(mechanism, initial, login.Next)
		switch {
		case err != nil:
			t.Fatal(err)
		case password == secret && (r.Code != 235 || !login.Done()):
			t.Errorf("%v, done %v", r, login.Done())
		case password != secret && r.Code != 535:
			t.Errorf("%v", r)
		}
		want := `msg=login client=127.0.0.1 listener=submission login=ann@local.example mechanism=SCRAM-SHA-256`
		if password != secret {
			want = `msg="login failed" client=127.0.0.1 listener=submission login=ann@local.example mechanism=SCRAM-SHA-256 reply="535`
		}
		if !strings.Contains(log.String(), want) {
			t.Errorf("log: %s", log)
		}
		_ = c.Quit()
	}
}

func TestFiveFailuresEndTheSession(t *testing.T) {
	t.Parallel()
	w, _ := newSubmission(t, receive.Submissions, &logins{}, nil)
	c := w.dial(t).secured()
	c.play("S: 220\nC: EHLO c\nS: 250")
	for range 5 {
		c.play("C: AUTH PLAIN " + plain("", ann, "wrong") + "\nS: 535 5.7.8")
	}
	c.play("C: AUTH PLAIN " + plain("", ann, secret) + "\nS: 421 4.7.0\nS: closed")
}

func TestNothingBeforeStartTLSIsRemembered(t *testing.T) {
	t.Parallel()
	w, _ := newSubmission(t, receive.MX, &logins{}, nil)
	c := w.dial(t)
	c.play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<x@far.example>\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: STARTTLS\nS: 220")
	c = c.secured()
	c.play(`
		C: DATA
		S: 503
		C: RCPT TO:<ann@local.example>
		S: 503
		C: MAIL FROM:<x@far.example>
		S: 503 5.5.1
		C: EHLO again
		S: 250
		C: MAIL FROM:<x@far.example>
		S: 250
		C: RCPT TO:<ann@local.example>
		S: 250
		C: DATA
		S: 354
		C: .
		S: 250`)
	if !strings.HasPrefix(w.contents[0], "Received: from again") || !strings.Contains(w.contents[0], "ESMTPS") {
		t.Errorf("content %q", w.contents[0])
	}
}

// TestWhatIsInjectedBehindStartTLS puts commands in clear into the same segment.
func TestWhatIsInjectedBehindStartTLS(t *testing.T) {
	t.Parallel()
	for _, kind := range []receive.Kind{receive.MX, receive.Submission} {
		for _, injected := range []string{"MAIL FROM:<evil@far.example>\\r\\n", "RSET\\r\\n", "\\r\\n", "x", "AUTH PLAIN " + plain("", ann, secret) + "\\r\\n"} {
			w, _ := newSubmission(t, kind, &logins{}, nil)
			w.dial(t).play("S: 220\nC: EHLO c\nS: 250\nR: STARTTLS\\r\\n" + injected + "\nS: 501 5.5.1\nS: closed")
		}
	}
}

func TestPlainTextOnTheTLSPort(t *testing.T) {
	t.Parallel()
	w, _ := newSubmission(t, receive.Submissions, &logins{}, nil)
	c := w.dial(t)
	_, _ = io.WriteString(c, "EHLO c\r\nAUTH PLAIN "+plain("", ann, secret)+"\r\n")
	got, _ := io.ReadAll(c.Conn)
	if bytes.Contains(got, []byte("220")) || len(w.accepted) > 0 {
		t.Errorf("%q", got)
	}
}

func TestALoginSendsAsItself(t *testing.T) {
	t.Parallel()
	_, c := authenticated(t)
	for sender, want := range map[string]string{
		"<ann@local.example>": "250", "<ANN@LOCAL.EXAMPLE>": "250", "<ann+news@local.example>": "250", "<info@local.example>": "250",
		"<ann@xn--mller-kva.example>": "250", "<info+x@local.example>": "250", "<>": "250",
		"<bob@local.example>": "553 5.7.1", "<kim@tenant.example>": "553 5.7.1", "<trap@tenant.example>": "553 5.7.1",
		"<bobs@local.example>": "553 5.7.1", "<x@far.example>": "553 5.7.1", "<nobody@local.example>": "553 5.7.1",
		"<postmaster>": "5", "<bob+ann@local.example>": "553 5.7.1", "<ann%tenant.example@local.example>": "553 5.7.1",
		"<\"ann@tenant.example\"@local.example>": "553 5.7.1", "<ann@sub.local.example>": "553 5.7.1", "<ann@[127.0.0.1]>": "553 5.7.1",
		"<kim@TENANT.Example>": "553 5.7.1", "<kim@sub.tenant.example>": "553 5.7.1", "<kim+ann@tenant.example>": "553 5.7.1", "<\"kim\"@tenant.example>": "553 5.7.1",
		"<ann@local.example.>": "501", "<kim@tenant.example.>": "501", "<ann@tenant.example>": "553 5.7.1", "<\"ann\\@tenant.example\"@local.example>": "5",
		"<ann@m\u00fcller.example> SMTPUTF8": "250", "<kim@b\u00fccher.example> SMTPUTF8": "553 5.7.1", "<\u212aim@tenant.example> SMTPUTF8": "553 5.7.1",
		"<ann@victim.example>": "553 5.7.1", "<kim@xn--bcher-kva.example>": "553 5.7.1", "<XN--MLLER-KVA@local.example>": "553 5.7.1",
		"<kim@tenant.example> AUTH=ann@local.example": "553 5.7.1", "<\"ann\"@local.example>": "250",
	} {
		c.play("C: MAIL FROM:" + sender)
		if got := c.reply(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", sender, got, want)
		}
		c.play("C: RSET\nS: 250")
	}
}

func TestALoginSendsInItsOwnName(t *testing.T) {
	t.Parallel()
	const (
		ok      = "250 2.0.0"
		foreign = "553 5.7.1"
		unclear = "554 5.6.0"
	)
	w, c := authenticated(t)
	accepted := 0
	for _, tt := range []struct{ name, header, want string }{
		{"From", "From: Ann <ann@local.example>", ok},
		{"plus-address and alias", "From: ann+x@local.example\r\nSender: info@local.example", ok},
		{"alias in an IDN domain", "From: ann@müller.example", ok},
		{"two own authors", "From: ann@local.example, info@local.example\r\nSender: ann@local.example", ok},
		{"quoted local part", "From: \"ann\"@local.example", ok},
		{"display name of another", "From: \"kim\" <ann@local.example>", ok},
		{"another tenant", "From: kim@tenant.example", foreign},
		{"another tenant in capitals", "From: KIM@TENANT.EXAMPLE", foreign},
		{"a sub-domain of another tenant", "From: kim@sub.tenant.example", foreign},
		{"another tenant with a plus-suffix", "From: kim+ann@tenant.example", foreign},
		{"another tenant's local part in quotes", "From: \"kim\"@tenant.example", foreign},
		{"another tenant in a local part", "From: \"kim@tenant.example\"@local.example", foreign},
		{"another tenant with folding within", "From: kim@tenant\r\n .example", foreign},
		{"another tenant with comments within", "From: kim(x)@(y)tenant.example", foreign},
		{"another tenant behind a name that is ours", "From: \"ann@local.example\" <kim@tenant.example>", foreign},
		{"another tenant's IDN as U-label", "From: kim@b\u00fccher.example", foreign},
		{"another tenant's IDN as A-label", "From: kim@XN--BCHER-KVA.example", foreign},
		{"a name elsewhere without proof of its ownership", "From: ann@victim.example", foreign},
		{"a literal", "From: ann@[127.0.0.1]", foreign},
		{"a Sender in a group", "From: ann@local.example\r\nSender: x: kim@tenant.example;", foreign},
		{"the second of two Resent-From", "From: ann@local.example\r\nResent-From: ann@local.example\r\nResent-From: kim@tenant.example", foreign},
		{"the second of two Resent-Sender", "From: ann@local.example\r\nResent-From: ann@local.example\r\nResent-Sender: ann@local.example\r\nResent-Sender: kim@tenant.example", foreign},
		{"nobody in the second group", "From: a: ann@local.example;, b: kim@tenant.example;", foreign},
		{"Reply-To is free", "From: ann@local.example\r\nReply-To: kim@tenant.example", ok},
		{"a dot at the end", "From: kim@tenant.example.", unclear},
		{"a name and no more", "From: kim", unclear},
		{"an empty group", "From: nobody:;", unclear},
		{"an encoded word in the local part", "From: =?utf-8?q?kim?=@local.example", unclear},
		{"an encoded word in the domain", "From: ann@=?utf-8?q?tenant.example?=", unclear},
		{"two addresses without a comma", "From: ann@local.example kim@tenant.example", unclear},
		{"two addresses with a semicolon", "From: ann@local.example; kim@tenant.example", unclear},
		{"two in Sender", "From: ann@local.example\r\nSender: ann@local.example, kim@tenant.example", unclear},
		{"a line of white space before it", "From: ann@local.example\r\n \r\n\tkim@tenant.example", unclear},
		{"letters beside the name", "From: ann@local.example\r\nFrom\u00a0: kim@tenant.example", unclear},
		{"a bare name in angles", "From: Kim <kim>", unclear},
		{"a comment that is not closed", "From: ann@local.example (kim@tenant.example", unclear},
		{"a route through another tenant", "From: <@tenant.example:ann@local.example>", ok},
		{"a colleague", "From: bob@local.example", foreign},
		{"a stranger", "From: x@far.example", foreign},
		{"one of two authors", "From: ann@local.example, kim@tenant.example\r\nSender: ann@local.example", foreign},
		{"Sender", "From: ann@local.example\r\nSender: kim@tenant.example", foreign},
		{"Resent-From", "From: ann@local.example\r\nResent-From: kim@tenant.example", foreign},
		{"Resent-Sender", "From: ann@local.example\r\nResent-From: ann@local.example\r\nResent-Sender: kim@tenant.example", foreign},
		{"group", "From: team: ann@local.example, kim@tenant.example;", foreign},
		{"folded", "From:\r\n kim@tenant.example", foreign},
		{"lower case name", "from: kim@tenant.example", foreign},
		{"comment", "From: kim@tenant.example (ann@local.example)", foreign},
		{"route", "From: <@local.example:kim@tenant.example>", foreign},
		{"no From", "Subject: x", unclear},
		{"two From", "From: ann@local.example\r\nFrom: kim@tenant.example", unclear},
		{"two equal From", "From: ann@local.example\r\nFrom: ann@local.example", unclear},
		{"two Sender", "From: ann@local.example\r\nSender: ann@local.example\r\nSender: kim@tenant.example", unclear},
		{"space before the colon", "From: ann@local.example\r\nFrom : kim@tenant.example", unclear},
		{"NUL in the name", "From: ann@local.example\r\nFr\x00om: kim@tenant.example", unclear},
		{"two addresses in one", "From: <ann@local.example> <kim@tenant.example>", unclear},
		{"encoded word as address", "From: =?utf-8?q?kim=40tenant.example?=", unclear},
		{"empty", "From: ", unclear},
		{"name that decodes to an address", "From: =?utf-8?q?=3Ckim=40tenant.example=3E?= <ann@local.example>", unclear},
	} {
		c.play("C: MAIL FROM:<ann@local.example>\nS: 250\nC: RCPT TO:<x@far.example>\nS: 250\nC: DATA\nS: 354")
		_, _ = io.WriteString(c, tt.header+"\r\nTo: x@far.example\r\n\r\nFrom: kim@tenant.example\r\n.\r\n")
		if got := c.reply(); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if tt.want == ok {
			accepted++
		}
	}
	if len(w.accepted) != accepted {
		t.Fatalf("%d messages accepted, %d said to be", len(w.accepted), accepted)
	}
	m := w.accepted[0].Message
	if m.Account != "a" || m.Client.Login != ann || m.Client.TLS == "" || !strings.Contains(w.contents[0], "ESMTPSA") {
		t.Errorf("%+v %q", m, w.contents[0])
	}
}

func TestANewEHLOKeepsTheLogin(t *testing.T) {
	t.Parallel()
	_, c := authenticated(t)
	c.play("C: EHLO again\nS: 250\nC: RSET\nS: 250\nC: MAIL FROM:<ann@local.example>\nS: 250")
}

// TestStopDoesNotWaitForALogin stops while a login is made to wait.
func TestStopDoesNotWaitForALogin(t *testing.T) {
	t.Parallel()
	w, _ := newSubmission(t, receive.Submissions, &logins{hang: make(chan struct{})}, nil)
	c := w.dial(t).secured()
	// The reply to NOOP does not wait for the login behind it.
	c.play("S: 220\nC: EHLO c\nS: 250\nR: NOOP\\r\\nAUTH PLAIN " + plain("", ann, secret) + "\\r\\n\nS: 250 2.0.0")
	begun := time.Now()
	w.service.Stop(t.Context())
	c.play("S: 454 4.7.0\nS: 421 4.3.2\nS: closed")
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

// recorder notes the types of the TLS records that come.
type recorder struct {
	net.Conn
	b bytes.Buffer
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.b.Write(p[:n])
	return n, err
}

// TestTLSEndsWithAnAlert: without close_notify a client cannot tell the end from a cut (RFC 8446 §6.1).
func TestTLSEndsWithAnAlert(t *testing.T) {
	t.Parallel()
	w, _ := newSubmission(t, receive.Submissions, &logins{}, nil)
	rec := &recorder{Conn: w.dial(t).Conn}
	cfg := clientTLS.Clone()
	cfg.MaxVersion = tls.VersionTLS12 // whose records show their type
	conn := tls.Client(rec, cfg)
	c := &client{t: t, Conn: conn, r: bufio.NewReader(conn)}
	c.play("S: 220\nC: QUIT\nS: 221\nS: closed")
	last := byte(0)
	for b := rec.b.Bytes(); len(b) >= 5; {
		last = b[0]
		b = b[min(len(b), 5+int(b[3])<<8+int(b[4])):]
	}
	if last != 21 {
		t.Errorf("the last record has type %d", last)
	}
}

// TestATrustedNetworkIsJudgedPerTransaction sends as a stranger first.
func TestATrustedNetworkIsJudgedPerTransaction(t *testing.T) {
	t.Parallel()
	w, _ := newSubmission(t, receive.MX, nil, func(c *receive.Config) {
		c.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	w.dial(t).play(`
		S: 220
		C: EHLO c
		S: 250
		C: MAIL FROM:<x@far.example>
		S: 250
		C: RCPT TO:<y@far.example>
		S: 550 5.7.1
		C: RSET
		S: 250
		C: MAIL FROM:<kim@tenant.example>
		S: 250
		C: RCPT TO:<y@far.example>
		S: 250
		C: DATA
		S: 354
		C: .
		S: 250`)
	if len(w.accepted) != 1 || w.accepted[0].Message.Account != "b" || w.accepted[0].Rows[0].Account != "b" {
		t.Errorf("%+v", w.accepted)
	}
}

// A recipient of another account that comes first makes nobody else's mail that account's.
func TestATrustedNetworksMailIsItsSendersAccounts(t *testing.T) {
	t.Parallel()
	for sender, want := range map[string]account.ID{"kim@tenant.example": "b", "": account.Operator} {
		w, _ := newSubmission(t, receive.MX, nil, func(c *receive.Config) {
			c.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		})
		w.dial(t).play(`
			S: 220
			C: EHLO c
			S: 250
			C: MAIL FROM:<` + sender + `>
			S: 250
			C: RCPT TO:<ann@local.example>
			S: 250
			C: RCPT TO:<y@far.example>
			S: 250
			C: DATA
			S: 354
			C: .
			S: 250`)
		if len(w.accepted) != 1 {
			t.Fatalf("%d messages", len(w.accepted))
		}
		if rows := w.accepted[0].Rows; rows[0].Account != "a" || rows[1].Account != want {
			t.Errorf("from <%s>: %+v", sender, rows)
		}
	}
}
