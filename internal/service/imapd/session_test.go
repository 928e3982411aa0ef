package imapd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
	"postroad/internal/proto/mime"
	"postroad/internal/service/mailstore/mailtest"
	"postroad/internal/sim"
)

func want(t *testing.T, got, part string) {
	t.Helper()
	if !strings.Contains(got, part) {
		t.Fatalf("%q, want %q in it", got, part)
	}
}

func TestPlaintextBehindSTARTTLSIsRefused(t *testing.T) {
	h := start(t, Config{})
	c := h.dial(false)
	c.line()
	c.send("a1 STARTTLS\r\na2 LOGIN ann@a.example \"" + secret + "\"\r\n")
	want(t, c.closed(), "* BYE ")
	if n, _ := h.service.m.Gather(); n["postroad_imap_logins_total"] != 0 {
		t.Error("the injected command was obeyed")
	}
}

func TestSTARTTLS(t *testing.T) {
	h := start(t, Config{})
	c := h.dial(false)
	c.line()
	c.ok("STARTTLS")
	conn := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // its own server
	c.conn = conn
	c.in.Reset(conn)
	want(t, strings.Join(c.ok("CAPABILITY"), " "), "AUTH=PLAIN")
	want(t, c.do("STARTTLS")[0], "BAD")
	c.ok(`LOGIN ann@a.example "` + secret + `"`)
	c.ok("SELECT INBOX")
}

func TestLimitsBeforeLogin(t *testing.T) {
	long := strings.Repeat("x", 9<<10)
	for name, tt := range map[string]struct{ send, want string }{
		"a long line":                         {"a1 LOGIN " + long + " x\r\n", "* BYE "},
		"a line that never ends":              {long, "* BYE "},
		"a literal that waits":                {"a1 LOGIN {2000}\r\n", "a1 BAD [TOOBIG]"},
		"a literal that does not wait":        {"a1 LOGIN {300000+}\r\n", "* BYE [TOOBIG]"},
		"a message":                           {"a1 APPEND INBOX {2000}\r\n", "a1 BAD [TOOBIG]"},
		"a huge number":                       {"a1 LOGIN {99999999999999999999999}\r\n", "a1 BAD [TOOBIG]"},
		"a quoted string that never ends":     {"a1 LOGIN \"" + long, "* BYE "},
		"a list that never ends":              {"a1 ID (" + strings.Repeat("\"a\" ", 3000), "* BYE "},
		"an answer that never ends":           {"a1 AUTHENTICATE PLAIN\r\n" + strings.Repeat("A", 20<<10), "* BYE "},
		"literals that are too long together": {"a1 LOGIN {600+}\r\n" + long[:600] + " {600+}\r\n" + long[:600] + "\r\n", "a1 BAD [TOOBIG]"},
		"a bare line feed":                    {"a1 NOOP\n", "* BYE "},
		"commands that are none":              {strings.Repeat("a1 X\r\n", 20), "* BYE "},
		"HTTP":                                {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "BAD"},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, Config{})
			c := h.dial(true)
			c.line()
			go func() { _, _ = io.WriteString(c.conn, tt.send) }() // the server may end the connection before it has read all
			for {
				line, err := c.in.ReadString('\n')
				if strings.Contains(line, tt.want) {
					return
				}
				if err != nil {
					t.Fatalf("no %q: %v", tt.want, err)
				}
			}
		})
	}
}

func TestTooManyFailedLogins(t *testing.T) {
	h := start(t, Config{})
	c := h.dial(true)
	c.line()
	for range maxLogins - 1 {
		want(t, c.do("LOGIN ann@a.example wrong")[0], "NO [AUTHENTICATIONFAILED]")
	}
	c.send("z LOGIN ann@a.example wrong\r\n")
	want(t, c.closed(), "* BYE ")
}

func TestSessionsAreLimited(t *testing.T) {
	t.Run("of one mailbox", func(t *testing.T) {
		h := start(t, Config{SessionsPerUser: 2})
		first := h.login("ann@a.example")
		h.login("ann@a.example")
		third := h.dial(true)
		third.line()
		want(t, third.do(`LOGIN ann@a.example "` + secret + `"`)[0], "NO [LIMIT]")
		h.login("bob@b.example")
		first.do("LOGOUT")
		first.closed()
		for { // the place is free when the session has ended
			if strings.Contains(third.do(`LOGIN ann@a.example "` + secret + `"`)[0], " OK ") {
				return
			}
		}
	})
	t.Run("of one address", func(t *testing.T) {
		h := start(t, Config{SessionsPerAddress: 2})
		h.dial(false).line()
		h.dial(false).line()
		want(t, h.dial(false).closed(), "* BYE ")
	})
	t.Run("in all", func(t *testing.T) {
		h := start(t, Config{Sessions: 4})
		ann := h.login("ann@a.example")
		var strangers []*client
		for range 10 { // the oldest give way
			c := h.dial(false)
			c.line()
			strangers = append(strangers, c)
		}
		for _, c := range strangers[:8] {
			want(t, c.closed(), "* BYE ")
		}
		ann.ok("NOOP")
		h.login("bob@b.example")
		h.login("bob@b.example")
		h.login("bob@b.example")
		want(t, h.dial(false).closed(), "* BYE ") // all places are users'
	})
}

func TestALoginThatHoldsNoLongerIsEnded(t *testing.T) {
	h := start(t, Config{})
	busy, idle, other := h.login("ann@a.example"), h.login("ann@a.example"), h.login("bob@b.example")
	idle.ok("SELECT INBOX")
	idle.send("a1 IDLE\r\n")
	want(t, idle.line(), "+ ")
	busy.send("a1 APPEND INBOX {10}\r\n")
	want(t, busy.line(), "+ ")
	h.logins.end("ann@a.example")
	want(t, idle.closed(), "* BYE ")
	want(t, busy.closed(), "* BYE ")
	other.ok("NOOP")
}

func TestAMailboxThatIsRemovedEndsItsSessions(t *testing.T) {
	h := start(t, Config{})
	c := h.login("ann@a.example")
	c.ok("SELECT INBOX")
	c.send("a1 IDLE\r\n")
	want(t, c.line(), "+ ")
	if err := h.store.Remove(t.Context(), account.System(), users["ann@a.example"].Mailbox); err != nil {
		t.Fatal(err)
	}
	c.closed()
}

func TestStopSaysByeAndLetsAnAppendEnd(t *testing.T) {
	h := start(t, Config{})
	idle, appends := h.login("ann@a.example"), h.login("ann@a.example")
	idle.ok("SELECT INBOX")
	appends.send("a1 APPEND INBOX {10}\r\n")
	want(t, appends.line(), "+ ")
	stopped := make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		h.service.Stop(ctx)
		close(stopped)
	}()
	want(t, idle.closed(), "* BYE ")
	appends.send("A: b\r\n\r\nhi\r\n")
	want(t, appends.line(), "a1 OK [APPENDUID ")
	want(t, appends.closed(), "* BYE ")
	<-stopped
}

func TestQuota(t *testing.T) {
	h := start(t, Config{})
	if err := h.store.Create(t.Context(), account.System(), mailbox.Mailbox{ID: users["ann@a.example"].Mailbox, Account: "a", Quota: 2048}); err != nil {
		t.Fatal(err)
	}
	c := h.login("ann@a.example")
	c.ok("SELECT INBOX")
	c.ok("APPEND INBOX {1500+}\r\n" + strings.Repeat("x", 1500))
	want(t, strings.Join(c.ok("GETQUOTAROOT INBOX"), " "), `* QUOTA "" (STORAGE 2 2)`)
	want(t, c.do("APPEND INBOX {1500}")[0], "NO [OVERQUOTA]")
	lines := c.do("COPY 1 Sent")
	want(t, lines[len(lines)-1], "NO [OVERQUOTA]")
	c.ok("MOVE 1 Sent")
}

func TestALargeMessageIsReadInPieces(t *testing.T) {
	h := start(t, Config{})
	line := strings.Repeat("0123456789abcdef", 4) + "\r\n"
	body := strings.Repeat(line, 20_000)
	msg := "Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + body + "\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n"
	c := h.login("ann@a.example")
	c.send(fmt.Sprintf("a1 APPEND INBOX {%d+}\r\n%s\r\n", len(msg), msg))
	want(t, c.line(), "a1 OK")
	c.ok("SELECT INBOX")
	literal := func(command, want string) {
		t.Helper()
		c.send("f " + command + "\r\n")
		head := c.line()
		size := 0
		if _, err := fmt.Sscanf(head[strings.LastIndexByte(head, '{'):], "{%d}", &size); err != nil || size != len(want) {
			t.Fatalf("%s: %q, want %d octets", command, head, len(want))
		}
		got := make([]byte, size)
		if _, err := io.ReadFull(c.in, got); err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s: other octets, from %.40q on", command, got)
		}
		if rest := c.line(); rest != ")" {
			t.Errorf("%s: %q behind the literal", command, rest)
		}
		if end := c.line(); !strings.HasPrefix(end, "f OK") {
			t.Errorf("%s: %q", command, end)
		}
	}
	literal("FETCH 1 BODY.PEEK[]", msg)
	literal("FETCH 1 BODY.PEEK[1]", body)
	literal("FETCH 1 BODY.PEEK[]<1000000.70>", msg[1_000_000:1_000_070])
	literal("FETCH 1 BODY.PEEK[TEXT]", msg[strings.Index(msg, "--b"):])
	literal("FETCH 1 BODY.PEEK[HEADER]", msg[:strings.Index(msg, "--b")])
	literal("FETCH 1 BINARY.PEEK[2]", "hello")
	literal("FETCH 1 BODY.PEEK[1]<64.2>", "\r\n")
	want(t, c.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE)")[0], fmt.Sprintf(`"7bit" %d 20000`, len(body)))
	want(t, c.ok("SEARCH BODY 0123456789abcdef0123456789abcdef")[0], "* SEARCH 1")
	want(t, c.ok("SEARCH BODY 123456789abcdeff")[0], "* SEARCH")
}

// failing is a store of which some calls fail.
type failing struct {
	boxes
	mu  sync.Mutex
	err error
}

func (f *failing) fail(err error) {
	f.mu.Lock()
	f.err = err
	f.mu.Unlock()
}

func (f *failing) Index(ctx context.Context, scope account.Scope, box string, folder int64, have *mailbox.Index) (*mailbox.Index, error) {
	f.mu.Lock()
	err := f.err
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return f.boxes.Index(ctx, scope, box, folder, have)
}

func TestWhatIsNotToldForTroubleIsToldLater(t *testing.T) {
	var store *failing
	h := startWith(t, Config{}, func(s Store) Store {
		b, _ := s.(boxes)
		store = &failing{boxes: b}
		return store
	})
	c := h.login("ann@a.example")
	c.ok("SELECT INBOX")
	store.fail(errors.New("disk on fire"))
	h.deliver("ann@a.example", "A: b\n\nhi\n")
	if lines := c.ok("NOOP"); len(lines) != 0 {
		t.Errorf("told %q", lines)
	}
	lines := c.do("SELECT INBOX")
	want(t, lines[len(lines)-1], "NO [UNAVAILABLE]")
	store.fail(nil)
	c.ok("SELECT INBOX")
	store.fail(errors.New("disk on fire"))
	h.deliver("ann@a.example", "A: b\n\nhi\n")
	c.ok("NOOP")
	store.fail(nil)
	want(t, strings.Join(c.ok("NOOP"), " "), "* 2 EXISTS")
}

// inBubble is a connection to a service inside a bubble of synctest.
func inBubble(t *testing.T, user string, f func(c *client)) {
	cert := sim.NewCA(t).TLS("localhost")
	synctest.Test(t, func(t *testing.T) {
		store := mailtest.New()
		for _, who := range users {
			if err := store.Create(t.Context(), account.System(), mailbox.Mailbox{ID: who.Mailbox, Account: who.Account}); err != nil {
				t.Fatal(err)
			}
		}
		s := New(Config{TLS: cert}, boxes{store}, &fakeLogins{ended: map[string]bool{}}, nil, slog.New(slog.DiscardHandler))
		ours, theirs := net.Pipe()
		s.sessions.Admit(theirs, &s.kinds[IMAPS])
		conn := tls.Client(ours, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // its own server
		c := &client{t: t, conn: conn, in: bufio.NewReader(conn), patient: true}
		c.line()
		if user != "" {
			c.ok(`LOGIN ` + user + ` "` + secret + `"`)
		}
		f(c)
		_ = conn.Close()
		s.Stop(t.Context())
	})
}

func TestEachMessageIsTheirsAlone(t *testing.T) {
	h := start(t, Config{})
	h.deliver("ann@a.example", "Subject: secret\n\nhi\n")
	bob := h.login("bob@b.example")
	want(t, strings.Join(bob.ok("SELECT INBOX"), " "), "* 0 EXISTS")
	// The scope alone keeps a session from another account's mailbox, whatever id it had.
	for _, who := range users {
		_, err := h.store.Folders(t.Context(), account.Of("a"), who.Mailbox)
		if (err == nil) != (who.Account == "a") {
			t.Errorf("%s: %v", who.Address, err)
		}
	}
}

func TestNotes(t *testing.T) {
	msg := []byte(strings.ReplaceAll("From: a (b) <c@d>\nTo: g: e@f;\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Language: de, en\n\nx\n--b\nContent-Type: message/rfc822\n\nSubject: y\n\nz\n--b--\n", "\n", "\r\n"))
	tree := mime.Parse(msg)
	e := mime.ReadEnvelope(msg[:tree.HeaderEnd])
	for _, n := range []note{{}, {envelope: &e}, {tree: tree}, {envelope: &e, tree: tree}} {
		text := n.append(nil)
		if diff := cmp.Diff(n, readNote(text), cmp.AllowUnexported(note{})); diff != "" {
			t.Errorf("note (-want +got):\n%s", diff)
		}
		for i := range text {
			if got := readNote(text[:i]); got.envelope != nil || got.tree != nil {
				t.Errorf("a note cut at %d is taken for one", i)
			}
		}
	}
}

func FuzzNotes(f *testing.F) {
	tree := mime.Parse([]byte("Content-Type: message/rfc822\r\n\r\nTo: a@b\r\n\r\n"))
	f.Add(note{tree: tree}.append(nil))
	f.Add(note{envelope: tree.Envelope}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := readNote(b)
		if n.envelope != nil && n.tree != nil && !bytes.Equal(n.append(nil)[:1], b[:1]) {
			t.Error("another version")
		}
	})
}
