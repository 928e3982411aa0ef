package routing

import (
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
)

// expansion leads one recipient of a local domain through aliases, forwards, groups and the catch-all to its
// final destinations, each of them once.
type expansion struct {
	view     View
	session  *Session
	decision *Decision
	seen     map[string]bool // addresses on the way
	overflow bool
	archive  bool // what is found now is an archive copy
}

// maxDepth bounds the length of a chain of aliases; loops are refused when saved, this stops what slipped by.
const maxDepth = 10

// local resolves a local part in a domain of mode local.
func (x *expansion) local(dom *directory.Domain, local string, depth int) {
	folded := directory.FoldLocal(local)
	if x.named(dom, folded, depth) {
		return
	}
	if rule, ok := x.view.Directory.Rule(dom.Name, ""); ok && folded != "postmaster" {
		x.decision.reason(RuleCatchAll, rule.Address())
		x.targets(rule, depth)
		return
	}
	if folded == "postmaster" {
		x.postmaster(depth)
	}
}

// exact resolves a local part that somebody here was named for; false when nobody was. A catch-all does not count:
// in a split domain it would leave nothing to the real server.
func (x *expansion) exact(dom *directory.Domain, local string) bool {
	return x.named(dom, directory.FoldLocal(local), 0)
}

// named follows the address itself, or without its plus-suffix.
func (x *expansion) named(dom *directory.Domain, folded string, depth int) bool {
	if x.known(dom, folded, depth) {
		return true
	}
	base := directory.Base(folded)
	if base == folded {
		return false
	}
	x.decision.reason(RulePlusAddress, base+"@"+dom.Name)
	return x.known(dom, base, depth)
}

// known delivers to the mailbox or follows the rule of exactly this local part.
func (x *expansion) known(dom *directory.Domain, local string, depth int) bool {
	if local == "" {
		return false
	}
	rule, box := x.view.Directory.Named(dom, local)
	if rule != nil {
		x.decision.reason(ruleOf(rule.Kind), rule.Address())
		x.targets(rule, depth)
	}
	if box != nil && (rule == nil || rule.Keep) {
		x.mailbox(box)
	}
	return rule != nil || box != nil
}

func ruleOf(k directory.RuleKind) Rule {
	switch k {
	case directory.RuleAlias:
		return RuleAlias
	case directory.RuleForward:
		return RuleForward
	case directory.RuleGroup:
		return RuleGroup
	case directory.RuleCatchAll:
		return RuleCatchAll
	}
	return RuleAlias
}

func (x *expansion) mailbox(box *directory.Mailbox) {
	x.decision.reason(RuleMailbox, box.Address())
	for i := range x.decision.Destinations {
		if to := &x.decision.Destinations[i]; to.Mailbox == box.ID {
			to.Archive = to.Archive && x.archive
			return
		}
	}
	x.decision.Destinations = append(x.decision.Destinations, Destination{
		Transport: mail.TransportLocal, Lane: LocalLane, Address: box.Address(), Mailbox: box.ID, Quota: box.Quota, Account: box.Account, Archive: x.archive,
	})
}

// LocalLane is the lane of everything that goes into mailboxes here.
var LocalLane = mail.MakeLane(mail.TransportLocal, "mailboxes")

// postmaster takes what nobody was named for: every domain must have one (RFC 5321 §4.5.1).
func (x *expansion) postmaster(depth int) {
	x.decision.reason(RulePostmaster, "postmaster@"+x.view.Self.Hostname)
	if own, ok := x.view.Directory.Domain(x.view.Self.Hostname); ok && own.Effective() == directory.ModeLocal && depth < maxDepth {
		x.known(own, "postmaster", depth+1)
	}
}

// targets follows every target of a rule.
func (x *expansion) targets(rule *directory.Rule, depth int) {
	if rule.Archive && !x.archive {
		x.archive = true
		defer func() { x.archive = false }()
	}
	for _, t := range rule.Targets {
		if len(x.decision.Destinations) >= maxDestinations {
			x.overflow = true
			return
		}
		i := strings.LastIndexByte(t, '@')
		once := t
		if x.archive {
			once = "archive " + t
		}
		if i <= 0 || depth >= maxDepth || !x.once(once) {
			continue
		}
		x.target(rule, smtp.Address{Local: t[:i], Domain: t[i+1:]}, depth)
	}
}

func (x *expansion) target(rule *directory.Rule, to smtp.Address, depth int) {
	dom, ours := x.view.Directory.Domain(to.Domain)
	if !ours || !dom.Proved {
		x.decision.leaves(x.view, x.session, rule, to)
		x.found(rule.Address())
		return
	}
	switch dom.Effective() {
	case directory.ModeLocal:
		x.local(dom, to.Local, depth+1)
		return
	case directory.ModeSplit:
		if x.named(dom, directory.FoldLocal(to.Local), depth+1) {
			return
		}
	case directory.ModeBackup, directory.ModeRelay, directory.ModeRemote, directory.ModeAuto:
	}
	x.decision.handOn(dom, to)
	if dom.Effective() == directory.ModeRemote {
		x.found(rule.Address())
	} else {
		x.found("")
	}
}

// found marks the destination found last: with the rule that sends it to a server that knows nothing of us, and as an
// archive copy. The same destination may be there already: then it stays once, and is an archive copy only if both are.
func (x *expansion) found(forward string) {
	list := x.decision.Destinations
	n := len(list) - 1
	if n < 0 {
		return
	}
	list[n].Forward, list[n].Archive = forward, x.archive
	for i := range list[:n] {
		if list[i].Lane == list[n].Lane && list[i].Address == list[n].Address {
			list[i].Archive = list[i].Archive && x.archive
			x.decision.Destinations = list[:n]
			return
		}
	}
}

// once reports whether this is the first time that something is met.
func (x *expansion) once(what string) bool {
	if x.seen[what] {
		return false
	}
	if x.seen == nil {
		x.seen = make(map[string]bool, 4)
	}
	x.seen[what] = true
	return true
}
