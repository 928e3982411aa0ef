package mailbox

import (
	"fmt"
	"strings"
)

// Flags is a set of flags of a message: the system flags, and the keywords of its mailbox by their numbers.
type Flags uint64

// The system flags (RFC 9051 §2.3.2).
const (
	Seen Flags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
)

const firstKeyword = 8

// SystemFlags are the names of the system flags.
func SystemFlags() []string { return []string{`\Answered`, `\Flagged`, `\Deleted`, `\Seen`, `\Draft`} }

// Keyword is the flag of the keyword with a number from 0 up to MaxKeywords-1.
func Keyword(n int) Flags { return 1 << (firstKeyword + n) }

// SystemFlag gives the system flag of a name, which is in any case.
func SystemFlag(name string) (Flags, bool) {
	for n, known := range [...]string{`\seen`, `\answered`, `\flagged`, `\deleted`, `\draft`} {
		if strings.EqualFold(name, known) {
			return 1 << n, true
		}
	}
	return 0, false
}

// Has reports whether all of other are in the set.
func (f Flags) Has(other Flags) bool { return f&other == other }

// Append appends the names of the flags in the set, keywords by their number among those given.
func (f Flags) Append(names []string, keywords []string) []string {
	for n, name := range [...]string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`} {
		if f.Has(1 << n) {
			names = append(names, name)
		}
	}
	for n, name := range keywords {
		if name != "" && f.Has(Keyword(n)) {
			names = append(names, name)
		}
	}
	return names
}

// CheckKeyword refuses with ErrFlag what is no keyword: an atom of RFC 9051 §9, not longer than MaxKeyword.
func CheckKeyword(name string) error {
	if name == "" || len(name) > MaxKeyword {
		return fmt.Errorf("%w: a keyword has 1 to %d octets", ErrFlag, MaxKeyword)
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return fmt.Errorf("%w: %q", ErrFlag, name)
		}
	}
	return nil
}

// FindKeyword gives the number of a keyword, which is in any case (RFC 5788 §3.1); -1 for one that is not there.
func FindKeyword(keywords []string, name string) int {
	for n, known := range keywords {
		if known != "" && strings.EqualFold(known, name) {
			return n
		}
	}
	return -1
}

// Apply gives a message's flags after a change with the given flags.
func (m FlagMode) Apply(had, given Flags) Flags {
	switch m {
	case FlagsReplace:
		return given
	case FlagsAdd:
		return had | given
	case FlagsRemove:
		return had &^ given
	}
	return had
}
