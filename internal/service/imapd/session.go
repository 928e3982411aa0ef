package imapd

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/listen"
	"postroad/internal/proto/imap"
)

// session is one client's dialogue. Its goroutine holds mu except while it idles. When it comes to wait for long it gives
// the session up, which then rests without one, or is handed over to one that has a small stack.
type session struct {
	service  *Service
	client   *listen.Client
	raw      net.Conn // the client's; what others may touch
	kind     Kind
	addr     netip.Addr
	who      atomic.Pointer[Login] // nil before a login
	ending   atomic.Pointer[string]
	killed   atomic.Bool // ended at once, whatever is on the way
	receives atomic.Bool // a message is being appended: its answer is waited for
	idling   atomic.Bool // the end of IDLE is waited for, and nobody holds mu for it
	telling  atomic.Bool // another goroutine is about to tell the client what has changed

	mu   sync.Mutex
	conn net.Conn // raw, or TLS over it
	in   *imap.Reader
	out  *imap.Writer
	wait waiting

	rested bool          // the goroutine that goes on comes when there is something to do
	idle   *imap.Request // IDLE that waits for its end

	tls     bool
	scope   account.Scope
	enabled enabled
	sel     *selected // nil: no folder is selected
	saved   savedResult

	errors, failures int
}

// enabled is what the client has switched on (RFC 5161).
type enabled struct {
	condStore, qresync, utf8, rev2 bool
}

// waiting is what the next octets from the client are waited for.
type waiting struct {
	loginBy  time.Time // by when there must be a login
	since    time.Time // when the goroutine began to wait for a command
	settled  bool      // by a goroutine that has done nothing else
	inside   bool      // a command has begun
	until    time.Time // by when it must be over
	transfer bool      // a message comes
	begun    time.Time // of the transfer
	octets   int64     // of it
}

var (
	// errQuit ends a session without a further word; the last response has been written.
	errQuit = errors.New("session ended")
	// errWaits hands the session over to a goroutine that waits.
	errWaits   = errors.New("session waits")
	errTooSlow = errors.New("the message comes too slowly")
	// errGone ends a session whose client hears nothing.
	errGone = errors.New("client gone")
)

func newSession(service *Service, client *listen.Client, kind Kind) *session {
	return &session{service: service, client: client, raw: client.Conn, conn: client.Conn, kind: kind, addr: client.Addr}
}

// box is the id of the session's mailbox.
func (s *session) box() string { return s.who.Load().Mailbox }

// context is that of work for the client: it ends when the service stops.
func (s *session) context() context.Context { return s.service.sessions.Live() }

// End implements listen.Session.
func (s *session) End(why listen.Cause) {
	switch why {
	case listen.Stopping:
		s.interrupt("The server is shutting down, try again in a moment.")
	case listen.Crowded:
		s.end("There are too many sessions without a login.")
	}
}

// interrupt ends the session as soon as it is not receiving a message.
func (s *session) interrupt(reason string) {
	s.ending.CompareAndSwap(nil, &reason)
	if !s.receives.Load() {
		_ = s.raw.SetReadDeadline(time.Now())
	}
	s.client.Rouse()
}

// end ends the session at once.
func (s *session) end(reason string) {
	s.killed.Store(true)
	s.ending.CompareAndSwap(nil, &reason)
	_ = s.raw.SetReadDeadline(time.Now())
	_ = s.raw.SetWriteDeadline(time.Now().Add(5 * time.Second))
	s.client.Rouse()
}

// hangUp ends the connection, whoever waits for it.
func (s *session) hangUp() {
	_ = s.raw.Close()
	s.client.Rouse()
}

// ended tells whether long work for the client should be left off.
func (s *session) ended() bool {
	return s.killed.Load() || s.ending.Load() != nil && !s.receives.Load()
}

// Read is the reader's source: what was answered so far is sent before the session waits for more.
func (s *session) Read(p []byte) (int, error) {
	if !s.idling.Load() {
		if err := s.out.Flush(); err != nil {
			return 0, err
		}
	}
	now := time.Now()
	until, err := s.deadline(now)
	if err != nil {
		return 0, err
	}
	if err := s.raw.SetReadDeadline(until); err != nil {
		return 0, err
	}
	if s.ended() {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := s.conn.Read(p)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && s.waits() && until.Before(s.patience()) {
		return 0, errWaits
	}
	if n > 0 {
		w := &s.wait
		if w.transfer {
			w.octets += int64(n)
		} else if !w.inside {
			w.inside, w.until = true, time.Now().Add(commandTimeout)
		}
	}
	return n, err
}

// deadline is by when the next octet must come.
func (s *session) deadline(now time.Time) (time.Time, error) {
	w := &s.wait
	switch {
	case w.transfer:
		if gone := now.Sub(w.begun); gone > minRateAfter && w.octets < int64(gone/time.Second)*minRate {
			return now, errTooSlow
		}
		return now.Add(commandTimeout), nil
	case w.inside && s.who.Load() == nil:
		return w.loginBy, nil
	case w.inside:
		return w.until, nil
	}
	limit := s.patience()
	if soon := now.Add(handOverAfter); !w.settled && soon.Before(limit) {
		return soon, nil
	}
	return limit, nil
}

// patience is how long a client may be silent.
func (s *session) patience() time.Time {
	if s.who.Load() == nil {
		return s.wait.loginBy
	}
	return s.wait.since.Add(idleTimeout)
}

// waits tells whether nothing is waited for but that the client says something.
func (s *session) waits() bool {
	return !s.wait.inside && !s.wait.transfer && !s.ended()
}

// Write is the writer's target.
func (s *session) Write(p []byte) (int, error) {
	written := 0
	for first := true; first || len(p) > 0; first = false {
		limit := writeTimeout
		if s.killed.Load() {
			limit = 5 * time.Second
		}
		if err := s.raw.SetWriteDeadline(time.Now().Add(limit)); err != nil {
			return written, err
		}
		n, err := s.conn.Write(p[:min(len(p), inPieces)])
		written += n
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

// proceed asks the client to go on.
func (s *session) proceed() error {
	s.out.Continue("Go on.")
	return s.out.Flush()
}

// Run implements listen.Session: it is what one goroutine does of the session.
func (s *session) Run() (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idling.Store(false)
	defer func() {
		if again {
			s.give()
			return
		}
		s.unselect()
		s.in.Close()
		if who := s.who.Load(); who != nil {
			s.service.leave(who.Mailbox)
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			s.client.Panicked(p)
			s.out.Status(imap.BYE, imap.CodeServerBug, "Internal error.")
			_ = s.out.Flush()
		}
	}()
	var err error
	if s.in == nil {
		err = s.begin()
	} else if s.wait.settled = !s.rested; s.rested { // where it has to wait itself this goroutine does nothing else
		s.rested = false
	}
	if err == nil {
		err = s.loop()
	}
	if again = errors.Is(err, errWaits); !again {
		s.farewell(err)
	}
	return again
}

// give leaves the session to the goroutine that comes next.
func (s *session) give() {
	s.rested = s.client.Rest(s.patience())
	if s.idle == nil {
		return
	}
	s.idling.Store(true)
	if sel := s.sel; sel != nil && sel.dirty.Load() {
		s.wake(sel)
	}
}

// begin greets the client.
func (s *session) begin() error {
	s.wait.loginBy = time.Now().Add(loginTimeout)
	s.out = imap.NewWriter(s)
	s.in = imap.NewReader(s, imap.BeforeLogin(), s.proceed)
	if s.kind == IMAPS {
		if err := s.handshake(); err != nil {
			return errGone
		}
	}
	s.out.Status(imap.OK, imap.CodeCapability(s.capabilities()), "Postroad is ready.")
	return nil
}

// loop reads and answers commands until the session ends or waits.
func (s *session) loop() error {
	for {
		if s.ended() {
			return os.ErrDeadlineExceeded
		}
		request, err := s.next()
		if errors.Is(err, errWaits) {
			return err
		}
		if err == nil {
			err = s.command(request)
		}
		if err = s.answered(err); err != nil {
			return err
		}
		s.wait.settled, s.wait.since = false, time.Now()
	}
}

// next waits for the next command, or for the end of IDLE, which is then gone on with.
func (s *session) next() (*imap.Request, error) {
	w := &s.wait
	w.inside, w.transfer = s.in.Buffered() > 0, false
	w.until = time.Now().Add(commandTimeout)
	if s.idle != nil {
		return s.idle, nil
	}
	request, err := s.in.Next()
	if err == nil {
		s.service.m.IMAPCommands.WithLabelValues(request.Command.Name()).Inc()
	}
	return request, err
}

// answered tells the client of a command that was refused, and gives the error that ends the session, if there is one.
func (s *session) answered(err error) error {
	refused, ok := errors.AsType[*imap.Error](err)
	if !ok {
		if err == nil {
			s.errors = 0
		}
		return err
	}
	s.out.Refuse(refused)
	most := maxErrors
	if s.who.Load() == nil {
		most = maxErrorsBefore
	}
	switch {
	case refused.Fatal():
		return errQuit
	case refused.Status != imap.BAD:
		return nil
	}
	if s.errors++; s.errors > most {
		s.out.Status(imap.BYE, "", "Too many commands that are wrong.")
		return errQuit
	}
	return nil
}

// farewell says why a session ends, where the client may still hear it.
func (s *session) farewell(err error) {
	reason := s.ending.Load()
	switch {
	case errors.Is(err, errQuit):
	case errors.Is(err, errGone):
		return
	case reason != nil && errors.Is(err, os.ErrDeadlineExceeded):
		s.out.Status(imap.BYE, imap.CodeUnavailable, *reason)
	case errors.Is(err, errTooSlow):
		s.out.Status(imap.BYE, "", "The message comes too slowly.")
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.out.Status(imap.BYE, "", "Nothing was heard for too long.")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return
	}
	_ = s.out.Flush()
}

// tlsBuffers is about what a session under TLS costs beside its other buffers, in octets.
const tlsBuffers = 8 << 10

// handshake puts the connection under TLS.
func (s *session) handshake() error {
	if s.service.cfg.TLS == nil {
		return errors.New("there is no certificate")
	}
	conn, err := s.client.Secure(s.service.cfg.TLS)
	if err != nil {
		return err
	}
	s.conn, s.tls = conn, true
	return nil
}
