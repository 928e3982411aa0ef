package receive_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/service/receive"
)

// world is an MX with a local and a relay domain, and a queue that remembers what it was given.
type world struct {
	mu       sync.Mutex
	accepted []mail.Stored
	contents []string
	fail     error
	room     error
	blobs    int
	view     routing.View
	addr     string
	service  *receive.Service
}

func newWorld(t *testing.T, change func(*receive.Config)) *world {
	t.Helper()
	w := &world{view: routing.View{
		Directory: directory.NewSnapshot(1,
			[]directory.Domain{
				{Name: "local.example", Account: "a", Proved: true, Mode: directory.ModeLocal},
				{Name: "dual.example", Account: "a", Proved: true, Mode: directory.ModeLocal, Dual: true, NextHops: []directory.NextHop{{Host: "h.example", Port: 25}}},
				{Name: "relay.example", Account: "a", Proved: true, Mode: directory.ModeRelay, Recipients: directory.RecipientsAccept, NextHops: []directory.NextHop{{Host: "h.example", Port: 25}}},
			},
			[]directory.Mailbox{{ID: "box", Account: "a", Domain: "local.example", Local: "ann"}, {ID: "box2", Account: "a", Domain: "local.example", Local: "bob"}, {ID: "box3", Account: "a", Domain: "dual.example", Local: "ann"}}, nil, nil),
		Self: routing.Self{Hostname: "mx.test.example"},
	}}
	cfg := receive.Config{Hostname: "mx.test.example"}
	if change != nil {
		change(&cfg)
	}
	w.service = receive.New(cfg, w, w, w, nil, nil, slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- w.service.Serve(l, receive.MX) }()
	t.Cleanup(func() {
		w.stop(t)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return w
}

// stop ends the service and all its sessions.
func (w *world) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	w.service.Stop(ctx)
}

func (w *world) View() routing.View { return w.view }

func (w *world) NewID(at time.Time) mail.ID { return mail.NewID(at, 0, 1, uint64(at.UnixNano())) }

func (w *world) Room(int64) error { return w.room }

func (w *world) Accept(_ context.Context, _ account.Scope, st mail.Stored) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return w.fail
	}
	text := string(st.Content.Inline)
	if st.Content.Open != nil {
		r, err := st.Content.Open()
		if err != nil {
			return err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		text = string(b)
	}
	w.accepted, w.contents = append(w.accepted, st), append(w.contents, text)
	return nil
}

// Create makes a blob in memory.
func (w *world) Create() (receive.Blob, error) {
	w.mu.Lock()
	w.blobs++
	w.mu.Unlock()
	return &memoryBlob{w: w}, nil
}

type memoryBlob struct {
	w *world
	bytes.Buffer
}

func (b *memoryBlob) Commit(int64, uint64) (string, func() (io.ReadCloser, error), error) {
	text := b.String()
	return "blob", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }, nil
}

func (b *memoryBlob) Abort() {
	b.w.mu.Lock()
	b.w.blobs--
	b.w.mu.Unlock()
}

// client is a raw SMTP client.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (w *world) dial(t *testing.T) *client {
	t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t: t, Conn: conn, r: bufio.NewReader(conn)}
}

// reply reads one reply, its lines joined by "|"; "closed" at the end of the connection.
func (c *client) reply() string {
	var lines []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			if errors.Is(err, io.EOF) || strings.Contains(err.Error(), "reset") {
				return "closed"
			}
			c.t.Fatalf("reading a reply: %v", err)
		}
		line = strings.TrimSuffix(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] == ' ' {
			return strings.Join(lines, "|")
		}
	}
}

// play runs a dialogue: "C: " lines are sent with CRLF, "R: " lines as Go-unquoted octets without one, "S: " lines
// are prefixes of the replies expected.
func (c *client) play(script string) {
	c.t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(script), "\n") {
		line = strings.TrimLeft(line, "\t ")
		switch kind, text := line[:min(3, len(line))], line[min(3, len(line)):]; kind {
		case "C: ":
			_, _ = io.WriteString(c, text+"\r\n")
		case "C:":
			_, _ = io.WriteString(c, "\r\n")
		case "R: ":
			raw := strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\0`, "\x00").Replace(text)
			_, _ = io.WriteString(c, raw)
		case "S: ":
			if got := c.reply(); !strings.HasPrefix(got, text) {
				c.t.Fatalf("reply %q, want %q", got, text)
			}
		default:
			c.t.Fatalf("script line %q", line)
		}
	}
}
