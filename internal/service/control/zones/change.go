package zones

import (
	"bytes"
	"slices"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/words"
)

// Content is what plans and audit entries show of one side of a change: the records that are on this side only.
type Content struct {
	Serial  uint32   `json:"serial"`
	Records []string `json:"records" nullable:"false" doc:"Records that the other side lacks, as lines of a zone file"`
	// Signing has the keys of a signed zone that goes with its domain, without their private parts.
	Signing *dnssec.Signing `json:"signing,omitempty"`
}

// shownSentences is how many sentences a plan has for what changes in a zone; its changes have every record.
const shownSentences = 20

// soaSerial is the serial that the SOA record among the records has.
func soaSerial(records []dns.Record, apex string) uint32 {
	record, at := zone.SOARecord(records, apex)
	if at < 0 {
		return 0
	}
	soa, err := zone.ReadSOA(record)
	if err != nil {
		return 0
	}
	return soa.Serial
}

// line is a record as audit entries keep it: readLine reads it.
func line(r dns.Record) string { return strings.ReplaceAll(r.String(), "\t", " ") }

// readLine reads what line gives: owner, TTL, class, type and data.
func readLine(text string) (dns.Record, error) {
	var r dns.Record
	part := strings.SplitN(text, " ", 5)
	if len(part) != 5 {
		return r, words.Invalid(words.Quote(text)+" is no record.", "")
	}
	var err error
	if r.Name, err = dns.Name(part[0], ""); err != nil {
		return r, err
	}
	if r.TTL, err = zone.ParseTTL(part[1]); err != nil {
		return r, err
	}
	if r.Type, err = dns.ParseType(part[3]); err != nil {
		return r, err
	}
	r.Data, err = dns.Data(r.Type, part[4], "")
	return r, err
}

// sides gives what a difference takes and what it adds, as lines.
func sides(d zone.Difference) (before, after []string) {
	only := func(list, others []dns.Record) []string {
		out := []string{}
		for _, r := range list {
			found := false
			for _, o := range others {
				found = found || o.TTL == r.TTL && bytes.Equal(o.Data, r.Data)
			}
			if !found {
				out = append(out, line(r))
			}
		}
		return out
	}
	before, after = []string{}, []string{}
	for _, c := range d {
		before = append(before, only(c.Before, c.After)...)
		after = append(after, only(c.After, c.Before)...)
	}
	return before, after
}

// Sides gives what a difference takes and what it adds, as audit entries keep it and Back reads it.
func Sides(d zone.Difference) (before, after Content) {
	before.Records, after.Records = sides(d)
	return before, after
}

// replaced is a zone with other records, as the one change that leads there.
type replaced struct {
	next          zone.Zone // with the serial of the zone before, as plan.Tx has it
	serial        uint32    // that it gets
	difference    zone.Difference
	before, after []string
	warnings      []string // of what is wrong with it only from now on
	moves         bool     // its name servers become others
}

// replace finds what leads from a zone to other records. A zone that may not be published is refused.
func replace(old zone.Zone, wanted []dns.Record) (replaced, error) {
	r := replaced{next: old}
	r.next.Records = zone.Sort(wanted)
	r.serial = zone.NextSerial(old.Serial, soaSerial(r.next.Records, old.Apex()))
	r.difference = zone.Plan(old.Records, r.next.Records)
	r.before, r.after = sides(r.difference)
	r.moves = !slices.Equal(old.NameServers(), r.next.NameServers())
	problems := zone.Check(&r.next, zone.Limits{})
	if len(problems) == 0 {
		return r, nil
	}
	known := map[string]bool{}
	for _, p := range zone.Check(&old, zone.Limits{}) {
		known[p.Sentence] = true
	}
	for _, p := range problems {
		switch {
		case p.Severity == zone.Refuse && (!known[p.Sentence] || len(old.Records) == 0):
			return r, &words.RefusedError{Err: words.ErrInvalid, Sentence: p.Sentence, Hint: p.Hint, Finding: p.Rule}
		case !known[p.Sentence]:
			r.warnings = append(r.warnings, string(p.Rule)+": "+strings.TrimSuffix(p.Sentence, ".")+" ("+p.Hint+").")
		}
	}
	return r, nil
}

// empty reports whether nothing changes.
func (r *replaced) empty() bool {
	return len(r.difference) == 0 && r.serial != soaSerial(r.next.Records, r.next.Apex())
}

// write has a plan write the zone, as one change of the given kind, verb and subject. What takes something away asks.
func (r *replaced) write(p *plan.Plan, d *directory.Domain, c plan.Change) {
	c.Domain, c.Account = d.Name, d.Account
	if len(r.before) > 0 || c.Verb != plan.VerbAdd {
		c.Before = Content{Serial: r.next.Serial, Records: r.before}
		p.Asks = p.Asks || len(r.before) > 0
	}
	if len(r.after) > 0 || c.Verb != plan.VerbRemove {
		c.After = Content{Serial: r.serial, Records: r.after}
	}
	if r.moves {
		p.Moves = append(p.Moves, d.Name)
	}
	p.Tx.PutZones = append(p.Tx.PutZones, r.next)
	p.Record(c)
}

// tell says what changes.
func (r *replaced) tell(p *plan.Plan) {
	list := r.difference.Sentences()
	for i, s := range list {
		if i == shownSentences {
			p.Say("And %s more: %s, %s in all.", words.Plural(int64(len(list)-i), "change", "changes"), words.Plural(int64(len(r.before)), "record goes", "records go"), words.Plural(int64(len(r.after)), "comes", "come"))
			break
		}
		p.Say("%s", s)
	}
	for _, w := range r.warnings {
		p.Warn("%s", w)
	}
	p.Say("The zone %s gets the serial %d.", words.Show(r.next.Domain), r.serial)
}

// Put plans that other records take the place of those of a zone, as one change of the given kind, verb and subject. With
// nothing to change the plan stays as it is.
func Put(p *plan.Plan, d *directory.Domain, old zone.Zone, wanted []dns.Record, c plan.Change) error {
	r, err := replace(old, wanted)
	if err != nil || r.empty() {
		return err
	}
	r.write(p, d, c)
	r.tell(p)
	return nil
}
