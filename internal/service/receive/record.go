package receive

import (
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/core/trace"
	"postroad/internal/proto/smtp"
)

var replyTooLarge = smtp.Reply{Code: 552, Enhanced: smtp.Enhanced{5, 3, 4}, Text: "message too large"}

// from is the account whose user the client is; empty for strangers, and for a trusted network's mail without a sender.
func (s *session) from() account.ID {
	if s.login != "" {
		return s.loginOf
	}
	return s.tx.senderOf
}

// event is what the trace of the transaction in hand says of every step.
func (s *session) event(kind trace.Kind, sender string) trace.Event {
	return trace.Event{
		Step: trace.Step{
			At: time.Now(), Kind: kind, Asker: s.asker().Kind, UTF8: s.tx.params.UTF8, Size: s.tx.params.Size,
			Client: mail.Client{Addr: s.addr, Helo: s.helo, TLS: s.tls, Login: s.login},
		},
		Sender: sender, From: s.from(),
	}
}

// recordTaken remembers a recipient that is taken until the message is.
func (s *session) recordTaken(recipient string, d *routing.Decision) {
	if s.service.cfg.Recorder == nil {
		return
	}
	s.tx.taken = append(s.tx.taken, trace.Decision{Recipient: recipient, Owner: d.Account, Reasons: d.Reasons, Destinations: d.Destinations})
}

// recordRefused tells of a recipient that is not taken.
func (s *session) recordRefused(recipient string, d *routing.Decision, r smtp.Reply) {
	if s.service.cfg.Recorder == nil {
		return
	}
	e := s.event(trace.Refused, s.tx.sender.String())
	e.Recipient, e.Owner, e.Reasons, e.Reply = recipient, d.Account, d.Reasons, r.String()
	s.service.cfg.Recorder.Record(e)
}

// recordSender tells of a message that is refused at MAIL.
func (s *session) recordSender(cmd *smtp.MailCommand, r smtp.Reply) {
	if s.service.cfg.Recorder == nil {
		return
	}
	e := s.event(trace.Refused, cmd.From.String())
	e.Reply, e.UTF8, e.Size = r.String(), cmd.UTF8, cmd.Size
	s.service.cfg.Recorder.Record(e)
}

// recordContent tells each recipient's owner of a message that is refused after its content.
func (s *session) recordContent(r smtp.Reply) {
	if s.service.cfg.Recorder == nil {
		return
	}
	e := s.event(trace.Refused, s.tx.sender.String())
	e.Content, e.Reply = true, r.String()
	for i := range s.tx.taken {
		e.Recipient, e.Owner = s.tx.taken[i].Recipient, s.tx.taken[i].Owner
		s.service.cfg.Recorder.Record(e)
	}
}

// recordAccepted tells of a message that is in the queue.
func (s *session) recordAccepted(m *mail.Message) {
	if s.service.cfg.Recorder == nil {
		return
	}
	e := s.event(trace.Accepted, m.Sender)
	e.ID, e.At, e.Size, e.Decisions = m.ID, m.Received, m.Size, s.tx.taken
	s.service.cfg.Recorder.Record(e)
}
