package dnssec

import (
	"errors"
	"fmt"
	"slices"

	"postroad/internal/proto/dns"
)

// ErrContent says that a zone's records cannot be signed.
var ErrContent = errors.New("the zone's records cannot be signed")

// node is a name for which the zone answers, or at which it hands on.
type node struct {
	name string
	cut  bool // a delegation: only DS, and the proofs, are ours
	sets [][]dns.Record
}

// survey finds the names of the zone and the sets that are to be signed at each, in canonical order. What lies below a
// delegation or a DNAME (glue, or what nobody gets: RFC 6672 §2.4) is left out, and so are empty non-terminals.
func survey(apex string, records []dns.Record) ([]node, error) {
	var nodes []node
	hidden := "" // what lies below it is not ours
	for from := 0; from < len(records); {
		to := from + 1
		for to < len(records) && records[to].Name == records[from].Name {
			to++
		}
		name, here := records[from].Name, records[from:to]
		from = to
		if !dns.Below(name, apex) {
			return nil, fmt.Errorf("%w: %s is not in the zone", ErrContent, name)
		}
		if hidden != "" && name != hidden && dns.Below(name, hidden) {
			continue
		}
		n := node{name: name}
		n.cut = name != apex && slices.ContainsFunc(here, func(r dns.Record) bool { return r.Type == dns.TypeNS })
		if n.cut || slices.ContainsFunc(here, func(r dns.Record) bool { return r.Type == dns.TypeDNAME }) {
			hidden = name
		}
		for len(here) > 0 {
			end := 1
			for end < len(here) && here[end].Type == here[0].Type {
				end++
			}
			set := here[:end:end]
			here = here[end:]
			if set[0].Type.DNSSEC() {
				return nil, fmt.Errorf("%w: %s %s is made by signing only", ErrContent, name, set[0].Type)
			}
			if name == apex && set[0].Type == dns.TypeDS {
				return nil, fmt.Errorf("%w: a DS record at %s: it belongs in the zone above (RFC 4035 §2.4)", ErrContent, name)
			}
			for _, r := range set[1:] {
				if r.TTL != set[0].TTL {
					return nil, fmt.Errorf("%w: the records %s %s have more than one TTL (RFC 2181 §5.2)", ErrContent, name, r.Type)
				}
			}
			n.sets = append(n.sets, set)
		}
		nodes = append(nodes, n)
	}
	if len(nodes) == 0 || nodes[0].name != apex || nodes[0].cut || !slices.ContainsFunc(nodes[0].sets, func(s []dns.Record) bool { return s[0].Type == dns.TypeSOA }) {
		return nil, fmt.Errorf("%w: there is no SOA record at %s", ErrContent, apex)
	}
	return nodes, nil
}

// signed reports whether sets of a type are signed at the node.
func (n *node) signed(t dns.Type) bool { return !n.cut || t == dns.TypeDS }

// types are those of the node's bitmap but for NSEC and RRSIG.
func (n *node) types() []dns.Type {
	var out []dns.Type
	for _, s := range n.sets {
		if t := s[0].Type; !n.cut || t == dns.TypeNS || t == dns.TypeDS {
			out = append(out, t)
		}
	}
	return out
}
