package dkim

import (
	"bytes"
	"fmt"
)

// Canonicalization is how much of its form a header or a body may lose on its way (RFC 6376 §3.4).
type Canonicalization int

const (
	// Relaxed lets white space and line folding change, and the case of field names.
	Relaxed Canonicalization = iota
	// Simple lets nothing change but the number of empty lines at the end.
	Simple
)

// String gives the word of the standard.
func (c Canonicalization) String() string {
	if c == Simple {
		return "simple"
	}
	return "relaxed"
}

// ParseCanonicalization reads the value of c=: the header's, and after a slash the body's. What is left out is simple.
// The error is [ErrSyntax].
func ParseCanonicalization(value string) (header, body Canonicalization, err error) {
	one := func(word []byte) (Canonicalization, error) {
		switch string(word) {
		case "simple":
			return Simple, nil
		case "relaxed":
			return Relaxed, nil
		}
		return 0, fmt.Errorf("%w: c=%s is not known", ErrSyntax, cut(value))
	}
	first, second, both := bytes.Cut([]byte(value), []byte("/"))
	if header, err = one(first); err != nil {
		return 0, 0, err
	}
	if body = Simple; both {
		body, err = one(second)
	}
	return header, body, err
}

// AppendField appends the canonical form of a header field to b, its CRLF at the end included (RFC 6376 §3.4.1, §3.4.2).
// raw is the field as it stands in the message.
func AppendField(b, raw []byte, c Canonicalization) []byte {
	raw = trimLineEnd(raw)
	if c == Simple {
		return append(append(b, raw...), '\r', '\n')
	}
	name, value, _ := bytes.Cut(raw, []byte(":"))
	for _, o := range bytes.TrimRight(name, " \t") {
		if 'A' <= o && o <= 'Z' {
			o |= 0x20
		}
		b = append(b, o)
	}
	b = append(b, ':')
	start, space := len(b), false
	for i, o := range value {
		switch {
		case o == ' ' || o == '\t':
			space = true
		case o == '\n' || o == '\r' && i+1 < len(value) && value[i+1] == '\n':
			// Folding goes; the white space after it stays.
		default:
			if space && len(b) > start {
				b = append(b, ' ')
			}
			space = false
			b = append(b, o)
		}
	}
	return append(b, '\r', '\n')
}

// trimLineEnd removes one CRLF or LF.
func trimLineEnd(b []byte) []byte {
	if line, ok := bytes.CutSuffix(b, []byte("\r\n")); ok {
		return line
	}
	return bytes.TrimSuffix(b, []byte("\n"))
}

// signatureAt is where the value of a signature field's b= tag stands, which is left out when the field is hashed (RFC 6376
// §3.7): white space around the value goes too, every other octet stays. Both ends lie within the field's line.
func signatureAt(raw []byte) (from, to int, err error) {
	colon := bytes.IndexByte(raw, ':')
	if colon < 0 {
		return 0, 0, fmt.Errorf("%w: no field", ErrSyntax)
	}
	raw = trimLineEnd(raw)
	for at := colon + 1; at < len(raw); {
		end := len(raw)
		if i := bytes.IndexByte(raw[at:], ';'); i >= 0 {
			end = at + i
		}
		if i := bytes.IndexByte(raw[at:end], '='); i >= 0 && string(bytes.Trim(raw[at:at+i], white)) == "b" {
			return at + i + 1, end, nil
		}
		at = end + 1
	}
	return 0, 0, fmt.Errorf("%w: b= is missing", ErrSyntax)
}
