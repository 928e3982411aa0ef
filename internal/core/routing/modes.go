package routing

import (
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/proto/smtp"
)

// decideOurs decides for a proved domain of this installation by its effective mode.
func decideOurs(d *Decision, v View, s *Session, rcpt smtp.Address, dom *directory.Domain) {
	if dom.Mode == directory.ModeAuto {
		d.Reasons = append(d.Reasons, Reason{Rule: RuleAutoMode, Fact: string(d.EffectiveMode), Age: age(v.Now, dom.AutoSince)})
	}
	if s.Kind == Stranger && len(dom.Gateways) > 0 {
		if !dom.Admits(s.Client) {
			d.refuse(replyGateway, RuleGatewayBypassed, dom.Name)
			return
		}
		d.reason(RuleGateway, s.Client.String())
	}
	if (d.EffectiveMode == directory.ModeLocal || d.EffectiveMode == directory.ModeSplit) && d.returned(v, s, rcpt, dom) {
		return
	}
	switch d.EffectiveMode {
	case directory.ModeLocal:
		d.local(v, s, rcpt, dom)
	case directory.ModeSplit:
		d.split(v, s, rcpt, dom)
	case directory.ModeBackup:
		d.Class = ClassBackup
		d.reason(RuleModeBackup, dom.Name)
		d.behind(v, s, rcpt, dom)
	case directory.ModeRelay:
		d.Class = ClassRelay
		d.reason(RuleModeRelay, dom.Name)
		d.behind(v, s, rcpt, dom)
	case directory.ModeRemote:
		d.remote(v, s, rcpt, dom)
	case directory.ModeAuto: // an effective mode is never auto
	}
}

// local delivers here, and sends a copy to better exchangers where the domain wants dual delivery.
func (d *Decision) local(v View, s *Session, rcpt smtp.Address, dom *directory.Domain) {
	d.Class = ClassLocal
	d.reason(RuleModeLocal, dom.Name)
	x := expansion{view: v, session: s, decision: d}
	x.local(dom, rcpt.Local, 0)
	switch {
	case x.overflow:
		d.refuse(replyTooManyTargets, RuleExpansionLimit, rcpt.String())
	case len(d.Destinations) > 0:
		d.Reply = replyAccepted
		if dom.Dual {
			d.copyOut(v, s, rcpt, dom)
		}
	case d.Reply.Code == 0:
		d.unknown(v, dom, RuleUnknownRecipient, rcpt.String())
	}
}

// split delivers here what is known here, and hands everything else to the domain's real server.
func (d *Decision) split(v View, s *Session, rcpt smtp.Address, dom *directory.Domain) {
	d.Class = ClassSplit
	d.reason(RuleModeSplit, dom.Name)
	x := expansion{view: v, session: s, decision: d}
	known := x.exact(dom, rcpt.Local)
	switch {
	case x.overflow:
		d.refuse(replyTooManyTargets, RuleExpansionLimit, rcpt.String())
	case known && len(d.Destinations) > 0:
		d.Reply = replyAccepted
	case d.verified(v, s, rcpt, dom):
		d.onward(v, s, rcpt, dom)
	}
}

// behind hands everything to the domain's real server; what is known here needs no verification.
func (d *Decision) behind(v View, s *Session, rcpt smtp.Address, dom *directory.Domain) {
	if v.knows(dom, rcpt.Local) {
		d.reason(RuleKnownHere, rcpt.String())
	} else if !d.verified(v, s, rcpt, dom) {
		return
	}
	d.onward(v, s, rcpt, dom)
}

// remote lets our own users' mail out. Strangers are refused, but for the time in which they may still remember that
// the domain was here.
func (d *Decision) remote(v View, s *Session, rcpt smtp.Address, dom *directory.Domain) {
	d.Class = ClassRemote
	d.reason(RuleModeRemote, dom.Name)
	switch {
	case s.own():
		d.reason(RuleOwnUser, s.Login)
	case !v.Now.Before(dom.Leaving.Until):
		d.refuse(replyRelay, RuleRelayDenied, dom.Name)
		return
	default:
		d.leaving(v, s, rcpt, dom, v.knows(dom, rcpt.Local))
		return
	}
	d.onward(v, s, rcpt, dom)
}

// leaving hands on what strangers send who may still remember that the domain was here.
func (d *Decision) leaving(v View, s *Session, rcpt smtp.Address, dom *directory.Domain, known bool) {
	d.reason(RuleLeaving, minute(dom.Leaving.Until))
	if known {
		d.reason(RuleKnownHere, rcpt.String())
	} else if !d.verified(v, s, rcpt, dom) {
		return
	}
	d.onward(v, s, rcpt, dom)
}

// departed hands on what strangers send to a domain that was removed a while ago. For all others it is a foreign one.
func (d *Decision) departed(v View, s *Session, rcpt smtp.Address, left *directory.Departed) {
	d.Class, d.Account = ClassRemote, left.Account
	d.leaving(v, s, rcpt, left.Domain(), left.Knew(rcpt.Local))
}

// unknown refuses a recipient that does not exist: for now only, while the domain is being moved here.
func (d *Decision) unknown(v View, dom *directory.Domain, r Rule, fact string) {
	d.refuse(replyUnknown, r, fact)
	if v.Now.Before(dom.Onboarding) {
		d.refuse(replyOnboarding, RuleOnboarding, minute(dom.Onboarding))
	}
}

// verified reports whether a recipient that is not known here may be taken for the domain's real server to judge.
func (d *Decision) verified(v View, s *Session, rcpt smtp.Address, dom *directory.Domain) bool {
	address := rcpt.String()
	if s.Kind == Accepted || s.Kind == Local {
		return true // it has been judged, or nobody waits for the answer
	}
	if dom.Verification() == directory.RecipientsAccept {
		d.reason(RuleRecipientsAccept, dom.Name)
		return true
	}
	a, ok := v.recipient(dom.Name, address)
	if !ok {
		d.need(NeedRecipient, dom.Name, address)
		return false
	}
	r := Reason{Fact: address + " (" + said(&a.Origin) + ")", Age: a.Age(v.Now)}
	switch a.Presence {
	case facts.Present:
		r.Rule = RuleRecipientPresent
		d.Reasons = append(d.Reasons, r)
		return true
	case facts.Absent:
		d.unknown(v, dom, RuleRecipientAbsent, r.Fact)
		return false
	case facts.Outdated:
		d.refuse(replyUnverified, RuleListOutdated, r.Fact)
		return false
	case facts.Unreachable:
	}
	if dom.Queues() {
		r.Rule = RuleRecipientUnreachable
		d.Reasons = append(d.Reasons, r)
		return true
	}
	d.refuse(replyUnverified, RuleRecipientUnreachable, r.Fact)
	return false
}

// said is who told a fact, and what.
func said(o *facts.Origin) string {
	if o.Source != "" && o.Detail != "" {
		return o.Source + ": " + o.Detail
	}
	return o.Source + o.Detail
}

// onward hands a recipient to the domain's real server: its explicit hosts, else its exchangers.
func (d *Decision) onward(v View, s *Session, rcpt smtp.Address, dom *directory.Domain) {
	if len(dom.NextHops) == 0 && s.Kind != Accepted && s.Kind != Local && !d.reachable(v, dom) {
		return
	}
	d.handOn(dom, rcpt)
}

// handOn adds the way to the domain's real server, reachable or not.
func (d *Decision) handOn(dom *directory.Domain, rcpt smtp.Address) {
	if len(dom.NextHops) > 0 {
		d.relay(dom, rcpt.String())
		return
	}
	d.byMX(rcpt, dom.Account)
}

// reachable reports whether public DNS names somewhere to hand a domain's mail to, as far as it can be asked. For a
// domain of this installation nothing that DNS says is final (routing.md): the recipient is refused for now.
func (d *Decision) reachable(v View, dom *directory.Domain) bool {
	x, ok := v.exchangers(dom.Name)
	if !ok {
		d.need(NeedExchangers, dom.Name, "")
		return false
	}
	best, reply := v.order(x, KeepFor(dom))
	switch {
	case reply.Temporary(): // nothing is said against it: the queue looks again
		d.Reasons = append(d.Reasons, Reason{Rule: RuleExchangersUnknown, Fact: dom.Name, Age: x.MX.Age(v.Now)})
		return true
	case reply.Code != 0:
		d.refuse(ownDomain(reply), RuleNoExchanger, dom.Name)
		d.Reasons[len(d.Reasons)-1].Age = x.MX.Age(v.Now)
		return false
	}
	d.Reasons = append(d.Reasons, Reason{Rule: RuleExchanger, Fact: best[0].Host, Age: x.MX.Age(v.Now)})
	return true
}

// copyOut adds the copy of dual delivery, where there is a better exchanger to get it. The message is delivered here
// whatever becomes of the copy.
func (d *Decision) copyOut(v View, s *Session, rcpt smtp.Address, dom *directory.Domain) {
	if len(dom.NextHops) == 0 && s.Kind != Accepted && s.Kind != Local {
		x, ok := v.exchangers(dom.Name)
		if !ok {
			d.need(NeedExchangers, dom.Name, "")
			return
		}
		if _, reply := v.order(x, Better); reply.Permanent() {
			d.reason(RuleNoExchanger, dom.Name)
			return
		}
	}
	d.reason(RuleDualDelivery, dom.Name)
	d.handOn(dom, rcpt)
	d.Destinations[len(d.Destinations)-1].Copy = true
}
