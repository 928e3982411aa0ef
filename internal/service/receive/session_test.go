package receive_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"postroad/internal/service/receive"
)

func TestOneMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(t)
	c.play(`
		S: 220 mx.test.example
		C: EHLO client.example
		S: 250-mx.test.example|250-PIPELINING|250-SIZE 52428800|250-8BITMIME|250-SMTPUTF8|250-ENHANCEDSTATUSCODES|250-CHUNKING|250-DSN|250 LIMITS RCPTMAX=1000
		C: MAIL FROM:<x@far.example> SIZE=100
		S: 250 2.1.0
		C: RCPT TO:<ann@local.example>
		S: 250 2.1.5
		C: RCPT TO:<nobody@local.example>
		S: 550 5.1.1
		C: RCPT TO:<u@relay.example>
		S: 250 2.1.5
		C: RCPT TO:<x@far.example>
		S: 550 5.7.1
		C: DATA
		S: 354
		C: Subject: hello
		C:
		C: ..dotted
		C: .
		S: 250 2.0.0 queued as 0
		C: QUIT
		S: 221
		S: closed`)
	if len(w.accepted) != 1 {
		t.Fatalf("%d messages", len(w.accepted))
	}
	st := w.accepted[0]
	if !strings.HasSuffix(w.contents[0], "Subject: hello\r\n\r\n.dotted\r\n") || !strings.HasPrefix(w.contents[0], "Received: from client.example") {
		t.Errorf("content %q", w.contents[0])
	}
	if int(st.Message.Size) != len(w.contents[0]) {
		t.Errorf("size %d of %d octets", st.Message.Size, len(w.contents[0]))
	}
	if len(st.Rows) != 2 || st.Rows[0].Mailbox != "box" || st.Rows[1].Lane != "relay/h.example:25" {
		t.Errorf("rows %+v", st.Rows)
	}
}

func TestPipelinedRepliesComeTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(t)
	c.play(`S: 220`)
	var b strings.Builder
	b.WriteString("EHLO c\r\n")
	for range 50 {
		b.WriteString("MAIL FROM:<>\r\nRCPT TO:<ann@local.example>\r\nRSET\r\n")
	}
	_, _ = io.WriteString(c, b.String())
	_ = c.reply()
	for range 50 {
		c.play("S: 250 2.1.0\nS: 250 2.1.5\nS: 250 2.0.0")
	}
	c.play("C: MAIL FROM:<>\nC: RCPT TO:<ann@local.example>\nC: DATA\nS: 250\nS: 250\nS: 354\nR: a: b\\r\\n\\r\\nx\\r\\n.\\r\\nMAIL FROM:<>\\r\\nRCPT TO:<bob@local.example>\\r\\n\nS: 250 2.0.0 queued\nS: 250 2.1.0\nS: 250 2.1.5")
}

// TestSmugglingFormsEndNothing sends contents with every look-alike of the end of data, each followed by what
// would be a second message if it were believed.
func TestSmugglingFormsEndNothing(t *testing.T) {
	t.Parallel()
	forms := []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r.\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n",
		"\r\n.\r\r\n", "\r\r\n.\r\r\n", "\r\n.\n\r\n", "\n\n.\r\n", "\r\n\r.\r\n", "\r\n.\r\x00\n", "\n.\n\n", "\r\n .\r\n", "\r\n..\r\n",
	}
	for i, form := range forms {
		t.Run(fmt.Sprintf("%d %q", i, form), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			c := w.dial(t)
			c.play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: DATA\nS: 354")
			_, _ = io.WriteString(c, "Subject: one\r\n\r\nx"+form+"MAIL FROM:<evil@x.example>\r\nRCPT TO:<bob@local.example>\r\nDATA\r\nSubject: two\r\n\r\nx\r\n.\r\nQUIT\r\n")
			first := c.reply()
			switch {
			case strings.HasPrefix(first, "521 5.5.2"):
				if rest := c.reply(); rest != "closed" {
					t.Errorf("after the refusal: %q", rest)
				}
				if len(w.accepted) != 0 {
					t.Errorf("%d messages accepted", len(w.accepted))
				}
			case strings.HasPrefix(first, "250 2.0.0"):
				c.play("S: 221")
				if len(w.accepted) != 1 || !strings.Contains(w.contents[0], "Subject: two") {
					t.Errorf("%d messages: %q", len(w.accepted), w.contents)
				}
			default:
				t.Errorf("reply %q", first)
			}
		})
	}
}

func TestCommandsOutOfOrderOrMalformed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.dial(t).play(`
		S: 220
		C: MAIL FROM:<x@far.example>
		S: 503 5.5.1
		C: EHLO
		S: 501
		C: EHLO c
		S: 250
		C: RCPT TO:<ann@local.example>
		S: 503 5.5.1
		C: DATA
		S: 503 5.5.1
		C: MAIL FROM:<x@far.example> SIZE=999999999999
		S: 552 5.3.4
		C: MAIL FROM:<x@far.example> BODY=BINARYMIME
		S: 5
		C: MAIL FROM:<@a,@b:x@far.example>
		S: 501
		C: MAIL FROM:<x@far.example>
		S: 250
		C: MAIL FROM:<x@far.example>
		S: 503 5.5.1
		C: DATA
		S: 554 5.5.1
		C: RCPT TO:<@evil.example:ann@local.example>
		S: 550 5.7.1
		C: EXPN list
		S: 502
		C: VRFY ann
		S: 252
		C: STARTTLS
		S: 502
		C: AUTH PLAIN AA==
		S: 502
		R: NOOP\n
		S: 500 5.5.2
		C: NOOP
		S: 250`)
}

func TestTooManyErrorsEndTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(t)
	c.play("S: 220")
	for i := range 21 {
		_, _ = io.WriteString(c, "FOO\r\n")
		want := "500"
		if i == 20 {
			want = "421 4.7.0"
		}
		if got := c.reply(); !strings.HasPrefix(got, want) {
			t.Fatalf("error %d: %q, want %s", i, got, want)
		}
	}
	c.play("S: closed")
}

func TestHTTPIsTurnedAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.dial(t).play("S: 220\nC: POST / HTTP/1.1\nS: 421\nS: closed")
}

func TestContentOverTheLimitLeavesTheSessionAlive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *receive.Config) { c.MessageSize = 1000 })
	c := w.dial(t)
	c.play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: DATA\nS: 354")
	_, _ = io.WriteString(c, strings.Repeat(strings.Repeat("x", 70)+"\r\n", 100)+".\r\n")
	c.play("S: 552 5.3.4\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: DATA\nS: 354\nC: ok\nC: .\nS: 250 2.0.0")
}

func TestLargeContentGoesToABlobByteForByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(t)
	c.play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: DATA\nS: 354")
	body := "Subject: big\r\n\r\n" + strings.Repeat(strings.Repeat("é", 499)+"\r\n", 3000)
	_, _ = io.WriteString(c, body+".\r\n")
	c.play("S: 250 2.0.0")
	if w.blobs != 1 || !strings.HasSuffix(w.contents[0], body) || w.accepted[0].Content.Blob == "" {
		t.Errorf("%d blobs, content of %d octets for %d", w.blobs, len(w.contents[0]), len(body))
	}
}

func TestTroubleWithStorageIsTemporaryAndRemovesNoContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.fail = errors.New("disk on fire")
	c := w.dial(t)
	c.play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: DATA\nS: 354")
	_, _ = io.WriteString(c, strings.Repeat(strings.Repeat("x", 70)+"\r\n", 2000)+".\r\n")
	c.play("S: 451 4.3.0")
	if w.blobs != 1 {
		t.Errorf("%d blobs: a commit that failed may stand all the same, and must then find its content", w.blobs)
	}
	w.fail = errors.Join(errors.New("the database"), receive.ErrFull)
	c.play("C: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: DATA\nS: 354\nC: Subject: x\nC: \nC: .\nS: 452 4.3.1")
	w.room = errors.New("full")
	c.play("C: MAIL FROM:<>\nS: 452 4.3.1")
}

func TestBDAT(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(t)
	c.play(`
		S: 220
		C: EHLO c
		S: 250
		C: BDAT 6
		R: NOOP\r\n
		S: 503
		C: MAIL FROM:<>
		S: 250
		C: RCPT TO:<ann@local.example>
		S: 250
		R: BDAT 6\r\na: b\r\n
		S: 250
		C: DATA
		S: 503
		R: BDAT 7 LAST\r\n\r\nx\r\n.\r
		S: 521`)
	w.dial(t).play(`
		S: 220
		C: EHLO c
		S: 250
		C: MAIL FROM:<>
		S: 250
		C: RCPT TO:<ann@local.example>
		S: 250
		R: BDAT 6\r\na: b\r\nBDAT 5\r\n\r\n.\r\nBDAT 0 LAST\r\n
		S: 250
		S: 250
		S: 250 2.0.0 queued
		C: BDAT -5
		S: 501
		S: closed`)
	if len(w.contents) != 1 || !strings.HasSuffix(w.contents[0], "a: b\r\n\r\n.\r\n") {
		t.Errorf("contents %q", w.contents)
	}
}

func TestTooManyRecipientsGoToTheNextTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *receive.Config) { c.Recipients = 2 })
	w.dial(t).play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: RCPT TO:<bob@local.example>\nS: 250\nC: RCPT TO:<u@relay.example>\nS: 452 4.5.3")
}

func TestAMailboxGetsOneCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.dial(t).play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: RCPT TO:<ann+x@local.example>\nS: 250\nC: RCPT TO:<bob@local.example>\nS: 250\nC: DATA\nS: 354\nC: .\nS: 250")
	if len(w.accepted) != 1 || len(w.accepted[0].Rows) != 2 {
		t.Errorf("%+v", w.accepted)
	}
}

func TestAMessageInCirclesIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.dial(t)
	c.play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: DATA\nS: 354")
	_, _ = io.WriteString(c, strings.Repeat("Received: from a by b; x\r\n", 51)+"\r\nx\r\n.\r\n")
	c.play("S: 554 5.4.6")
}

func TestMoreSessionsThanAnAddressGets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *receive.Config) { c.SessionsPerAddress = 2 })
	a, b := w.dial(t), w.dial(t)
	a.play("S: 220")
	b.play("S: 220")
	w.dial(t).play("S: 421 4.7.0\nS: closed")
	a.play("C: QUIT\nS: 221\nS: closed")
}

// TestWhatComesAfterALongHeaderIsSeen pads a header beyond what is kept inline.
func TestWhatComesAfterALongHeaderIsSeen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, tail, want string
		padding          int
	}{
		{"circles", strings.Repeat("Received: from a by b; x\r\n", 51) + "\r\nx\r\n", "554 5.4.6", 150 << 10},
		{"no end", strings.Repeat("X: "+strings.Repeat("y", 70)+"\r\n", 100), "552 5.3.4", 300 << 10},
		{"long and well", "\r\nx\r\n", "250 2.0.0", 200 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			cl := w.dial(t)
			cl.play("S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: DATA\nS: 354")
			line := "X-Padding: " + strings.Repeat("p", 87) + "\r\n"
			_, _ = io.WriteString(cl, strings.Repeat(line, c.padding/len(line))+c.tail+".\r\n")
			cl.play("S: " + c.want)
		})
	}
}
