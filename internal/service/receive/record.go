package receive

import (
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/policy"
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
		e.Checks, e.Note = s.found(e.Recipient)
		s.service.cfg.Recorder.Record(e)
	}
}

// found gives what was found out for a recipient, and what its decision says; nothing where nobody judged.
func (s *session) found(recipient string) (checks []policy.Check, note string) {
	if r := s.rulingFor(recipient); r != nil {
		return r.Checks, strings.TrimSpace(strings.Join(r.Reasons, " ") + " " + r.Override)
	}
	return nil, ""
}

// rulingFor finds the ruling for a recipient as it was given; nil where nobody judged.
func (s *session) rulingFor(recipient string) *ruling {
	for i := range s.tx.rulings {
		if s.tx.rulings[i].recipient == recipient {
			return &s.tx.rulings[i]
		}
	}
	return nil
}

// recordJudged tells each recipient's owner what was found out about a message that is in the queue.
func (s *session) recordJudged(m *mail.Message) {
	if s.service.cfg.Recorder == nil || len(s.tx.rulings) == 0 {
		return
	}
	for i := range s.tx.taken {
		e := trace.Event{ID: m.ID, Sender: m.Sender, Owner: s.tx.taken[i].Owner}
		e.At, e.Kind, e.Recipient = m.Received, trace.Judged, s.tx.taken[i].Recipient
		r := s.rulingFor(e.Recipient)
		if r == nil || len(r.Checks) == 0 {
			continue
		}
		e.Word = string(r.Action)
		e.Checks, e.Note = s.found(e.Recipient)
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
