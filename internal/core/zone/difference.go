package zone

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"postroad/internal/proto/dns"
	"postroad/internal/proto/idna"
)

// Difference is what leads from one content of a zone to another: one SetChange for each RRset that differs, in the order
// of dns.Compare. Everything else stays octet for octet. It is empty when nothing differs.
type Difference []SetChange

// SetChange is the change of one RRset. Before and After are the whole set, in the order of dns.Compare; one of them is
// empty if the set is new or goes, both are not.
type SetChange struct {
	Name          string
	Type          dns.Type
	Before, After []dns.Record
}

// Plan tells what leads from the current records to the wanted ones; neither need be sorted. The serial in a SOA record is
// a version and no content: where nothing else of it differs, the record does not.
func Plan(current, wanted []dns.Record) Difference {
	current, wanted = Sort(current), Sort(wanted)
	var out Difference
	for len(current) > 0 || len(wanted) > 0 {
		var before, after []dns.Record
		order := -1
		switch {
		case len(current) == 0:
			order = 1
		case len(wanted) > 0:
			order = compareSets(current[0], wanted[0])
		}
		if order <= 0 {
			n := setLen(current)
			before, current = current[:n:n], current[n:]
		}
		if order >= 0 {
			n := setLen(wanted)
			after, wanted = wanted[:n:n], wanted[n:]
		}
		if slices.EqualFunc(before, after, sameContent) {
			continue
		}
		first := slices.Concat(before, after)[0]
		out = append(out, SetChange{Name: first.Name, Type: first.Type, Before: before, After: after})
	}
	return out
}

// sameContent reports whether two records are the same to the octet, the serial of a SOA left out.
func sameContent(a, b dns.Record) bool {
	if a.Name != b.Name || a.Type != b.Type || a.TTL != b.TTL {
		return false
	}
	return bytes.Equal(a.Data, b.Data) || a.Type == dns.TypeSOA && bytes.Equal(withoutSerial(a.Data), withoutSerial(b.Data))
}

// withoutSerial gives the data of a SOA record with serial 0.
func withoutSerial(data []byte) []byte {
	if len(data) < soaNumbers {
		return data
	}
	out := bytes.Clone(data)
	binary.BigEndian.PutUint32(out[len(out)-soaNumbers:], 0)
	return out
}

// Reverse is the difference that leads back.
func (d Difference) Reverse() Difference {
	out := slices.Clone(d)
	for i := range out {
		out[i].Before, out[i].After = out[i].After, out[i].Before
	}
	return out
}

// Apply gives records, sorted, with the change made: every RRset that differs becomes what it is After, all others stay.
func (d Difference) Apply(records []dns.Record) []dns.Record {
	differs := make(map[setKey]bool, len(d))
	for _, c := range d {
		differs[setKey{c.Name, c.Type}] = true
	}
	out := slices.DeleteFunc(slices.Clone(records), func(r dns.Record) bool { return differs[keyOf(r)] })
	for _, c := range d {
		out = append(out, c.After...)
	}
	slices.SortFunc(out, dns.Compare)
	return out
}

// Added are the records that the set did not have, whatever its TTL.
func (c SetChange) Added() []dns.Record { return lacking(c.After, c.Before) }

// Removed are the records that the set has no more, whatever its TTL.
func (c SetChange) Removed() []dns.Record { return lacking(c.Before, c.After) }

// TTLs are the TTL before and after; both are 0 unless the set is there on both sides and they differ.
func (c SetChange) TTLs() (before, after uint32) {
	if len(c.Before) == 0 || len(c.After) == 0 || c.Before[0].TTL == c.After[0].TTL {
		return 0, 0
	}
	return c.Before[0].TTL, c.After[0].TTL
}

// lacking gives those of records whose data others lack.
func lacking(records, others []dns.Record) []dns.Record {
	have := make(map[string]bool, len(others))
	for _, o := range others {
		have[string(o.Data)] = true
	}
	return slices.DeleteFunc(slices.Clone(records), func(r dns.Record) bool { return have[string(r.Data)] })
}

// Sentences says what changes, in plain words, a sentence for each record or TTL.
func (d Difference) Sentences() []string {
	out := []string{}
	for _, c := range d {
		out = append(out, c.sentences()...)
	}
	return out
}

func (c SetChange) sentences() []string {
	var out []string
	owner, added, removed := Show(c.Name), c.Added(), c.Removed()
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch {
	case c.Type == dns.TypeSOA && len(added) == 1 && len(removed) == 1:
		if changed := soaChanges(removed[0], added[0]); changed != "" {
			say("Changes the SOA of %s: %s.", owner, changed)
			break
		}
		fallthrough
	case len(added) == 1 && len(removed) == 1:
		say("Changes %s of %s from %s to %s.", c.Type, owner, brief(removed[0]), strings.TrimSuffix(brief(added[0]), "."))
	default:
		for _, r := range removed {
			say("Removes %s %s from %s.", c.Type, brief(r), owner)
		}
		for _, r := range added {
			say("Adds %s %s to %s.", c.Type, brief(r), owner)
		}
	}
	if before, after := c.TTLs(); before != after {
		say("Changes the TTL of %s at %s from %s to %s.", c.Type, owner, FormatTTL(before), FormatTTL(after))
	}
	if len(out) == 0 {
		say("Gives all of %s at %s the same TTL, %s.", c.Type, owner, FormatTTL(c.After[0].TTL))
	}
	return out
}

// soaChanges names what differs between two SOA records, the serial left out; empty if one of them cannot be read.
func soaChanges(before, after dns.Record) string {
	a, errA := ReadSOA(before)
	b, errB := ReadSOA(after)
	if errA != nil || errB != nil {
		return ""
	}
	var parts []string
	differs := func(what, from, to string) {
		if from != to {
			parts = append(parts, what+" from "+from+" to "+to)
		}
	}
	differs("first name server", a.MName, b.MName)
	differs("mailbox", a.Mailbox(), b.Mailbox())
	differs("refresh", FormatTTL(a.Refresh), FormatTTL(b.Refresh))
	differs("retry", FormatTTL(a.Retry), FormatTTL(b.Retry))
	differs("expiry", FormatTTL(a.Expire), FormatTTL(b.Expire))
	differs("negative TTL", FormatTTL(a.Minimum), FormatTTL(b.Minimum))
	return strings.Join(parts, ", ")
}

// longest is how many octets of data a sentence shows.
const longest = 160

// brief shows a record's data in a sentence.
func brief(r dns.Record) string {
	text := r.Text()
	if len(text) > longest {
		return text[:longest] + "…"
	}
	return text
}

// Show writes a record's name as people read it: without the last dot, with its A-labels as U-labels, and then itself too.
func Show(name string) string {
	trimmed := strings.TrimSuffix(name, ".")
	if trimmed == "" {
		return "."
	}
	if u := idna.ToUnicode(trimmed); u != trimmed {
		return u + " (" + trimmed + ")"
	}
	return trimmed
}

// Text shows the difference line by line as zone text: "-" before what goes, "+" before what comes, records that only
// change their TTL with both.
func (d Difference) Text() string {
	var b strings.Builder
	for _, c := range d {
		before, after := map[string]bool{}, map[string]bool{}
		for _, r := range c.Before {
			before[r.String()] = true
		}
		for _, r := range c.After {
			after[r.String()] = true
		}
		for _, r := range c.Before {
			if line := r.String(); !after[line] {
				fmt.Fprintf(&b, "- %s\n", line)
			}
		}
		for _, r := range c.After {
			if line := r.String(); !before[line] {
				fmt.Fprintf(&b, "+ %s\n", line)
			}
		}
	}
	return b.String()
}
