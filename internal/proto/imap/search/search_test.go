package search

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"postroad/internal/proto/imap"
)

// parse reads the keys of a SEARCH.
func parse(t testing.TB, keys string) imap.Key {
	t.Helper()
	r := imap.NewReader(strings.NewReader("a SEARCH "+keys+"\r\n"), imap.AfterLogin(0), func() error { return nil })
	request, err := r.Next()
	if err != nil {
		t.Fatalf("%s: %v", keys, err)
	}
	return request.Command.(imap.Search).Key
}

// stored is a message that notes what was read of it.
type stored struct {
	message string
	header  int
	whole   int
	err     error
}

func (s *stored) Header() ([]byte, error) {
	s.header++
	header, _, _ := bytes.Cut([]byte(s.message), []byte("\r\n\r\n"))
	return append(header, "\r\n"...), s.err
}

func (s *stored) Whole() ([]byte, error) {
	s.whole++
	return []byte(s.message), s.err
}

const example = "Date: Sat, 28 Nov 2026 00:30:00 +0200\r\n" +
	"From: =?iso-8859-1?q?J=FCrgen?= <j@x.example>\r\n" +
	"Subject: =?utf-8?b?R3LDvMOfZSBhdXM=?=\r\n =?utf-8?q?_Stra=C3=9Fburg?=\r\n" +
	"To: a@y.example, \"B, C\" <b@y.example>\r\nTo: third@y.example\r\n" +
	"Message-ID: <1@x.example>\r\nX-Empty:\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n" +
	"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6ne Gr=FC=\r\n=DFe\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n0JzQsNGC0Yw=\r\n" +
	"--b\r\nContent-Type: image/png; name=holiday.png\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n" +
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?Innen=C3=A4?=\r\n\r\nDeep text\r\n--b--\r\n"

func facts() Facts {
	return Facts{
		Number: 3, UID: 30, Flags: []string{imap.Seen, "$Junk"}, Recent: true, Size: 1000, ModSeq: 77,
		At:   time.Date(2026, 11, 28, 23, 0, 0, 0, time.UTC),
		Sent: time.Date(2026, 11, 27, 22, 30, 0, 0, time.UTC),
	}
}

// What each key says, and how much of the message it takes to say it.
func TestKeys(t *testing.T) {
	const nothing, header, whole = 0, 1, 2
	for _, c := range []struct {
		keys string
		want bool
		read int
	}{
		{"ALL", true, nothing},
		{"3", true, nothing},
		{"4:*", true, nothing}, // from 4 down to 3
		{"5", false, nothing},
		{"UID 30", true, nothing},
		{"UID 31:*", true, nothing},
		{"UID 1:29", false, nothing},
		{"$", true, nothing},
		{"UID $", true, nothing},
		{"SEEN", true, nothing},
		{"UNSEEN", false, nothing},
		{"KEYWORD $jUNK", true, nothing},
		{"UNKEYWORD $Forwarded", true, nothing},
		{"NEW", false, nothing},
		{"OLD", false, nothing},
		{"RECENT", true, nothing},
		{"LARGER 999", true, nothing},
		{"LARGER 1000", false, nothing},
		{"SMALLER 1001", true, nothing},
		{"SMALLER 1000", false, nothing},
		{"MODSEQ 77", true, nothing},
		{"MODSEQ 78", false, nothing},
		{"ON 28-Nov-2026", true, nothing},
		{"BEFORE 28-Nov-2026", false, nothing},
		{"BEFORE 29-Nov-2026", true, nothing},
		{"SINCE 28-Nov-2026", true, nothing},
		{"SINCE 29-Nov-2026", false, nothing},
		{"SENTON 28-Nov-2026", true, header}, // 27th in UTC, the 28th where it was sent
		{"SENTON 27-Nov-2026", false, header},
		{"SENTON 20-Nov-2026", false, nothing},
		{"SENTSINCE 28-Nov-2026", true, header},
		{"SENTBEFORE 28-Nov-2026", false, header},
		{"SENTSINCE 1-Jan-2026", true, nothing},
		{"SENTBEFORE 1-Jan-2026", false, nothing},
		{`FROM "jürgen"`, true, header},
		{`FROM "JÜRGEN <J@x"`, true, header},
		{"FROM third", false, header},
		{"TO third@", true, header},
		{"TO \"\"", true, header},
		{"CC \"\"", false, header},
		{`SUBJECT "GRÜSSE AUS STRASS"`, true, header},
		{"SUBJECT \"gru\u0308ße\"", true, header}, // decomposed
		{"HEADER message-id 1@x", true, header},
		{`HEADER X-Empty ""`, true, header},
		{`HEADER X-None ""`, false, header},
		{"BODY \"schöne grüße\"", true, whole},
		{"BODY {8+}\r\nмать", true, whole},
		{"BODY secret", false, whole},
		{"BODY holiday.png", true, whole},
		{`BODY "innenä"`, true, whole},
		{"BODY \"deep text\"", true, whole},
		{`BODY "jürgen"`, false, whole},
		{`TEXT "jürgen"`, true, header},
		{"TEXT \"x-empty:\"", true, header},
		{"TEXT deep", true, whole},
		{"TEXT nowhere", false, whole},
		{`NOT TEXT "jürgen"`, false, header},
		{"NOT BODY nowhere", true, whole},
		{"BODY deep UNSEEN", false, nothing}, // what is cheap decides
		{"OR BODY nowhere SEEN", true, nothing},
		{"OR BODY deep UNSEEN", true, whole},
		{"BODY deep FROM nobody", false, header},
		{"OR (SEEN NOT FLAGGED) (UNSEEN BODY x)", true, nothing},
	} {
		content := &stored{message: example}
		q := New(parse(t, c.keys), Mailbox{LargestNumber: 3, LargestUID: 30, Saved: imap.SetOf(7, 30)})
		got, err := q.Matches(facts(), content)
		if err != nil || got != c.want {
			t.Errorf("%s: got %v, %v", c.keys, got, err)
		}
		read := content.header
		if content.whole > 0 {
			read = whole
		}
		if read != c.read || content.header > 1 || content.whole > 1 {
			t.Errorf("%s: read the header %d and the message %d times", c.keys, content.header, content.whole)
		}
	}
}

func TestUnknownDate(t *testing.T) {
	f := facts()
	f.Sent = time.Time{}
	for message, want := range map[string]bool{example: true, "Date: yesterday\r\n\r\n": false, "Subject: x\r\n\r\n": false} {
		if got, err := New(parse(t, "SENTON 28-Nov-2026"), Mailbox{}).Matches(f, &stored{message: message}); err != nil || got != want {
			t.Errorf("%q: got %v, %v", message, got, err)
		}
	}
}

func TestUnreadableMessage(t *testing.T) {
	gone := errors.New("gone")
	for _, keys := range []string{"TEXT x", "BODY x"} {
		if _, err := New(parse(t, keys), Mailbox{}).Matches(facts(), &stored{err: gone}); !errors.Is(err, gone) {
			t.Errorf("%s: got %v", keys, err)
		}
	}
}

// A large message costs time in proportion to it, however many keys there are, and text is looked through up to a limit.
func TestCost(t *testing.T) {
	text := "Subject: x\r\n\r\n" + strings.Repeat("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", MaxText/60) + "end\r\n"
	keys := strings.Repeat("OR BODY "+strings.Repeat("a", 60)+"b ", 49) + "BODY end"
	begin := time.Now()
	if got, err := New(parse(t, keys), Mailbox{}).Matches(facts(), &stored{message: text}); got || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzMatches(f *testing.F) {
	f.Add(`TEXT "grüße"`, example)
	f.Add("OR BODY x (NOT FROM y SENTON 1-Jan-2026)", "From: x\r\n\r\ny")
	f.Fuzz(func(t *testing.T, keys, message string) {
		r := imap.NewReader(strings.NewReader("a SEARCH "+keys+"\r\n"), imap.AfterLogin(0), func() error { return nil })
		request, err := r.Next()
		if err != nil {
			return
		}
		c, ok := request.Command.(imap.Search)
		if !ok || len(message) > 10_000 {
			return
		}
		key := c.Key
		begin := time.Now()
		got, err := New(key, Mailbox{LargestNumber: 3, LargestUID: 30}).Matches(facts(), &stored{message: message})
		if err != nil {
			t.Fatal(err)
		}
		not, err := New(imap.Key{Op: imap.KeyNot, Keys: []imap.Key{key}}, Mailbox{LargestNumber: 3, LargestUID: 30}).Matches(facts(), &stored{message: message})
		if err != nil || got == not {
			t.Errorf("%q and its opposite: %v, %v", keys, got, not)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
