package message

import (
	"bytes"
	"iter"
	"strings"
)

// MaxHeader is the largest header block in octets, line ends included and the
// empty line after it excluded.
const MaxHeader = 256 << 10

// Field is one header field as it stands in the message (RFC 5322 §2.2).
type Field struct {
	// Name is the field name as written, without the white space that obsolete
	// syntax allows before the colon (RFC 5322 §4.5). It is empty for lines
	// that are no field.
	Name string
	// Raw is the whole field with folding and its final line end. It shares
	// memory with the header it came from and must not be changed.
	Raw []byte
}

// Body returns what follows the colon, unfolded (RFC 5322 §2.2.3): line ends
// are removed, every other octet is kept. For a line that is no field it is the
// whole line. The result may share memory with Raw and must not be changed.
func (f Field) Body() []byte {
	b := f.Raw
	if f.Name != "" {
		if i := bytes.IndexByte(b, ':'); i >= 0 {
			b = b[i+1:]
		}
	}
	return unfold(b)
}

// Text returns Body as a string.
func (f Field) Text() string {
	b := f.Raw
	if f.Name != "" {
		if i := bytes.IndexByte(b, ':'); i >= 0 {
			b = b[i+1:]
		}
	}
	if b = trimLineEnd(b); bytes.IndexByte(b, '\n') < 0 {
		return string(b)
	}
	var out strings.Builder
	out.Grow(len(b))
	for line := range bytes.Lines(b) {
		out.Write(trimLineEnd(line))
	}
	return out.String()
}

// Value returns Body without white space at both ends.
func (f Field) Value() string {
	return string(bytes.Trim(f.Body(), " \t"))
}

// Is reports whether the field has the given name; case is ignored. A line that
// is no field has no name at all.
func (f Field) Is(name string) bool {
	return f.Name != "" && strings.EqualFold(f.Name, name)
}

func unfold(b []byte) []byte {
	b = trimLineEnd(b)
	if bytes.IndexByte(b, '\n') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			out = append(out, b...)
			break
		}
		out = append(out, trimLineEnd(b[:i+1])...)
		b = b[i+1:]
	}
	return out
}

// trimLineEnd removes one CRLF or LF.
func trimLineEnd(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
		if n > 1 && b[n-2] == '\r' {
			b = b[:n-2]
		}
	}
	return b
}

// SplitHeader divides a message at its first empty line (RFC 5322 §2.1). The
// header keeps the line end of its last field; the empty line itself belongs to
// neither part. Lines that are no field, even as the first line, do not end the
// header: [Fields] yields them. Without an empty line the whole message is
// header and the body is nil. A line of white space is not empty. LF alone also
// counts as a line end, so that nothing hides behind one.
//
// ok is false only when the header does not end within [MaxHeader] octets. The
// header is then the whole lines that fit and the body is the rest.
func SplitHeader(msg []byte) (header, body []byte, ok bool) {
	if n := lineEndLen(msg); n > 0 {
		return msg[:0], msg[n:], true
	}
	window := msg[:min(len(msg), MaxHeader+2)]
	end, blank := -1, 0
	if i := bytes.Index(window, []byte("\n\r\n")); i >= 0 {
		end, blank = i+1, 2
		window = window[:i+2]
	}
	if i := bytes.Index(window, []byte("\n\n")); i >= 0 {
		end, blank = i+1, 1
	}
	switch {
	case end >= 0 && end <= MaxHeader:
		return msg[:end], msg[end+blank:], true
	case len(msg) <= MaxHeader:
		return msg, nil, true
	}
	cut := bytes.LastIndexByte(msg[:MaxHeader], '\n') + 1
	return msg[:cut], msg[cut:], false
}

// lineEndLen returns the length of the line end that b begins with, or 0.
func lineEndLen(b []byte) int {
	switch {
	case len(b) > 0 && b[0] == '\n':
		return 1
	case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return 2
	}
	return 0
}

// Fields yields the fields of a header in order. What is no field (a line
// without a name and a colon, a first line that begins with white space) is
// yielded with an empty Name; the Raw values joined are the header, octet for
// octet.
func Fields(header []byte) iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for len(header) > 0 {
			n := fieldLen(header)
			raw := header[:n:n]
			header = header[n:]
			if !yield(Field{Name: fieldName(raw[:nameLen(raw)]), Raw: raw}) {
				return
			}
		}
	}
}

// fieldName is a name as a string; those that most messages have cost no memory.
func fieldName(name []byte) string {
	switch string(name) {
	case "Received":
		return "Received"
	case "From":
		return "From"
	case "To":
		return "To"
	case "Cc":
		return "Cc"
	case "Subject":
		return "Subject"
	case "Date":
		return "Date"
	case "Message-ID":
		return "Message-ID"
	case "Message-Id":
		return "Message-Id"
	case "In-Reply-To":
		return "In-Reply-To"
	case "References":
		return "References"
	case "Reply-To":
		return "Reply-To"
	case "Return-Path":
		return "Return-Path"
	case "MIME-Version":
		return "MIME-Version"
	case "Content-Type":
		return "Content-Type"
	case "Content-Transfer-Encoding":
		return "Content-Transfer-Encoding"
	case "DKIM-Signature":
		return "DKIM-Signature"
	case "Authentication-Results":
		return "Authentication-Results"
	case "List-Unsubscribe":
		return "List-Unsubscribe"
	case "List-Id":
		return "List-Id"
	}
	return string(name)
}

// fieldLen returns the length of the first line of b with its continuations.
func fieldLen(b []byte) int {
	for n := 0; ; {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return len(b)
		}
		n += i + 1
		if n == len(b) || b[n] != ' ' && b[n] != '\t' {
			return n
		}
	}
}

// nameLen returns the length of the field name that raw begins with, 0 when
// there is none.
func nameLen(raw []byte) int {
	for i, c := range raw {
		switch {
		case c == ':':
			return i
		case c == ' ' || c == '\t':
			if rest := bytes.TrimLeft(raw[i:], " \t"); len(rest) > 0 && rest[0] == ':' {
				return i
			}
			return 0
		case c < 33 || c > 126:
			return 0
		}
	}
	return 0
}

// each calls f with every field of that name until f returns false.
func each(header []byte, name string, f func(raw []byte) bool) {
	for len(header) > 0 {
		n := fieldLen(header)
		raw := header[:n:n]
		header = header[n:]
		// A cheap test first: most fields differ in length or first letter.
		if len(raw) <= len(name) || len(name) == 0 || raw[0]|0x20 != name[0]|0x20 {
			continue
		}
		if nameLen(raw) == len(name) && strings.EqualFold(string(raw[:len(name)]), name) && !f(raw) {
			return
		}
	}
}

// Count returns how many fields have the given name; case is ignored.
func Count(header []byte, name string) int {
	n := 0
	each(header, name, func([]byte) bool { n++; return true })
	return n
}

// HasField reports whether there is a field of the given name; case is ignored.
func HasField(header []byte, name string) bool {
	found := false
	each(header, name, func([]byte) bool { found = true; return false })
	return found
}

// Values returns the unfolded values of all fields of the given name, in order,
// without white space at both ends.
func Values(header []byte, name string) []string {
	var values []string
	each(header, name, func(raw []byte) bool {
		values = append(values, Field{Name: name, Raw: raw}.Value())
		return true
	})
	return values
}
