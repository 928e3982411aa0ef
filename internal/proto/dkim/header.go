package dkim

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"

	"postroad/internal/proto/message"
)

// Header is the header of a message made ready for hashing.
type Header struct {
	// Fields are the fields in their order, lines that are no field left out.
	Fields []message.Field
	// marks are their names' marks, by which most others are passed over.
	marks []uint32
	// last are the places in Fields of each name's last field, by the name in lower case; above are those of the field of the
	// same name above each one, -1 where there is none. They are made where there are many fields.
	last  map[string]int
	above []int
}

// many is from how many fields on names are found in a map.
const many = 100

// NewHeader reads a header, line ends included and the empty line after it left out. It keeps the octets.
func NewHeader(header []byte) *Header {
	lines := min(bytes.Count(header, []byte("\n")), many)
	h := &Header{Fields: make([]message.Field, 0, lines), marks: make([]uint32, 0, lines)}
	for field := range message.Fields(header) {
		if field.Name == "" {
			continue
		}
		h.marks = append(h.marks, mark(field.Name))
		h.Fields = append(h.Fields, field)
	}
	if len(h.Fields) < many {
		return h
	}
	h.last, h.above = make(map[string]int), make([]int, len(h.Fields))
	for place := range h.Fields {
		name := strings.ToLower(h.Fields[place].Name)
		above, there := h.last[name]
		if !there {
			above = -1
		}
		h.last[name], h.above[place] = place, above
	}
	return h
}

// mark is a number that a name has whatever the case of its letters (FNV-1a of it in lower case).
func mark(name string) uint32 {
	sum := uint32(2166136261)
	for i := range len(name) {
		o := name[i]
		if 'A' <= o && o <= 'Z' {
			o |= 0x20
		}
		sum = (sum ^ uint32(o)) * 16777619
	}
	return sum
}

// bottom is the place of a lower-case name's last field, -1 without one.
func (h *Header) bottom(name string) int {
	if h.last == nil {
		return h.below(name, len(h.Fields))
	}
	if place, there := h.last[name]; there {
		return place
	}
	return -1
}

// next is the place of the field of the same name above one, -1 without one.
func (h *Header) next(name string, place int) int {
	if h.last == nil {
		return h.below(name, place)
	}
	return h.above[place]
}

// below is the place of the last field of a name among the first so many.
func (h *Header) below(name string, places int) int {
	m := mark(name)
	for place := places - 1; place >= 0; place-- {
		if h.marks[place] == m && strings.EqualFold(h.Fields[place].Name, name) {
			return place
		}
	}
	return -1
}

// Named gives the places in Fields of all fields of a lower-case name, from the top of the message.
func (h *Header) Named(name string) []int {
	var places []int
	for place := h.bottom(name); place >= 0; place = h.next(name, place) {
		places = append(places, place)
	}
	slices.Reverse(places)
	return places
}

// AppendCovered appends what a signature covers of the header, canonical (RFC 6376 §5.4.2): of several fields with one
// name, those nearest to the body first; names without a field left count for nothing. The field at place self, the
// signature itself, is not covered: when it was made it did not stand there. Without one, self is negative.
func (h *Header) AppendCovered(b []byte, names []string, c Canonicalization, self int) []byte {
	rest := cursors{list: make([]cursor, 0, min(len(names), many))}
	for _, name := range names {
		name = strings.ToLower(name)
		at := rest.find(name)
		if at == nil {
			at = rest.add(name, h.bottom(name))
		}
		if at.place >= 0 && at.place == self {
			at.place = h.next(name, at.place)
		}
		if at.place < 0 {
			continue
		}
		b = AppendField(b, h.Fields[at.place].Raw, c)
		at.place = h.next(name, at.place)
	}
	return b
}

// cursors are, for each name of a list, the place of the field that has not been taken yet.
type cursors struct {
	list []cursor
	at   map[string]int // the places of names in list, where there are many
}

type cursor struct {
	name  string
	place int
}

func (c *cursors) find(name string) *cursor {
	if c.at != nil {
		if i, there := c.at[name]; there {
			return &c.list[i]
		}
		return nil
	}
	for i := range c.list {
		if c.list[i].name == name {
			return &c.list[i]
		}
	}
	return nil
}

func (c *cursors) add(name string, place int) *cursor {
	c.list = append(c.list, cursor{name, place})
	if len(c.list) == many {
		c.at = make(map[string]int, 2*many)
		for i := range c.list {
			c.at[c.list[i].name] = i
		}
	} else if c.at != nil {
		c.at[name] = len(c.list) - 1
	}
	return &c.list[len(c.list)-1]
}

// Sum is the hash that a signature field signs (RFC 6376 §3.7): of covered, which others have put together, and of the
// signature's own field without its value.
func Sum(covered, field []byte, c Canonicalization) ([]byte, error) {
	from, to, err := signatureAt(field)
	if err != nil {
		return nil, err
	}
	b := borrow()
	defer giveBack(b)
	line := trimLineEnd(field)
	bare := append(append((*b)[:0], line[:from]...), line[to:]...)
	last := AppendField(bare, bare, c)
	*b = last
	sum := sha256.New()
	_, _ = sum.Write(covered)
	_, _ = sum.Write(last[len(bare) : len(last)-len("\r\n")])
	return sum.Sum(nil), nil
}

// buffers are for octets that are hashed and then forgotten.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

func borrow() *[]byte { return buffers.Get().(*[]byte) } //nolint:forcetypeassert // nothing else is put there

func giveBack(b *[]byte) {
	const most = 64 << 10
	if cap(*b) <= most {
		buffers.Put(b)
	}
}
