package receive

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"postroad/internal/proto/smtp"
)

// startTLS answers STARTTLS (RFC 3207). What came in clear behind it is an injection: the session ends. After
// the handshake nothing of what was said before is known (RFC 3207 §4.2).
func (s *session) startTLS(arg []byte) error {
	switch {
	case len(arg) > 0:
		return s.mistake(smtp.Reply{Code: 501, Enhanced: smtp.Enhanced{5, 5, 4}, Text: "STARTTLS takes no argument"})
	case s.service.cfg.TLS == nil:
		return s.mistake(smtp.Reply{Code: 502, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "command not offered"})
	case s.tls != "":
		return s.mistake(smtp.Reply{Code: 503, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "TLS is on already"})
	case s.in.Discard() > 0:
		s.say(501, smtp.Enhanced{5, 5, 1}, "nothing may follow STARTTLS before the handshake")
		return errQuit
	}
	if s.service.memory.Spent() {
		s.say(454, smtp.Enhanced{4, 7, 0}, "TLS is not available at the moment")
		return nil
	}
	s.say(220, smtp.Enhanced{2, 0, 0}, "go ahead")
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.handshake(); err != nil {
		return errQuit
	}
	s.in.Reset(s)
	s.reset()
	s.helo, s.esmtp, s.login, s.loginOf = "", false, "", ""
	return nil
}

// tlsBuffers is what a session under TLS costs beside its other buffers, in octets.
const tlsBuffers = 32 << 10

// errNoMemory says that a session under TLS would be one too many.
var errNoMemory = errors.New("the memory set aside for mail is used up")

// handshake puts the connection under TLS.
func (s *session) handshake() error {
	if s.service.memory.Spent() {
		return errNoMemory
	}
	s.secured = tlsBuffers
	s.service.memory.Force(tlsBuffers)
	if err := s.conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	conn := tls.Server(s.conn, s.service.cfg.TLS)
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		s.service.m.SMTPTLSHandshakes.WithLabelValues("failed").Inc()
		s.service.log.Info("handshake failed", "client", s.addr.String(), "listener", s.kind.String(), "error", err)
		return err
	}
	s.service.m.SMTPTLSHandshakes.WithLabelValues("ok").Inc()
	s.conn = conn
	s.tls = tlsName(conn.ConnectionState())
	return s.conn.SetDeadline(time.Time{})
}
