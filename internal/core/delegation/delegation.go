// Package delegation judges how the world is led to a zone: what the parent names, what the zone's own name servers
// say, and whether both are ours (RFC 1034 §4.2.2, RFC 1912 §2.8, RFC 2182 §3.1).
//
// # Failure
//
// Only what a server has said counts. Silence, SERVFAIL and an address that nobody could ask make no fault and end no
// state: what is not known stays as it was.
package delegation

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
)

// Seen is what was observed of a zone.
type Seen struct {
	Delegation facts.Delegation
	NS         []facts.Answer // what each of its name servers says of its NS records
	SOA        []facts.Answer // and of its SOA record
}

// Fault is something that is wrong with a zone's name servers, whoever runs them.
type Fault struct {
	Name     finding.Name
	Evidence string // one line
}

// Faults tells what is wrong, in the order of names.
func (s *Seen) Faults() []Fault {
	if s.Delegation.Zone == "" {
		return nil
	}
	var out []Fault
	for _, f := range []struct {
		name     finding.Name
		evidence string
	}{
		{finding.NSInconsistent, s.inconsistent()},
		{finding.NSLame, s.lame()},
		{finding.NSSameNetwork, s.sameNetwork()},
	} {
		if f.evidence != "" {
			out = append(out, Fault{f.name, f.evidence})
		}
	}
	return out
}

// lame names the servers that said something, and not for the zone.
func (s *Seen) lame() string {
	var out []string
	for _, server := range s.Delegation.Servers {
		answers := about(s.NS, server.Name)
		i := slices.IndexFunc(answers, func(a facts.Answer) bool { return a.Lame() })
		if i < 0 || slices.ContainsFunc(answers, func(a facts.Answer) bool { return a.Authoritative && a.Code == "NOERROR" }) {
			continue
		}
		said := answers[i].Code
		if said == "NOERROR" || said == "NXDOMAIN" {
			said += " without authority"
		}
		out = append(out, server.Name+" ("+answers[i].Address+") answers "+said)
	}
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out, "; ") + " for " + s.Delegation.Zone
}

// inconsistent tells how the parent and the zone's own servers differ.
func (s *Seen) inconsistent() string {
	parent := strings.Join(s.Delegation.NS, ", ")
	said := map[string][]string{} // NS set → servers
	for i := range s.NS {
		if a := &s.NS[i]; a.Grants() {
			set := strings.Join(a.Hosts(), ", ")
			if !slices.Contains(said[set], a.Server) {
				said[set] = append(said[set], a.Server)
			}
		}
	}
	var parts []string
	for _, set := range sortedKeys(said) {
		if set != parent {
			parts = append(parts, strings.Join(said[set], ", ")+" name "+set)
		}
	}
	if len(parts) > 0 {
		return "the zone above names " + parent + "; " + strings.Join(parts, "; ")
	}
	serials := map[string][]string{}
	for i := range s.SOA {
		if n, ok := s.SOA[i].Serial(); ok && s.SOA[i].Grants() {
			serial := fmt.Sprint(n)
			if !slices.Contains(serials[serial], s.SOA[i].Server) {
				serials[serial] = append(serials[serial], s.SOA[i].Server)
			}
		}
	}
	if len(serials) < 2 {
		return ""
	}
	for _, serial := range sortedKeys(serials) {
		parts = append(parts, strings.Join(serials[serial], ", ")+" have serial "+serial)
	}
	return strings.Join(parts, "; ")
}

// Sizes of what is taken for one network: what one router usually serves.
const (
	network4 = 24
	network6 = 48
)

// sameNetwork tells when all name servers are in one network (RFC 2182 §3.1).
func (s *Seen) sameNetwork() string {
	if !s.Delegation.Whole {
		return ""
	}
	var networks []string
	var addrs []string
	for _, server := range s.Delegation.Servers {
		if len(server.Addrs)+len(server.Barred) == 0 {
			return "" // it may be elsewhere
		}
		for _, a := range slices.Concat(server.Addrs, server.Barred) {
			bits := network6
			if a = a.Unmap(); a.Is4() {
				bits = network4
			}
			network, err := a.Prefix(bits)
			if err != nil {
				continue
			}
			if !slices.Contains(networks, network.String()) {
				networks = append(networks, network.String())
			}
			addrs = append(addrs, server.Name+" at "+a.String())
		}
	}
	four, six := 0, 0
	for _, n := range networks {
		if netip.MustParsePrefix(n).Addr().Is4() {
			four++
		} else {
			six++
		}
	}
	if len(networks) == 0 || four > 1 || six > 1 {
		return ""
	}
	return strings.Join(addrs, ", ") + ": all in " + strings.Join(networks, " and ")
}

func about(answers []facts.Answer, server string) []facts.Answer {
	var out []facts.Answer
	for _, a := range answers {
		if a.Server == server {
			out = append(out, a)
		}
	}
	return out
}

func sortedKeys(m map[string][]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Progress is how far a zone is handed to our name servers.
type Progress string

// The states, as people read them. The zero value is: not known.
const (
	Waiting Progress = "waiting"     // the zone above names none of ours
	Partly  Progress = "partly done" // some of ours, or others beside ours
	Done    Progress = "done"        // all of ours and nobody else
)

// Reached compares the name servers that the zone above names with those that were given to a domain.
func Reached(named, given []string) Progress {
	if len(given) == 0 {
		return ""
	}
	ours := 0
	for _, host := range given {
		if slices.Contains(named, host) {
			ours++
		}
	}
	switch {
	case ours == 0:
		return Waiting
	case ours == len(given) && len(named) == len(given):
		return Done
	}
	return Partly
}

// Handed tells the progress of a domain from what was observed of it, with the evidence. It is not known when the way
// could not be followed to the domain.
func Handed(d *facts.Delegation, given []string) (Progress, string) {
	switch {
	case len(given) == 0:
		return "", "no name servers are named for this installation"
	case d.Status == facts.NXDomain:
		return Waiting, "the zone " + cmp.Or(d.Zone, "above all") + " says that " + d.Name + " does not exist"
	case d.Status != facts.Found:
		return "", d.Detail
	case !d.Delegated():
		return Waiting, d.Name + " is a part of the zone " + d.Zone + " and not handed to name servers of its own"
	}
	return Reached(d.NS, given), "the zone " + cmp.Or(d.Parent, "above all") + " names " + strings.Join(d.NS, ", ")
}

// Proof is what asking all of a zone's name servers for something says of it.
type Proof uint8

// The outcomes. The zero value is none.
const (
	Unclear Proof = iota + 1 // some server did not say
	Shown                    // each server has it
	Lost                     // each server answers for the zone and denies it
)

// Word is what one answer says of something that is looked for. The zero value is: nothing.
type Word uint8

// The words.
const (
	Yes Word = iota + 1
	No
)

// Everywhere judges the answers of all name servers of a zone: says tells what an answer says of what was looked for. One
// name server may be silent at one of its addresses when it speaks at another. Both outcomes need every server's word.
func Everywhere(servers []facts.NameServer, answers []facts.Answer, whole bool, says func(a *facts.Answer) Word) (Proof, string) {
	if !whole || len(servers) == 0 {
		return Unclear, "not all name servers could be asked"
	}
	shown, denied := 0, 0
	var detail []string
	for _, server := range servers {
		yes, no := 0, 0
		for i := range answers {
			if answers[i].Server != server.Name {
				continue
			}
			switch says(&answers[i]) {
			case Yes:
				yes++
			case No:
				no++
			}
		}
		switch {
		case yes > 0 && no == 0:
			shown++
			detail = append(detail, server.Name+" has it")
		case no > 0 && yes == 0:
			denied++
			detail = append(detail, server.Name+" does not have it")
		case yes > 0:
			detail = append(detail, server.Name+" has it at one address and not at another")
		default:
			detail = append(detail, server.Name+" does not say")
		}
	}
	text := strings.Join(detail, ", ")
	switch len(servers) {
	case shown:
		return Shown, text
	case denied:
		return Lost, text
	}
	return Unclear, text
}

// Has is a Word by a name server's own answer: yes when it has what is looked for, no when it has something else or
// denies that there is anything, and nothing when it does not answer for the zone.
func Has(has func(a *facts.Answer) bool) func(a *facts.Answer) Word {
	return func(a *facts.Answer) Word {
		switch {
		case a.Grants() && has(a):
			return Yes
		case a.Grants() || a.Denies():
			return No
		}
		return 0
	}
}

// Hands is a Word by a server of the zone above: yes when it hands the name to all of the given name servers, no when it
// hands it to none of them or says that there is no such name.
func Hands(given []string) func(a *facts.Answer) Word {
	return func(a *facts.Answer) Word {
		named := a.Refers
		if a.Grants() {
			named = a.Hosts() // both zones lie on it
		}
		ours := 0
		for _, host := range given {
			if slices.Contains(named, host) {
				ours++
			}
		}
		switch {
		case len(given) == 0:
			return 0
		case ours == len(given):
			return Yes
		case ours == 0 && (len(named) > 0 || a.Denies()):
			return No
		}
		return 0
	}
}
