package mime

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// piece is one of several parameters that make a value (RFC 2231 §3): name*0,
// name*1*, …
type piece struct {
	name     string
	number   int
	extended bool // percent-encoded
	value    string
}

// joinPieces replaces the pieces of each value by the whole value, where the first
// piece stands. Pieces that do not continue from 0 are kept as they are.
func joinPieces(list []Param) []Param {
	if !slices.ContainsFunc(list, func(p Param) bool { return strings.Contains(p.Name, "*") }) {
		return list
	}
	pieces := map[string][]piece{}
	for _, p := range list {
		if s, ok := asPiece(p); ok {
			pieces[s.name] = append(pieces[s.name], s)
		}
	}
	whole := map[string]Param{}
	for name, of := range pieces {
		slices.SortStableFunc(of, func(a, b piece) int { return a.number - b.number })
		if consecutive(of) {
			whole[name] = join(of)
		}
	}
	var out []Param
	done := map[string]bool{}
	for _, p := range list {
		s, isPiece := asPiece(p)
		joined, ok := whole[s.name]
		switch {
		case !isPiece || !ok:
			out = append(out, p)
		case !done[s.name]:
			done[s.name] = true
			out = append(out, joined)
		}
	}
	return out
}

// asPiece reads name*NUMBER or name*NUMBER*.
func asPiece(p Param) (piece, bool) {
	name, extended := strings.CutSuffix(p.Name, "*")
	name, digits, found := strings.Cut(name, "*")
	number, err := strconv.Atoi(digits)
	if !found || name == "" || err != nil || number < 0 || number > maxParams || strconv.Itoa(number) != digits {
		return piece{}, false
	}
	return piece{name: name, number: number, extended: extended, value: p.Value}, true
}

func consecutive(of []piece) bool {
	for i, s := range of {
		if s.number != i {
			return false
		}
	}
	return true
}

// join makes one value of its pieces. When one of them is percent-encoded all are
// made so, and the name gets the asterisk that tells it; the character set stands
// in the first one only (RFC 2231 §4.1).
func join(of []piece) Param {
	var b strings.Builder
	if !slices.ContainsFunc(of, func(s piece) bool { return s.extended }) {
		for _, s := range of {
			b.WriteString(s.value)
		}
		return Param{Name: of[0].name, Value: b.String()}
	}
	if !of[0].extended {
		b.WriteString("''")
	}
	for _, s := range of {
		if s.extended {
			b.WriteString(s.value)
		} else {
			percentEncode(&b, s.value)
		}
	}
	return Param{Name: of[0].name + "*", Value: b.String()}
}

func percentEncode(b *strings.Builder, s string) {
	for i := range len(s) {
		if c := s[i]; c != '%' && c != '*' && c != '\'' && isToken(s[i:i+1]) {
			b.WriteByte(c)
		} else {
			_, _ = fmt.Fprintf(b, "%%%02X", c)
		}
	}
}
