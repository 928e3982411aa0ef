package zone

import (
	"fmt"
	"slices"

	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
)

// Tidy gives records the form in which zones have them, where what was meant is plain: owners in lower case, sorted,
// repetitions left out, all TTLs of an RRset its least (RFC 2181 §5.2), TTLs within limits. What it mended is told as warnings of the
// rules that Check would refuse for. Records whose owners are no names are left as they are, for Check.
func Tidy(records []dns.Record, limits Limits) ([]dns.Record, []Problem) {
	limits = limits.filled()
	var problems []Problem
	told := map[finding.Name]int{}
	tell := func(rule finding.Name, sentence, hint string, evidence ...dns.Record) {
		if told[rule]++; told[rule] <= maxProblems {
			problems = append(problems, Problem{Rule: rule, Severity: Warn, Sentence: sentence, Hint: hint, Records: slices.Clone(evidence[:min(len(evidence), maxEvidence)])})
		}
	}
	in := slices.Clone(records)
	for i, r := range in {
		if name, err := dns.Name(r.Name, ""); err == nil {
			in[i].Name = name
		}
		switch {
		case r.TTL < limits.MinTTL:
			in[i].TTL = limits.MinTTL
			tell(TTLTooShort, fmt.Sprintf("The TTL of %s %s, %d s, was raised to %d s, the least that is allowed.", Show(r.Name), r.Type, r.TTL, limits.MinTTL), "nothing need be done", r)
		case r.TTL > MaxTTL:
			in[i].TTL = MaxTTL
			tell(TTLTooLong, fmt.Sprintf("The TTL of %s %s, %d s, was lowered to %d s, the greatest that there is.", Show(r.Name), r.Type, r.TTL, MaxTTL), "write a day or less, such as 86400", r)
		}
	}
	slices.SortStableFunc(in, compareSets)
	out := in[:0]
	for rest := in; len(rest) > 0; {
		n := setLen(rest)
		set := rest[:n:n]
		rest = rest[n:]
		first := set[0]
		least := slices.MinFunc(set, func(a, b dns.Record) int { return int(a.TTL) - int(b.TTL) }).TTL
		if slices.ContainsFunc(set, func(r dns.Record) bool { return r.TTL != least }) {
			tell(TTLsDiffer, fmt.Sprintf("All records %s of %s were given the TTL %d s, the least of theirs.", first.Type, Show(first.Name), least), "nothing need be done", set...)
			for i := range set {
				set[i].TTL = least
			}
		}
		kept := once(set)
		if gone := n - len(kept); gone > 0 {
			tell(DuplicateRecord, fmt.Sprintf("%s had records of type %s more than once; each was kept once.", Show(kept[0].Name), kept[0].Type), "nothing need be done", kept...)
		}
		out = append(out, kept...)
	}
	return slices.Clip(out), problems
}
