package inspect

import (
	"slices"

	"postroad/internal/core/directory"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// ExplainNot is a way that mail does not go.
type ExplainNot struct {
	Way      string `json:"way" enum:"here,next-hop,mx,outbound"`
	Sentence string `json:"sentence"`
}

// whyNot tells of each way that the decision does not take why it is not taken.
func whyNot(st *rights.State, d *routing.Decision, rcpt smtp.Address) []ExplainNot {
	out := []ExplainNot{}
	say := func(way, sentence string) { out = append(out, ExplainNot{way, sentence}) }
	took := func(rules ...routing.Rule) bool {
		return slices.ContainsFunc(d.Reasons, func(r routing.Reason) bool { return slices.Contains(rules, r.Rule) })
	}
	dom, ours := st.Directory.Domain(d.Domain)
	ours = ours && dom.Proved
	if !slices.ContainsFunc(d.Destinations, func(to routing.Destination) bool { return to.Mailbox != "" }) {
		say("here", "Not into a mailbox here: "+notHere(st, dom, ours, rcpt, took))
	}
	hop, mx, out2 := took(routing.RuleNextHop, routing.RuleNextHopLMTP), took(routing.RuleByMX), took(routing.RuleOutbound, routing.RuleOutboundVerified)
	if !hop && ours {
		switch {
		case len(dom.NextHops) == 0:
			say("next-hop", "Not to a next hop: none is named for the domain.")
		case dom.Effective() == directory.ModeLocal || dom.Effective() == directory.ModeSplit:
			say("next-hop", "Not to the domain's next hop: the mode is "+string(dom.Effective())+", and the recipient is one of those here or of nobody.")
		default:
			say("next-hop", "Not to the domain's next hop: the recipient is refused.")
		}
	}
	if !mx {
		switch {
		case hop:
			say("mx", "Not by MX records: a next hop is named, and these are not asked then.")
		case out2:
			say("mx", "Not by MX records: all mail to foreign domains leaves through the smart host.")
		case ours && dom.Effective() == directory.ModeLocal:
			say("mx", "Not by MX records: the mode is local, whatever public DNS says.")
		case !d.Accepted():
			say("mx", "Not by MX records: the recipient is refused.")
		}
	}
	if !out2 {
		switch {
		case ours:
			say("outbound", "Not through a smart host: that is for foreign domains only.")
		case d.Accepted():
			say("outbound", "Not through a smart host: none is set for the sender's domain or for the installation.")
		}
	}
	return out
}

// notHere tells why mail is delivered into no mailbox here.
func notHere(st *rights.State, dom *directory.Domain, ours bool, rcpt smtp.Address, took func(...routing.Rule) bool) string {
	switch {
	case dom == nil:
		return "the domain is not hosted here."
	case !ours:
		return "ownership of the domain " + words.Show(dom.Name) + " is not shown."
	}
	local := directory.FoldLocal(rcpt.Local)
	boxed := false
	for _, l := range []string{local, directory.Base(local)} {
		if _, ok := st.Directory.Mailbox(dom.Name, l); ok {
			boxed = true
		}
	}
	mode := dom.Effective()
	switch {
	case mode != directory.ModeLocal && mode != directory.ModeSplit && boxed:
		return "the mode is " + string(mode) + ", so that the mailbox of this name gets nothing."
	case mode != directory.ModeLocal && mode != directory.ModeSplit:
		return "the mode is " + string(mode) + "."
	case took(routing.RuleGatewayBypassed):
		return "the client is none of the domain's gateways."
	case took(routing.RuleAlias, routing.RuleForward, routing.RuleGroup, routing.RuleCatchAll):
		return "the address is led elsewhere, and nothing is kept."
	case mode == directory.ModeSplit:
		return "nobody of this name is here, and a catch-all does not count in mode split."
	}
	return "nobody of this name is here, and the domain has no catch-all."
}
