package zone

import (
	"bytes"
	"slices"
	"sort"

	"postroad/internal/proto/dns"
)

// The functions of this file take records in the order of Sort and give new ones in that order; what they were given
// stays as it was. Records share their data.

// Sort gives the records in the order of dns.Compare, each once: of those that differ in nothing but the TTL, or the case
// of names, the last one given.
func Sort(records []dns.Record) []dns.Record {
	out := slices.Clone(records)
	slices.SortStableFunc(out, compareSets)
	kept := out[:0]
	for len(out) > 0 {
		n := setLen(out)
		set := out[:n]
		out = out[n:]
		kept = append(kept, once(set)...)
	}
	return slices.Clip(kept)
}

// compareSets orders records by owner and type.
func compareSets(a, b dns.Record) int {
	return dns.Compare(dns.Record{Name: a.Name, Type: a.Type}, dns.Record{Name: b.Name, Type: b.Type})
}

// setLen is how many of the records, from the first on, have its owner and type.
func setLen(records []dns.Record) int {
	n := 1
	for n < len(records) && records[n].Type == records[0].Type && records[n].Name == records[0].Name {
		n++
	}
	return n
}

// once sorts the records of one RRset and leaves out repetitions. It works in set.
func once(set []dns.Record) []dns.Record {
	if len(set) == 1 {
		return set
	}
	last := make(map[string]int, len(set))
	for i, r := range set {
		last[string(r.CanonicalData())] = i
	}
	kept := set[:0]
	for i, r := range set {
		if last[string(r.CanonicalData())] == i {
			kept = append(kept, r)
		}
	}
	slices.SortFunc(kept, func(a, b dns.Record) int { return bytes.Compare(a.Data, b.Data) })
	return kept
}

// RRset gives the records of an owner and type (RFC 2181 §5). They lie in records.
func RRset(records []dns.Record, name string, t dns.Type) []dns.Record {
	from, to := setBounds(records, name, t)
	return records[from:to:to]
}

// setBounds is where an RRset lies, or would lie.
func setBounds(records []dns.Record, name string, t dns.Type) (from, to int) {
	key := dns.Record{Name: name, Type: t}
	from, _ = sort.Find(len(records), func(i int) int { return compareSets(key, records[i]) })
	to = from
	for to < len(records) && records[to].Type == t && records[to].Name == name {
		to++
	}
	return from, to
}

// setKey names an RRset.
type setKey struct {
	name string
	t    dns.Type
}

func keyOf(r dns.Record) setKey { return setKey{r.Name, r.Type} }

// Add gives the records with others added. Their RRsets take the TTL of what is added last (RFC 2181 §5.2); a record that
// is there already is replaced by the one added, so that its TTL and the case of its names can be changed.
func Add(records []dns.Record, added ...dns.Record) []dns.Record {
	ttls := make(map[setKey]uint32, len(added))
	for _, r := range added {
		ttls[keyOf(r)] = r.TTL
	}
	out := Sort(slices.Concat(records, added))
	for i, r := range out {
		if ttl, ok := ttls[keyOf(r)]; ok {
			out[i].TTL = ttl
		}
	}
	return out
}

// Remove gives the records without some, whatever their TTLs and the case of names in them.
func Remove(records []dns.Record, removed ...dns.Record) []dns.Record {
	type key struct {
		set  setKey
		data string
	}
	gone := make(map[key]bool, len(removed))
	for _, r := range removed {
		gone[key{keyOf(r), string(r.CanonicalData())}] = true
	}
	return slices.DeleteFunc(slices.Clone(records), func(r dns.Record) bool {
		return gone[key{keyOf(r), string(r.CanonicalData())}]
	})
}

// Replace gives the records with an RRset replaced by another, or removed if there is none. Of the new records, owner and
// type are taken as name and t, and their TTL is the last one's.
func Replace(records []dns.Record, name string, t dns.Type, set ...dns.Record) []dns.Record {
	set = slices.Clone(set)
	for i := range set {
		set[i].Name, set[i].Type, set[i].TTL = name, t, set[len(set)-1].TTL
	}
	if len(set) > 0 {
		set = once(set)
	}
	from, to := setBounds(records, name, t)
	return slices.Concat(records[:from], set, records[to:])
}
