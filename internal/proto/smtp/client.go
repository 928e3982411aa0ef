package smtp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// Conn is a connection as this package needs it; a net.Conn is one. SetDeadline
// bounds reads and writes alike and must make both fail once it has passed.
type Conn interface {
	Read(b []byte) (int, error)
	Write(b []byte) (int, error)
	Close() error
	SetDeadline(t time.Time) error
}

// Timeouts are how long a client waits (RFC 5321 §4.5.3.2). Each holds for a
// whole reply or a whole write, so that a peer that drips octets gains nothing.
type Timeouts struct {
	Greeting  time.Duration // for the 220
	Command   time.Duration // for the reply to EHLO, MAIL, RCPT and the rest
	DataInit  time.Duration // for the reply to DATA
	DataBlock time.Duration // for a write of content
	DataEnd   time.Duration // for the reply to the final dot
}

// DefaultTimeouts are the ones of RFC 5321 §4.5.3.2.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		Greeting:  5 * time.Minute,
		Command:   5 * time.Minute,
		DataInit:  2 * time.Minute,
		DataBlock: 3 * time.Minute,
		DataEnd:   10 * time.Minute,
	}
}

const (
	clientBuffer = 4 << 10 // of the reader, in octets
	maxAuthSteps = 16

	// quitTimeout is how long Quit waits for a reply that changes nothing.
	quitTimeout = 5 * time.Second
)

// Client is the sending side of an SMTP or LMTP connection. It is used by one
// goroutine; to interrupt it, close or set a deadline on the connection itself.
// Interrupt alone may be called by others, to learn whether that is safe.
//
// What the peer says comes back as a Reply, whatever its code. Unless a method
// says otherwise, an error means that the connection is of no more use: it has
// been closed, and every later call gives ErrClosed. After a reply of 421 it has
// been closed as well (RFC 5321 §3.8).
type Client struct {
	conn   Conn
	r      *Reader
	now    func() time.Time
	t      Timeouts
	lmtp   bool
	ext    Extensions
	out    []byte // what is to be written next
	mails  int    // transactions begun, for MAILMAX
	dirty  bool   // the peer may hold a transaction that did not reach its dot
	broken error  // why the connection was closed, nil while it is open
	stuff  StuffState
	file   []byte // buffer for contents that are read
	dot    atomic.Uint32
}

// The values of Client.dot.
const (
	dotNone   = iota
	dotSent   // one may be with the peer, and its reply is not here
	dotBarred // none leaves any more
)

// NewClient returns a client on conn, whose peer has not been heard yet. A field
// of t that is zero has its default. With lmtp the peer speaks RFC 2033.
func NewClient(conn Conn, now func() time.Time, t Timeouts, lmtp bool) *Client {
	d := DefaultTimeouts()
	for _, f := range []struct {
		set  *time.Duration
		dflt time.Duration
	}{
		{&t.Greeting, d.Greeting},
		{&t.Command, d.Command},
		{&t.DataInit, d.DataInit},
		{&t.DataBlock, d.DataBlock},
		{&t.DataEnd, d.DataEnd},
	} {
		if *f.set <= 0 {
			*f.set = f.dflt
		}
	}
	return &Client{conn: conn, r: NewReader(conn, clientBuffer), now: now, t: t, lmtp: lmtp, ext: noExtensions()}
}

// Extensions are those of the last Hello.
func (c *Client) Extensions() Extensions { return c.ext }

// Greet waits for the greeting and returns it; 220 means that the peer will
// talk.
func (c *Client) Greet() (Reply, error) {
	if c.gone() {
		return Reply{}, c.closedError()
	}
	return c.read(c.t.Greeting)
}

// Hello sends EHLO, or LHLO for LMTP, and returns what the peer offers. A peer
// that refuses EHLO with 5xx is tried with HELO; its reply then is the one
// returned. A name that ParseHelo refuses is not sent and is its error; the
// connection stays.
func (c *Client) Hello(name string) (Extensions, Reply, error) {
	if _, err := ParseHelo([]byte(name)); err != nil {
		return c.ext, Reply{}, err
	}
	c.ext = noExtensions()
	verb := EHLO
	if c.lmtp {
		verb = LHLO
	}
	reply, err := c.command(verb.String() + " " + name)
	if err == nil && reply.Permanent() && !c.lmtp {
		reply, err = c.command(HELO.String() + " " + name)
		verb = HELO
	}
	if err != nil {
		return c.ext, reply, err
	}
	if reply.Code/100 == 2 {
		c.dirty = false
		if verb != HELO {
			c.ext = parseExtensions(reply.Text)
		}
	}
	return c.ext, reply, nil
}

// StartTLS sends STARTTLS and, after 220, has upgrade make the handshake on the
// connection; it bounds that by deadlines of its own on the Conn it gets.
// Everything the peer said before is forgotten, so Hello comes next
// (RFC 3207 §4.2). Octets that came behind the 220 give ErrPlaintext. When the
// reply is not 220, nothing has changed.
func (c *Client) StartTLS(upgrade func(Conn) (Conn, error)) (Reply, error) {
	reply, err := c.command(STARTTLS.String())
	if err != nil || reply.Code != 220 {
		return reply, err
	}
	c.ext = noExtensions()
	if c.r.Discard() > 0 {
		return reply, c.fail(ErrPlaintext)
	}
	secured, err := upgrade(c.conn)
	if err != nil {
		return reply, c.fail(fmt.Errorf("start TLS: %w", err))
	}
	c.conn = secured
	c.r.Reset(secured)
	c.dirty = false
	return reply, nil
}

// Auth makes an AUTH exchange (RFC 4954 §4) and returns its last reply: 235 when
// the peer is convinced. initial is the initial response, nil for none; step
// answers each challenge. An error of step cancels the exchange and is returned
// beside the peer's reply; the connection stays.
func (c *Client) Auth(mechanism string, initial []byte, step func(challenge []byte) ([]byte, error)) (Reply, error) {
	if !validMechanism(mechanism) {
		return Reply{}, fmt.Errorf("SASL mechanism %.20q: %w", mechanism, errMechanism)
	}
	line := AUTH.String() + " " + mechanism
	switch {
	case initial == nil:
	case len(initial) == 0:
		line += " ="
	default:
		line += " " + base64.StdEncoding.EncodeToString(initial)
	}
	reply, err := c.command(line)
	for range maxAuthSteps {
		if err != nil || reply.Code != 334 {
			return reply, err
		}
		answer, problem := c.answer(reply.Text, step)
		if problem != nil {
			reply, err = c.command("*")
			return reply, errors.Join(problem, err)
		}
		reply, err = c.command(base64.StdEncoding.EncodeToString(answer))
	}
	if err == nil && reply.Code == 334 {
		err = c.fail(ErrOutOfStep)
	}
	return reply, err
}

var errMechanism = errors.New("not a mechanism name")

func (c *Client) answer(challenge string, step func([]byte) ([]byte, error)) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(challenge))
	if err != nil {
		return nil, fmt.Errorf("AUTH challenge: %w", err)
	}
	return step(b)
}

// validMechanism judges a SASL mechanism name (RFC 4422 §3.1).
func validMechanism(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 20
}

// Reset ends whatever transaction the peer holds. A reply other than 2xx is
// returned as a *ReplyError and leaves the connection open.
func (c *Client) Reset() error {
	err := c.simple(RSET)
	if err == nil {
		c.dirty = false
	}
	return err
}

// Noop shows whether the peer still answers. A reply other than 2xx is returned
// as a *ReplyError and leaves the connection open.
func (c *Client) Noop() error { return c.simple(NOOP) }

func (c *Client) simple(v Verb) error {
	reply, err := c.command(v.String())
	if err == nil && reply.Code/100 != 2 {
		err = &ReplyError{Reply: reply}
	}
	return err
}

// Quit says goodbye, waits at most 5 seconds for the reply and closes. The
// error is that of closing: everything that counted had been answered before.
func (c *Client) Quit() error {
	if c.gone() {
		return nil
	}
	c.out = append(c.out[:0], "QUIT\r\n"...)
	if c.flush(min(quitTimeout, c.t.Command)) == nil {
		// Any answer will do, none as well.
		_, _ = c.read(min(quitTimeout, c.t.Command))
	}
	return c.Close()
}

// Close closes the connection without a word.
func (c *Client) Close() error {
	if c.gone() {
		return nil
	}
	c.broken = ErrClosed
	return c.conn.Close()
}

// Interrupt reports whether the connection can be closed without leaving in doubt
// who has a message: from then on no content's final dot is sent. It is false
// while one may be with the peer and the reply to it is not here; then nothing
// has changed.
func (c *Client) Interrupt() bool {
	return c.dot.CompareAndSwap(dotNone, dotBarred) || c.dot.Load() == dotBarred
}

// gone reports that the connection has been closed.
func (c *Client) gone() bool { return c.broken != nil }

// fail closes the connection because of err and returns err.
func (c *Client) fail(err error) error {
	if c.broken == nil {
		c.broken = err
		// The connection is lost already; a failure to close says nothing new.
		_ = c.conn.Close()
	}
	return err
}

// closedError is what a call on a broken connection gives.
func (c *Client) closedError() error {
	if errors.Is(c.broken, ErrClosed) {
		return c.broken
	}
	return fmt.Errorf("%w: %w", ErrClosed, c.broken)
}

// command sends a line and waits for its reply.
func (c *Client) command(line string) (Reply, error) {
	if c.gone() {
		return Reply{}, c.closedError()
	}
	c.out = append(c.out[:0], line...)
	c.out = append(c.out, '\r', '\n')
	if err := c.flush(c.t.Command); err != nil {
		return Reply{}, c.fail(err)
	}
	return c.read(c.t.Command)
}

// read waits for a reply.
func (c *Client) read(timeout time.Duration) (Reply, error) {
	if !c.r.hasLine() {
		if err := c.conn.SetDeadline(c.now().Add(timeout)); err != nil {
			return Reply{}, c.fail(fmt.Errorf("set deadline: %w", err))
		}
	}
	reply, err := c.r.ReadReply()
	if err != nil {
		return Reply{}, c.fail(fmt.Errorf("read reply: %w", err))
	}
	if reply.Code == 421 {
		_ = c.fail(&ReplyError{Reply: reply})
	}
	return reply, nil
}

// flush writes what has been gathered in c.out.
func (c *Client) flush(timeout time.Duration) error {
	if len(c.out) == 0 {
		return nil
	}
	b := c.out
	c.out = c.out[:0]
	return c.write(b, timeout)
}

// write writes b within timeout. It does not close on an error: the peer may
// have said why it stopped reading.
func (c *Client) write(b []byte, timeout time.Duration) error {
	if err := c.conn.SetDeadline(c.now().Add(timeout)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	if _, err := c.conn.Write(b); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
