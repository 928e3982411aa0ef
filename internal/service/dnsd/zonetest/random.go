package zonetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Random is a zone made by chance, and what tests ask of it.
type Random struct {
	Domain string
	Text   string   // relative names, no $TTL
	Cuts   []string // delegations, absolute
	Labels []string // what its names are made of
	rand   *rand.Rand
	names  map[string]*owner // relative, without a dot behind
	order  []string
}

type owner struct {
	types       map[string]bool
	cut         bool
	alias, move bool
}

// NewRandom makes a zone. others are absolute names outside that its records may point to. What servers refuse to load is
// left out: data beside an alias, names below a DNAME, delegations at wildcards.
func NewRandom(r *rand.Rand, domain string, others []string) *Random {
	z := &Random{Domain: domain, Labels: []string{"a", "b", "c", "d", "*"}, rand: r, names: map[string]*owner{}}
	var b strings.Builder
	fmt.Fprintf(&b, "@ 3600 SOA ns1 host %d 3600 900 604800 %d\n", 1+r.IntN(1000), []int{60, 300, 900}[r.IntN(3)])
	b.WriteString("@ 300 NS ns1\nns1 63 A 192.0.2.53\n")
	z.at("").types["NS"] = true
	z.at("ns1").types["A"] = true
	if r.IntN(2) == 0 {
		b.WriteString("@ 300 NS ns.other.test.\nns1 300 AAAA 2001:db8::53\n")
	}
	for range 3 + r.IntN(25) {
		name := z.name(3)
		kind := []string{"A", "A", "A", "AAAA", "TXT", "MX", "MX", "SRV", "CNAME", "CNAME", "DNAME", "NS", "NS", "DS", "CAA", "PTR"}[r.IntN(16)]
		if !z.may(name, kind) {
			continue
		}
		o := z.at(name)
		o.types[kind] = true
		o.alias = o.alias || kind == "CNAME"
		o.move = o.move || kind == "DNAME"
		text := name
		if name == "" {
			text = "@"
		}
		switch kind {
		case "NS":
			o.cut = o.cut || name != ""
			for range 1 + r.IntN(3) {
				server := z.target(others)
				if r.IntN(2) == 0 && name != "" {
					server = "ns" + fmt.Sprint(r.IntN(3)) + "." + name
				}
				fmt.Fprintf(&b, "%s %d NS %s\n", text, 100+len(name), server)
				if server == "@" {
					continue
				}
				if !strings.HasSuffix(server, ".") && z.may(server, "A") {
					z.at(server).types["A"] = true
					fmt.Fprintf(&b, "%s %d A 192.0.2.%d\n", server, 60+len(server), r.IntN(250))
				}
			}
		default:
			for range 1 + r.IntN(2) {
				fmt.Fprintf(&b, "%s %d %s %s\n", text, 60*len(kind)+len(name), kind, z.data(kind, others))
				if o.alias || o.move {
					break
				}
			}
		}
	}
	z.Text = b.String()
	for name, o := range z.names {
		if o.cut {
			z.Cuts = append(z.Cuts, name+"."+domain+".")
		}
	}
	slices.Sort(z.Cuts)
	return z
}

func (z *Random) at(name string) *owner {
	o := z.names[name]
	if o == nil {
		o = &owner{types: map[string]bool{}}
		z.names[name] = o
		z.order = append(z.order, name)
	}
	return o
}

// name is some name, relative, of up to most labels.
func (z *Random) name(most int) string {
	var labels []string
	for i := range z.rand.IntN(most + 1) {
		label := z.Labels[z.rand.IntN(len(z.Labels))]
		if label == "*" && i > 0 && z.rand.IntN(3) > 0 { // mostly in front
			label = "e"
		}
		labels = append([]string{label}, labels...)
	}
	if len(labels) > 0 && z.rand.IntN(6) == 0 {
		labels[0] = "*"
	}
	return strings.Join(labels, ".")
}

// may says whether a record of a type may stand at a name.
func (z *Random) may(name, kind string) bool {
	o := z.names[name]
	alone := kind == "CNAME" || kind == "DNAME"
	wild := strings.HasPrefix(name, "*")
	switch {
	case o != nil && (o.alias || o.move || o.types[kind]):
		return false
	case o != nil && alone, name == "" && (alone || kind == "NS" || kind == "DS"):
		return false
	case wild && (kind == "NS" || kind == "DS" || kind == "DNAME"):
		return false
	case kind == "DS" && (o == nil || !o.cut):
		return false
	case kind == "NS" && o != nil && len(o.types) > 0:
		return false
	case o != nil && o.cut && kind != "DS":
		return false
	}
	for other, there := range z.names {
		below := other == "" || strings.HasSuffix(name, "."+other)
		if below && there.move || kind == "DNAME" && (name == "" || strings.HasSuffix(other, "."+name)) {
			return false
		}
		if below && there.cut && kind != "A" && kind != "AAAA" {
			return false
		}
		if kind == "NS" && strings.HasSuffix(other, "."+name) { // what is below becomes glue
			if there.cut || there.alias || !onlyAddresses(there) {
				return false
			}
		}
	}
	return true
}

func onlyAddresses(o *owner) bool {
	for kind := range o.types {
		if kind != "A" && kind != "AAAA" {
			return false
		}
	}
	return true
}

// target is some name that a record points to, as in zone text.
func (z *Random) target(others []string) string {
	switch {
	case z.rand.IntN(4) == 0:
		return others[z.rand.IntN(len(others))]
	case z.rand.IntN(3) == 0 && len(z.order) > 0:
		if name := z.order[z.rand.IntN(len(z.order))]; name != "" {
			return name
		}
		return "@"
	}
	if name := z.name(3); name != "" && !strings.Contains(name, "*") {
		return name
	}
	return "@"
}

func (z *Random) data(kind string, others []string) string {
	n := z.rand.IntN(250)
	switch kind {
	case "A":
		return fmt.Sprintf("192.0.2.%d", n)
	case "AAAA":
		return fmt.Sprintf("2001:db8::%x", n)
	case "TXT":
		return fmt.Sprintf("\"text %d\"", n)
	case "MX":
		return fmt.Sprintf("%d %s", n, z.target(others))
	case "SRV":
		return fmt.Sprintf("%d 1 80 %s", n, z.target(others))
	case "DS":
		return fmt.Sprintf("%d 13 2 %064x", n, n)
	case "CAA":
		return fmt.Sprintf("0 issue \"ca%d.test\"", n)
	}
	return z.target(others)
}

// Question gives some name and type to ask for.
func (z *Random) Question() (name, kind string) {
	kinds := []string{"A", "A", "A", "AAAA", "TXT", "MX", "NS", "SOA", "CNAME", "SRV", "DS", "DNAME", "CAA", "PTR", "TYPE65400"}
	name = z.name(4)
	switch z.rand.IntN(5) {
	case 0:
		name = z.order[z.rand.IntN(len(z.order))]
	case 1:
		if below := z.order[z.rand.IntN(len(z.order))]; below != "" {
			name = z.Labels[z.rand.IntN(len(z.Labels))] + "." + below
		}
	}
	full := z.Domain + "."
	if name != "" {
		full = name + "." + full
	}
	if z.rand.IntN(40) == 0 {
		full = full[strings.Index(full, ".")+1:]
	}
	return full, kinds[z.rand.IntN(len(kinds))]
}
