package imap

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// script reads commands from octets that have all come, as from a client that waits for nothing.
type script struct {
	*Reader
	asked int // continuation requests
}

func read(text string, limits Limits) *script {
	s := &script{}
	s.Reader = NewReader(iotest.OneByteReader(strings.NewReader(text)), limits, func() error {
		s.asked++
		return nil
	})
	return s
}

// refusal demands that an error is a response to the client.
func refusal(t *testing.T, err error) *Error {
	t.Helper()
	refused, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %v, want a refusal", err)
	}
	return refused
}

func noop(t *testing.T, s *script, tag string) {
	t.Helper()
	r, err := s.Next()
	if err != nil || r.Tag != tag || r.Command != (Noop{}) {
		t.Fatalf("got %+v, %v, want %s NOOP", r, err, tag)
	}
}

func TestLiterals(t *testing.T) {
	s := read("a LOGIN {4}\r\nuser {6+}\r\npa\r\nss\r\nb NOOP\r\n", AfterLogin(100))
	r, err := s.Next()
	if err != nil || r.Tag != "a" || r.Command != (Login{User: "user", Password: "pa\r\nss"}) {
		t.Fatalf("got %+v, %v", r, err)
	}
	if s.asked != 1 {
		t.Fatalf("asked %d times for literals, want once: the second came by itself", s.asked)
	}
	noop(t, s, "b")
	if _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v at the end", err)
	}
}

func TestRefusedLiterals(t *testing.T) {
	limits := Limits{Command: 100, Literals: 10, MaxNoSync: 8}
	for _, c := range []struct {
		name, text string
		code       Code
		status     Status
		next       bool // the connection goes on with "z NOOP"
	}{
		{"too large, asked for", "a LOGIN {11}\r\nz NOOP\r\n", "TOOBIG", BAD, true},
		{"too large, sent", "a LOGIN {11+}\r\n12345678901 {1+}\r\nx\r\nz NOOP\r\n", "TOOBIG", BAD, true},
		{"too large together", "a LOGIN {6}\r\n123456 {6}\r\nz NOOP\r\n", "TOOBIG", BAD, true},
		{"over what need not be asked for", "a LOGIN {9+}\r\n123456789 {1+}\r\nx\r\nz NOOP\r\n", "TOOBIG", BAD, true},
		{"too large to be skipped", "a LOGIN {99999999+}\r\n", "TOOBIG", BYE, false},
		{"endless number", "a LOGIN {" + strings.Repeat("9", 40) + "+}\r\n", "TOOBIG", BYE, false},
		{"NUL", "a LOGIN {3+}\r\na\x00b {1+}\r\nx\r\nz NOOP\r\n", "", BAD, true},
		{"after an unknown command", "a NONSENSE {5+}\r\nb NOO\r\nz NOOP\r\n", "", BAD, true},
		{"in a quoted string", "a LOGIN \"x{4+}\r\nab\" y\r\nz NOOP\r\n", "", BAD, true},
		{"line of a command", "a LOGIN " + strings.Repeat("x", 100) + "\r\n", "", BYE, false},
		{"line without an end", strings.Repeat("x", 1000), "", BYE, false},
		{"lines together", "a LOGIN " + strings.Repeat("{0}\r\n", 30) + "\r\n", "", BYE, false},
		{"LF alone", "a NOOP\nz NOOP\r\n", "", BYE, false},
		{"CR alone", "a NO\rOP\r\n", "", BYE, false},
		{"CR twice", "a NOOP\r\r\n", "", BYE, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := read(c.text, limits)
			_, err := s.Next()
			refused := refusal(t, err)
			if refused.Status != c.status || refused.Code != c.code || refused.Fatal() == c.next {
				t.Fatalf("got %+v", refused)
			}
			if !refused.Fatal() && refused.Tag != "a" {
				t.Fatalf("the refusal has the tag %q", refused.Tag)
			}
			if c.next {
				noop(t, s, "z")
			}
		})
	}
}

func TestTags(t *testing.T) {
	for text, want := range map[string]string{
		"a1 NONSENSE":                     "a1",
		"a+ NOOP":                         "",
		"* NOOP":                          "",
		" NOOP":                           "",
		"":                                "",
		"a":                               "a",
		"\"a\" NOOP":                      "",
		strings.Repeat("x", 65) + " NOOP": "",
		"a\x07 NOOP":                      "",
		"ä NOOP":                          "",
	} {
		_, err := read(text+"\r\n", BeforeLogin()).Next()
		if refused := refusal(t, err); refused.Tag != want || refused.Status != BAD {
			t.Errorf("%q: got %+v, want the tag %q", text, refused, want)
		}
	}
}

func TestAppend(t *testing.T) {
	s := read("a APPEND Sent (\\seen $Forwarded) \" 7-Feb-1994 21:52:25 -0800\" {10}\r\nFrom: me\r\n\r\nb NOOP\r\n", AfterLogin(10))
	r, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	c := r.Command.(*Append)
	if c.Mailbox != "Sent" || strings.Join(c.Message.Flags, " ") != `\Seen $Forwarded` || c.Message.Size != 10 ||
		c.Message.Date.Format("2006-01-02 15:04:05 -0700") != "1994-02-07 21:52:25 -0800" {
		t.Fatalf("got %+v %+v", c, c.Message)
	}
	if s.asked != 0 {
		t.Fatal("the message was asked for before somebody wanted it")
	}
	if err := c.Message.Open(); err != nil || s.asked != 1 {
		t.Fatalf("open: %v, asked %d times", err, s.asked)
	}
	if got, err := io.ReadAll(c.Message); err != nil || string(got) != "From: me\r\n" {
		t.Fatalf("read %q, %v", got, err)
	}
	if m, err := s.More(); m != nil || err != nil {
		t.Fatalf("more: %v, %v", m, err)
	}
	noop(t, s, "b")
}

func TestMultiAppend(t *testing.T) {
	s := read("a APPEND {5+}\r\nDraft {2+}\r\nM1 (\\Draft) {2}\r\nM2 UTF8 (~{3}\r\nM\x003)\r\nb NOOP\r\n", AfterLogin(10))
	r, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	c := r.Command.(*Append)
	var all []string
	for m := c.Message; m != nil; {
		if err := m.Open(); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(m)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text)+strings.Join(m.Flags, " "))
		if m, err = s.More(); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(all, "|"); c.Mailbox != "Draft" || got != "M1|M2\\Draft|M\x003" {
		t.Fatalf("got %q in %q", got, c.Mailbox)
	}
	noop(t, s, "b")
}

func TestRefusedMessages(t *testing.T) {
	huge := strings.Repeat("x", 300_000)
	for _, c := range []struct {
		name, text string
		fatal      bool
	}{
		{"asked for and not wanted", "a APPEND x {5}\r\nz NOOP\r\n", false},
		{"sent and not wanted", "a APPEND x {5+}\r\nhello\r\nz NOOP\r\n", false},
		{"several, sent and not wanted", "a APPEND x {5+}\r\nhello {3+}\r\nyou\r\nz NOOP\r\n", false},
		{"several, the second asked for", "a APPEND x {5+}\r\nhello {3}\r\nz NOOP\r\n", false},
		{"too large to be skipped", "a APPEND x {300000+}\r\n" + huge + "\r\n", true},
		{"wrong flags", "a APPEND x (\\Recent) {5+}\r\nhello\r\nz NOOP\r\n", false},
		{"no such date", "a APPEND x \"31-Feb-2026 00:00:00 +0000\" {5}\r\nz NOOP\r\n", false},
		{"wrong name", "a APPEND &bad {5+}\r\nhello\r\nz NOOP\r\n", false},
		{"no literal", "a APPEND x \"hello\"\r\nz NOOP\r\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := read(c.text, AfterLogin(10))
			if _, err := s.Next(); err != nil {
				if refused := refusal(t, err); refused.Fatal() || refused.Tag != "a" {
					t.Fatalf("got %+v", refused)
				}
			}
			if c.fatal {
				_, err := s.Next()
				if !refusal(t, err).Fatal() {
					t.Fatalf("got %v", err)
				}
				return
			}
			noop(t, s, "z")
			if s.asked != 0 {
				t.Fatal("a message was asked for that nobody wanted")
			}
		})
	}
}

func TestLargeMessage(t *testing.T) {
	for _, text := range []string{"a APPEND x {11}\r\nz NOOP\r\n", "a APPEND x {0+}\r\n\r\nz NOOP\r\n"} {
		s := read(text, AfterLogin(10))
		r, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if refused := refusal(t, r.Command.(*Append).Message.Open()); refused.Status != NO || refused.Tag != "a" || s.asked != 0 {
			t.Fatalf("got %+v, asked %d times", refused, s.asked)
		}
		noop(t, s, "z")
	}
}

func TestMessageWithNUL(t *testing.T) {
	s := read("a APPEND x {3+}\r\na\x00b\r\nz NOOP\r\n", AfterLogin(10))
	r, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	m := r.Command.(*Append).Message
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(m); !errors.Is(err, ErrNUL) {
		t.Fatalf("got %v", err)
	}
	noop(t, s, "z")
}

func TestHalfReadMessage(t *testing.T) {
	s := read("a APPEND x {6}\r\nabcdef\r\nz NOOP\r\n", AfterLogin(10))
	r, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	m := r.Command.(*Append).Message
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	noop(t, s, "z")
}

func TestCutOff(t *testing.T) {
	for _, text := range []string{"a NO", "a LOGIN {5}\r\nab", "a LOGIN {2}\r\nab", "a LOGIN {2}\r\n"} {
		if _, err := read(text, BeforeLogin()).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	s := read("aGVsbG8=\r\n\r\n*\r\nno!\r\ndone\r\nDONE \r\n", BeforeLogin())
	for _, want := range []string{"hello", ""} {
		if got, err := s.Answer(); err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := s.Answer(); !errors.Is(err, ErrCancelled) {
		t.Fatalf("got %v", err)
	}
	_, err := s.Answer()
	refusal(t, err)
	if err := s.Done(); err != nil {
		t.Fatal(err)
	}
	refusal(t, s.Done())
	if _, err := read(strings.Repeat("A", 9000)+"\r\n", AfterLogin(0)).Answer(); !refusal(t, err).Fatal() {
		t.Errorf("a long answer: %v", err)
	}
}

// A Reader that waits for a command holds nothing.
func TestIdleReaderIsSmall(t *testing.T) {
	s := read("a LOGIN {400+}\r\n"+strings.Repeat("x", 400)+" y\r\n", BeforeLogin())
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if s.buf != nil || s.text != nil || cap(s.lits) > 16 {
		t.Fatalf("kept %v, %d octets of text, %d literals", s.buf, cap(s.text), cap(s.lits))
	}
}
