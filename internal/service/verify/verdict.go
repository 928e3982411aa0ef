package verify

import (
	"strings"

	"postroad/internal/core/facts"
	"postroad/internal/proto/smtp"
)

// The results of a question, as they are counted.
const (
	resultPresent     = "present"
	resultAbsent      = "absent"
	resultDeferred    = "deferred"
	resultObjected    = "objected"
	resultUnreachable = "unreachable"
	resultLimited     = "limited"
)

// verdict is what came of a question.
type verdict struct {
	presence facts.Presence
	result   string
	host     string // who was asked; empty for nobody
	detail   string
	domain   bool // resultObjected: to questions about this domain only
}

// judge reads the replies to a question. Refusals for good that are not about the address are about us.
func judge(sender, recipient smtp.Reply) verdict {
	switch {
	case sender.Code/100 != 2:
		if sender.Permanent() {
			return verdict{presence: facts.Unreachable, result: resultObjected, detail: told("it refuses the null sender", sender)}
		}
		return verdict{presence: facts.Unreachable, result: resultDeferred, detail: told("it does not answer now", sender)}
	case recipient.Code/100 == 2:
		return verdict{presence: facts.Present, result: resultPresent}
	case !recipient.Permanent():
		return verdict{presence: facts.Unreachable, result: resultDeferred, detail: told("it does not answer now", recipient)}
	case nobody(recipient):
		return verdict{presence: facts.Absent, result: resultAbsent, detail: told("it refuses the address", recipient)}
	case recipient.Enhanced[1] == mailboxStatus:
		return verdict{presence: facts.Unreachable, result: resultDeferred, detail: told("the mailbox takes nothing", recipient)}
	}
	return verdict{presence: facts.Unreachable, result: resultObjected, domain: true, detail: told("it objects to being asked", recipient)}
}

// Subjects of enhanced codes (RFC 3463 §3).
const (
	addressStatus = 1
	mailboxStatus = 2
	networkStatus = 4
)

// nobody reports whether a refusal for good says that there is no such address: by its enhanced code, or, where it has
// none, by the codes that RFC 5321 §4.2.3 has for this.
func nobody(r smtp.Reply) bool {
	if r.Code != 550 && r.Code != 551 && r.Code != 553 {
		return false
	}
	switch e := r.Enhanced; {
	case e.IsZero():
		return !aboutUs(r.Text)
	case e[1] == addressStatus:
		return e[2] < 7 // from 5.1.7 on it is about the sender, or about DNS
	case e[1] == mailboxStatus:
		return e[2] == 1 // disabled for good
	case e[1] == networkStatus:
		return e[2] == 1 // so Exchange Online refuses those that its directory does not have
	}
	return false
}

// aboutUs reports whether the text of a refusal without an enhanced code is about the client and not about the address.
func aboutUs(text string) bool {
	text = strings.ToLower(text)
	for _, word := range [...]string{
		"relay", "block", "blacklist", "denylist", "spam", "policy", "reputation", "prohibit", "not allowed", "not permitted",
		"denied", "authentic", "helo", "ehlo", "reverse", "ptr", "spf", "dns", "sender", "your ip", "your host", "too many", "callback", "verif",
	} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// told adds what a host said, if it said anything, in plain ASCII and not at length.
func told(what string, r smtp.Reply) string {
	const most = 200
	if r.Code == 0 {
		return what
	}
	text := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return ' '
		}
		return c
	}, r.String())
	return what + ": " + text[:min(len(text), most)]
}
