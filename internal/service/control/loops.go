package control

import (
	"slices"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/smtp"
)

// resolve finds what an address of a domain here stands for: the rule that mail follows, if any, and whether the
// address is known at all. It follows the order of routing.Decide: the address itself, without its plus-suffix, the
// catch-all; nobody's postmaster is known and leads nowhere that could come back.
func resolve(snap *directory.Snapshot, at smtp.Address) (rule *directory.Rule, known bool) {
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

// checkLoops walks from the addresses that the plan changes through the directory as it would be, and refuses the
// plan when the way comes back to an address it has passed. Addresses of others on the way are not shown.
func (p *Plan) checkLoops(actor Actor, st *state, changed ...smtp.Address) error {
	delta := p.delta
	delta.Version = st.Directory.Version()
	w := &walk{snap: st.Directory.With(delta), done: map[string]bool{}}
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
		return &RefusedError{
			Err: ErrInvalid, Finding: finding.AliasLoop, Sentence: "Mail would go in a circle", Path: path,
			Hint: "take one of the steps out",
		}
	}
	return nil
}

// walk is one search for a circle.
type walk struct {
	snap *directory.Snapshot
	path []string        // rules on the way, by address
	done map[string]bool // rules behind which there is no circle
}

// from follows an address, or a domain's catch-all, and gives the circle it finds.
func (w *walk) from(at smtp.Address, catchAll bool) []string {
	if d, ours := w.snap.Domain(at.Domain); !ours || d.Mode != directory.ModeLocal {
		return nil
	}
	var rule *directory.Rule
	if catchAll {
		rule, _ = w.snap.Rule(at.Domain, "")
	} else {
		rule, _ = resolve(w.snap, at)
	}
	if rule == nil || w.done[rule.Address()] {
		return nil
	}
	name := rule.Address()
	if i := slices.Index(w.path, name); i >= 0 {
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
