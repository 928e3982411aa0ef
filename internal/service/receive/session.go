package receive

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
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/core/trace"
	"postroad/internal/listen"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/smtp"
)

// session is one client's dialogue.
type session struct {
	service *Service
	peer    *listen.Client
	conn    net.Conn // the client's, or TLS over it
	kind    Kind
	addr    netip.Addr

	in       *smtp.Reader
	out      []byte // replies not sent yet
	deadline time.Time
	transfer *transfer // while content is being read
	receives atomic.Bool
	stop     atomic.Bool

	helo     string
	esmtp    bool
	tls      string
	login    string
	loginOf  account.ID
	trusted  bool
	tx       transaction
	lastMail time.Time

	errors, noops, unknown, authFailures int
}

// transaction is the state between MAIL and the end of the content.
type transaction struct {
	begun  time.Time // zero: no transaction
	sender smtp.Address
	params smtp.MailCommand
	rows   []mail.Recipient
	seen   map[string]bool // lane and destination of the rows, once there are several
	rcpts  int
	first  string     // the only recipient, for the Received field
	owner  account.ID // of the first recipient's domain
	// Of a trusted network's mail: whether it is a stranger's for this sender, or else whose domain the sender's is.
	stranger bool
	senderOf account.ID
	taken    []trace.Decision   // recipients that are taken, for the trace
	given    []smtp.RcptCommand // the same of a login's message, as they were given
	chunks   *content           // BDAT content so far
	body     *dkim.Body         // hashes the body of a content that will be signed or sealed
	hashed   bool               // it has got a content that stayed in memory
	chunk    smtp.ChunkState
	chunkOf  mail.ID   // under which the chunks will be queued
	border   *border   // through which the content comes in
	judging  Judgement // of a stranger's message; nil for others
	rulings  []ruling  // of the rows, once they are judged
}

// errQuit ends a session without a further word; the last reply has been queued.
var errQuit = errors.New("session ended")

// transfer watches the rate of a content.
type transfer struct {
	begun  time.Time
	octets int64
}

var errTooSlow = errors.New("content comes too slowly")

// Read is the reader's source: what has been answered so far is sent before the session waits for more.
func (s *session) Read(p []byte) (int, error) {
	if err := s.flush(); err != nil {
		return 0, err
	}
	until := s.deadline
	if t := s.transfer; t != nil {
		now := time.Now()
		if gone := now.Sub(t.begun); gone > minRateAfter && t.octets < int64(gone/time.Second)*minRate {
			return 0, errTooSlow
		}
		until = now.Add(dataTimeout)
	}
	if err := s.conn.SetReadDeadline(until); err != nil {
		return 0, err
	}
	if s.stop.Load() && !s.receives.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := s.conn.Read(p)
	if s.transfer != nil {
		s.transfer.octets += int64(n)
	}
	return n, err
}

func (s *session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(s.out)
	s.out = s.out[:0]
	if cap(s.out) > 2*readBuffer {
		s.out = nil
	}
	return err
}

// reply queues a reply.
func (s *session) reply(r smtp.Reply) {
	s.service.m.reply(r)
	s.out = r.AppendTo(s.out)
}

// say queues a reply by its parts.
func (s *session) say(code int, e smtp.Enhanced, text string) {
	s.reply(smtp.Reply{Code: code, Enhanced: e, Text: text})
}

// End implements listen.Session: it ends the session as soon as it is not receiving content.
func (s *session) End(listen.Cause) {
	s.stop.Store(true)
	if !s.receives.Load() {
		_ = s.peer.Conn.SetReadDeadline(time.Now())
	}
}

var readers = sync.Pool{New: func() any { return smtp.NewReader(nil, readBuffer) }}

func newSession(service *Service, client *listen.Client, kind Kind) *session {
	return &session{service: service, peer: client, conn: client.Conn, kind: kind, addr: client.Addr}
}

// Run implements listen.Session: it is the session from the first octet to the last.
func (s *session) Run() (again bool) {
	defer func() {
		if p := recover(); p != nil {
			s.peer.Panicked(p)
			s.say(421, smtp.Enhanced{4, 3, 0}, "internal error")
			_ = s.flush()
		}
		s.abandon()
	}()
	s.trusted = s.service.trusted(s.addr)
	s.lastMail = time.Now()
	if s.kind == Submissions {
		if err := s.handshake(); err != nil {
			return false
		}
	} else if s.early() {
		s.say(554, smtp.Enhanced{5, 5, 1}, "you spoke before the greeting")
		_ = s.flush()
		return false
	}
	s.in, _ = readers.Get().(*smtp.Reader)
	s.in.Reset(s)
	s.greet()
	err := s.loop()
	s.farewell(err)
	s.in.Reset(nil)
	readers.Put(s.in)
	return false
}

// loop reads and answers commands until the session ends.
func (s *session) loop() error {
	for {
		now := time.Now()
		s.deadline = now.Add(commandTimeout)
		if !s.tx.begun.IsZero() && s.tx.chunks == nil {
			s.deadline = earlier(s.deadline, s.tx.begun.Add(envelopeTimeout))
		}
		if now.Sub(s.lastMail) > idleCommands {
			return os.ErrDeadlineExceeded
		}
		line, err := s.in.ReadLine(smtp.MaxCommandLine)
		switch {
		case err == nil:
			err = s.command(line)
		case errors.Is(err, smtp.ErrLineTooLong):
			err = s.mistake(smtp.Reply{Code: 500, Enhanced: smtp.Enhanced{5, 5, 2}, Text: "line too long"})
		case errors.Is(err, smtp.ErrBareLF), errors.Is(err, smtp.ErrBareCR), errors.Is(err, smtp.ErrControl):
			err = s.mistake(smtp.Reply{Code: 500, Enhanced: smtp.Enhanced{5, 5, 2}, Text: "lines end in CR LF and hold neither alone"})
		}
		if err != nil {
			return err
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// farewell says why a session ends, where the client may still hear it.
func (s *session) farewell(err error) {
	switch {
	case errors.Is(err, errQuit):
	case errors.Is(err, os.ErrDeadlineExceeded) && s.stop.Load():
		s.say(421, smtp.Enhanced{4, 3, 2}, "shutting down, try again in a moment")
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.say(421, smtp.Enhanced{4, 4, 2}, "timeout")
	case errors.Is(err, errTooSlow):
		s.say(421, smtp.Enhanced{4, 4, 2}, "content comes too slowly")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return
	}
	_ = s.flush()
}

// command answers one line.
func (s *session) command(line []byte) error {
	verb, arg := smtp.ParseVerb(line)
	switch verb {
	case smtp.HELO, smtp.EHLO:
		return s.hello(verb, arg)
	case smtp.MAIL:
		return s.mail(arg)
	case smtp.RCPT:
		return s.rcpt(arg)
	case smtp.DATA:
		return s.data(arg)
	case smtp.BDAT:
		return s.bdat(arg)
	case smtp.STARTTLS:
		return s.startTLS(arg)
	case smtp.AUTH:
		return s.auth(arg)
	case smtp.HTTP:
		s.say(421, smtp.Enhanced{4, 7, 0}, "this is a mail server")
		return errQuit
	case smtp.RSET, smtp.NOOP, smtp.QUIT, smtp.VRFY, smtp.EXPN, smtp.HELP:
		return s.minor(verb, arg)
	case smtp.ETRN:
		return s.etrn(arg)
	case smtp.LHLO, smtp.TURN, smtp.SEND, smtp.SOML, smtp.SAML, smtp.XCLIENT, smtp.XFORWARD:
		return s.mistake(smtp.Reply{Code: 502, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "command not offered"})
	case smtp.VerbUnknown:
		return s.mistake(smtp.Reply{Code: 500, Enhanced: smtp.Enhanced{5, 5, 2}, Text: "command not known"})
	}
	return s.mistake(smtp.Reply{Code: 500, Enhanced: smtp.Enhanced{5, 5, 2}, Text: "command not known"})
}

// mistake answers a command that is wrong, and ends the session when there have been too many.
func (s *session) mistake(r smtp.Reply) error {
	s.errors++
	if s.errors > maxErrors {
		s.say(421, smtp.Enhanced{4, 7, 0}, "too many errors")
		return errQuit
	}
	s.reply(r)
	return nil
}

// wrong answers a parse error.
func (s *session) wrong(err error) error {
	if r, ok := smtp.ReplyOf(err); ok {
		return s.mistake(r)
	}
	return s.mistake(smtp.Reply{Code: 501, Enhanced: smtp.Enhanced{5, 5, 2}, Text: "syntax error"})
}

// reset forgets the transaction (RFC 5321 §4.1.1.5).
func (s *session) reset() {
	s.abandon()
	s.tx = transaction{rows: s.tx.rows[:0:0]}
}

// abandon removes content that will not be accepted.
func (s *session) abandon() {
	if s.tx.chunks != nil {
		s.tx.chunks.abort()
		s.tx.chunks.release()
		s.tx.chunks = nil
	}
	if s.tx.judging != nil {
		s.tx.judging.End()
		s.tx.judging = nil
	}
}

// asker is the session as routing sees it.
func (s *session) asker() routing.Session {
	r := routing.Session{Kind: routing.Stranger, Sender: s.tx.sender, Client: s.addr, Helo: s.helo, TLS: s.tls}
	switch {
	case s.login != "":
		r.Kind, r.Login, r.Account = routing.Login, s.login, s.loginOf
	case s.trusted && s.kind == MX && !s.tx.stranger:
		r.Kind = routing.Trusted
	}
	return r
}

// scope is what the session's messages are stored under.
func (s *session) scope() account.Scope { return account.System() }

// context is that of storing: it does not end with the connection, so that what became durable is answered.
func (s *session) context() context.Context { return context.Background() }
