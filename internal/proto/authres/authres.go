// Package authres writes and reads Authentication-Results fields: what a server found when it checked who sent a message
// (RFC 8601), with international names (RFC 8616).
//
// A field is believed only when its authserv-id is that of a server one trusts, and that server removes every field of a
// stranger that bears it (RFC 8601 §5): see [Claims].
//
// # Failure
//
// Append never fails: what has no place in a field is left out or quoted. Parse gives ErrSyntax.
package authres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"postroad/internal/proto/idna"
)

// Name is the name of the field.
const Name = "Authentication-Results"

// ErrSyntax is wrapped by every complaint of Parse.
var ErrSyntax = errors.New("not valid Authentication-Results")

// Limits of a field that is read.
const (
	maxField   = 64 << 10 // octets
	maxMethods = 100
	maxProps   = 100  // of one method
	maxName    = 1000 // octets of an authserv-id that may be a name of a domain
)

// Results is one field.
type Results struct {
	// ID is the authserv-id: the name of the server that speaks.
	ID string
	// Methods are what it found; none is written as "none".
	Methods []Method
}

// Method is the result of one check (RFC 8601 §2.2, resinfo).
type Method struct {
	// Name and Result are words of the IANA registry: "spf", "pass".
	Name, Result string
	// Comment stands after the result in parentheses, for people; printable, else it is left out. It is not read.
	Comment string
	// Reason is why the result is what it is.
	Reason string
	// Properties are what the result is about, in order.
	Properties []Property
}

// Property is one fact (RFC 8601 §2.2, propspec).
type Property struct {
	// Type is smtp, header, body, policy or polrec; Name and Value as "mailfrom", "a@example.com".
	Type, Name, Value string
}

// Get gives the value of a property, empty without one.
func (m *Method) Get(kind, name string) string {
	for _, p := range m.Properties {
		if strings.EqualFold(p.Type, kind) && strings.EqualFold(p.Name, name) {
			return p.Value
		}
	}
	return ""
}

// AppendTo appends the whole field, folded, with its last CRLF.
func (r *Results) AppendTo(b []byte) []byte {
	b = slices.Grow(b, 128*(1+len(r.Methods))) // what most take
	b = append(b, Name+": "...)
	b = appendValue(b, r.ID)
	if len(r.Methods) == 0 {
		return append(b, "; none\r\n"...)
	}
	for i := range r.Methods {
		b = r.Methods[i].appendTo(append(b, ";\r\n\t"...))
	}
	return append(b, "\r\n"...)
}

func (m *Method) appendTo(b []byte) []byte {
	b = append(b, keyword(m.Name)...)
	b = append(b, '=')
	b = append(b, keyword(m.Result)...)
	if m.Comment != "" && isComment(m.Comment) {
		b = append(b, " ("...)
		b = append(b, m.Comment...)
		b = append(b, ')')
	}
	if m.Reason != "" {
		b = append(b, "\r\n\t reason="...)
		b = appendValue(b, m.Reason)
	}
	for _, p := range m.Properties {
		if p.Value == "" {
			continue
		}
		b = append(b, "\r\n\t "...)
		b = append(b, keyword(p.Type)...)
		b = append(b, '.')
		b = append(b, keyword(p.Name)...)
		b = append(b, '=')
		b = appendProperty(b, p.Value)
	}
	return b
}

// maxValue is the longest value that is written, in octets: more would make a line longer than RFC 5322 §2.1.1 allows.
const maxValue = 800

// appendValue writes a token, or a quoted string where it is none.
func appendValue(b []byte, s string) []byte {
	s = clean(s)
	if isToken(s) {
		return append(b, s...)
	}
	b = append(b, '"')
	for _, c := range []byte(s) {
		if c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return append(b, '"')
}

// appendProperty writes a value, an address or a domain as they are where they can stand so (RFC 8601 §2.2, pvalue).
func appendProperty(b []byte, s string) []byte {
	s = clean(s)
	local, domain, ok := strings.Cut(s, "@")
	if ok && isToken(domain) && (local == "" || isToken(local)) {
		return append(b, s...)
	}
	return appendValue(b, s)
}

// clean leaves what may stand in a quoted string: no control characters, UTF-8 that is valid, and not too much.
func clean(s string) string {
	if len(s) <= maxValue && isPrintable(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxValue {
		s = strings.ToValidUTF8(s[:maxValue], "")
	}
	return s
}

func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isComment: printable ASCII without parentheses and backslashes.
func isComment(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '(' || c == ')' || c == '\\' {
			return false
		}
	}
	return len(s) <= maxValue
}

// keyword gives a word that may stand as method, result, type or property; others become "unknown".
func keyword(s string) string {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '-' && c != '_' {
			return "unknown"
		}
	}
	if s == "" {
		return "unknown"
	}
	return s
}

// isToken: a token of MIME (RFC 2045 §5.1), with UTF-8 (RFC 8616 §5).
func isToken(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// SameID reports whether two authserv-ids are one name: case does not matter, nor whether a name of a domain is written
// with U-labels or A-labels (RFC 8616 §5).
func SameID(a, b string) bool {
	return strings.EqualFold(a, b) || canonical(a) == canonical(b)
}

func canonical(id string) string {
	id = strings.TrimSuffix(id, ".")
	if len(id) <= maxName {
		if ascii, err := idna.ToASCII(id); err == nil {
			return ascii
		}
	}
	return strings.ToLower(id)
}

// Claims reports whether the body of a field, unfolded, says that one of the given servers wrote it. A field whose
// authserv-id cannot be read claims to be anybody's.
func Claims(body string, ids []string) bool {
	p := parser{s: body}
	id, ok := p.id()
	if !ok {
		return true
	}
	for _, own := range ids {
		if SameID(id, own) {
			return true
		}
	}
	return false
}

// Parse reads the body of a field, unfolded (RFC 8601 §2.2). Comments are skipped.
func Parse(body string) (Results, error) {
	if len(body) > maxField {
		return Results{}, fmt.Errorf("%w: longer than %d octets", ErrSyntax, maxField)
	}
	p := parser{s: body}
	id, ok := p.id()
	if !ok {
		return Results{}, fmt.Errorf("%w: the authserv-id cannot be read", ErrSyntax)
	}
	r := Results{ID: id}
	if version, ok := p.word(isDigits); ok && version != "1" {
		return Results{}, fmt.Errorf("%w: version %s", ErrSyntax, version)
	}
	for !p.end() {
		if !p.take(';') {
			return Results{}, fmt.Errorf("%w: a semicolon is missing", ErrSyntax)
		}
		if p.end() && len(r.Methods) > 0 {
			break // many write one more
		}
		m, none, ok := p.method()
		switch {
		case !ok || len(r.Methods) >= maxMethods:
			return Results{}, fmt.Errorf("%w: result %d cannot be read", ErrSyntax, len(r.Methods)+1)
		case none:
			if len(r.Methods) > 0 || !p.end() {
				return Results{}, fmt.Errorf("%w: results beside none", ErrSyntax)
			}
			return r, nil
		}
		r.Methods = append(r.Methods, m)
	}
	if len(r.Methods) == 0 {
		return Results{}, fmt.Errorf("%w: it has no results", ErrSyntax)
	}
	return r, nil
}
