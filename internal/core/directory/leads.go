package directory

import (
	"iter"
	"maps"
	"strings"
)

// leads counts a domain's rules' targets by the domain they lie in, so that whoever looks for what leads into a domain
// reads the rules of few domains.
type leads map[string]int

func (l leads) add(r *Rule, n int) {
	for _, t := range r.Targets {
		to := t[strings.LastIndexByte(t, '@')+1:]
		if l[to] += n; l[to] <= 0 {
			delete(l, to)
		}
	}
}

// with gives the counts after rules were put and dropped; old has the rules before.
func (l leads) with(old *table[*Rule], put map[string]*Rule, drop []string) leads {
	next := maps.Clone(l)
	if next == nil {
		next = leads{}
	}
	gone := make(map[string]bool, len(drop))
	forget := func(local string) {
		if r, ok := old.get(local); ok && !gone[local] {
			next.add(r, -1)
			gone[local] = true
		}
	}
	for _, local := range drop {
		forget(local)
	}
	for local, r := range put {
		forget(local)
		next.add(r, 1)
	}
	return next
}

// Leading goes through the names of all domains of whose rules one leads into a domain for which into is true, in no
// particular order.
func (s *Snapshot) Leading(into func(domain string) bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name, e := range s.domains.all() {
			for to := range e.leads {
				if !into(to) {
					continue
				}
				if !yield(name) {
					return
				}
				break
			}
		}
	}
}
