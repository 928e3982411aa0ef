package dkim

import (
	"crypto/sha256"
	"slices"
	"strings"

	"postroad/internal/proto/message"
)

// Header is the header of a message made ready for hashing.
type Header struct {
	// Fields are the fields in their order, lines that are no field left out.
	Fields []message.Field
	// last are the places in Fields of each name's last field, by the name in lower case; above are those of the field of
	// the same name above each one, -1 where there is none.
	last  map[string]int
	above []int
}

// NewHeader reads a header, line ends included and the empty line after it left out. It keeps the octets.
func NewHeader(header []byte) *Header {
	const usual = 16
	h := &Header{Fields: make([]message.Field, 0, usual), last: make(map[string]int, usual), above: make([]int, 0, usual)}
	var lower []byte
	for field := range message.Fields(header) {
		if field.Name == "" {
			continue
		}
		lower = appendLower(lower[:0], field.Name)
		above, there := h.last[string(lower)]
		if !there {
			above = -1
		}
		h.last[string(lower)] = len(h.Fields)
		h.above = append(h.above, above)
		h.Fields = append(h.Fields, field)
	}
	return h
}

// appendLower appends a field's name, which is ASCII, in lower case.
func appendLower(b []byte, name string) []byte {
	for i := range len(name) {
		o := name[i]
		if 'A' <= o && o <= 'Z' {
			o |= 0x20
		}
		b = append(b, o)
	}
	return b
}

// bottom is the place of a name's last field, -1 without one.
func (h *Header) bottom(name string) int {
	if place, there := h.last[name]; there {
		return place
	}
	return -1
}

// Named gives the places in Fields of all fields of a lower-case name, from the top of the message.
func (h *Header) Named(name string) []int {
	var places []int
	for place := h.bottom(name); place >= 0; place = h.above[place] {
		places = append(places, place)
	}
	slices.Reverse(places)
	return places
}

// AppendCovered appends what a signature covers of the header, canonical (RFC 6376 §5.4.2): of several fields with one
// name, those nearest to the body first; names without a field left count for nothing. The field at place self, the
// signature itself, is not covered: when it was made it did not stand there. Without one, self is negative.
func (h *Header) AppendCovered(b []byte, names []string, c Canonicalization, self int) []byte {
	next := make(map[string]int, len(names)) // of each name, what has not been taken yet
	for _, name := range names {
		name = strings.ToLower(name)
		place, begun := next[name]
		if !begun {
			place = h.bottom(name)
		}
		if place >= 0 && place == self {
			place = h.above[place]
		}
		if place < 0 {
			next[name] = -1
			continue
		}
		next[name] = h.above[place]
		b = AppendField(b, h.Fields[place].Raw, c)
	}
	return b
}

// Sum is the hash that a signature field signs (RFC 6376 §3.7): of covered, which others have put together, and of the
// signature's own field without its value.
func Sum(covered, field []byte, c Canonicalization) ([]byte, error) {
	bare, err := withoutSignature(field)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	_, _ = sum.Write(covered)
	last := AppendField(nil, bare, c)
	_, _ = sum.Write(last[:len(last)-len("\r\n")])
	return sum.Sum(nil), nil
}
