package receive

import (
	"slices"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/proto/message"
	"postroad/internal/proto/smtp"
)

var replyCircle = smtp.Reply{Code: 554, Enhanced: smtp.Enhanced{5, 4, 6}, Text: "the message has been here for this recipient before, it goes in circles"}

// circles reports whether a message has been here before for each of its final recipients: delivered into the same
// mailbox, sent on to the same address, or forwarded for the same recipient. Where it has for some only, it is taken for the others: local delivery
// reports the same mailbox, and what leaves once more comes back alone.
func (s *session) circles(header []byte, passed *routing.Passage) bool {
	delivered := deliveredTo(header)
	if passed.Empty() && delivered == nil {
		return false
	}
	for i := range s.tx.rows {
		r := &s.tx.rows[i]
		switch {
		case r.Mailbox != "" && delivered[strings.ToLower(r.Destination)]:
		case r.Mailbox == "" && passed.Of(r.Destination):
		case r.Forward != "" && delivered[strings.ToLower(r.Original)]:
		default:
			return false
		}
	}
	return true
}

// swallow leaves out of the transaction what comes back as the copy of dual delivery: the message lies in the mailbox
// already. It reports whether nothing is left.
func (s *session) swallow(passed *routing.Passage) bool {
	if passed.Empty() {
		return false
	}
	view := s.service.dir.View()
	s.tx.rows = slices.DeleteFunc(s.tx.rows, func(r mail.Recipient) bool {
		d, ours := view.Directory.Domain(r.Original[strings.LastIndexByte(r.Original, '@')+1:])
		return ours && d.Dual && d.Effective() == directory.ModeLocal && passed.Of(r.Original)
	})
	return len(s.tx.rows) == 0
}

// deliveredTo gives the mailboxes into which a message says it was delivered; nil for none.
func deliveredTo(header []byte) map[string]bool {
	if !message.HasField(header, "Delivered-To") {
		return nil
	}
	boxes := map[string]bool{}
	for _, v := range message.Values(header, "Delivered-To") {
		boxes[strings.ToLower(v)] = true
	}
	return boxes
}
