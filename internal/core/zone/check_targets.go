package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
)

// targetAt is how many octets stand before the name that a record of a type leads to.
var targetAt = map[dns.Type]int{
	dns.TypeNS: 0, dns.TypeCNAME: 0, dns.TypeDNAME: 0, dns.TypePTR: 0, dns.TypeMX: 2, dns.TypeSVCB: 2, dns.TypeHTTPS: 2, dns.TypeSRV: 6,
}

// target gives the name that a record leads to, in lower case; false if the type has none or the data none.
func target(r dns.Record) (string, bool) {
	skip, ok := targetAt[r.Type]
	if !ok || len(r.Data) < skip {
		return "", false
	}
	text, _, err := dns.ReadName(r.Data[skip:])
	if err != nil {
		return "", false
	}
	name, err := dns.Name(text, "")
	return name, err == nil
}

// targetRules are the rules about where records of one type lead to. An empty name: no such rule.
type targetRules struct {
	what                                    string
	isIP, alias, appended, missing, nothing finding.Name
}

var rulesByType = map[dns.Type]targetRules{
	dns.TypeMX:    {"exchanger", finding.MXTargetIsIP, finding.MXTargetCNAME, finding.MXTargetAppendedOrigin, finding.MXTargetNXDomain, finding.MXTargetNoAddress},
	dns.TypeNS:    {"name server", NSTargetIsIP, NSTargetCNAME, NSTargetAppended, NSTargetNXDOMAIN, NSTargetNoAddress},
	dns.TypeSRV:   {"server", SRVTargetIsIP, SRVTargetCNAME, SRVTargetAppended, SRVTargetNXDOMAIN, SRVTargetNoAddress},
	dns.TypeCNAME: {"alias", CNAMETargetIsIP, "", CNAMETargetAppended, CNAMETargetNXDOMAIN, ""},
}

// checkTargets looks at the names that records lead to (RFC 1034 §3.6.2, RFC 2181 §10.3, RFC 2782, RFC 5321 §5.1).
func (c *checker) checkTargets() {
	for _, r := range c.records {
		by, ok := rulesByType[r.Type]
		if !ok || c.hidden(r) {
			continue
		}
		t, ok := target(r)
		if !ok || t == "." {
			continue
		}
		found := c.look(t)
		if address, ok := c.address(t); ok && !c.written(t) {
			if c.told[by.isIP] < maxProblems {
				c.add(by.isIP, []dns.Record{r}, fmt.Sprintf("%s %s leads to %s, which is an address where only a name may stand: it is not taken for an address there.", Show(r.Name), r.Type, address), c.nameIt(r, address))
			}
			continue
		}
		if r.Type != dns.TypeCNAME && !hostName(t) {
			c.add(TargetNoHostName, []dns.Record{r}, fmt.Sprintf("The %s %s of %s is no host name.", by.what, Show(t), Show(r.Name)), "host names have letters, digits and hyphens, in labels joined by dots")
		}
		c.judge(r, t, by, found)
	}
}

// hidden reports whether a record is never answered.
func (c *checker) hidden(r dns.Record) bool {
	cut := c.cut(r.Name)
	return cut != "" && (cut != r.Name || r.Type != dns.TypeNS)
}

// judge tells what is wrong with a target of which found is known.
func (c *checker) judge(r dns.Record, t string, by targetRules, found presence) {
	evidence, lead := []dns.Record{r}, fmt.Sprintf("The %s %s of %s", by.what, Show(t), Show(r.Name))
	if r.Type == dns.TypeCNAME {
		lead = fmt.Sprintf("%s, for which %s is an alias,", Show(t), Show(r.Name))
	}
	if r.Type == dns.TypeNS && dns.Below(t, r.Name) && r.Name != c.apex && !has(c.names[t], dns.TypeA, dns.TypeAAAA) {
		return // GlueMissing says so
	}
	switch {
	case found != unknown && !c.written(t) && c.appended(t):
		rest, why := strings.TrimSuffix(t, c.apex), "does not exist"
		if found != missing {
			why = "is there by a wildcard or a DNAME only"
		}
		c.add(by.appended, evidence, fmt.Sprintf("%s %s: it looks as if the zone's name had been appended because the last dot was left out.", lead, why), "write "+rest+" with the last dot, or add an A or AAAA record for "+Show(t))
	case found == missing:
		c.add(by.missing, evidence, lead+" does not exist.", "correct the name, or add an A or AAAA record for it")
	case found == alias && r.Type == dns.TypeCNAME:
		if c.circle(t) {
			c.add(CNAMELoop, evidence, fmt.Sprintf("%s is an alias that leads back to itself: nobody can find out what it stands for.", Show(r.Name)), "let one of the aliases lead to a name with addresses")
		}
	case found == alias:
		c.add(by.alias, append(evidence, of(c.names[t], dns.TypeCNAME)...), lead+" is an alias; it must have addresses itself.", c.instead(t))
	case found == exists && by.nothing != "" && !c.hasAddress(t):
		c.add(by.nothing, evidence, lead+" has no address.", "add an A or AAAA record for "+Show(t)+", or name a host that has one")
	}
}

// instead says what to write in place of an alias.
func (c *checker) instead(t string) string {
	for _, r := range of(c.names[t], dns.TypeCNAME) {
		if to, ok := target(r); ok {
			return "name " + Show(to) + " instead"
		}
	}
	return "name the host that it stands for instead"
}

// nameIt says what to do about an address in place of a name.
func (c *checker) nameIt(r dns.Record, address string) string {
	kind := "A"
	if strings.Contains(address, ":") {
		kind = "AAAA"
	}
	for _, other := range of(c.records, dns.TypeA, dns.TypeAAAA) {
		if a, ok := netip.AddrFromSlice(other.Data); ok && a.String() == address && !c.hidden(other) && other.Name != r.Name {
			return "write " + Show(other.Name) + ", which has this address"
		}
	}
	if r.Type == dns.TypeCNAME {
		return fmt.Sprintf("write %s %s %s in place of the CNAME record", Show(r.Name), kind, address)
	}
	host := map[dns.Type]string{dns.TypeMX: "mail.", dns.TypeNS: "ns1.", dns.TypeSRV: "server."}[r.Type] + c.apex
	return fmt.Sprintf("add %s %s %s, and write %s here", Show(host), kind, address, Show(host))
}

// written reports whether the zone has a name itself, not by a wildcard.
func (c *checker) written(name string) bool { return c.names[name] != nil || c.inner[name] }

// presence is what a zone knows of a name.
type presence int

const (
	unknown presence = iota // outside the zone, or delegated
	missing                 // the zone says that it does not exist
	exists
	alias // a CNAME, or below a DNAME
)

// look tells what the zone would answer for a name.
func (c *checker) look(name string) presence {
	if !dns.Below(name, c.apex) {
		return unknown
	}
	for up := name; up != c.apex; {
		up = dns.Parent(up)
		if c.aways[up] {
			return alias
		}
	}
	set := c.source(name)
	switch {
	case c.cut(name) != "":
		if has(set, dns.TypeA, dns.TypeAAAA) {
			return exists
		}
		return unknown
	case set == nil && !c.inner[name]:
		return missing
	case has(set, dns.TypeCNAME):
		return alias
	}
	return exists
}

// source gives the records that an answer for a name of the zone is made of, those of a wildcard too (RFC 4592 §3.3.1).
func (c *checker) source(name string) []dns.Record {
	if set, ok := c.names[name]; ok || c.inner[name] {
		return set
	}
	up := name
	for up != c.apex {
		up = dns.Parent(up)
		if _, ok := c.names[up]; ok || c.inner[up] {
			break
		}
	}
	return c.names["*."+up]
}

// hasAddress reports whether a name of the zone has an address.
func (c *checker) hasAddress(name string) bool {
	return has(c.source(name), dns.TypeA, dns.TypeAAAA)
}

// circle reports whether following aliases from a name leads back to one that was seen. Each name is followed once.
func (c *checker) circle(name string) bool {
	var path []string
	onPath, round := map[string]bool{}, false
	for dns.Below(name, c.apex) {
		if known, ok := c.circles[name]; ok || onPath[name] {
			round = known || onPath[name]
			break
		}
		next := of(c.source(name), dns.TypeCNAME)
		if len(next) == 0 {
			break
		}
		path, onPath[name] = append(path, name), true
		to, ok := target(next[0])
		if !ok {
			break
		}
		name = to
	}
	for _, p := range path {
		c.circles[p] = round
	}
	return round
}

// address reads a target that is an address, also where the origin was appended to it.
func (c *checker) address(t string) (string, bool) {
	for _, text := range []string{t, strings.TrimSuffix(t, "."+c.apex)} {
		a, err := netip.ParseAddr(strings.Trim(strings.TrimSuffix(text, "."), "[]"))
		if err == nil {
			return a.String(), true
		}
	}
	return "", false
}

// appended reports whether a name of the zone that nobody wrote there looks as if the origin had been appended to a whole name:
// before the origin stand two labels or more, and the last is one that a top-level domain has.
func (c *checker) appended(t string) bool {
	labels, own := dns.Labels(strings.TrimSuffix(t, c.apex)), dns.Labels(c.apex)
	if len(labels) < 2 {
		return false
	}
	top := labels[len(labels)-1]
	return doubled(t, c.apex) || top == own[len(own)-1] || strings.HasPrefix(top, "xn--") || slices.Contains(topLevels, top) ||
		len(top) == 2 && strings.Trim(top, "abcdefghijklmnopqrstuvwxyz") == ""
}

// topLevels are top-level domains of more than two letters that mail hosts and name servers are commonly found in, and that
// are rarely labels inside a zone.
var topLevels = []string{
	"arpa", "asia", "biz", "com", "coop", "edu", "example", "gov", "hosting", "info", "int", "mil", "mobi", "net", "online", "org", "solutions", "tech", "website", "xyz",
}

// hostName reports whether a name is one that hosts have (RFC 1123 §2.1).
func hostName(name string) bool {
	return !slices.ContainsFunc(dns.Labels(name), func(label string) bool {
		return label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || label[0] == '-' || label[len(label)-1] == '-'
	})
}
