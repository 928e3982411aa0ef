package receive

import (
	"slices"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// rcpt answers RCPT (RFC 5321 §4.1.1.3, RFC 3461): everything that can be refused is refused here.
func (s *session) rcpt(arg []byte) error {
	if s.tx.begun.IsZero() {
		return s.mistake(smtp.Reply{Code: 503, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "say MAIL first"})
	}
	if s.tx.chunks != nil {
		return s.mistake(smtp.Reply{Code: 503, Enhanced: smtp.Enhanced{5, 5, 1}, Text: "the content has begun"})
	}
	cmd, err := smtp.ParseRcpt(arg, s.tx.params.UTF8)
	if err != nil {
		return s.wrong(err)
	}
	if s.tx.rcpts >= s.service.cfg.Recipients {
		s.say(452, smtp.Enhanced{4, 5, 3}, "too many recipients, send the rest in another transaction")
		return nil
	}
	if cmd.To.SourceRoute {
		return s.refused(smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 7, 1}, Text: "source routes are not followed"})
	}
	asker := s.asker()
	asker.UTF8, asker.Size = s.tx.params.UTF8, s.tx.params.Size
	d := s.decide(asker, cmd.To.Address)
	s.service.m.DecisionsByClass.WithLabelValues(string(d.Class)).Inc()
	if !d.Accepted() {
		s.service.log.Info("recipient refused", "client", s.addr.String(), "helo", s.helo, "sender", s.tx.sender.String(),
			"recipient", cmd.To.String(), "reply", d.Reply.String())
		s.recordRefused(cmd.To.String(), &d, d.Reply)
		s.findBypass(&d)
		return s.refused(d.Reply)
	}
	original := cmd.To.String()
	if s.noRoom(&d) {
		s.recordRefused(original, &d, replyFull)
		s.reply(replyFull)
		return nil
	}
	if r, ok := s.maySend(); !ok {
		s.service.log.Info("recipient over a limit", "client", s.addr.String(), "login", s.login, "recipient", original, "reply", r.String())
		s.recordRefused(original, &d, r)
		s.reply(r)
		return nil
	}
	s.recordTaken(original, &d)
	s.add(d.Rows(original, cmd.Notify, cmd.ORcpt))
	if s.login != "" {
		s.tx.given = append(s.tx.given, cmd)
	}
	if s.tx.rcpts++; s.tx.rcpts == 1 {
		s.tx.first, s.tx.owner = original, d.Account
	}
	s.beginJudging()
	s.reply(d.Reply)
	return nil
}

// maySend counts a recipient that is about to be taken, and says whether a login may have another one.
func (s *session) maySend() (smtp.Reply, bool) {
	if s.login == "" || s.service.cfg.Sending == nil {
		return smtp.Reply{}, true
	}
	text := s.service.cfg.Sending.Take(s.login, s.loginOf)
	return smtp.Reply{Code: 450, Enhanced: smtp.Enhanced{4, 7, 1}, Text: text}, text == ""
}

var replyFull = smtp.Reply{Code: 452, Enhanced: smtp.Enhanced{4, 2, 2}, Text: "the mailbox is full"}

// decide asks for the route of a recipient, and learns what is lacking for it.
func (s *session) decide(asker routing.Session, to smtp.Address) routing.Decision {
	var fetch func(routing.Need)
	if s.service.cfg.Facts != nil {
		fetch = func(n routing.Need) { s.service.cfg.Facts.Fetch(s.service.live(), n) }
	}
	return routing.Ask(s.service.dir.View, fetch, asker, to)
}

// noRoom reports whether a recipient leads to mailboxes only, none of which has room for another message, or for one
// of the declared size. Delivery judges again, with the size that it has then.
func (s *session) noRoom(d *routing.Decision) bool {
	var ids []string
	for i := range d.Destinations {
		if d.Destinations[i].Quota == 0 || d.Destinations[i].Archive { // the store is asked of mailboxes with a quota alone
			return false
		}
		ids = append(ids, d.Destinations[i].Mailbox)
	}
	if s.service.cfg.Boxes == nil || len(ids) == 0 {
		return false
	}
	usage, err := s.service.cfg.Boxes.Usage(s.context(), s.scope(), ids)
	if err != nil {
		s.service.log.Error("mailboxes not looked at", "error", err)
		return false
	}
	for _, id := range ids {
		if u, ok := usage[id]; !ok || u.Quota == 0 || u.Bytes+max(1, s.tx.params.Size) <= u.Quota {
			return false
		}
	}
	return true
}

// add takes rows into the transaction, each destination once.
func (s *session) add(rows []mail.Recipient) {
	if len(s.tx.rows) == 0 && len(rows) == 1 {
		s.tx.rows = append(s.tx.rows, rows[0])
		return
	}
	if s.tx.seen == nil {
		s.tx.seen = make(map[string]bool, len(s.tx.rows)+len(rows))
		for _, r := range s.tx.rows {
			s.tx.seen[string(r.Lane)+" "+r.Destination] = true
		}
	}
	for _, r := range rows {
		if key := string(r.Lane) + " " + r.Destination; !s.tx.seen[key] {
			s.tx.seen[key] = true
			s.tx.rows = append(s.tx.rows, r)
			continue
		}
		// What was only a copy for an archive is now also meant for this recipient, and its sender is told of it.
		same := func(old mail.Recipient) bool { return old.Lane == r.Lane && old.Destination == r.Destination }
		if i := slices.IndexFunc(s.tx.rows, same); i >= 0 && s.tx.rows[i].Rewritten && !r.Rewritten {
			s.tx.rows[i] = r
		}
	}
}

// refused answers a recipient that is not taken. Who guesses addresses is slowed, then sent away; what is refused for
// the message's sake is no guess.
func (s *session) refused(r smtp.Reply) error {
	s.reply(r)
	if !r.Permanent() || r.Enhanced[1] == 3 || r.Enhanced[1] == 6 {
		return nil
	}
	s.unknown++
	switch {
	case s.unknown > maxUnknown:
		s.out = s.out[:0]
		s.say(421, smtp.Enhanced{4, 7, 0}, "too many unknown recipients")
		return errQuit
	case s.unknown > slowUnknown:
		if err := s.flush(); err != nil {
			return err
		}
		s.pause(unknownDelay)
	}
	return nil
}

// pause waits, but no longer than until the service stops.
func (s *session) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.service.live().Done():
	}
}
