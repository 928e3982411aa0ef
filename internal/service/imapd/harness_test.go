package imapd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/proto/message"
	"postroad/internal/proto/sasl"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/mailstore"
	"postroad/internal/service/mailstore/mailtest"
	"postroad/internal/sim"
)

// patience is how long tests wait for what must come.
const patience = 20 * time.Second

// Two accounts with a mailbox each.
var users = map[string]Login{
	"ann@a.example": {Address: "ann@a.example", Account: "a", Mailbox: "box-ann", Stamp: "1"},
	"bob@b.example": {Address: "bob@b.example", Account: "b", Mailbox: "box-bob", Stamp: "1"},
}

// The password of all of them.
const secret = "correct horse"

// fakeLogins knows the users.
type fakeLogins struct {
	mu      sync.Mutex
	ended   map[string]bool // addresses that hold no longer
	version atomic.Int64
}

func (l *fakeLogins) Begin(_ context.Context, _ netip.Addr, mechanism string) (Exchange, bool) {
	x := &fakeExchange{}
	check := func(user, password string) error {
		x.who = Login{Address: user}
		who, ok := users[user]
		if !ok || password != secret {
			return sasl.ErrAuthFailed
		}
		x.who = who
		return nil
	}
	switch mechanism {
	case sasl.Plain:
		x.server = sasl.NewPlainServer(check)
	case sasl.Login:
		x.server = sasl.NewLoginServer(check)
	case sasl.ScramSHA256:
		x.server = sasl.NewScramServer(func(user string) (sasl.Verifier, error) {
			x.who = users[user]
			return sasl.NewVerifier(secret, []byte("salt of the user"), 4096)
		}, nil)
	default:
		return nil, false
	}
	return x, true
}

func (l *fakeLogins) Holds(_ context.Context, who Login) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.ended[who.Address], nil
}

func (l *fakeLogins) Version() int64 { return l.version.Load() }

func (l *fakeLogins) end(address string) {
	l.mu.Lock()
	l.ended[address] = true
	l.mu.Unlock()
	l.version.Add(1)
}

type fakeExchange struct {
	server sasl.Server
	who    Login
}

func (x *fakeExchange) Login() Login { return x.who }

func (x *fakeExchange) Next(response []byte) ([]byte, bool, error) {
	challenge, done, err := x.server.Next(response)
	switch {
	case errors.Is(err, sasl.ErrAuthFailed):
		err = &smtp.ReplyError{Reply: smtp.Reply{Code: 535, Enhanced: smtp.Enhanced{5, 7, 8}, Text: "authentication failed"}}
	case err != nil:
		err = &smtp.ReplyError{Reply: smtp.Reply{Code: 501, Enhanced: smtp.Enhanced{5, 5, 2}, Text: "malformed"}}
	}
	return challenge, done, err
}

// boxes is a mail store as the service wants it.
type boxes struct{ *mailstore.Service }

func (b boxes) Upload(limit int64) Upload { return b.Service.Upload(limit) }

// harness is a service that runs.
type harness struct {
	*testing.T
	service *Service
	store   *mailstore.Service
	logins  *fakeLogins
	plain   net.Listener
	tls     net.Listener
	ids     atomic.Int64
}

func start(t *testing.T, cfg Config) *harness {
	t.Helper()
	return startWith(t, cfg, func(s Store) Store { return s })
}

func startWith(t *testing.T, cfg Config, wrap func(Store) Store) *harness {
	t.Helper()
	h := &harness{T: t, store: mailtest.New(), logins: &fakeLogins{ended: map[string]bool{}}}
	for _, who := range users {
		if err := h.store.Create(t.Context(), account.System(), mailbox.Mailbox{ID: who.Mailbox, Account: who.Account}); err != nil {
			t.Fatal(err)
		}
	}
	cfg.TLS = sim.NewCA(t).TLS("localhost")
	h.service = New(cfg, wrap(boxes{h.store}), h.logins, nil, slog.New(slog.DiscardHandler))
	var wait sync.WaitGroup
	serve := func(kind Kind) net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			if err := h.service.Serve(l, kind); err != nil {
				t.Error(err)
			}
		})
		return l
	}
	h.plain, h.tls = serve(IMAP), serve(IMAPS)
	ctx, cancel := context.WithCancel(context.Background())
	wait.Go(func() { h.service.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		stop, done := context.WithTimeout(context.Background(), patience)
		defer done()
		h.service.Stop(stop)
		wait.Wait()
		if n, err := h.service.m.Gather(); err != nil || n["postroad_imap_panics_total"] > 0 {
			t.Errorf("%v panics, %v", n["postroad_imap_panics_total"], err)
		}
	})
	return h
}

// deliver puts a message into a user's INBOX.
func (h *harness) deliver(user, text string) {
	h.Helper()
	text = strings.ReplaceAll(text, "\n", "\r\n")
	header, _, _ := message.SplitHeader([]byte(text))
	sum := message.Summarize(header)
	item := mailbox.Item{
		Mailbox: users[user].Mailbox, QueueID: mail.ID(fmt.Sprintf("queue-id-%d", h.ids.Add(1))), At: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), Size: int64(len(text)),
		Hash: xxhash.Sum64String(text), Content: mail.Content{Inline: []byte(text)}, From: sum.From, Subject: sum.Subject, Date: sum.Date,
	}
	if err := h.store.Deliver(h.Context(), account.System(), []mailbox.Item{item})[0]; err != nil {
		h.Fatal(err)
	}
}

// client is one connection.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	tags int

	patient bool // in a bubble, where time is not what is waited for
}

// dial connects without a login; the greeting is read.
func (h *harness) dial(secure bool) *client {
	h.Helper()
	l := h.plain
	if secure {
		l = h.tls
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		h.Fatal(err)
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // its own server
	}
	c := &client{t: h.T, conn: conn, in: bufio.NewReader(conn)}
	h.Cleanup(func() { _ = conn.Close() })
	c.deadline()
	return c
}

// login connects as a user.
func (h *harness) login(user string) *client {
	h.Helper()
	c := h.dial(true)
	c.line()
	if last := c.do(`LOGIN "` + user + `" "` + secret + `"`); !strings.Contains(last[len(last)-1], " OK ") {
		h.Fatalf("login: %q", last)
	}
	return c
}

func (c *client) deadline() {
	if c.patient {
		return
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
}

// send sends lines as they are.
func (c *client) send(text string) {
	c.t.Helper()
	c.deadline()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// line reads a line without its end.
func (c *client) line() string {
	c.t.Helper()
	text, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read a line: %v, after %q", err, text)
	}
	return strings.TrimSuffix(text, "\r\n")
}

// do sends a command with a tag of its own and gives the lines of the answer, the tagged one last.
func (c *client) do(command string) []string {
	c.t.Helper()
	c.tags++
	tag := fmt.Sprintf("t%d", c.tags)
	c.send(tag + " " + command + "\r\n")
	var lines []string
	for {
		lines = append(lines, c.line())
		if last := lines[len(lines)-1]; strings.HasPrefix(last, tag+" ") {
			return lines
		}
	}
}

// ok is do for a command that must succeed.
func (c *client) ok(command string) []string {
	c.t.Helper()
	lines := c.do(command)
	if last := lines[len(lines)-1]; !strings.Contains(last, " OK ") {
		c.t.Fatalf("%s: %q", command, last)
	}
	return lines[:len(lines)-1]
}

// closed waits for the end of the connection and gives what came before.
func (c *client) closed() string {
	c.t.Helper()
	c.deadline()
	rest, err := io.ReadAll(c.in)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("the connection stays open after %q", rest)
	}
	return string(rest)
}

// readAllOf reads up to the end of the connection.
func readAllOf(c *client) string {
	rest, _ := io.ReadAll(c.in)
	return string(rest)
}

var systemScope = account.System()

func itoa(n uint32) string { return fmt.Sprint(n) }
