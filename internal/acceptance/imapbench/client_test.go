package imapbench

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// client is a mail client that has logged in.
type client struct {
	tb   testing.TB
	conn net.Conn
	in   *bufio.Reader
	n    int
}

// dial connects over TLS and logs in.
func dial(tb testing.TB, address, user, password string) *client {
	tb.Helper()
	raw, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		tb.Fatal(err)
	}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a certificate of our own
	c := &client{tb: tb, conn: conn, in: bufio.NewReaderSize(conn, 4096)}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		tb.Fatal(err)
	}
	c.line()
	c.do("LOGIN " + user + " " + password)
	return c
}

// line reads a line with the literals in it.
func (c *client) line() []byte {
	c.tb.Helper()
	var all []byte
	for {
		part, err := c.in.ReadSlice('\n')
		all = append(all, part...)
		if err == bufio.ErrBufferFull { //nolint:errorlint // it comes bare
			continue
		}
		if err != nil {
			c.tb.Fatal(err)
		}
		open := bytes.LastIndexByte(all, '{')
		if open < 0 || !bytes.HasSuffix(all, []byte("}\r\n")) {
			return all
		}
		n, err := strconv.Atoi(string(all[open+1 : len(all)-3]))
		if err != nil {
			return all
		}
		literal := make([]byte, n)
		for read := 0; read < n; {
			k, err := c.in.Read(literal[read:])
			if err != nil {
				c.tb.Fatal(err)
			}
			read += k
		}
		all = append(all, literal...)
	}
}

func (c *client) send(text string) {
	c.tb.Helper()
	if _, err := c.conn.Write([]byte(text)); err != nil {
		c.tb.Fatal(err)
	}
}

// do gives a command and reads up to its OK; it gives the number of untagged lines.
func (c *client) do(command string) int {
	c.tb.Helper()
	c.n++
	tag := "t" + strconv.Itoa(c.n) + " "
	c.send(tag + command + "\r\n")
	for n := 0; ; n++ {
		line := c.line()
		if !bytes.HasPrefix(line, []byte(tag)) {
			continue
		}
		if !bytes.HasPrefix(line[len(tag):], []byte("OK")) {
			c.tb.Fatalf("%.60s: %s", command, line)
		}
		return n
	}
}

// idle begins IDLE.
func (c *client) idle() {
	c.tb.Helper()
	c.send("i IDLE\r\n")
	for !bytes.HasPrefix(c.line(), []byte("+")) {
	}
}

// told waits for a line that ends with a word.
func (c *client) told(word string) {
	c.tb.Helper()
	for !bytes.HasSuffix(c.line(), []byte(word+"\r\n")) {
	}
}

func (c *client) close() { _ = c.conn.Close() }

// deliver hands a message over by SMTP or LMTP, and gives the time when it was taken.
func deliver(tb testing.TB, address, hello, to string, message []byte) time.Time {
	tb.Helper()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	conn, err := net.DialTimeout(network, address, 10*time.Second)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	expect := func(code string) {
		tb.Helper()
		for {
			line, err := in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, code) {
				tb.Fatalf("%q, %v instead of %s", line, err, code)
			}
			if line[3] == ' ' {
				return
			}
		}
	}
	expect("220")
	for _, step := range [][2]string{{hello + " client.example", "250"}, {"MAIL FROM:<x@client.example>", "250"}, {"RCPT TO:<" + to + ">", "250"}, {"DATA", "354"}} {
		if _, err := fmt.Fprintf(conn, "%s\r\n", step[0]); err != nil {
			tb.Fatal(err)
		}
		expect(step[1])
	}
	if _, err := conn.Write(append(message, ".\r\n"...)); err != nil {
		tb.Fatal(err)
	}
	expect("250")
	return time.Now()
}
