package imap

import (
	"cmp"
	"iter"
	"slices"
	"strconv"
)

// Range is the numbers between two ends, in either order. 0 stands for "*", the largest number in use.
type Range struct{ From, To uint32 }

// Set is a sequence set: message numbers or UIDs (RFC 9051 §9). The zero value is empty.
type Set struct {
	// Saved says that it is "$", what a SEARCH saved (RFC 5182); there are no ranges then.
	Saved bool

	fixed []Range // sorted, apart from one another, From <= To

	// What ranges have "*" at one end are together the numbers from the least to the greatest of "*" and the other
	// ends, because all of them meet at "*".
	star      bool
	low, high uint32 // least and greatest other end; 0 where none has another
}

// NewSet gives the set of some ranges.
func NewSet(ranges ...Range) Set {
	var s Set
	for _, r := range ranges {
		s.add(r)
	}
	s.fixed = merge(s.fixed)
	return s
}

// SetOf gives the set of some numbers.
func SetOf(numbers ...uint32) Set {
	var s Set
	sorted := slices.IsSorted(numbers)
	if !sorted {
		numbers = slices.Clone(numbers)
		slices.Sort(numbers)
	}
	for _, n := range numbers {
		s.Append(n)
	}
	return s
}

func (s *Set) add(r Range) {
	switch {
	case r.From == 0 || r.To == 0:
		s.star = true
		if other := max(r.From, r.To); other > 0 {
			s.high = max(s.high, other)
			if s.low == 0 || other < s.low {
				s.low = other
			}
		}
	default:
		s.fixed = append(s.fixed, Range{From: min(r.From, r.To), To: max(r.From, r.To)})
	}
}

// Append adds a number that is not below any of the set.
func (s *Set) Append(n uint32) {
	if last := len(s.fixed) - 1; last >= 0 && n-s.fixed[last].To <= 1 {
		s.fixed[last].To = n
		return
	}
	s.fixed = append(s.fixed, Range{From: n, To: n})
}

// merge sorts ranges and joins those that touch.
func merge(ranges []Range) []Range {
	if len(ranges) < 2 {
		return ranges
	}
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.From, b.From) })
	merged := ranges[:1]
	for _, r := range ranges[1:] {
		last := &merged[len(merged)-1]
		if r.From <= last.To || r.From == last.To+1 {
			last.To = max(last.To, r.To)
		} else {
			merged = append(merged, r)
		}
	}
	return merged
}

// Empty says that there is no number in the set, whatever "*" is.
func (s Set) Empty() bool { return !s.Saved && len(s.fixed) == 0 && !s.star }

// Star says that the set has a "*".
func (s Set) Star() bool { return s.star }

// Ranges gives the set as ascending ranges that do not touch, where largest is the largest number in use. With 0 there
// is none, and ranges with "*" are empty.
func (s Set) Ranges(largest uint32) []Range {
	if !s.star || largest == 0 {
		return s.fixed
	}
	return merge(append(slices.Clone(s.fixed), s.starred(largest)))
}

// starred is the range of what has a "*".
func (s Set) starred(largest uint32) Range {
	r := Range{From: largest, To: max(largest, s.high)}
	if s.low > 0 {
		r.From = min(largest, s.low)
	}
	return r
}

// Contains says whether n is in the set, where largest is the largest number in use.
func (s Set) Contains(n, largest uint32) bool {
	_, found := slices.BinarySearchFunc(s.fixed, n, func(r Range, n uint32) int {
		switch {
		case r.To < n:
			return -1
		case r.From > n:
			return 1
		}
		return 0
	})
	if found || !s.star || largest == 0 {
		return found
	}
	r := s.starred(largest)
	return r.From <= n && n <= r.To
}

// Max is the largest number that stands in the set itself, 0 where there is none.
func (s Set) Max() uint32 {
	if last := len(s.fixed) - 1; last >= 0 {
		return max(s.fixed[last].To, s.high)
	}
	return s.high
}

// Len is how many numbers there are, ranges with "*" left out.
func (s Set) Len() uint64 {
	var n uint64
	for _, r := range s.fixed {
		n += uint64(r.To-r.From) + 1
	}
	return n
}

// All gives the numbers in ascending order, ranges with "*" left out.
func (s Set) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, r := range s.fixed {
			for n := uint64(r.From); n <= uint64(r.To); n++ {
				if !yield(uint32(n)) {
					return
				}
			}
		}
	}
}

// String is the set as it is sent.
func (s Set) String() string { return string(s.append(nil)) }

func (s Set) append(b []byte) []byte {
	if s.Saved {
		return append(b, '$')
	}
	for i, r := range s.fixed {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRange(b, r)
	}
	if !s.star {
		return b
	}
	if len(s.fixed) > 0 {
		b = append(b, ',')
	}
	b = appendRange(b, Range{From: s.low})
	if s.high != s.low {
		b = append(b, ',')
		b = appendRange(b, Range{From: s.high})
	}
	return b
}

func appendRange(b []byte, r Range) []byte {
	b = appendSeqNumber(b, r.From)
	if r.To != r.From {
		b = append(b, ':')
		b = appendSeqNumber(b, r.To)
	}
	return b
}

func appendSeqNumber(b []byte, n uint32) []byte {
	if n == 0 {
		return append(b, '*')
	}
	return strconv.AppendUint(b, uint64(n), 10)
}

// set takes sequence-set.
func (p *parser) set() Set {
	if p.accept('$') {
		return Set{Saved: true}
	}
	return p.ranges(true)
}

// knownSet takes known-uids or the like: a sequence-set without "*" and "$" (RFC 7162 §7).
func (p *parser) knownSet() Set { return p.ranges(false) }

func (p *parser) ranges(star bool) Set {
	var s Set
	for n := 0; p.err == nil; n++ {
		if n == maxRanges {
			p.fail("A set has more than " + strconv.Itoa(maxRanges) + " ranges.")
		}
		from := p.seqNumber(star)
		to := from
		if p.accept(':') {
			to = p.seqNumber(star)
		}
		if p.err == nil {
			s.add(Range{From: from, To: to})
		}
		if !p.accept(',') {
			break
		}
	}
	s.fixed = merge(s.fixed)
	return s
}

func (p *parser) seqNumber(star bool) uint32 {
	if star && p.accept('*') {
		return 0
	}
	return p.nzNumber()
}
