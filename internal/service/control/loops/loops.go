// Package loops finds circles that mail would go in before they are configured: through aliases, forwards, groups and
// catch-alls, and through what is handed on and comes back.
//
// # Failure
//
// A circle is a *words.RefusedError with the path in it. Addresses of others on the way are not shown.
package loops

import (
	"slices"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Resolve finds what an address of a domain here stands for: the rule that mail follows, if any, and whether the
// address is known at all. It follows the order of routing.Decide: the address itself, without its plus-suffix, the
// catch-all; nobody's postmaster is known and leads nowhere that could come back.
func Resolve(snap *directory.Snapshot, at smtp.Address) (rule *directory.Rule, known bool) {
	local := directory.FoldLocal(at.Local)
	for _, l := range []string{local, directory.Base(local)} {
		if l == "" {
			continue
		}
		r, ruled := snap.Rule(at.Domain, l)
		_, boxed := snap.Mailbox(at.Domain, l)
		if ruled || boxed {
			return r, true
		}
	}
	if local == "postmaster" {
		return nil, true
	}
	return snap.Rule(at.Domain, "")
}

// Home says by which host mail that is handed on for a domain comes back to this installation, and whether it does, as
// far as that is known without asking anybody.
type Home func(*directory.Domain) (host string, back bool)

// Check walks from the addresses that a plan changes through the directory as it would be, and refuses the plan when the
// way comes back to an address it has passed.
func Check(actor rights.Actor, next *directory.Snapshot, home Home, changed ...smtp.Address) error {
	w := &walk{snap: next, home: home, done: map[string]bool{}}
	for _, at := range changed {
		path := w.from(at, at.Local == "")
		if path == nil {
			continue
		}
		for i, name := range path {
			if d, ok := w.snap.Domain(name[strings.LastIndexByte(name, '@')+1:]); ok && !actor.Scope.Has(d.Account) {
				path[i] = "(somebody else's address)"
			}
		}
		return &words.RefusedError{
			Err: words.ErrInvalid, Finding: w.found, Sentence: "Mail would go in a circle", Path: path, Hint: "take one of the steps out",
		}
	}
	return nil
}

// walk is one search for a circle.
type walk struct {
	snap  *directory.Snapshot
	home  Home
	path  []string        // rules on the way, by address
	done  map[string]bool // rules behind which there is no circle
	found finding.Name    // what the circle is called
}

// from follows an address, or a domain's catch-all, and gives the circle it finds.
func (w *walk) from(at smtp.Address, catchAll bool) []string {
	d, ours := w.snap.Domain(at.Domain)
	if !ours || !d.Keeps() {
		return w.handed(d, at)
	}
	var rule *directory.Rule
	var known bool
	if catchAll {
		rule, _ = w.snap.Rule(at.Domain, "")
	} else {
		rule, known = Resolve(w.snap, at)
	}
	if d.Effective() == directory.ModeSplit {
		if rule != nil && rule.Local == "" { // a catch-all counts for nothing there
			rule, known = nil, false
		}
		if !known && !catchAll {
			return w.handed(d, at)
		}
	}
	if rule == nil || w.done[rule.Address()] {
		return nil
	}
	name := rule.Address()
	if i := slices.Index(w.path, name); i >= 0 {
		w.found = finding.AliasLoop
		return append(slices.Clone(w.path[i:]), name)
	}
	w.path = append(w.path, name)
	for _, t := range rule.Targets {
		to, err := smtp.ParseAddress(t, true)
		if err != nil {
			continue
		}
		if circle := w.from(to, false); circle != nil {
			return circle
		}
	}
	w.path = w.path[:len(w.path)-1]
	w.done[name] = true
	return nil
}

// handed gives the circle of an address that is handed on and comes back, when a rule leads to it. An address that
// nobody leads to is no matter of rules.
func (w *walk) handed(d *directory.Domain, at smtp.Address) []string {
	if d == nil || !d.Proved || len(w.path) == 0 {
		return nil
	}
	host, back := w.home(d)
	if !back {
		return nil
	}
	w.found = finding.RouteLoopSelf
	if d.Effective() == directory.ModeSplit {
		w.found = finding.SplitLoop
	}
	return append(slices.Clone(w.path), at.String(), host, at.String())
}
