package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const allExtensions = "PIPELINING 8BITMIME SMTPUTF8 DSN ENHANCEDSTATUSCODES SIZE=10000000"

// on makes a script of "COMMAND -> reply" pairs; a command matches by its
// beginning and each pair is used once, unless it ends in "&".
func on(pairs ...string) func(string) string {
	used := make([]bool, len(pairs))
	return func(line string) string {
		for i := 0; i < len(pairs); i += 2 {
			command, always := strings.CutSuffix(pairs[i], "&")
			if (always || !used[i]) && strings.HasPrefix(line, command) {
				used[i] = true
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestPipelinedBatchCostsOneWriteAMessage(t *testing.T) {
	c, p, conn := newPeer(t, false, allExtensions, nil)
	var tx []Transaction
	for i := range 5 {
		tx = append(tx, message(fmt.Sprintf("Subject: %d\r\n\r\n.dot\r\n", i), "a", "b"))
	}
	results, err := collect(t, c, tx)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if codes(r) != "dot 250,250" || r.Recipients[1].Text != fmt.Sprintf("queued as %d", i+1) {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if len(conn.writes) != 6 {
		t.Errorf("%d writes: %q", len(conn.writes), conn.writes)
	}
	p.stop(c)
	for i, content := range p.contents {
		if want := string(tx[i].Content[0]); content != want {
			t.Errorf("content %d: %q, want %q", i, content, want)
		}
	}
	if want := 5*4 + 2; len(p.lines) != want {
		t.Errorf("%d commands, want %d: %q", len(p.lines), want, p.lines)
	}
}

func TestLockStep(t *testing.T) {
	c, p, conn := newPeer(t, false, "SIZE", on("RCPT TO:<b@", "550 5.1.1 no\r\n", "MAIL FROM:<refused@", "550 5.7.1 no\r\n"))
	tx := []Transaction{message("one\r\n", "a", "b"), message("two\r\n", "a"), message("three\r\n", "a")}
	tx[1].From = "refused@client.example"
	results, err := collect(t, c, tx)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"dot 250,550", "MAIL 550", "dot 250"} {
		if codes(results[i]) != want {
			t.Errorf("%d: %s, want %s", i, codes(results[i]), want)
		}
	}
	for _, w := range conn.writes {
		if bytes.Count(w, []byte("RCPT"))+bytes.Count(w, []byte("MAIL"))+bytes.Count(w, []byte("DATA")) > 1 {
			t.Errorf("two commands in one write: %q", w)
		}
	}
	p.stop(c)
	if fmt.Sprint(p.contents) != "[one\r\n three\r\n]" {
		t.Errorf("%q", p.contents)
	}
}

// TestOutcomes walks what a peer can say and do, with and without PIPELINING.
// Each case sends three messages to a and b, the script speaks of the first.
func TestOutcomes(t *testing.T) {
	const lost = "none 0,0!"
	tests := []struct {
		name     string
		on       []string
		want     [3]string
		contents int
		err      bool
	}{
		{"all taken", nil, [3]string{"dot 250,250", "dot 250,250", "dot 250,250"}, 3, false},
		{"MAIL refused", []string{"MAIL", "550 5.7.1 no\r\n", "RCPT TO:<a@", "503 bad\r\n", "RCPT TO:<b@", "503 bad\r\n", "DATA", "503 bad\r\n"}, [3]string{"MAIL 550,550", "dot 250,250", "dot 250,250"}, 2, false},
		{"MAIL deferred", []string{"MAIL", "451 4.7.1 wait\r\n", "RCPT TO:<a@", "503 bad\r\n", "RCPT TO:<b@", "503 bad\r\n", "DATA", "503 bad\r\n"}, [3]string{"MAIL 451,451", "dot 250,250", "dot 250,250"}, 2, false},
		{"one RCPT refused", []string{"RCPT TO:<b@", "550 5.1.1 no\r\n"}, [3]string{"dot 250,550", "dot 250,250", "dot 250,250"}, 3, false},
		{"one RCPT deferred", []string{"RCPT TO:<a@", "450 4.2.1 wait\r\n"}, [3]string{"dot 450,250", "dot 250,250", "dot 250,250"}, 3, false},
		{"all RCPT refused", []string{"RCPT TO:<a@", "550 5.1.1 no\r\n", "RCPT TO:<b@", "450 4.1.1 no\r\n", "DATA", "554 no valid recipients\r\n"}, [3]string{"RCPT 550,450", "dot 250,250", "dot 250,250"}, 2, false},
		{"DATA refused", []string{"DATA", "451 4.3.0 no\r\n"}, [3]string{"DATA 451,451", "dot 250,250", "dot 250,250"}, 2, false},
		{"DATA and one RCPT refused", []string{"RCPT TO:<a@", "550 5.1.1 no\r\n", "DATA", "451 4.3.0 no\r\n"}, [3]string{"DATA 550,451", "dot 250,250", "dot 250,250"}, 2, false},
		{"content refused", []string{".0", "554 5.7.1 spam\r\n"}, [3]string{"dot 554,554", "dot 250,250", "dot 250,250"}, 3, false},
		{"content and one RCPT refused", []string{"RCPT TO:<a@", "550 no\r\n", ".0", "451 later\r\n"}, [3]string{"dot 550,451", "dot 250,250", "dot 250,250"}, 3, false},

		{"421 to MAIL", []string{"MAIL", "421 4.3.2 bye\r\n" + hangUp}, [3]string{"MAIL 421,421", lost, lost}, 0, true},
		{"421 to RCPT", []string{"RCPT TO:<b@", "421 4.3.2 bye\r\n" + hangUp}, [3]string{"RCPT 421,421", lost, lost}, 0, true},
		{"421 to RCPT, other refused", []string{"RCPT TO:<a@", "550 no\r\n", "RCPT TO:<b@", "421 4.3.2 bye\r\n" + hangUp}, [3]string{"RCPT 550,421", lost, lost}, 0, true},
		{"421 to DATA", []string{"DATA", "421 4.3.2 bye\r\n" + hangUp}, [3]string{"DATA 421,421", lost, lost}, 0, true},
		{"421 after the dot", []string{".0", "421 4.3.2 bye\r\n" + hangUp}, [3]string{"dot 421,421", lost, lost}, 1, true},
		{"421 within the content", []string{"content", "421 4.3.2 bye\r\n" + hangUp}, [3]string{"dot 421,421", lost, lost}, 0, true},

		{"closed at MAIL", []string{"MAIL", hangUp}, [3]string{"MAIL 0,0!", lost, lost}, 0, true},
		{"closed at RCPT", []string{"RCPT TO:<a@", "550 no\r\n", "RCPT TO:<b@", hangUp}, [3]string{"RCPT 550,0!", lost, lost}, 0, true},
		{"closed at DATA", []string{"RCPT TO:<a@", "550 no\r\n", "DATA", hangUp}, [3]string{"DATA 550,0!", lost, lost}, 0, true},
		{"closed after the dot", []string{"RCPT TO:<a@", "550 no\r\n", ".0", hangUp}, [3]string{"dot 550,0!!", lost, lost}, 1, true},

		{"354 to MAIL", []string{"MAIL", "354 what\r\n"}, [3]string{"MAIL 0,0!", lost, lost}, 0, true},
		{"354 to RCPT", []string{"RCPT TO:<a@", "354 what\r\n"}, [3]string{"RCPT 0,0!", lost, lost}, 0, true},
		{"250 to DATA", []string{"DATA", "250 what\r\n"}, [3]string{"DATA 0,0!", lost, lost}, 0, true},
		{"354 after the dot", []string{".0", "354 what\r\n"}, [3]string{"dot 0,0!!", lost, lost}, 1, true},
		{"garbage to MAIL", []string{"MAIL", "hello\r\n"}, [3]string{"MAIL 0,0!", lost, lost}, 0, true},
		{"garbage after the dot", []string{".0", "hello\r\n"}, [3]string{"dot 0,0!!", lost, lost}, 1, true},
		{"1 MB in answer to RCPT", []string{"RCPT TO:<a@", strings.Repeat("250-a\r\n", 150000)}, [3]string{"RCPT 0,0!", lost, lost}, 0, true},
		{"MAIL refused and 354", []string{"MAIL", "550 no\r\n", "DATA", "354 go on\r\n"}, [3]string{"MAIL 550,550", "none 0,0!", "none 0,0!"}, 0, true},
	}
	for _, tt := range tests {
		for _, ehlo := range []string{allExtensions, "SIZE"} {
			pipelining := ehlo != "SIZE"
			if !pipelining && tt.name == "MAIL refused and 354" {
				continue
			}
			script := tt.on
			if !pipelining {
				// Without PIPELINING the commands behind a refusal are not sent.
				script = nil
				for i := 0; i < len(tt.on); i += 2 {
					if !strings.HasPrefix(tt.on[i+1], "503") && !strings.HasPrefix(tt.on[i+1], "554 no valid") {
						script = append(script, tt.on[i], tt.on[i+1])
					}
				}
			}
			c, p, conn := newPeer(t, false, ehlo, on(script...))
			results, err := collect(t, c, []Transaction{message("one\r\n", "a", "b"), message("two\r\n", "a", "b"), message("three\r\n", "a", "b")})
			if (err != nil) != tt.err {
				t.Errorf("%s, pipelining %v: %v", tt.name, pipelining, err)
			}
			for i, r := range results {
				if codes(r) != tt.want[i] {
					t.Errorf("%s, pipelining %v: message %d: %s, want %s (%v)", tt.name, pipelining, i, codes(r), tt.want[i], r.Err)
				}
			}
			if tt.err {
				if again := c.Noop(); !errors.Is(again, ErrClosed) {
					t.Errorf("%s, pipelining %v: still open: %v", tt.name, pipelining, again)
				}
				if again, err := collect(t, c, []Transaction{message("x", "a")}); codes(again[0]) != "none 0!" || !errors.Is(err, ErrClosed) {
					t.Errorf("%s, pipelining %v: sends on: %s, %v", tt.name, pipelining, codes(again[0]), err)
				}
			}
			p.stop(c)
			if len(p.contents) != tt.contents {
				t.Errorf("%s, pipelining %v: contents %q", tt.name, pipelining, p.contents)
			}
			onlyCRLF(t, conn.written())
		}
	}
}

// onlyCRLF checks what left: no CR or LF stands alone.
func onlyCRLF(t *testing.T, sent []byte) {
	t.Helper()
	n := bytes.Count(sent, []byte("\r\n"))
	if bytes.Count(sent, []byte("\r")) != n || bytes.Count(sent, []byte("\n")) != n {
		t.Errorf("a CR or LF alone was sent: %.200q", sent)
	}
}

func TestAllRecipientsRefusedButDataTaken(t *testing.T) {
	c, p, _ := newPeer(t, false, allExtensions, on("RCPT", "550 5.1.1 no\r\n", ".0", "554 5.5.1 no valid recipients\r\n"))
	results, err := collect(t, c, []Transaction{message("secret\r\n", "a"), message("two\r\n", "a")})
	if err != nil || codes(results[0]) != "RCPT 550" || codes(results[1]) != "dot 250" {
		t.Fatal(results, err)
	}
	p.stop(c)
	if fmt.Sprintf("%q", p.contents) != `["" "two\r\n"]` {
		t.Errorf("%q", p.contents)
	}
}

func TestTransactionLeftOpenIsReset(t *testing.T) {
	for _, ehlo := range []string{allExtensions, "SIZE"} {
		c, p, _ := newPeer(t, false, ehlo, on("DATA", "451 4.3.0 no\r\n"))
		for range 2 {
			if _, err := collect(t, c, []Transaction{message("x\r\n", "a")}); err != nil {
				t.Fatal(err)
			}
		}
		p.stop(c)
		if got := strings.Join(p.lines, "|"); !strings.Contains(got, "DATA|RSET|MAIL") || strings.Count(got, "RSET") != 1 {
			t.Errorf("%s", got)
		}
	}
}

func TestRefusalWithinTheContent(t *testing.T) {
	// The peer refuses and closes while a large content is being written.
	c, _, conn := newPeer(t, false, allExtensions, on("content", "552 5.3.4 too big\r\n"+hangUp))
	conn.failAt = 200 << 10
	results, err := collect(t, c, []Transaction{message(strings.Repeat("0123456789\r\n", 100000), "a"), message("two\r\n", "a")})
	if err == nil || codes(results[0]) != "dot 552" || codes(results[1]) != "none 0!" {
		t.Errorf("%s, %s, %v", codes(results[0]), codes(results[1]), err)
	}
}

func TestConnectionBreaksWithinTheContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, conn := newPeer(t, false, allExtensions, on("content", silent))
		conn.failAt = 200 << 10
		results, err := collect(t, c, []Transaction{message(strings.Repeat("0123456789\r\n", 100000), "a"), message("two\r\n", "a")})
		if !errors.Is(err, errReset) || codes(results[0]) != "DATA 0!" || codes(results[1]) != "none 0!" {
			t.Errorf("%s, %s, %v", codes(results[0]), codes(results[1]), err)
		}
	})
}

func TestWriteOfTheDotFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, conn := newPeer(t, false, allExtensions, on("content", silent))
		conn.failAt = conn.total + 150
		results, err := collect(t, c, []Transaction{message(strings.Repeat("0123456789\r\n", 20), "a")})
		if !errors.Is(err, errReset) || codes(results[0]) != "dot 0!!" {
			t.Errorf("%s, %v", codes(results[0]), err)
		}
	})
}

func TestParameters(t *testing.T) {
	tx := Transaction{
		From: "sender@client.example", Size: 3, Body: Body8BitMIME, Ret: RetHdrs, EnvID: "id+1", Content: [][]byte{[]byte("x\r\n")},
		To: []Recipient{{To: "a@b.example", Notify: NotifyFailure | NotifyDelay, ORcpt: "rfc822;o+1@b.example"}},
	}
	tests := []struct{ ehlo, mail, rcpt string }{
		{"PIPELINING", "MAIL FROM:<sender@client.example>", "RCPT TO:<a@b.example>"},
		{"SIZE=0", "MAIL FROM:<sender@client.example> SIZE=3", "RCPT TO:<a@b.example>"},
		{"8BITMIME SMTPUTF8", "MAIL FROM:<sender@client.example> BODY=8BITMIME", "RCPT TO:<a@b.example>"},
		{"DSN", "MAIL FROM:<sender@client.example> RET=HDRS ENVID=id+2B1", "RCPT TO:<a@b.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;o+2B1@b.example"},
	}
	for _, tt := range tests {
		c, p, _ := newPeer(t, false, tt.ehlo, nil)
		if _, err := collect(t, c, []Transaction{tx}); err != nil {
			t.Fatal(err)
		}
		p.stop(c)
		if p.lines[1] != tt.mail || p.lines[2] != tt.rcpt {
			t.Errorf("%s: %q", tt.ehlo, p.lines)
		}
	}
	c, p, _ := newPeer(t, false, allExtensions, nil)
	null := message("x\r\n", "ü")
	null.From, null.Size = "", 0
	null.To[0].ORcpt = "broken"
	if _, err := collect(t, c, []Transaction{null}); err != nil {
		t.Fatal(err)
	}
	p.stop(c)
	if p.lines[1] != "MAIL FROM:<> SMTPUTF8" || p.lines[2] != "RCPT TO:<ü@b.example>" {
		t.Errorf("%q", p.lines)
	}
}

func TestDecidedWithoutThePeer(t *testing.T) {
	c, p, _ := newPeer(t, false, "PIPELINING SIZE=1000 LIMITS=RCPTMAX=2", nil)
	utf8 := message("x\r\n", "a", "b")
	utf8.UTF8 = true
	large := message("x\r\n", "a")
	large.Size = 1001
	sender := message("x\r\n", "a")
	sender.From = "a@b> SIZE=1"
	recipients := message("x\r\n", "a", "b", "c", "d")
	recipients.To[1].To = "b@b.example>\r\nRCPT TO:<evil@example.org"
	alone := message("x\r\n", "a")
	alone.To[0].To = ""
	results, err := collect(t, c, []Transaction{
		utf8, message("1\r\n", "a"), large, message("x\r\n", "ü"), sender, recipients, alone, {From: "a@b.example"}, message("2\r\n", "a"), large,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"none 550,550", "dot 250", "none 552", "none 550", "none 553", "dot 250,553,250,452", "none 553", "none ", "dot 250", "none 552",
	} {
		if codes(results[i]) != want {
			t.Errorf("%d: %s, want %s", i, codes(results[i]), want)
		}
	}
	if e := results[0].Recipients[0].Enhanced; e != (Enhanced{5, 6, 7}) {
		t.Error(e)
	}
	p.stop(c)
	if got := strings.Join(p.lines, "|"); strings.Contains(got, "evil") || len(p.contents) != 3 {
		t.Errorf("%s, %q", got, p.contents)
	}
}

func TestMailMax(t *testing.T) {
	for _, ehlo := range []string{"PIPELINING LIMITS=MAILMAX=2", "LIMITS=MAILMAX=2"} {
		c, p, _ := newPeer(t, false, ehlo, nil)
		results, err := collect(t, c, []Transaction{message("1", "a"), message("2", "a"), message("3", "a"), message("4", "a")})
		if !errors.Is(err, ErrMailMax) {
			t.Error(err)
		}
		for i, want := range []string{"dot 250", "dot 250", "none 0!", "none 0!"} {
			if codes(results[i]) != want || i > 1 && !errors.Is(results[i].Err, ErrMailMax) {
				t.Errorf("%s: %d: %s, want %s", ehlo, i, codes(results[i]), want)
			}
		}
		p.stop(c)
		if len(p.contents) != 2 {
			t.Errorf("%q", p.contents)
		}
	}
}

func TestMailMaxAndConnectionLost(t *testing.T) {
	c, _, _ := newPeer(t, false, "PIPELINING LIMITS=MAILMAX=1", on(".0", hangUp))
	results, err := collect(t, c, []Transaction{message("1", "a"), message("2", "a"), message("3", "a")})
	if err == nil || codes(results[0]) != "dot 0!!" || codes(results[1]) != "none 0!" || codes(results[2]) != "none 0!" {
		t.Error(results, err)
	}
}

func TestManyRecipients(t *testing.T) {
	for _, ehlo := range []string{allExtensions, "SIZE"} {
		c, p, conn := newPeer(t, false, ehlo, func(line string) string {
			if strings.HasPrefix(line, "RCPT") && strings.Contains(line, "7@") {
				return "550 5.1.1 no\r\n"
			}
			return ""
		})
		var to []string
		for i := range 3000 {
			to = append(to, fmt.Sprintf("recipient-%d", i))
		}
		results, err := collect(t, c, []Transaction{message("one\r\n", "a"), message("many\r\n", to...), message("three\r\n", "a")})
		if err != nil || codes(results[0]) != "dot 250" || codes(results[2]) != "dot 250" {
			t.Fatal(err, codes(results[0]), codes(results[2]))
		}
		for i, r := range results[1].Recipients {
			if want := 250 + 300*b2i(i%10 == 7); r.Code != want {
				t.Fatalf("recipient %d: %v", i, r)
			}
		}
		for _, w := range conn.writes {
			if len(w) > commandWindow+1024 {
				t.Errorf("a write of %d octets", len(w))
			}
		}
		p.stop(c)
		if len(p.contents) != 3 {
			t.Errorf("%q", p.contents)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// file is a content that is read; closed counts how often it was closed.
type file struct {
	io.Reader
	closed *int
}

func (f file) Close() error { *f.closed++; return nil }

func TestContents(t *testing.T) {
	large := strings.Repeat("0123456789012345678901234567890123456789012345678901234567890123456789012345\r\n", 14000)
	dots := strings.Repeat("..\r\n.\r\nx\n.\ry\r\r\n", 10000)
	for _, ehlo := range []string{allExtensions, "SIZE"} {
		c, p, conn := newPeer(t, false, ehlo, nil)
		closed := 0
		fromFile := message("Received: x\r\n", "a")
		fromFile.Open = func() (io.ReadCloser, error) { return file{strings.NewReader(large), &closed}, nil }
		halves := message("", "a")
		halves.Content = [][]byte{[]byte("a\r"), []byte("\n."), []byte("\r"), nil, []byte("\n..b")}
		tx := []Transaction{message(large, "a"), message(dots, "a"), fromFile, halves, message("", "a"), message(large+"x", "a")}
		results, err := collect(t, c, tx)
		if err != nil || closed != 1 {
			t.Fatal(err, closed)
		}
		for i, r := range results {
			if codes(r) != "dot 250" {
				t.Errorf("%d: %s", i, codes(r))
			}
		}
		p.stop(c)
		want := []string{large, string(normal([]byte(dots))), "Received: x\r\n" + large, "a\r\n.\r\n..b\r\n", "", large + "x\r\n"}
		for i, content := range p.contents {
			if content != want[i] {
				t.Errorf("content %d differs: %.80q", i, content)
			}
		}
		onlyCRLF(t, conn.written())
		if n := len(conn.writes); n > 100 {
			t.Errorf("%d writes", n)
		}
	}
}

func TestContentCannotBeRead(t *testing.T) {
	boom := errors.New("disk on fire")
	closed := 0
	bad := message("", "a")
	bad.Open = func() (io.ReadCloser, error) { return nil, boom }
	worse := message("", "a")
	worse.Open = func() (io.ReadCloser, error) {
		return file{io.MultiReader(strings.NewReader("half\r\n"), errorReader{boom}), &closed}, nil
	}
	never := message("", "a")
	never.Open = func() (io.ReadCloser, error) { return file{strings.NewReader("x\r\n"), &closed}, nil }
	c, p, conn := newPeer(t, false, allExtensions, nil)
	results, err := collect(t, c, []Transaction{bad, message("1\r\n", "a"), bad, worse, never})
	if !errors.Is(err, ErrContent) || !errors.Is(err, boom) {
		t.Error(err)
	}
	for i, want := range []string{"none 0!", "dot 250", "none 0!", "DATA 0!", "none 0!"} {
		if codes(results[i]) != want {
			t.Errorf("%d: %s, want %s", i, codes(results[i]), want)
		}
	}
	if !errors.Is(results[2].Err, boom) || !errors.Is(results[4].Err, ErrClosed) {
		t.Error(results[2].Err, results[4].Err)
	}
	<-p.done
	if len(p.contents) != 1 || closed != 1 {
		t.Errorf("%q, %d closed", p.contents, closed)
	}
	if bytes.HasSuffix(conn.written(), []byte("\r\n.\r\n")) && bytes.Contains(conn.written(), []byte("half")) {
		t.Error("half a content was ended")
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestLMTP(t *testing.T) {
	tests := []struct {
		name string
		on   []string
		want string
		err  bool
	}{
		{"all taken", nil, "dot 250,250,250", false},
		{"one full", []string{".1", "452 4.2.2 full\r\n"}, "dot 250,452,250", false},
		{"one refused at RCPT, one full", []string{"RCPT TO:<a@", "550 5.1.1 no\r\n", ".1", "452 4.2.2 full\r\n"}, "dot 550,250,452", false},
		{"all refused", []string{"RCPT TO:<a@", "550 no\r\n", "RCPT TO:<b@", "550 no\r\n", "RCPT TO:<c@", "550 no\r\n", "DATA", "503 no\r\n"}, "RCPT 550,550,550", false},
		{"all refused, 354", []string{"RCPT&", "550 no\r\n"}, "RCPT 550,550,550", true},
		{"closed after the first", []string{".1", hangUp}, "dot 250,0,0!!", true},
		{"421 after the first", []string{".1", "421 4.3.0 bye\r\n" + hangUp}, "dot 250,421,421", true},
		{"refused and 421", []string{".0", "550 no\r\n", ".1", "421 4.3.0 bye\r\n" + hangUp}, "dot 550,421,421", true},
	}
	for _, tt := range tests {
		c, p, _ := newPeer(t, true, "PIPELINING", on(tt.on...))
		results, err := collect(t, c, []Transaction{message("x\r\n", "a", "b", "c")})
		if (err != nil) != tt.err || codes(results[0]) != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.name, codes(results[0]), err, tt.want)
		}
		p.stop(c)
		if p.lines[0] != "LHLO client.example" {
			t.Errorf("%q", p.lines)
		}
	}
}

func TestTimeouts(t *testing.T) {
	d := DefaultTimeouts()
	tests := []struct {
		name string
		on   []string
		want string
		wait time.Duration
	}{
		{"MAIL", []string{"MAIL", silent}, "MAIL 0!", d.Command},
		{"RCPT", []string{"RCPT", silent}, "RCPT 0!", d.Command},
		{"DATA", []string{"DATA", silent}, "DATA 0!", d.DataInit},
		{"dot", []string{".0", silent}, "dot 0!!", d.DataEnd},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			c, _, _ := newPeer(t, false, "SIZE", on(tt.on...))
			start := time.Now()
			results, err := collect(t, c, []Transaction{message("x\r\n", "a")})
			if waited := time.Since(start); err == nil || codes(results[0]) != tt.want || waited != tt.wait {
				t.Errorf("%s: %s after %v, %v", tt.name, codes(results[0]), waited, err)
			}
		})
	}
}

func TestPeerThatDripsIsNotWaitedForLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := memPipe()
		tick := time.NewTicker(10 * time.Second)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range tick.C {
				if _, err := far.Write([]byte("2")); err != nil {
					return
				}
			}
		}()
		c := NewClient(near, time.Now, Timeouts{}, false)
		start := time.Now()
		if _, err := c.Greet(); err == nil || time.Since(start) != 5*time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		<-done
	})
}

func TestInterruptWaitsForTheReplyToTheDot(t *testing.T) {
	var c *Client
	var while []bool
	on := func(line string) string {
		if line == ".0" {
			while = append(while, c.Interrupt())
		}
		return ""
	}
	c, p, _ := newPeer(t, false, "PIPELINING", on)
	tx := []Transaction{message("one\r\n", "a"), message("two\r\n", "a"), message("three\r\n", "a")}
	var results []Result
	err := c.Send(tx, func(i int, r Result) {
		results = append(results, r)
		for try := range 2 {
			if i == 1 && !c.Interrupt() {
				t.Errorf("the connection can't be closed between two messages, try %d", try)
			}
		}
	})
	if !errors.Is(err, ErrInterrupted) {
		t.Errorf("error %v", err)
	}
	for i, want := range []string{"dot 250", "dot 250", "DATA 0!"} {
		if codes(results[i]) != want {
			t.Errorf("%d: %s, want %s", i, codes(results[i]), want)
		}
	}
	p.stop(c)
	if fmt.Sprint(while) != "[false false]" || len(p.contents) != 2 {
		t.Errorf("interrupted at the dot: %v; %d messages arrived", while, len(p.contents))
	}
}

func TestSendCostsFewAllocations(t *testing.T) {
	c := NewClient(newEcho(), time.Now, Timeouts{}, false)
	if _, _, err := c.Hello("client.example"); err != nil {
		t.Fatal(err)
	}
	tx := make([]Transaction, 100)
	for i := range tx {
		tx[i] = message(strings.Repeat("0123456789\r\n", 50), "a")
	}
	n := testing.AllocsPerRun(20, func() {
		if err := c.Send(tx, func(_ int, r Result) {
			if r.Recipients[0].Code != 250 {
				t.Fatal(r)
			}
		}); err != nil {
			t.Fatal(err)
		}
	})
	if n > 20 {
		t.Errorf("%v allocations for 100 messages", n)
	}
}

// echo is a connection whose peer answers as soon as it is written to.
type echo struct{ in []byte }

func newEcho() *echo { return &echo{} }

func (e *echo) Write(b []byte) (int, error) {
	switch {
	case bytes.HasPrefix(b, []byte("EHLO")):
		e.in = append(e.in, "250-mx\r\n250 PIPELINING\r\n"...)
	default:
		if bytes.HasSuffix(b, []byte(".\r\n")) || bytes.Contains(b, []byte("\r\n.\r\n")) {
			e.in = append(e.in, "250 2.0.0 queued\r\n"...)
		}
		if bytes.HasSuffix(b, []byte("DATA\r\n")) {
			e.in = append(e.in, "250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on\r\n"...)
		}
	}
	return len(b), nil
}

func (e *echo) Read(b []byte) (int, error) {
	n := copy(b, e.in)
	e.in = e.in[:copy(e.in, e.in[n:])]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (e *echo) Close() error                { return nil }
func (e *echo) SetDeadline(time.Time) error { return nil }

func BenchmarkSend(b *testing.B) {
	c := NewClient(newEcho(), time.Now, Timeouts{}, false)
	if _, _, err := c.Hello("client.example"); err != nil {
		b.Fatal(err)
	}
	tx := make([]Transaction, 100)
	for i := range tx {
		tx[i] = message(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 52), "a")
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(tx)) * tx[0].Size)
	for b.Loop() {
		if err := c.Send(tx, func(int, Result) {}); err != nil {
			b.Fatal(err)
		}
	}
}
