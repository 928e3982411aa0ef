package dkim

import (
	"crypto/sha256"
	"strings"

	"postroad/internal/proto/message"
)

// Header is the header of a message made ready for hashing.
type Header struct {
	// Fields are the fields in their order, lines that are no field left out.
	Fields []message.Field
	// named are the places of fields in Fields by lower-case name.
	named map[string][]int
}

// NewHeader reads a header, line ends included and the empty line after it left out. It keeps the octets.
func NewHeader(header []byte) *Header {
	h := &Header{named: make(map[string][]int)}
	for field := range message.Fields(header) {
		if field.Name == "" {
			continue
		}
		name := strings.ToLower(field.Name)
		h.named[name] = append(h.named[name], len(h.Fields))
		h.Fields = append(h.Fields, field)
	}
	return h
}

// Named gives the places in Fields of all fields of a lower-case name, from the top of the message.
func (h *Header) Named(name string) []int { return h.named[name] }

// AppendCovered appends what a signature covers of the header, canonical (RFC 6376 §5.4.2): of several fields with one
// name, those nearest to the body first; names without a field left count for nothing. The field at place self, the
// signature itself, is not covered: when it was made it did not stand there. Without one, self is negative.
func (h *Header) AppendCovered(b []byte, names []string, c Canonicalization, self int) []byte {
	taken := make(map[string]int, len(names))
	for _, name := range names {
		name = strings.ToLower(name)
		places := h.named[name]
		at := len(places) - 1 - taken[name]
		if at >= 0 && places[at] == self {
			taken[name]++
			at--
		}
		if at < 0 {
			continue
		}
		taken[name]++
		b = AppendField(b, h.Fields[places[at]].Raw, c)
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
