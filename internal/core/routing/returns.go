package routing

import (
	"errors"
	"strings"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/proto/smtp"
	"postroad/internal/proto/srs"
)

// Returns finds the senders of mail that was forwarded with a sender of ours.
type Returns interface {
	// Return gives the address behind a rewritten sender. The error is one of proto/srs.
	Return(address string, now time.Time) (string, error)
}

// returned leads a report about forwarded mail back to who sent the mail; false when the address is not a sender that was
// rewritten here. Nothing but reports goes this way: whoever had such an address could else send mail to anywhere through us.
func (d *Decision) returned(v View, s *Session, rcpt smtp.Address, dom *directory.Domain) bool {
	if v.Returns == nil || !srs.Is(rcpt.Local) || v.knows(dom, rcpt.Local) {
		return false
	}
	to, err := v.Returns.Return(rcpt.String(), v.Now)
	at := strings.LastIndexByte(to, '@')
	switch {
	case errors.Is(err, srs.ErrNotSRS), errors.Is(err, srs.ErrForged):
		return false // an address like any other: the domain's real server may have made it
	case err != nil || at <= 0:
		d.refuse(replyUnknown, RuleReturnRefused, rcpt.String())
		return true
	case s.Kind != Accepted && s.Sender != (smtp.Address{}):
		d.refuse(replyReturn, RuleReturnRefused, rcpt.String())
		return true
	}
	d.Class = ClassLocal
	d.reason(RuleReturned, to)
	back := smtp.Address{Local: to[:at], Domain: to[at+1:]}
	if its, ours := v.Directory.Domain(back.Domain); ours && its.Proved && its.Effective() != directory.ModeRemote {
		// Every sender that was rewritten is longer than what is behind it: this comes to an end.
		behind := Decide(v, *s, back)
		d.Reasons = append(d.Reasons, behind.Reasons...)
		d.Destinations, d.Reply, d.Need = behind.Destinations, behind.Reply, behind.Need
		return true
	}
	d.outward(v, dom.Name, back)
	return true
}
