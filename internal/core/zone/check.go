package zone

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
)

// Limits are what an installation allows a zone. The zero value is the default of each.
type Limits struct {
	Records int    // how many records; 0: MaxRecords
	Octets  int    // how many octets, as octets counts them; 0: MaxOctets
	MinTTL  uint32 // the least TTL in seconds; 0: MinTTL
}

const (
	// MaxRecords is how many records a zone has at most, unless Limits say otherwise.
	MaxRecords = 10000
	// MaxOctets is how many octets the names and the data of a zone have at most, unless Limits say otherwise.
	MaxOctets = 16 << 20
	// MaxNameServers is how many NS records a name has at most.
	MaxNameServers = 13

	// maxProblems is how often Check tells of one rule.
	maxProblems = 20
	// maxSkipped is how many records are looked at for one that a wildcard does not stand for.
	maxSkipped = 1000
	// maxEvidence is how many records a problem shows.
	maxEvidence = 10
)

func (l Limits) filled() Limits {
	if l.Records == 0 {
		l.Records = MaxRecords
	}
	if l.Octets == 0 {
		l.Octets = MaxOctets
	}
	if l.MinTTL == 0 {
		l.MinTTL = MinTTL
	}
	return l
}

// Check holds the records of a zone against all rules and gives the problems in the order of Rules, of one rule at most
// 20. It looks at nothing outside the zone: what foreign names are is for others to find out.
func Check(z *Zone, limits Limits) []Problem {
	limits = limits.filled()
	c := &checker{apex: z.Apex(), told: map[finding.Name]int{}}
	records := z.Records
	if len(records) > limits.Records {
		// Nothing else is looked at: this is what holds the work of a check.
		c.add(TooManyRecords, nil, fmt.Sprintf("The zone has %d records; %d are allowed: it is held in memory by every name server.", len(records), limits.Records),
			"remove records, give parts of the domain zones of their own, or ask the operator for more")
		return c.problems
	}
	if n := octets(records, c.apex); n > limits.Octets {
		c.add(TooLarge, nil, fmt.Sprintf("The names and the data of the zone take %d octets; %d are allowed: it is held in memory by every name server.", n, limits.Octets),
			"remove large records and names of very many labels, give parts of the domain zones of their own, or ask the operator for more")
		return c.problems
	}
	c.index(records)
	c.checkRecords(limits)
	c.checkApex()
	for _, name := range c.order {
		set := c.names[name]
		c.checkAliases(name, set)
		c.checkDelegation(name, set)
		c.checkWildcard(name, set)
		c.checkMail(name, set)
		c.checkServices(name, set)
	}
	c.checkTargets()
	place := make(map[finding.Name]int, len(rules))
	for i, r := range rules {
		place[r.Name] = i
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int { return place[a.Rule] - place[b.Rule] })
	return c.problems
}

// octets is what the data of records and their owners take, with every name between an owner and the zone's: name servers
// hold those as well.
func octets(records []dns.Record, apex string) int {
	n, last := 0, ""
	for i := range records {
		r := &records[i]
		n += len(r.Data)
		if r.Name == last {
			continue
		}
		last = r.Name
		for rest := strings.TrimSuffix(r.Name, apex); rest != ""; {
			n += len(rest)
			_, rest, _ = strings.Cut(rest, ".")
		}
	}
	return n
}

// checker looks at one zone.
type checker struct {
	apex    string
	records []dns.Record            // those that can be judged further, in order
	names   map[string][]dns.Record // by owner
	order   []string                // the owners
	inner   map[string]bool         // names that exist because others lie below them
	cuts    map[string]bool         // names that are delegated
	aways   map[string]bool         // owners of DNAME
	glue    map[string]bool         // targets of delegations
	hosts   map[string]bool         // targets of MX and NS
	circles map[string]bool         // aliases that were followed: whether they lead in a circle

	problems []Problem
	told     map[finding.Name]int
}

// add tells of a problem; the severity is the rule's.
func (c *checker) add(rule finding.Name, evidence []dns.Record, sentence, hint string) {
	if c.told[rule]++; c.told[rule] > maxProblems {
		return
	}
	severity := rules[slices.IndexFunc(rules, func(r Rule) bool { return r.Name == rule })].Severity
	c.problems = append(c.problems, Problem{Rule: rule, Severity: severity, Sentence: sentence, Hint: hint, Records: slices.Clone(evidence[:min(len(evidence), maxEvidence)])})
}

// index sorts the records, judges their owners, and finds which names exist.
func (c *checker) index(records []dns.Record) {
	c.names, c.inner, c.cuts, c.aways = map[string][]dns.Record{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	c.glue, c.hosts, c.circles = map[string]bool{}, map[string]bool{}, map[string]bool{}
	c.records = make([]dns.Record, 0, len(records))
	var invalid, outside []dns.Record
	good := ""
	for _, r := range records {
		if r.Name != good {
			if name, err := dns.Name(r.Name, ""); err != nil || name != r.Name {
				invalid = append(invalid, r)
				continue
			}
			if !dns.Below(r.Name, c.apex) {
				outside = append(outside, r)
				continue
			}
			good = r.Name
		}
		c.records = append(c.records, r)
	}
	if len(invalid) > 0 {
		c.add(NameInvalid, invalid, fmt.Sprintf("%q is no name that a record can have%s.", invalid[0].Name, andMore(len(invalid))), "write names in lower case, labels of at most 63 octets joined by dots")
	}
	if len(outside) > 0 {
		c.add(NameOutsideZone, outside, fmt.Sprintf("%s is not below %s%s: this zone is never asked for it.", Show(outside[0].Name), Show(c.apex), andMore(len(outside))),
			"leave it out, or put it into the zone that it belongs to")
	}
	slices.SortStableFunc(c.records, dns.Compare)
	for from := 0; from < len(c.records); {
		name := c.records[from].Name
		to := from
		for to < len(c.records) && c.records[to].Name == name {
			r := c.records[to]
			cut := r.Type == dns.TypeNS && name != c.apex
			c.cuts[name] = c.cuts[name] || cut
			c.aways[name] = c.aways[name] || r.Type == dns.TypeDNAME
			if t, ok := target(r); ok && (r.Type == dns.TypeNS || r.Type == dns.TypeMX) {
				c.hosts[t] = true
				c.glue[t] = c.glue[t] || cut
			}
			to++
		}
		c.names[name] = c.records[from:to:to]
		c.order = append(c.order, name)
		for up := name; up != c.apex && !c.inner[up]; {
			up = dns.Parent(up)
			c.inner[up] = true
		}
		from = to
	}
}

// of gives those of some records that have one of the types.
func of(records []dns.Record, types ...dns.Type) []dns.Record {
	var out []dns.Record
	for _, r := range records {
		if slices.Contains(types, r.Type) {
			out = append(out, r)
		}
	}
	return out
}

// has reports whether one of some records has one of the types.
func has(records []dns.Record, types ...dns.Type) bool {
	return slices.ContainsFunc(records, func(r dns.Record) bool { return slices.Contains(types, r.Type) })
}

// checkRecords looks at each record for itself and at its RRset.
func (c *checker) checkRecords(limits Limits) {
	var short, long []dns.Record
	for rest := c.records; len(rest) > 0; {
		n := setLen(rest)
		set := rest[:n]
		rest = rest[n:]
		first := set[0]
		switch {
		case first.Type.Meta():
			c.add(TypeNotForZones, set, fmt.Sprintf("%s has a record of type %s, which belongs to questions and messages.", Show(first.Name), first.Type), "leave it out")
		case first.Type.DNSSEC():
			c.add(TypeNotForZones, set, fmt.Sprintf("%s has a record of type %s, which is made by signing the zone here.", Show(first.Name), first.Type), "leave it out, and switch signing on if the zone shall be signed")
		}
		seen := make(map[string]bool, n)
		for _, r := range set {
			if err := r.Valid(); err != nil && !r.Type.Meta() {
				c.add(DataInvalid, []dns.Record{r}, fmt.Sprintf("What %s of %s says is no data of that type.", r.Type, Show(r.Name)), "write the record anew")
			}
			key := string(r.CanonicalData())
			if seen[key] {
				c.add(DuplicateRecord, []dns.Record{r}, fmt.Sprintf("%s has %s %s twice.", Show(r.Name), r.Type, brief(r)), "leave one out")
			}
			seen[key] = true
			if r.TTL < limits.MinTTL {
				short = append(short, r)
			}
			if r.TTL > MaxTTL {
				long = append(long, r)
			}
		}
		if slices.ContainsFunc(set, func(r dns.Record) bool { return r.TTL != first.TTL }) {
			c.add(TTLsDiffer, set, fmt.Sprintf("The records %s of %s have different TTLs, but resolvers keep them together.", first.Type, Show(first.Name)), "give all of them the same TTL")
		}
	}
	if len(short) > 0 {
		c.add(TTLTooShort, short, fmt.Sprintf("%s %s has a TTL of %d s%s; the least is %d s: with less, every look-up comes to the name servers.", Show(short[0].Name), short[0].Type, short[0].TTL, andMore(len(short)), limits.MinTTL),
			fmt.Sprintf("write %d or more", limits.MinTTL))
	}
	if len(long) > 0 {
		c.add(TTLTooLong, long, fmt.Sprintf("%s %s has a TTL of %d s%s; resolvers take more than %d s for 0.", Show(long[0].Name), long[0].Type, long[0].TTL, andMore(len(long)), MaxTTL), "write a day or less, such as 86400")
	}
}

// andMore says how many more records are like the one that was named.
func andMore(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(", and %d more like it", n-1)
}

// checkApex looks at what every zone has (RFC 1034 §4.2.1, RFC 1035 §5.2).
func (c *checker) checkApex() {
	apex := c.names[c.apex]
	soa := of(apex, dns.TypeSOA)
	switch len(soa) {
	case 0:
		c.add(SOAMissing, nil, fmt.Sprintf("%s has no SOA record: without it no answer says what does not exist, and secondaries cannot follow.", Show(c.apex)), "add one SOA record at @")
	case 1:
		if s, err := ReadSOA(soa[0]); err == nil && s.Expire <= s.Refresh {
			c.add(SOATimes, soa, fmt.Sprintf("Secondaries of %s give the zone up after %s, before they ask again after %s.", Show(c.apex), FormatTTL(s.Expire), FormatTTL(s.Refresh)), "let the expiry be two weeks and the refresh two hours, say")
		}
	default:
		c.add(SOAMoreThanOne, soa, fmt.Sprintf("%s has %d SOA records.", Show(c.apex), len(soa)), "leave one")
	}
	for _, name := range c.order {
		if soa := of(c.names[name], dns.TypeSOA); name != c.apex && len(soa) > 0 {
			c.add(SOANotAtApex, soa, fmt.Sprintf("%s has a SOA record, but the zone is %s.", Show(name), Show(c.apex)), "leave it out, or make "+Show(name)+" a zone of its own")
		}
	}
	switch ns := of(apex, dns.TypeNS); {
	case len(ns) == 0:
		c.add(NSMissing, nil, fmt.Sprintf("%s has no NS records: they say who answers for it.", Show(c.apex)), "add the names of the zone's name servers at @")
	case len(ns) == 1:
		c.add(NSSingle, ns, fmt.Sprintf("%s has a single name server: while it is down the domain is gone.", Show(c.apex)), "add a second one, in another network if possible")
	}
}

// checkAliases looks at CNAME and DNAME (RFC 1034 §3.6.2, RFC 2181 §10.1, RFC 6672 §2.3, §2.4).
func (c *checker) checkAliases(name string, set []dns.Record) {
	cname, dname := of(set, dns.TypeCNAME), of(set, dns.TypeDNAME)
	switch {
	case len(cname) > 0 && name == c.apex:
		c.add(CNAMEAtApex, cname, fmt.Sprintf("%s is the zone itself and cannot be an alias: it has SOA and NS records, and an alias stands alone.", Show(name)),
			"use A and AAAA records with the addresses of the host, or an HTTPS record of priority 0 beside them")
	case len(cname) > 1:
		c.add(CNAMENotAlone, cname, fmt.Sprintf("%s is an alias for %d names; it can be one for a single name.", Show(name), len(cname)), "leave one CNAME record")
	case len(cname) == 1 && len(set) > 1:
		other := set[slices.IndexFunc(set, func(r dns.Record) bool { return r.Type != dns.TypeCNAME })]
		c.add(CNAMENotAlone, set, fmt.Sprintf("%s is an alias and has a record of type %s too: whoever has seen the alias does not find it.", Show(name), other.Type),
			"leave out the CNAME record or the others")
	}
	if len(dname) == 0 {
		return
	}
	if len(dname) > 1 {
		c.add(DNAMEMoreThanOne, dname, fmt.Sprintf("%s has %d DNAME records.", Show(name), len(dname)), "leave one")
	}
	if ns := of(set, dns.TypeNS); name != c.apex && len(ns) > 0 {
		c.add(DNAMEWithNS, append(dname, ns...), fmt.Sprintf("%s is delegated and has a DNAME record: the servers that it is delegated to would answer for what is below.", Show(name)), "leave out NS or DNAME")
	}
	if below := c.below(name, maxEvidence); len(below) > 0 {
		c.add(DNAMENamesBelow, below, fmt.Sprintf("%s leads all names below it elsewhere, but %s is one of them.", Show(name), Show(below[0].Name)), "leave out the DNAME record, or what lies below it")
	}
}

// below gives records whose owners lie below a name: they follow it in the order of records.
func (c *checker) below(name string, most int) []dns.Record {
	from, _ := slices.BinarySearchFunc(c.records, name, func(r dns.Record, n string) int { return dns.CompareNames(r.Name, n) })
	var out []dns.Record
	for _, r := range c.records[from:] {
		if r.Name == name {
			continue
		}
		if !dns.Below(r.Name, name) || len(out) == most {
			break
		}
		out = append(out, r)
	}
	return out
}

// checkDelegation looks at NS and DS below the apex, and at what nobody is asked for here (RFC 1034 §4.2.1, RFC 4035 §2.4).
func (c *checker) checkDelegation(name string, set []dns.Record) {
	ns, ds := of(set, dns.TypeNS), of(set, dns.TypeDS)
	if len(ns) > MaxNameServers {
		c.add(NSTooMany, ns, fmt.Sprintf("%s has %d name servers; at most %d fit into a referral.", Show(name), len(ns), MaxNameServers), "leave two to four")
	}
	switch {
	case len(ds) > 0 && name == c.apex:
		c.add(DSWithoutNS, ds, fmt.Sprintf("%s has a DS record of its own: it belongs into the parent zone.", Show(name)), "leave it out here, and give it to the registrar")
	case len(ds) > 0 && len(ns) == 0:
		c.add(DSWithoutNS, ds, fmt.Sprintf("%s has a DS record and is not delegated.", Show(name)), "add the NS records of the delegation, or leave out the DS record")
	}
	if name == c.apex {
		return
	}
	for _, r := range ns {
		if t, ok := target(r); ok && dns.Below(t, name) && !has(c.names[t], dns.TypeA, dns.TypeAAAA) {
			c.add(GlueMissing, []dns.Record{r}, fmt.Sprintf("%s is delegated to %s, which lies below it and has no address here: nobody can find it.", Show(name), Show(t)), "add an A or AAAA record for "+Show(t))
		}
	}
	cut := c.cut(name)
	if cut == "" {
		return
	}
	var hidden []dns.Record
	for _, r := range set {
		address := r.Type == dns.TypeA || r.Type == dns.TypeAAAA
		delegation := name == cut && (r.Type == dns.TypeNS || r.Type == dns.TypeDS || r.Type == dns.TypeCNAME || r.Type == dns.TypeDNAME)
		if !delegation && (!address || !c.glue[name]) {
			hidden = append(hidden, r)
		}
	}
	if len(hidden) > 0 {
		c.add(Occluded, hidden, fmt.Sprintf("%s %s is never answered from here: %s is delegated to other servers%s.", Show(name), hidden[0].Type, Show(cut), andMore(len(hidden))), "put it into the zone "+Show(cut)+", or leave out the delegation")
	}
}

// cut gives the delegation that a name is or lies below, the one nearest to the apex; empty: none.
func (c *checker) cut(name string) string {
	cut := ""
	for up := name; up != c.apex && up != "."; up = dns.Parent(up) {
		if c.cuts[up] {
			cut = up
		}
	}
	return cut
}

// checkWildcard looks at asterisks (RFC 4592 §2.1.1, §4).
func (c *checker) checkWildcard(name string, set []dns.Record) {
	if !strings.Contains(name, "*") {
		return
	}
	labels := dns.Labels(name)
	for i, label := range labels {
		switch {
		case label == "*" && i > 0:
			c.add(WildcardInside, set, fmt.Sprintf("The asterisk inside %s stands for nothing but itself.", Show(name)), "let the asterisk be the first label, or write the names out")
		case label != "*" && strings.Contains(label, "*"):
			c.add(WildcardPartial, set, fmt.Sprintf("The asterisk in %s stands for nothing but itself: it is only a part of a label.", Show(name)), "let the asterisk be a label of its own, or write the names out")
		}
	}
	if labels[0] != "*" {
		return
	}
	if ns := of(set, dns.TypeNS); len(ns) > 0 {
		c.add(WildcardNS, ns, fmt.Sprintf("%s is delegated; what a delegation of a wildcard means is not defined.", Show(name)), "delegate names one by one")
	}
	if dname := of(set, dns.TypeDNAME); len(dname) > 0 {
		c.add(WildcardDNAME, dname, fmt.Sprintf("%s has a DNAME record; servers and resolvers do not agree about what that means.", Show(name)), "use a CNAME record at the wildcard, or DNAME records at names")
	}
	mx := of(set, dns.TypeMX)
	if len(mx) == 0 || c.told[WildcardSkips] >= maxProblems {
		return
	}
	for _, r := range c.below(dns.Parent(name), maxSkipped) {
		if r.Name != name && !c.hosts[r.Name] && (r.Type == dns.TypeA || r.Type == dns.TypeAAAA) && !has(c.names[r.Name], dns.TypeMX) {
			c.add(WildcardSkips, append(mx, r), fmt.Sprintf("%s exists, so the MX records of %s are not its own.", Show(r.Name), Show(name)), "if mail shall go to "+Show(r.Name)+", give it MX records too")
			return
		}
	}
}

// checkMail looks at MX records and SPF (RFC 7505 §3, RFC 7208 §3.2).
func (c *checker) checkMail(name string, set []dns.Record) {
	if mx := of(set, dns.TypeMX); len(mx) > 0 {
		null := slices.ContainsFunc(mx, func(r dns.Record) bool { t, ok := target(r); return ok && t == "." })
		if null && len(mx) > 1 {
			c.add(NullMXNotAlone, mx, fmt.Sprintf("%s says by one MX record that it takes no mail, and names exchangers in others.", Show(name)), `leave out "MX 0 .", or all the others`)
		}
		c.checkOwner(name, mx)
	} else if doubled(name, c.apex) {
		c.add(NameAppended, set, fmt.Sprintf("%s ends in %s twice.", Show(name), Show(c.apex)), "end the name with a dot, or leave "+Show(c.apex)+" out of it: perhaps "+Show(strings.TrimSuffix(name, c.apex))+" was meant")
	}
	var spf []dns.Record
	for _, r := range of(set, dns.TypeTXT) {
		if text := txt(r.Data); bytes.EqualFold(text, []byte("v=spf1")) || len(text) > 7 && bytes.EqualFold(text[:7], []byte("v=spf1 ")) {
			spf = append(spf, r)
		}
	}
	if len(spf) > 1 {
		c.add(SPFMoreThanOne, spf, fmt.Sprintf("%s has %d SPF records: receivers take none of them and may refuse the domain's mail.", Show(name), len(spf)), "write all of it into one TXT record that begins with v=spf1")
	}
}

// doubled reports whether a name ends in the origin twice.
func doubled(name, origin string) bool {
	return name != origin && strings.HasSuffix("."+name, "."+origin+origin)
}

// checkOwner looks at where MX records stand.
func (c *checker) checkOwner(name string, mx []dns.Record) {
	atApex := has(c.names[c.apex], dns.TypeMX)
	itself := slices.ContainsFunc(mx, func(r dns.Record) bool { t, ok := target(r); return ok && t == name })
	hint := "let the MX records stand at " + Show(c.apex) + ", which is written @"
	switch {
	case doubled(name, c.apex):
		c.add(finding.MXWrongOwner, mx, fmt.Sprintf("The MX records stand at %s, which ends in %s twice.", Show(name), Show(c.apex)), hint)
	case name == "www."+c.apex && !atApex:
		c.add(finding.MXWrongOwner, mx, fmt.Sprintf("The MX records stand at %s; mail for addresses of %s does not look there.", Show(name), Show(c.apex)), hint)
	case name != c.apex && itself && !atApex:
		c.add(finding.MXWrongOwner, mx, fmt.Sprintf("The MX records of %s name %s itself, and %s has none: mail for addresses of %s does not look there.", Show(name), Show(name), Show(c.apex), Show(c.apex)), hint)
	}
}

// txt joins the character-strings of a TXT record (RFC 7208 §3.3).
func txt(data []byte) []byte {
	var out []byte
	for len(data) > 0 {
		n := min(1+int(data[0]), len(data))
		out = append(out, data[1:n]...)
		data = data[n:]
	}
	return out
}
