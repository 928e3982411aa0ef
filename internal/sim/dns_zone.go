package sim

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

const (
	zoneTTL = 300 // of records without one
	soaText = "%s 300 IN SOA ns.sim. hostmaster.sim. 1 3600 600 604800 60"
)

// zone is one zone's records by owner.
type zone struct {
	origin string
	soa    dns.RR
	owners map[string][]dns.RR
}

// parseZone reads zone text. Indentation common to all lines is taken off first, so that a text may be
// indented like the test around it; a zone without SOA gets one. Names outside of it are refused unless it is loose.
func parseZone(origin, text string, loose bool) (*zone, error) {
	origin = dns.CanonicalName(origin)
	z := &zone{origin: origin, owners: map[string][]dns.RR{}}
	parser := dns.NewZoneParser(strings.NewReader(unindent(text)), origin, "")
	parser.SetDefaultTTL(zoneTTL)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		owner := dns.CanonicalName(rr.Header().Name)
		if !loose && !dns.IsSubDomain(origin, owner) {
			return nil, fmt.Errorf("zone %s: %s is not in it", origin, owner)
		}
		if rr.Header().Rrtype == dns.TypeSOA {
			z.soa = rr
		}
		z.owners[owner] = append(z.owners[owner], rr)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("zone %s: %w", origin, err)
	}
	if z.soa == nil {
		soa, err := dns.NewRR(fmt.Sprintf(soaText, origin))
		if err != nil {
			return nil, fmt.Errorf("zone %s: %w", origin, err)
		}
		z.soa = soa
		z.owners[origin] = append(z.owners[origin], soa)
	}
	return z, nil
}

// at gives the records of an owner, by wildcard too (RFC 4592); exists is set for empty non-terminals.
func (z *zone) at(owner string) (records []dns.RR, exists bool) {
	if records, exists = z.owners[owner]; exists {
		return records, true
	}
	for other := range z.owners {
		if dns.IsSubDomain(owner, other) {
			return nil, true
		}
	}
	for parent := owner; parent != z.origin; {
		_, rest, _ := strings.Cut(parent, ".")
		parent = rest
		if parent == "" {
			return nil, false
		}
		if wild, ok := z.owners["*."+parent]; ok {
			for _, rr := range wild {
				expanded := dns.Copy(rr)
				expanded.Header().Name = owner
				records = append(records, expanded)
			}
			return records, true
		}
		if _, ok := z.owners[parent]; ok {
			return nil, false
		}
	}
	return nil, false
}

func unindent(text string) string {
	lines := strings.Split(text, "\n")
	common := -1
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if indent := len(line) - len(strings.TrimLeft(line, " \t")); common < 0 || indent < common {
			common = indent
		}
	}
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			lines[i] = ""
		} else {
			lines[i] = line[common:]
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
