package receive

import (
	"time"

	"postroad/internal/proto/smtp"
)

// mail answers MAIL (RFC 5321 §4.1.1.2, RFC 1870, 3461, 6152, 6531).
func (s *session) mail(arg []byte) error {
	switch {
	case s.helo == "":
		return s.mistake(smtp.Reply{Code: 503, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "say EHLO first"})
	case !s.tx.begun.IsZero():
		return s.mistake(smtp.Reply{Code: 503, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "a transaction is open already"})
	}
	if r, ok := s.mayBegin(); !ok {
		return s.mistake(r)
	}
	cmd, err := smtp.ParseMail(arg)
	if err != nil {
		return s.wrong(err)
	}
	if cmd.From.SourceRoute {
		return s.mistake(smtp.Reply{Code: 501, Enhanced: smtp.Enhanced{5, 1, 7}, Text: "source routes are not taken"})
	}
	if cmd.Size > s.service.cfg.MessageSize {
		s.refuseSender(&cmd, replyTooLarge)
		return nil
	}
	if s.full(cmd.Size) {
		s.refuseSender(&cmd, smtp.Reply{Code: 452, Enhanced: smtp.Enhanced{4, 3, 1}, Text: "no room for mail at the moment, try again later"})
		return nil
	}
	if r, ok := s.mayUseSender(cmd.From.Address); !ok {
		s.refuseSender(&cmd, r)
		return nil
	}
	s.tx.begun, s.tx.sender, s.tx.params = time.Now(), cmd.From.Address, cmd
	s.say(250, smtp.Enhanced{2, 1, 0}, "sender ok")
	return nil
}

// refuseSender answers a MAIL that is understood and not taken.
func (s *session) refuseSender(cmd *smtp.MailCommand, r smtp.Reply) {
	s.recordSender(cmd, r)
	s.reply(r)
}

// full reports whether there is no space for another message of this size: on the disk, or in memory.
func (s *session) full(size int64) bool {
	return s.service.memory.Spent() || s.service.queue.Room(size) != nil
}
