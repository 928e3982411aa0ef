package acceptance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// talk is a raw SMTP dialogue: what is sent is what stands in the test.
type talk struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dialSMTP(t *testing.T, addr string) *talk {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c := &talk{t: t, Conn: conn, r: bufio.NewReader(conn)}
	c.expect("220")
	return c
}

// read gives the next reply, its lines joined; an error text at the end of the connection.
func (c *talk) read() string {
	var all strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return "closed: " + err.Error()
		}
		all.WriteString(line)
		if len(line) < 4 || line[3] != '-' {
			return strings.TrimRight(all.String(), "\r\n")
		}
	}
}

func (c *talk) expect(prefix string) string {
	c.t.Helper()
	got := c.read()
	if !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("reply %q, want %s", got, prefix)
	}
	return got
}

// say sends a line and checks the beginning of the reply.
func (c *talk) say(line, prefix string) string {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\r\n"); err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
	return c.expect(prefix)
}

// send sends one message and gives its queue id. content has CRLF line ends and no dots to stuff.
func (c *talk) send(from, content string, rcpts ...string) string {
	c.t.Helper()
	c.say("MAIL FROM:<"+from+">", "250")
	for _, r := range rcpts {
		c.say("RCPT TO:<"+r+">", "250")
	}
	c.say("DATA", "354")
	reply := c.say(content+".", "250")
	_, id, _ := strings.Cut(reply, "queued as ")
	return id
}

// text makes the content of a small message.
func text(subject string) string {
	return fmt.Sprintf("From: A <a@far.example>\r\nTo: <b@local.example>\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@far.example>\r\n\r\nHello.\r\n", subject, subject)
}
