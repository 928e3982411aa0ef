// Package policy decides what becomes of a stranger's message at one recipient's domain, by what was found out about who
// sent it: accept, quarantine, reject or defer, with the reply and the reasons (RFC 7208, RFC 6376, RFC 9989, RFC 7372).
//
// Whoever gathers the evidence (service/judge) decides nothing, and [Judge] looks nothing up.
//
// The domain that a message names as its author's says by DMARC what is to be done with a message that it does not stand
// behind, and that is done. A failed SPF check alone is no reason unless the recipient's domain says so: it fails wherever
// mail is forwarded. What DNS does not say for now is never a reason to refuse for good.
package policy

import (
	"fmt"
	"net/netip"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/dmarc"
	"postroad/internal/proto/smtp"
	"postroad/internal/proto/spf"
)

// Action is what becomes of a message.
type Action string

// The actions.
const (
	Accept     Action = "accept"
	Quarantine Action = "quarantine" // taken, and kept from its reader's inbox
	Reject     Action = "reject"     // refused for good
	Defer      Action = "defer"      // refused for now
)

// Evidence is what was found out about a message: as its client brought it, or as it came to a server that is trusted.
type Evidence struct {
	// Client is whose address SPF was asked about; Helo is its name.
	Client netip.Addr
	Helo   string
	// Sender is the reverse-path that SPF was asked about, without brackets.
	Sender string
	SPF    spf.Outcome
	DKIM   []dkim.Result
	// Authors are the evaluations of the domains in From; none when there is no author.
	Authors []dmarc.Outcome
	// AuthorProblem is why the author cannot be told, in one sentence; empty when it can, and when nothing names one.
	AuthorProblem string
}

// Relation is what the client is to the recipient's domain.
type Relation string

// The relations. The zero value is a stranger.
const (
	Stranger  Relation = ""
	Forwarder Relation = "trusted_forwarder" // one of the domain's trusted forwarders
	Gateway   Relation = "gateway"           // the filter in front of us
)

// Trust is the recipient's domain's view of the client.
type Trust struct {
	Relation Relation
	// Name is the server as it is configured.
	Name string
	// Known: it was found out where that server had the message from, and the evidence is of there.
	Known bool
	// Problem is why not.
	Problem string
	// Unsure: a stranger may be one of the domain's trusted forwarders all the same: they are trusted by name, and what names
	// the client has DNS does not say for now.
	Unsure bool
}

// Verdict is the decision for one recipient.
type Verdict struct {
	Action Action
	// Reply is what is said where all recipients are refused; zero for Accept and Quarantine.
	Reply smtp.Reply
	// Reasons are sentences, the one that decided first.
	Reasons []string
	// Untold: SPF says that the sender did not send it, and nothing else stands for it: nobody there is told of anything.
	Untold bool
	// SPFAlone: the author's domain stands behind it by SPF alone, and asks to have refused or put aside what it does not
	// stand behind. Sent on to another server, that is what becomes of it there.
	SPFAlone bool
	// Override is why less is done than the author's domain asks, in one sentence; empty when nothing less is.
	Override string
}

// Judge decides for a recipient's domain.
func Judge(e *Evidence, j directory.Judging, t Trust) Verdict {
	j = j.Effective()
	if j.Mode == directory.JudgeOff {
		return Verdict{Action: Accept, Reasons: []string{"The domain has nothing checked."}}
	}
	v := asked(e, j)
	_, passed, _ := author(e)
	v.SPFAlone = spfAlone(e)
	v.Untold = e.SPF.Result == spf.Fail && !passed && (t.Relation == Stranger || t.Known)
	switch {
	case t.Relation != Stranger && e.AuthorProblem == "": // that is no fault of who brought it
		v = trusting(v, t)
	case t.Unsure && v.Action == Reject:
		v = doubting(v, j)
	}
	if j.Mode == directory.JudgeNote && v.Action != Accept {
		v.Override = "The domain has only noted what was found: it would have been " + word(v.Action) + "."
		v.Action, v.Reply = Accept, smtp.Reply{}
	}
	return v
}

// spfAlone reports whether nothing but the client's address makes the author's domain stand behind a message.
func spfAlone(e *Evidence) bool {
	for i := range e.Authors {
		o := &e.Authors[i]
		if o.Result == dmarc.Pass && o.By.Method == dmarc.SPF && o.Policy != dmarc.PolicyNone && !signedBy(e, o.Domain) {
			return true
		}
	}
	return false
}

// signedBy reports whether a signature of the domain holds, or of one above or below it.
func signedBy(e *Evidence, domain string) bool {
	for i := range e.DKIM {
		r := &e.DKIM[i]
		if r.Word == dkim.Pass && (r.Domain == domain || strings.HasSuffix(r.Domain, "."+domain) || strings.HasSuffix(domain, "."+r.Domain)) {
			return true
		}
	}
	return false
}

// asked is the decision by what domains ask, as if the client was nobody in particular.
func asked(e *Evidence, j directory.Judging) Verdict {
	worst, passed, temporary := author(e)
	switch {
	case worst != nil && worst.Applied == dmarc.PolicyReject:
		return Verdict{
			Action:  Reject,
			Reply:   smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 7, 26}, Text: worst.Domain + " does not stand behind this message and asks to have it refused (DMARC): " + why(e)},
			Reasons: []string{disowned(worst) + " and asks to have it refused.", sentence(why(e))},
		}
	case worst != nil && worst.Applied == dmarc.PolicyQuarantine:
		return Verdict{Action: Quarantine, Reasons: []string{disowned(worst) + " and asks to have it put aside.", sentence(why(e))}}
	case e.AuthorProblem != "":
		return Verdict{Action: Quarantine, Reasons: []string{sentence(e.AuthorProblem)}}
	case passed:
		return Verdict{Action: Accept, Reasons: []string{stands(e)}}
	case (temporary != "" || e.SPF.Result == spf.TempError) && j.Unchecked == directory.SeverityDefer:
		return Verdict{
			Action:  Defer,
			Reply:   smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 4, 3}, Text: "who sent this message cannot be checked for now, DNS does not answer; try again later"},
			Reasons: []string{sentence(unchecked(e, temporary)), "The recipient's domain has such mail refused for now."},
		}
	case temporary != "" || e.SPF.Result == spf.TempError:
		return Verdict{Action: Accept, Reasons: []string{sentence(unchecked(e, temporary)), "That is no reason to refuse it."}}
	case e.SPF.Result == spf.Fail && j.SPFFail == directory.SeverityReject:
		return Verdict{
			Action:  Reject,
			Reply:   smtp.Reply{Code: 550, Enhanced: smtp.Enhanced{5, 7, 23}, Text: spfFails(e) + explanation(e)},
			Reasons: []string{sentence(spfFails(e)), "The recipient's domain has such mail refused."},
		}
	case e.SPF.Result == spf.Fail && j.SPFFail == directory.SeverityQuarantine:
		return Verdict{Action: Quarantine, Reasons: []string{sentence(spfFails(e)), "The recipient's domain has such mail put aside."}}
	case worst != nil:
		return Verdict{Action: Accept, Reasons: []string{disowned(worst) + " and asks for nothing to be done.", sentence(why(e))}}
	}
	return Verdict{Action: Accept, Reasons: []string{"No domain asks for anything else.", sentence(why(e))}}
}

// author finds the evaluation that asks for most among those that failed, whether all others passed, and why one could
// not be made.
func author(e *Evidence) (worst *dmarc.Outcome, passed bool, temporary string) {
	passed = len(e.Authors) > 0
	for i := range e.Authors {
		o := &e.Authors[i]
		passed = passed && o.Result == dmarc.Pass
		switch {
		case o.Result == dmarc.Fail && (worst == nil || o.Applied.Stricter(worst.Applied)):
			worst = o
		case o.Result == dmarc.TempError:
			temporary = o.Problem
		}
	}
	return worst, passed, temporary
}

// trusting softens a decision about what a trusted server has taken: refused, it would come back from there to somebody
// who may never have sent it.
func trusting(v Verdict, t Trust) Verdict {
	server := "the trusted forwarder " + t.Name
	if t.Relation == Gateway {
		server = "the gateway " + t.Name
	}
	switch {
	case v.Action == Accept && !t.Known:
		v.Override = "It came from " + server + "; who brought it there is not known: " + t.Problem + "."
	case v.Action == Accept:
		v.Override = "It came from " + server + "; who sent it was judged by where that had it from."
	case !t.Known:
		v.Override = "It came from " + server + "; who brought it there is not known, so that a failure counts for nothing: " + t.Problem + "."
		v.Action, v.Reply = Accept, smtp.Reply{}
	case v.Action == Reject:
		v.Override = "It came from " + server + ", which has taken it: it is put aside where it would have been refused."
		v.Action, v.Reply = Quarantine, smtp.Reply{}
	}
	return v
}

// doubting softens the refusal of what a trusted forwarder may have brought: what DNS does not say for now is no reason to
// refuse for good, and who has his own reverse zone fail gains nothing by it.
func doubting(v Verdict, j directory.Judging) Verdict {
	v.Override = "Whether its client is a trusted forwarder cannot be found out for now, since DNS does not say what it is called: it is "
	if j.Unchecked == directory.SeverityDefer {
		v.Override += "refused for now."
		v.Action = Defer
		v.Reply = smtp.Reply{Code: 451, Enhanced: smtp.Enhanced{4, 4, 3}, Text: "whether you may bring this message cannot be checked for now, DNS does not say what you are called; try again later"}
		return v
	}
	v.Override += "put aside where it would have been refused."
	v.Action, v.Reply = Quarantine, smtp.Reply{}
	return v
}

// Settle makes one answer of the decisions for all recipients: a reply when all are refused alike. Else the message is
// taken, and whoever would have refused it has it put aside (routing.md, Policy with several recipients).
func Settle(list []Verdict) (reply smtp.Reply, refused bool) {
	all := func(a Action) bool {
		for i := range list {
			if list[i].Action != a {
				return false
			}
		}
		return len(list) > 0
	}
	if all(Reject) || all(Defer) {
		return list[0].Reply, true
	}
	for i := range list {
		if v := &list[i]; v.Action == Reject || v.Action == Defer {
			v.Override = "It is put aside, and not " + word(v.Action) + ": others of the same message take it."
			v.Action, v.Reply = Quarantine, smtp.Reply{}
		}
	}
	return smtp.Reply{}, false
}

func word(a Action) string {
	switch a {
	case Reject:
		return "refused"
	case Defer:
		return "refused for now"
	case Quarantine:
		return "put aside"
	case Accept:
	}
	return "taken"
}

// disowned begins the sentence about an author domain that does not stand behind a message.
func disowned(o *dmarc.Outcome) string {
	text := o.Domain + " does not stand behind this message"
	if o.At != o.Domain {
		text += ", by the policy of " + o.At
	}
	if o.Applied != o.Policy {
		text += ", tests its policy " + string(o.Policy)
	}
	return text
}

// stands tells what the author domain stands behind the message with.
func stands(e *Evidence) string {
	o := &e.Authors[0]
	return fmt.Sprintf("%s stands behind this message, by %s of %s.", o.Domain, strings.ToUpper(string(o.By.Method)), o.By.Domain)
}

// why tells in few words what SPF and DKIM say.
func why(e *Evidence) string {
	parts := []string{"SPF " + string(e.SPF.Result)}
	if e.SPF.Domain != "" {
		parts[0] += " for " + e.SPF.Domain + " from " + e.Client.String()
	}
	if len(e.DKIM) == 0 {
		return parts[0] + ", no DKIM signature"
	}
	for i := range e.DKIM[:min(len(e.DKIM), 2)] {
		r := &e.DKIM[i]
		part := "DKIM " + string(r.Word)
		if r.Domain != "" {
			part += " for " + r.Domain
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func spfFails(e *Evidence) string {
	return e.SPF.Domain + " does not let " + e.Client.String() + " send its mail (SPF)"
}

// maxExplanation bounds what a domain has said to those who fail, in octets.
const maxExplanation = 200

// explanation quotes the domain's own words (RFC 7208 §6.2).
func explanation(e *Evidence) string {
	if e.SPF.Explanation == "" {
		return ""
	}
	return "; " + e.SPF.Domain + " explains: " + e.SPF.Explanation[:min(len(e.SPF.Explanation), maxExplanation)]
}

func unchecked(e *Evidence, temporary string) string {
	if temporary == "" {
		temporary = e.SPF.Problem
	}
	return "who sent it cannot be checked for now: " + temporary
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	if s[0] >= 'a' && s[0] <= 'z' && !strings.Contains(strings.SplitN(s, " ", 2)[0], ".") {
		s = string(s[0]-'a'+'A') + s[1:]
	}
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// Arrival is who brings a message, and for whom first.
type Arrival struct {
	Client    netip.Addr
	Helo      string
	Sender    string // reverse-path without brackets
	Recipient string // the first that was taken
}

// Ruling is the decision for one recipient with what is written of it.
type Ruling struct {
	Verdict
	// Field is the Authentication-Results field for this recipient, whole with its CRLF; empty where nothing was checked.
	Field  []byte
	Checks []Check
}
