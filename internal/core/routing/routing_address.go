package routing

import (
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/proto/smtp"
)

// maxLocal is the longest local part (RFC 5321 §4.5.3.1.1).
const maxLocal = 64

// RoutingAddress is the address that reaches a mailbox whatever the public MX says, below the installation's routing
// domain: "user=domain@in.server", or a token in place of the local part where that would be too long.
func RoutingAddress(box *directory.Mailbox, routingDomain string) string {
	if local := box.Local + "=" + box.Domain; len(local) <= maxLocal {
		return local + "@" + routingDomain
	}
	return box.Token() + "@" + routingDomain
}

// decideRoutingAddress delivers into the mailbox that a routing address names, and takes nothing else: it relays
// nowhere and follows no rule.
func decideRoutingAddress(d *Decision, v View, rcpt smtp.Address) {
	d.Class = ClassLocal
	box, dom, ok := v.routed(directory.FoldLocal(rcpt.Local))
	switch {
	case ok && dom.Proved:
	case ok && v.Now.Before(dom.Proof.Told()):
		d.refuse(replyProofLost, RuleProofLost, minute(dom.Proof.Told()))
		return
	default:
		d.refuse(replyUnknown, RuleUnknownRecipient, rcpt.String())
		return
	}
	d.Account, d.Domain, d.EffectiveMode = dom.Account, dom.Name, dom.Effective()
	d.reason(RuleRoutingAddress, box.Address())
	x := expansion{view: v, decision: d}
	x.mailbox(box)
	d.Reply = replyAccepted
}

// routed finds the mailbox of a routing address's local part, and its domain, proved or not.
func (v *View) routed(local string) (*directory.Mailbox, *directory.Domain, bool) {
	var box *directory.Mailbox
	var ok bool
	if i := strings.LastIndexByte(local, '='); i > 0 {
		user, domain := local[:i], local[i+1:]
		if box, ok = v.Directory.Mailbox(domain, user); !ok {
			box, ok = v.Directory.Mailbox(domain, directory.Base(user))
		}
	} else {
		box, ok = v.Directory.MailboxByToken(local)
	}
	if !ok {
		return nil, nil, false
	}
	dom, ok := v.Directory.Domain(box.Domain)
	return box, dom, ok
}
