package mime

import (
	"strings"

	"postroad/internal/proto/message"
)

// Text says which text of a part a Section means (RFC 9051 §6.4.5.1).
type Text uint8

// The texts of a part.
const (
	Whole           Text = iota // of the message everything, of a part its body
	Header                      // the header of a message
	HeaderFields                // of that header only the fields named
	HeaderFieldsNot             // of that header only the others
	BodyText                    // the body of a message
	MIMEHeader                  // the header of a part
)

// Section names a section of a message: BODY[1.2.HEADER].
type Section struct {
	Part   []int // part numbers, from 1 on; empty means the message itself
	Text   Text
	Fields []string // names for HeaderFields and HeaderFieldsNot
}

// Find gives the part that a path of part numbers leads to in the message whose
// root is p, nil when there is none. The empty path leads to the root. A message
// that is no multipart has a part 1, its body.
func (p *Part) Find(path []int) *Part {
	if len(path) > 0 && len(p.Parts) == 0 {
		if path[0] != 1 {
			return nil
		}
		path = path[1:]
	}
	for _, number := range path {
		if p = p.child(number); p == nil {
			return nil
		}
	}
	return p
}

// child gives the part of that number in a multipart, or in the message that p holds.
func (p *Part) child(number int) *Part {
	inside := p
	if p.Message != nil {
		inside = p.Message
	}
	switch {
	case number >= 1 && number <= len(inside.Parts):
		return inside.Parts[number-1]
	case len(inside.Parts) == 0 && inside != p && number == 1:
		return inside
	}
	return nil
}

// Range gives where a section lies in the message whose root is p. ok is false when
// the message has no such section, or when it is no range but a choice of fields,
// which SelectFields makes of the range of Header.
func (p *Part) Range(s Section) (start, end int, ok bool) {
	part := p.Find(s.Part)
	if part == nil {
		return 0, 0, false
	}
	of := part // the message that Header and BodyText speak of
	if len(s.Part) > 0 {
		of = part.Message
	}
	switch s.Text {
	case Whole:
		if len(s.Part) == 0 {
			return p.Start, p.End, true
		}
		return part.Body, part.End, true
	case MIMEHeader:
		return part.Start, part.Body, len(s.Part) > 0
	case BodyText:
		if of == nil {
			return 0, 0, false
		}
		return of.Body, of.End, true
	default:
		if of == nil {
			return 0, 0, false
		}
		return of.Start, of.Body, true
	}
}

// SelectFields gives of a header, with or without the empty line that ends it, the
// fields named, or with others all but those, and the empty line if there is one.
// Names are compared without case.
func SelectFields(header []byte, names []string, others bool) []byte {
	wanted := make(map[string]bool, len(names))
	for _, n := range names {
		wanted[strings.ToLower(n)] = true
	}
	fields, rest, _ := message.SplitHeader(header)
	var out []byte
	for f := range message.Fields(fields) {
		if wanted[strings.ToLower(f.Name)] != others {
			out = append(out, f.Raw...)
		}
	}
	if len(fields)+len(rest) < len(header) {
		out = append(out, "\r\n"...)
	}
	return out
}
