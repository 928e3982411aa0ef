package receive

import "postroad/internal/proto/smtp"

// minor answers the commands that move no mail.
func (s *session) minor(verb smtp.Verb, arg []byte) error {
	switch verb { //nolint:exhaustive // the others have functions of their own
	case smtp.RSET:
		s.reset()
		s.say(250, smtp.Enhanced{2, 0, 0}, "reset")
		return s.counted()
	case smtp.NOOP:
		s.say(250, smtp.Enhanced{2, 0, 0}, "ok")
		return s.counted()
	case smtp.QUIT:
		s.say(221, smtp.Enhanced{2, 0, 0}, "bye")
		return errQuit
	case smtp.VRFY:
		// Says nothing about who exists here (RFC 5321 §3.5.3, §7.3).
		if len(arg) == 0 {
			return s.mistake(smtp.Reply{Code: 501, Enhanced: smtp.Enhanced{5, 5, 4}, Text: "VRFY takes an address"})
		}
		s.say(252, smtp.Enhanced{2, 5, 2}, "send some mail, I will try my best")
		return s.counted()
	case smtp.HELP:
		s.say(214, smtp.Enhanced{2, 0, 0}, "see RFC 5321")
		return s.counted()
	default:
		return s.mistake(smtp.Reply{Code: 502, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "command not offered"})
	}
}

// counted ends a session that does nothing but chatter.
func (s *session) counted() error {
	if s.noops++; s.noops > maxNoops {
		s.out = s.out[:0]
		s.say(421, smtp.Enhanced{4, 7, 0}, "too many commands without mail")
		return errQuit
	}
	return nil
}
