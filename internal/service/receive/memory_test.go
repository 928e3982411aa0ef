package receive_test

import (
	"io"
	"strings"
	"testing"

	"postroad/internal/core/budget"
	"postroad/internal/service/receive"
)

// begin is a dialogue up to the content.
const begin = "S: 220\nC: EHLO c\nS: 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ann@local.example>\nS: 250\nC: DATA\nS: 354"

func TestContentGoesToAFileEarlierWhileMemoryIsShort(t *testing.T) {
	t.Parallel()
	memory := budget.New(1 << 20)
	w := newWorld(t, func(c *receive.Config) { c.Memory = memory })
	for _, short := range []bool{false, true} {
		if short {
			memory.Force(900 << 10)
		}
		c := w.dial(t)
		c.play(begin)
		_, _ = io.WriteString(c, "Subject: x\r\n\r\n"+strings.Repeat("0123456789\r\n", 2000)+".\r\n")
		c.play("S: 250 2.0.0 queued\nC: QUIT\nS: 221\nS: closed")
	}
	if len(w.accepted) != 2 || w.accepted[0].Content.Blob != "" || w.accepted[1].Content.Blob == "" {
		t.Errorf("files: %q, %q; want one for the second only", w.accepted[0].Content.Blob, w.accepted[1].Content.Blob)
	}
	if w.contents[0][strings.Index(w.contents[0], "Subject:"):] != w.contents[1][strings.Index(w.contents[1], "Subject:"):] {
		t.Error("the two contents differ")
	}
	if used := memory.Used(); used != 900<<10 {
		t.Errorf("%d octets are in use after the sessions", used)
	}
}

func TestNoMailBeginsWhileMemoryIsUsedUp(t *testing.T) {
	t.Parallel()
	memory := budget.New(1 << 20)
	w := newWorld(t, func(c *receive.Config) { c.Memory = memory })
	c := w.dial(t)
	c.play("S: 220\nC: EHLO c\nS: 250")
	memory.Force(1 << 20)
	c.play("C: MAIL FROM:<>\nS: 452 4.3.1")
	memory.Give(1 << 20)
	c.play("C: MAIL FROM:<>\nS: 250")
}

func TestMemoryOfABrokenTransferComesBack(t *testing.T) {
	t.Parallel()
	memory := budget.New(1 << 20)
	w := newWorld(t, func(c *receive.Config) { c.Memory = memory })
	for _, content := range []string{strings.Repeat("x\r\n", 30_000), "x\r\ny\nz\r\n.\r\n", "BDAT"} {
		c := w.dial(t)
		if content == "BDAT" {
			c.play(strings.TrimSuffix(begin, "\nC: DATA\nS: 354"))
			content = "BDAT 4\r\na\r\n\n"
		} else {
			c.play(begin)
		}
		_, _ = io.WriteString(c, content)
		_ = c.Close()
	}
	w.stop(t)
	if used := memory.Used(); used != 0 {
		t.Errorf("%d octets are in use after the sessions", used)
	}
}
