package receive

import (
	"postroad/internal/proto/message"
	"postroad/internal/proto/smtp"
)

// firstAuthor is the address of a header's From field, the first where it has several; false where it cannot be read.
func firstAuthor(header []byte) (smtp.Address, bool) {
	for f := range message.Fields(header) {
		if !f.Is("From") {
			continue
		}
		from, _, ok := message.FromAddresses(f.Raw)
		if !ok {
			return smtp.Address{}, false
		}
		a, err := smtp.ParseAddress(from[0], true)
		return a, err == nil
	}
	return smtp.Address{}, false
}

// routeByAuthor decides again for all recipients of a login's message, now that its author is known, where that is an address
// elsewhere whose mail leaves by a route of its own. Which of them are taken has been said; one that is not any more has the
// whole message refused.
func (s *session) routeByAuthor(header []byte) (smtp.Reply, bool) {
	if s.login == "" {
		return smtp.Reply{}, true
	}
	author, ok := firstAuthor(header)
	view := s.service.dir.View()
	way, routed := view.Directory.Relay(s.login, author, view.Now)
	if before, _ := view.Directory.Relay(s.login, s.tx.sender, view.Now); !ok || !routed || way.ID == before.ID {
		return smtp.Reply{}, true
	}
	asker := s.asker()
	asker.Author, asker.UTF8, asker.Size = author, s.tx.params.UTF8, s.tx.params.Size
	s.tx.rows, s.tx.seen, s.tx.taken = nil, nil, nil
	for i := range s.tx.given {
		cmd := &s.tx.given[i]
		d := s.decide(asker, cmd.To.Address)
		if !d.Accepted() {
			s.recordRefused(cmd.To.String(), &d, d.Reply)
			return d.Reply, false
		}
		s.recordTaken(cmd.To.String(), &d)
		s.add(d.Rows(cmd.To.String(), cmd.Notify, cmd.ORcpt))
	}
	return smtp.Reply{}, true
}
