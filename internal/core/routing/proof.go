package routing

import (
	"slices"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
)

// unowned refuses mail for now for a domain whose ownership was shown once and is no longer, while public DNS still
// brings mail for it here: its owner may be about to show it again (docs/routing.md, Proof lost). It reports whether
// that decides; else the domain is as any foreign one.
func (d *Decision) unowned(v View, s *Session, dom *directory.Domain) bool {
	if dom.Proof.Lost.IsZero() || !v.Now.Before(dom.Proof.Told()) || s.Kind == Local || s.Kind == Accepted {
		return false
	}
	x, ok := v.exchangers(dom.Name)
	if !ok {
		d.Class = ClassForeign
		d.need(NeedExchangers, dom.Name, "")
		return true
	}
	if !v.named(x) {
		return false
	}
	d.Class = ClassForeign
	d.refuse(replyProofLost, RuleProofLost, minute(dom.Proof.Told()))
	d.Reasons[len(d.Reasons)-1].Age = x.MX.Age(v.Now)
	return true
}

// named reports whether public DNS names this installation as an exchanger, or does not say just now.
func (v *View) named(x facts.ExchangersAnswer) bool {
	list, reply := Candidates(x.MX)
	if reply.Code != 0 {
		return reply.Temporary()
	}
	for _, mx := range list {
		a := x.Addrs[mx.Host]
		if a.Status == facts.Temporary || a.Status == 0 || slices.ContainsFunc(a.Addrs, v.Self.answers) {
			return true
		}
	}
	return false
}
