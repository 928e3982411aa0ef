package deliver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
)

// Ports for mail beside smtpPort.
const (
	submission  = 587 // RFC 6409 §3.1
	implicitTLS = 465 // TLS begins at once (RFC 8314 §3.3)
)

// connection is an open SMTP or LMTP session with a host.
type connection struct {
	client    *smtp.Client
	conn      net.Conn // below TLS
	transport mail.Transport
	host      string
	addr      place
	route     directory.Outbound // by which its mail leaves; zero: none
	twin      bool               // the host has equals, among which chance decides
	tls       string             // protocol and cipher suite; empty in clear
	sent      int                // messages
	used      bool               // it has waited for mail: the peer may have left meanwhile
	cut       atomic.Bool
}

// watch ends the connection when a message takes longer than its limit, and a moment after ctx has ended. A reply to a
// final dot is waited for then, so that the message need not be sent again, until the time that the context's cause
// gives; no other message's dot is sent. The function renew sets the limit for the next message, stop ends the watch.
func (c *connection) watch(ctx context.Context, limit time.Duration) (renew func(time.Duration), stop func()) {
	w := &watcher{c: c, ctx: ctx}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(limit, w.expired)
	called := context.AfterFunc(ctx, w.callOff)
	return w.renew, func() {
		called()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stopped = true
		w.timer.Stop()
	}
}

// watcher is the watch over one connection while messages are sent.
type watcher struct {
	c   *connection
	ctx context.Context

	mu      sync.Mutex
	timer   *time.Timer
	until   time.Time // once ctx has ended: the reply to a final dot is waited for until then
	stopped bool
}

// callOff is called when the context has ended.
func (w *watcher) callOff() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	w.until = time.Now().Add(lastReply)
	if e := (*mail.Ending)(nil); errors.As(context.Cause(w.ctx), &e) {
		w.until = e.By
	}
	w.timer.Reset(farewell)
}

// expired is called when the time of a message is over, or that of a farewell.
func (w *watcher) expired() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	if left := time.Until(w.until); left > 0 && !w.c.client.Interrupt() {
		w.timer.Reset(left)
		return
	}
	w.c.cut.Store(true)
	_ = w.c.conn.Close() // what is waited for fails by it
}

// renew is called when a message has its replies.
func (w *watcher) renew(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		w.c.client.Interrupt() // no message is sent any more
		limit = farewell
	}
	w.timer.Reset(limit)
}

// hostError says why a host could not be used.
type hostError struct {
	enhanced smtp.Enhanced // of class 4: nothing that a host says before MAIL is about a message
	tls      bool          // TLS is to blame, so that it may be tried without
	here     bool          // this machine is to blame, not the host
	err      error
}

func (e *hostError) Error() string { return e.err.Error() }
func (e *hostError) Unwrap() error { return e.err }

// reply is the reason as a temporary reply.
func (e *hostError) reply() smtp.Reply {
	return smtp.Reply{Code: 450, Enhanced: e.enhanced, Text: shorten(e.Error())}
}

var (
	notAnswering  = smtp.Enhanced{4, 4, 1}
	badSession    = smtp.Enhanced{4, 4, 2}
	congested     = smtp.Enhanced{4, 4, 5}
	notAccepting  = smtp.Enhanced{4, 3, 2}
	misconfigured = smtp.Enhanced{4, 3, 5}
	forbidden     = smtp.Enhanced{4, 7, 0}
	untrusted     = smtp.Enhanced{4, 7, 5}
	refusedLogin  = smtp.Enhanced{4, 7, 8}
)

// errNoTLS says that a route demands verified TLS and the host offers none.
var errNoTLS = errors.New("the route demands verified TLS, which the host does not offer")

// connect opens a session with a target: greeting, EHLO, TLS where offered or demanded, login where demanded.
// The error is a *hostError.
func (s *Service) connect(ctx context.Context, lane mail.Lane, t target, p plan) (*connection, error) {
	if why := s.guard.denied(t); why != "" {
		s.m.DeliverDials.WithLabelValues(string(lane.Transport()), "forbidden").Inc()
		return nil, &hostError{enhanced: forbidden, err: fmt.Errorf("%s is not dialled: %s (the operator can allow it with [deliver] allow)", t.addr, why)} //nolint:err113 // told to people, nobody tests for it
	}
	if err := s.hosts.acquire(ctx, t.addr, func() { s.idle.evict(t.addr) }); err != nil {
		return nil, &hostError{enhanced: congested, err: err}
	}
	c, err := s.session(ctx, lane, t, p, t.addr.socket == "") // nobody listens in between on a socket of this machine
	if e := (*hostError)(nil); errors.As(err, &e) && e.tls && !p.verify && t.addr.Port() != implicitTLS && ctx.Err() == nil {
		// Opportunistic: a broken TLS is no worse than none (RFC 7435), over a connection of its own.
		s.log.InfoContext(ctx, "TLS failed, sending in clear", "lane", string(lane), "host", t.host, "address", t.addr.String(), "error", err)
		c, err = s.session(ctx, lane, t, p, false)
	}
	if e := (*hostError)(nil); !errors.As(err, &e) || !e.here {
		s.hosts.note(t.addr, err == nil)
	}
	if err != nil {
		s.hosts.release(t.addr)
		return nil, err
	}
	s.m.DeliverConnections.WithLabelValues(string(c.transport)).Inc()
	s.log.DebugContext(ctx, "connected", "lane", string(lane), "host", c.host, "address", c.addr.String(), "tls", c.tls)
	return c, nil
}

// session makes one connection and speaks until mail can be sent.
func (s *Service) session(ctx context.Context, lane mail.Lane, t target, p plan, secure bool) (*connection, error) {
	c, err := s.dial(ctx, lane, t, p, secure)
	result := "ok"
	if err != nil {
		result = "failed"
	}
	s.m.DeliverDials.WithLabelValues(string(lane.Transport()), result).Inc()
	return c, err
}

func (s *Service) dial(ctx context.Context, lane mail.Lane, t target, p plan, secure bool) (*connection, error) {
	dialCtx, cancel := context.WithTimeout(ctx, s.cfg.ConnectTimeout)
	conn, err := s.reach(dialCtx, t, p.route.Source)
	cancel()
	if err != nil {
		return nil, err
	}
	c := &connection{conn: conn, transport: lane.Transport(), host: t.host, addr: t.addr, route: p.route, twin: t.twin}
	ctx, cancel = context.WithTimeout(ctx, openTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // what is waited for fails by it
	defer stop()
	var over smtp.Conn = conn
	if t.addr.Port() == implicitTLS {
		if over, err = s.handshake(ctx, c, p.verify); err != nil {
			return nil, err
		}
	}
	c.client = smtp.NewClient(over, time.Now, s.cfg.Timeouts, p.lmtp)
	if err := s.open(ctx, c, p, secure); err != nil {
		_ = c.client.Close() // it is lost or of no use
		if ctx.Err() != nil {
			err = &hostError{enhanced: badSession, err: fmt.Errorf("%w: %w", ctx.Err(), err)}
		}
		return nil, err
	}
	return c, nil
}

// open speaks until mail can be sent.
func (s *Service) open(ctx context.Context, c *connection, p plan, secure bool) error {
	reply, err := c.client.Greet()
	if err = judged(reply, err, 220, "greeting", c.host); err != nil {
		return err
	}
	ext, err := s.hello(c)
	if err != nil {
		return err
	}
	if secure && ext.StartTLS && c.tls == "" {
		if ext, err = s.startTLS(ctx, c, p.verify); err != nil {
			return err
		}
	}
	if p.verify && c.tls == "" {
		return &hostError{enhanced: untrusted, err: errNoTLS}
	}
	if p.outbound == nil {
		return nil
	}
	return login(c.client, ext, p.outbound)
}

func (s *Service) hello(c *connection) (smtp.Extensions, error) {
	ext, reply, err := c.client.Hello(cmp.Or(c.route.Source.Helo(c.addr.Addr()), s.cfg.Hostname))
	return ext, judged(reply, err, 250, "EHLO", c.host)
}

// startTLS puts a session under TLS. Whatever goes wrong in between, TLS is to blame for; only a refusal in
// words, under TLS, is the host's.
func (s *Service) startTLS(ctx context.Context, c *connection, verify bool) (smtp.Extensions, error) {
	reply, err := c.client.StartTLS(func(smtp.Conn) (smtp.Conn, error) { return s.handshake(ctx, c, verify) })
	if err = judged(reply, err, 220, "STARTTLS", c.host); err != nil {
		return smtp.Extensions{}, tlsToBlame(err)
	}
	ext, err := s.hello(c)
	if _, said := smtp.ReplyOf(err); err != nil && !said {
		err = tlsToBlame(err)
	}
	return ext, err
}

// tlsToBlame is a failure of TLS.
func tlsToBlame(err error) error {
	return &hostError{enhanced: untrusted, tls: true, err: err}
}

// judged makes an error of what a host answered in place of the wanted reply.
func judged(reply smtp.Reply, err error, want int, command, host string) error {
	enhanced := badSession
	if err == nil {
		if reply.Code == want {
			return nil
		}
		enhanced, err = notAccepting, &smtp.ReplyError{Reply: reply}
	}
	return &hostError{enhanced: enhanced, err: fmt.Errorf("%s of %s: %w", command, host, err)}
}

// handshake puts a connection under TLS. Without verification the certificate is anybody's: it keeps listeners
// out, not impostors, which is all that opportunistic TLS promises (RFC 7435).
func (s *Service) handshake(ctx context.Context, c *connection, verify bool) (smtp.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	name := c.host
	if addr, ok := literal(name); ok {
		name = addr.String()
	}
	secured := tls.Client(c.conn, &tls.Config{
		ServerName: name, RootCAs: s.cfg.RootCAs, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: !verify, //nolint:gosec // opportunistic, see above
	})
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = c.conn.Close() // it is of no more use
		return nil, tlsToBlame(fmt.Errorf("TLS with %s: %w", c.host, err))
	}
	state := secured.ConnectionState()
	c.tls = tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
	return secured, nil
}

// keep lets a connection wait for more mail of its lane, unless another lane waits for its place.
func (s *Service) keep(lane mail.Lane, c *connection) {
	s.idle.put(lane, c)
	if s.hosts.crowded(c.addr) {
		s.idle.evict(c.addr)
	}
}

// quit ends a connection with a word.
func (s *Service) quit(c *connection) {
	_ = c.client.Quit() // everything that counted was answered before
	s.m.DeliverConnections.WithLabelValues(string(c.transport)).Dec()
	s.hosts.release(c.addr) // the last step: Close waits for it
}

// shorten cuts what a peer said to a length that logs and reports can bear.
func shorten(text string) string {
	if len(text) <= replyOctets {
		return text
	}
	return strings.ToValidUTF8(text[:replyOctets], "")
}
