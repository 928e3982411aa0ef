package routing

import (
	"strings"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/proto/smtp"
)

// Facts is what is remembered of the world. Its answers are at hand: nothing is looked up for them.
type Facts interface {
	// Exchangers gives what DNS said of a domain's exchangers; false when that is not known now.
	Exchangers(domain string) (facts.ExchangersAnswer, bool)
	// Recipient gives what is known of an address at its domain's real server or in its list; false when nothing is.
	Recipient(domain, address string) (facts.RecipientAnswer, bool)
}

// NeedKind is a kind of fact.
type NeedKind uint8

// The kinds of fact that a decision may lack.
const (
	NeedExchangers NeedKind = iota + 1 // of Domain
	NeedRecipient                      // Address at the real server of Domain
)

// Need is a fact that a decision lacks.
type Need struct {
	Kind    NeedKind
	Domain  string
	Address string // for NeedRecipient
}

// maxNeeds is how often facts are fetched for one decision before its temporary reply is given.
const maxNeeds = 2

// Ask decides, and has fetch learn what the decision lacks; view is asked anew after that. Without fetch (nil) a
// decision with a Need stands.
func Ask(view func() View, fetch func(Need), s Session, rcpt smtp.Address) Decision {
	d := Decide(view(), s, rcpt)
	for range maxNeeds {
		if d.Need == nil || fetch == nil {
			break
		}
		fetch(*d.Need)
		d = Decide(view(), s, rcpt)
	}
	return d
}

// need ends a decision for now: a fact is lacking.
func (d *Decision) need(kind NeedKind, domain, address string) {
	d.refuse(replyNeeds, RuleNeeded, strings.TrimSpace(domain+" "+address))
	d.Need = &Need{Kind: kind, Domain: domain, Address: address}
}

func (v *View) exchangers(domain string) (facts.ExchangersAnswer, bool) {
	if v.Facts == nil {
		return facts.ExchangersAnswer{}, false
	}
	return v.Facts.Exchangers(domain)
}

func (v *View) recipient(domain, address string) (facts.RecipientAnswer, bool) {
	if v.Facts == nil {
		return facts.RecipientAnswer{}, false
	}
	return v.Facts.Recipient(domain, address)
}

// order is Exchangers without chance: for showing and judging, not for an attempt.
func (v *View) order(x facts.ExchangersAnswer, keep Keep) ([]Exchanger, smtp.Reply) {
	list, reply := Candidates(x.MX)
	if reply.Code != 0 {
		return nil, reply
	}
	return Exchangers(list, x.Addrs, v.Self.answers, keep, func(int, func(int, int)) {})
}

// knows reports whether an address has a mailbox or a rule of its own here.
func (v *View) knows(dom *directory.Domain, local string) bool {
	folded := directory.FoldLocal(local)
	for _, l := range [...]string{folded, directory.Base(folded)} {
		if l == "" {
			continue
		}
		if _, ok := v.Directory.Mailbox(dom.Name, l); ok {
			return true
		}
		if _, ok := v.Directory.Rule(dom.Name, l); ok {
			return true
		}
	}
	return false
}

// ownDomain makes what DNS says of a domain of this installation temporary: our own domains' DNS is never final.
func ownDomain(r smtp.Reply) smtp.Reply {
	if r.Enhanced == replyLoopSelf.Enhanced {
		return replyOwnLoop
	}
	return replyOwnNowhere
}

func age(now, since time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return max(0, now.Sub(since))
}

// minute writes the end of a window, in UTC.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
