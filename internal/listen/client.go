package listen

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Client is a connection that has a place among the sessions of a service, from its beginning to its end.
type Client struct {
	Conn net.Conn   // as accepted; what others than the session's goroutine may touch
	Addr netip.Addr // whom it comes from; invalid where that is no address

	sessions *Sessions
	kind     *Kind
	customer netip.Addr // by whom it is counted
	session  Session
	ending   atomic.Bool

	// Of the session's goroutine.
	secure  *tls.Conn // over Conn; nil: nothing is
	secured int64     // octets of memory counted for it
	until   time.Time // how long it rests; zero: not at all
	timer   *time.Timer

	resting atomic.Bool // it has no goroutine
	roused  atomic.Bool // somebody wants it to go on

	// Under the lock of sessions.
	stranger *list.Element // in the list; nil: it is none, or the list is not kept
	evicted  bool

	file int // the number of the connection's file, under the lock of the watch
}

// NewClient sees whom a connection comes from. The client has no place among the others: Serve gives it one.
func (s *Sessions) NewClient(kind *Kind, conn net.Conn) *Client {
	c := &Client{Conn: conn, sessions: s, kind: kind}
	if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		c.Addr = ap.Addr().Unmap()
	}
	return c
}

// ErrNoMemory says that a session under TLS would be one too many.
var ErrNoMemory = errors.New("the memory set aside for mail is used up")

// handshakeTimeout is how long a client may take for its part of a handshake.
const handshakeTimeout = 30 * time.Second

// Secure puts the connection under TLS, before its first octet or after STARTTLS, and gives what the session reads and
// writes from now on. The end of the session or of the service ends it. After an error the session can only end; after none
// the deadlines are the session's to set.
func (c *Client) Secure(config *tls.Config) (*tls.Conn, error) {
	s := c.sessions
	if s.cfg.Memory.Spent() {
		return nil, ErrNoMemory
	}
	c.secured = s.cfg.TLSBuffers
	s.cfg.Memory.Force(c.secured)
	if err := c.Conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, err
	}
	if c.ending.Load() { // which may have been asked for by the deadline that was just overwritten
		return nil, os.ErrDeadlineExceeded
	}
	conn := tls.Server(c.Conn, config)
	ctx, cancel := context.WithTimeout(s.live(), handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		s.cfg.Meters.Handshakes.WithLabelValues("failed").Inc()
		s.log.Info("handshake failed", "client", c.Addr.String(), "listener", c.kind.Name, "error", err)
		return nil, err
	}
	s.cfg.Meters.Handshakes.WithLabelValues("ok").Inc()
	c.secure = conn
	return conn, nil
}

// Settle says that the session has shown whose it is: its place is not given away any more.
func (c *Client) Settle() {
	s := c.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(c)
}

// Panicked tells of a panic in the session, in the log and in the metrics. It is called while the panic is recovered from.
func (c *Client) Panicked(panicked any) {
	s := c.sessions
	s.cfg.Meters.Panics.Inc()
	s.log.Error("session panicked", "client", c.Addr.String(), "panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
}

// end asks the session to end.
func (c *Client) end(why Cause) {
	c.ending.Store(true)
	c.session.End(why)
	c.Rouse()
}

// run lets a goroutine hold the session. Whatever happens in it, the next one holds it, at once or after a rest, or its place
// is free.
func (c *Client) run() {
	c.rise()
	again := false
	defer func() {
		if p := recover(); p != nil { // past what the session does about its own
			again = false
			c.Panicked(p)
		}
		switch {
		case again && c.until.IsZero():
			go c.run()
			return
		case again:
			c.rest()
			return
		}
		c.close()
		c.sessions.leave(c)
	}()
	again = c.session.Run()
}

// close ends the connection, with a word about it under TLS (RFC 8446 §6.1), and gives its memory back.
func (c *Client) close() {
	if c.secure != nil {
		_ = c.secure.Close()
	}
	_ = c.Conn.Close()
	c.sessions.watch.drop(c)
	c.sessions.cfg.Memory.Give(c.secured)
}
