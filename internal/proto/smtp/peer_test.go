package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// stream is one direction of a connection in memory, with room for everything.
type stream struct {
	mu     sync.Mutex
	cond   *sync.Cond
	buf    []byte
	closed bool
}

func newStream() *stream {
	s := &stream{}
	s.cond = sync.NewCond(&s.mu)
	return s
}

func (s *stream) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cond.Broadcast()
}

// memConn is one end of a connection in memory.
type memConn struct {
	in, out *stream

	mu       sync.Mutex
	timer    *time.Timer
	deadline time.Time
	writes   [][]byte // what was written, write by write
	failAt   int      // writes behind this many octets fail; 0 for never
	total    int
}

func memPipe() (a, b *memConn) {
	x, y := newStream(), newStream()
	return &memConn{in: x, out: y}, &memConn{in: y, out: x}
}

func (c *memConn) expired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.deadline.IsZero() && !time.Now().Before(c.deadline)
}

func (c *memConn) Read(b []byte) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	for {
		switch {
		case len(c.in.buf) > 0:
			n := copy(b, c.in.buf)
			c.in.buf = c.in.buf[n:]
			return n, nil
		case c.in.closed:
			return 0, io.EOF
		case c.expired():
			return 0, os.ErrDeadlineExceeded
		}
		c.in.cond.Wait()
	}
}

var errReset = errors.New("connection reset by peer")

func (c *memConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.writes = append(c.writes, bytes.Clone(b))
	c.total += len(b)
	failed := c.failAt > 0 && c.total > c.failAt
	c.mu.Unlock()
	if failed {
		return 0, errReset
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.out.closed {
		return 0, errReset
	}
	c.out.buf = append(c.out.buf, b...)
	c.out.cond.Broadcast()
	return len(b), nil
}

func (c *memConn) Close() error {
	c.in.close()
	c.out.close()
	return nil
}

func (c *memConn) SetDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = at
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = time.AfterFunc(time.Until(at), c.in.cond.Broadcast)
	return nil
}

// written is all that went out, in order.
func (c *memConn) written() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Join(c.writes, nil)
}

// peer is a server that does as it is told. It takes everything unless its
// script says otherwise.
type peer struct {
	t    *testing.T
	conn *memConn
	r    *Reader
	out  []byte
	lmtp bool

	// on, when it gives a reply, replaces the usual one to a command line; "."
	// stands for the end of a content. Behind hangUp the peer closes.
	on func(line string) string

	lines    []string // commands received
	contents []string
	accepted int
	done     chan struct{}
}

const (
	hangUp = "hang up"
	silent = "silent"
)

// answer writes an override, and reports whether the peer stays.
func (p *peer) answer(reply string) bool {
	reply, closes := strings.CutSuffix(reply, hangUp)
	if reply != silent {
		p.out = append(p.out, reply...)
	}
	if closes {
		p.flush()
		_ = p.conn.Close()
	}
	return !closes
}

func (p *peer) flush() {
	if len(p.out) > 0 {
		_, _ = p.conn.Write(p.out)
		p.out = p.out[:0]
	}
}

// newPeer starts a server and gives a client on it. ehlo are the extensions,
// separated by spaces with "SIZE=1" for "SIZE 1".
func newPeer(t *testing.T, lmtp bool, ehlo string, on func(line string) string) (*Client, *peer, *memConn) {
	t.Helper()
	near, far := memPipe()
	if on == nil {
		on = func(string) string { return "" }
	}
	p := &peer{t: t, conn: far, r: NewReader(far, 4096), lmtp: lmtp, on: on, done: make(chan struct{})}
	go p.serve("mx " + ehlo)
	t.Cleanup(func() {
		_ = near.Close()
		<-p.done
	})
	c := NewClient(near, time.Now, Timeouts{}, lmtp)
	if reply, err := c.Greet(); err != nil || reply.Code != 220 {
		t.Fatal(reply, err)
	}
	if ehlo != "HELO" {
		if _, reply, err := c.Hello("client.example"); err != nil || reply.Code != 250 {
			t.Fatal(reply, err)
		}
	}
	near.mu.Lock()
	near.writes = nil
	near.mu.Unlock()
	return c, p, near
}

func (p *peer) serve(ehlo string) {
	defer close(p.done)
	defer func() { _ = p.conn.Close() }()
	p.out = append(p.out, "220 mx ready\r\n"...)
	for {
		if p.r.Buffered() == 0 {
			p.flush()
		}
		line, err := p.r.ReadLine(4096)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				p.t.Errorf("peer reads %v", err)
			}
			return
		}
		command := string(line)
		p.lines = append(p.lines, command)
		verb, _ := ParseVerb(line)
		reply := p.on(command)
		if reply == "" {
			reply = p.usual(verb, ehlo)
		}
		if !p.answer(reply) || verb == QUIT {
			p.flush()
			return
		}
		if verb == RCPT && strings.HasPrefix(reply, "2") {
			p.accepted++
		}
		if verb == MAIL || verb == RSET {
			p.accepted = 0
		}
		if verb == DATA && strings.HasPrefix(reply, "354") && !p.content() {
			return
		}
	}
}

func (p *peer) usual(verb Verb, ehlo string) string {
	if verb == EHLO || verb == LHLO {
		words := strings.Fields(ehlo)
		for i, w := range words {
			sep := "-"
			if i == len(words)-1 {
				sep = " "
			}
			words[i] = "250" + sep + strings.Replace(w, "=", " ", 1)
		}
		return strings.Join(words, "\r\n") + "\r\n"
	}
	if reply, ok := map[Verb]string{
		DATA: "354 go on\r\n", QUIT: "221 2.0.0 bye\r\n", MAIL: "250 2.1.0 ok\r\n", RCPT: "250 2.1.5 ok\r\n",
	}[verb]; ok {
		return reply
	}
	return "250 2.0.0 ok\r\n"
}

func (p *peer) content() bool {
	if p.r.Buffered() == 0 {
		p.flush()
	}
	switch reply := p.on("content"); reply {
	case "":
	case silent:
		_, _ = io.Copy(io.Discard, p.conn)
		return false
	default:
		return p.answer(reply)
	}
	var content bytes.Buffer
	if _, err := p.r.ReadData(&content, -1); err != nil {
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			p.t.Errorf("peer reads content: %v", err)
		}
		return false
	}
	p.contents = append(p.contents, content.String())
	replies := 1
	if p.lmtp {
		replies = p.accepted
	}
	for i := range replies {
		reply := p.on(fmt.Sprintf(".%d", i))
		if reply == "" {
			reply = fmt.Sprintf("250 2.0.0 queued as %d\r\n", len(p.contents))
		}
		if !p.answer(reply) {
			return false
		}
	}
	return true
}

// stop ends the connection and waits until the peer has seen everything.
func (p *peer) stop(c *Client) {
	_ = c.Quit()
	<-p.done
}

// collect sends and gives the results in order.
func collect(t *testing.T, c *Client, tx []Transaction) ([]Result, error) {
	t.Helper()
	var results []Result
	err := c.Send(tx, func(i int, r Result) {
		if i != len(results) {
			t.Errorf("result %d comes after %d others", i, len(results))
		}
		if len(r.Recipients) != len(tx[i].To) {
			t.Errorf("result %d has %d replies for %d recipients", i, len(r.Recipients), len(tx[i].To))
		}
		results = append(results, r)
	})
	if len(results) != len(tx) {
		t.Fatalf("%d results for %d transactions", len(results), len(tx))
	}
	return results, err
}

// message makes a transaction with recipients a@b.example, …
func message(content string, to ...string) Transaction {
	tx := Transaction{From: "sender@client.example", Size: int64(len(content)), Content: [][]byte{[]byte(content)}}
	for _, a := range to {
		tx.To = append(tx.To, Recipient{To: a + "@b.example"})
	}
	return tx
}

// codes gives "PHASE 250,550" with "!" for an error and "!!" for one after the
// dot.
func codes(r Result) string {
	var s strings.Builder
	s.WriteString(r.Phase.String() + " ")
	for i, reply := range r.Recipients {
		if i > 0 {
			s.WriteString(",")
		}
		fmt.Fprint(&s, reply.Code)
	}
	if r.Err != nil {
		s.WriteString("!")
	}
	if r.AfterDot {
		s.WriteString("!")
	}
	return s.String()
}
