package receive

import (
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

// handshake puts the connection under TLS.
func (s *session) handshake() error {
	conn, err := s.peer.Secure(s.service.cfg.TLS)
	if err != nil {
		return err
	}
	s.conn, s.tls = conn, tlsName(conn.ConnectionState())
	return nil
}
