package routing

import (
	"reflect"
	"slices"
	"strings"

	"postroad/internal/core/directory"
)

// touch marks what a change itself touches.
func (w *whatIf) touch(change directory.Delta) {
	for _, name := range change.RemoveDomains {
		w.whole(name)
	}
	for i := range change.PutDomains {
		name := change.PutDomains[i].Name
		before, was := w.before.Directory.Domain(name)
		after, is := w.after.Directory.Domain(name)
		if !was || !is || !reflect.DeepEqual(routes(before), routes(after)) {
			w.whole(name)
		}
	}
	for i := range change.PutMailboxes {
		w.mark(change.PutMailboxes[i].Domain, change.PutMailboxes[i].Local)
	}
	for i := range change.PutRules {
		w.mark(change.PutRules[i].Domain, change.PutRules[i].Local)
	}
	for _, list := range [][]string{change.RemoveMailboxes, change.RemoveRules} {
		for _, address := range list {
			i := strings.LastIndexByte(address, '@')
			w.mark(address[i+1:], address[:max(i, 0)])
		}
	}
	w.touchOutbounds(change)
}

// touchOutbounds marks the senders' domains whose way to foreign domains changes, and the rules that go that way.
func (w *whatIf) touchOutbounds(change directory.Delta) {
	sender := func(domain string) {
		if domain == "" {
			w.installation = true
		} else {
			w.senders = append(w.senders, domain)
		}
	}
	changed := map[string]bool{}
	for _, o := range change.PutOutbounds {
		if o.Identity == "" { // else it alters no address's route: what is sent as the identity goes by it, which its plan says
			changed[o.Domain] = true
		}
	}
	for _, id := range change.RemoveOutbounds {
		for _, o := range w.before.Directory.Outbounds() {
			if o.ID == id && o.Identity == "" {
				changed[o.Domain] = true
			}
		}
	}
	if len(changed) == 0 {
		return
	}
	for domain := range changed {
		sender(domain)
	}
	own := map[string]bool{} // domains that the installation's route does not concern
	for _, o := range w.after.Directory.Outbounds() {
		if o.Identity != "" {
			continue
		}
		own[o.Domain] = o.Smart() && !o.Source.IsZero()
	}
	foreign := func(domain string) bool {
		return !proved(w.before.Directory, domain) || !proved(w.after.Directory, domain)
	}
	for _, snap := range []*directory.Snapshot{w.before.Directory, w.after.Directory} {
		for name := range snap.Leading(foreign) {
			if !changed[name] && (!w.installation || own[name]) {
				continue
			}
			for r := range snap.Rules(name) {
				for _, t := range r.Targets {
					if foreign(t[strings.LastIndexByte(t, '@')+1:]) {
						w.mark(r.Domain, r.Local)
						break
					}
				}
			}
		}
	}
}

func proved(s *directory.Snapshot, domain string) bool {
	d, ok := s.Domain(domain)
	return ok && d.Proved
}

// at gives what is touched of a domain; it is searched for from now on.
func (w *whatIf) at(domain string) *touched {
	t := w.touched[domain]
	if t == nil {
		t = &touched{}
		w.touched[domain] = t
	}
	return t
}

func (w *whatIf) whole(domain string) {
	if t := w.at(domain); !t.all {
		t.all = true
		w.fresh = append(w.fresh, domain)
	}
}

func (w *whatIf) mark(domain, local string) {
	t := w.at(domain)
	if t.all || t.locals[local] {
		return
	}
	if t.locals == nil {
		t.locals = map[string]bool{}
	}
	t.locals[local] = true
	w.fresh = append(w.fresh, domain)
}

// follow marks every rule that leads to what is touched, over as many steps as there are. It marks too much rather
// than too little: what is marked is decided on both sides.
func (w *whatIf) follow() {
	for len(w.fresh) > 0 {
		fresh := make(map[string]bool, len(w.fresh))
		for _, name := range w.fresh {
			fresh[name] = true
		}
		w.fresh = w.fresh[:0]
		if host := w.before.Self.Hostname; fresh[host] && !w.postmasters && w.hits("postmaster@"+host) {
			w.everyPostmaster()
			continue // with all of them fresh, and with what was
		}
		for _, snap := range []*directory.Snapshot{w.before.Directory, w.after.Directory} {
			for name := range snap.Leading(func(d string) bool { return fresh[d] }) {
				w.rules(snap, name)
			}
		}
	}
}

// rules marks the rules of a domain that lead to what is touched.
func (w *whatIf) rules(snap *directory.Snapshot, name string) {
	if t := w.touched[name]; t != nil && t.all {
		return
	}
	for r := range snap.Rules(name) {
		if slices.ContainsFunc(r.Targets, w.hits) {
			w.mark(name, r.Local)
		}
	}
}

// hits reports whether an address is touched, by itself, without its plus-suffix, or as one that nobody was named for.
func (w *whatIf) hits(address string) bool {
	i := strings.LastIndexByte(address, '@')
	t := w.touched[address[i+1:]]
	if t == nil || i < 0 {
		return false
	}
	local := directory.FoldLocal(address[:i])
	return t.all || t.locals[""] || t.locals[local] || t.locals[directory.Base(local)]
}

// everyPostmaster marks the postmaster of every domain: where nobody is named, it is the installation's.
func (w *whatIf) everyPostmaster() {
	w.postmasters = true
	for _, snap := range []*directory.Snapshot{w.before.Directory, w.after.Directory} {
		for d := range snap.Domains() {
			w.mark(d.Name, "postmaster")
		}
	}
	for name := range w.touched {
		w.fresh = append(w.fresh, name)
	}
}
