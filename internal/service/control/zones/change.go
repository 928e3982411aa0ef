package zones

import (
	"bytes"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/words"
)

// Content is what plans and audit entries show of one side of a change: the records that are on this side only.
type Content struct {
	Serial  uint32   `json:"serial"`
	Records []string `json:"records" nullable:"false" doc:"Records that the other side lacks, as lines of a zone file"`
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

// Put plans that other records take the place of those of a zone, as one change of the given kind, verb and subject. With
// nothing to change the plan stays as it is. What takes something away asks.
func Put(p *plan.Plan, d *directory.Domain, old zone.Zone, wanted []dns.Record, c plan.Change) error {
	next := old
	next.Records = zone.Sort(wanted)
	ahead := soaSerial(next.Records, old.Apex())
	difference := zone.Plan(old.Records, next.Records)
	serial := zone.NextSerial(old.Serial, ahead)
	if len(difference) == 0 && serial != ahead {
		return nil
	}
	before, after := sides(difference)
	c.Domain, c.Account = d.Name, d.Account
	if len(before) > 0 || c.Verb != plan.VerbAdd {
		c.Before = Content{Serial: old.Serial, Records: before}
		p.Asks = p.Asks || len(before) > 0
	}
	if len(after) > 0 || c.Verb != plan.VerbRemove {
		c.After = Content{Serial: serial, Records: after}
	}
	p.Tx.PutZones = append(p.Tx.PutZones, next)
	p.Record(c)
	list := difference.Sentences()
	for i, s := range list {
		if i == shownSentences {
			p.Say("And %s more: %s go, %s come.", words.Plural(int64(len(list)-i), "change", "changes"), words.Plural(int64(len(before)), "record", "records"), words.Plural(int64(len(after)), "record", "records"))
			break
		}
		p.Say("%s", s)
	}
	p.Say("The zone %s gets the serial %d.", words.Show(d.Name), serial)
	return nil
}
