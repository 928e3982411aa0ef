package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxName is the longest name of a domain in text, in octets.
const maxName = 253

// part is a piece of a macro-string (RFC 7208 §7.1): literal text, or a macro.
type part struct {
	// macro: it was written with a percent sign. Of "%%", "%_" and "%-" the text is what they stand for and letter is 0.
	macro      bool
	text       string
	letter     byte // lower case
	escape     bool // the letter was upper case: the value is URL-escaped
	keep       int  // right-hand parts that are kept; 0 for all
	reverse    bool
	delimiters string
}

var (
	errPercent = errors.New("a percent sign must be followed by {, %, _ or -")
	errMacro   = errors.New("a macro is a letter, digits, r and delimiters between %{ and }")
)

// expandable reads a macro-string. The letters c, r and t are for explanations alone, as is white space (RFC 7208 §7.2).
func expandable(s string, explanation bool) ([]part, error) {
	var parts []part
	for s != "" {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			i = len(s)
		}
		if i > 0 {
			parts = append(parts, part{text: s[:i]})
			s = s[i:]
			continue
		}
		if len(s) < 2 {
			return nil, errPercent
		}
		switch s[1] {
		case '%':
			parts = append(parts, part{macro: true, text: "%"})
			s = s[2:]
		case '_':
			parts = append(parts, part{macro: true, text: " "})
			s = s[2:]
		case '-':
			parts = append(parts, part{macro: true, text: "%20"})
			s = s[2:]
		case '{':
			end := strings.IndexByte(s, '}')
			if end < 0 {
				return nil, errMacro
			}
			p, err := readMacro(s[2:end], explanation)
			if err != nil {
				return nil, err
			}
			parts = append(parts, p)
			s = s[end+1:]
		default:
			return nil, errPercent
		}
	}
	return parts, nil
}

// readMacro reads what stands between the braces.
func readMacro(s string, explanation bool) (part, error) {
	letters := "slodiphv"
	if explanation {
		letters += "crt"
	}
	if s == "" || !isLetter(s[0]) || strings.IndexByte(letters, s[0]|0x20) < 0 {
		return part{}, errMacro
	}
	p := part{macro: true, letter: s[0] | 0x20, escape: s[0] < 'a'}
	s = s[1:]
	n := 0
	for n < len(s) && isDigit(s[n]) {
		p.keep = min(10*p.keep+int(s[n]-'0'), maxName)
		n++
	}
	if n > 0 && p.keep == 0 {
		return part{}, errMacro // RFC 7208 §7.3: not zero
	}
	s = s[n:]
	if s != "" && s[0]|0x20 == 'r' {
		p.reverse, s = true, s[1:]
	}
	for _, c := range []byte(s) {
		if strings.IndexByte(".-+,/_=", c) < 0 {
			return part{}, errMacro
		}
	}
	p.delimiters = s
	return p, nil
}

// expand gives the text of a macro-string for one domain (RFC 7208 §7.3).
func (c *check) expand(ctx context.Context, s, domain string, explanation bool) (string, error) {
	parts, err := expandable(s, explanation)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for i := range parts {
		p := &parts[i]
		if p.letter == 0 {
			out.WriteString(p.text)
			continue
		}
		out.WriteString(p.transform(c.value(ctx, p.letter, domain)))
	}
	return out.String(), nil
}

// name expands a domain-spec to a name that can be asked for; too long ones lose labels on the left (RFC 7208 §7.3).
func (c *check) name(ctx context.Context, spec, domain string) (string, error) {
	if spec == "" {
		return domain, nil
	}
	name, err := c.expand(ctx, spec, domain, false)
	if err != nil {
		return "", err
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for len(name) > maxName {
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			return "", fmt.Errorf("a name is longer than %d octets", maxName)
		}
		name = rest
	}
	return name, nil
}

// transform applies digits, reversal and delimiters, then the escape.
func (p *part) transform(value string) string {
	if p.keep > 0 || p.reverse || p.delimiters != "" {
		delimiters := p.delimiters
		if delimiters == "" {
			delimiters = "."
		}
		pieces := split(value, delimiters)
		if p.reverse {
			slices.Reverse(pieces)
		}
		if p.keep > 0 && p.keep < len(pieces) {
			pieces = pieces[len(pieces)-p.keep:]
		}
		value = strings.Join(pieces, ".")
	}
	if p.escape {
		value = escape(value)
	}
	return value
}

// split divides at each of the delimiters.
func split(s, delimiters string) []string {
	var out []string
	for {
		i := strings.IndexAny(s, delimiters)
		if i < 0 {
			return append(out, s)
		}
		out = append(out, s[:i])
		s = s[i+1:]
	}
}

// escape writes all but unreserved characters as octets in hexadecimal (RFC 7208 §7.3, RFC 3986 §2.3).
func escape(s string) string {
	var out strings.Builder
	for _, c := range []byte(s) {
		if isAlnum(c) || strings.IndexByte("-._~", c) >= 0 {
			out.WriteByte(c)
			continue
		}
		fmt.Fprintf(&out, "%%%02X", c)
	}
	return out.String()
}

// value is what a letter stands for (RFC 7208 §7.2).
func (c *check) value(ctx context.Context, letter byte, domain string) string {
	switch letter {
	case 's':
		return c.local + "@" + c.sender
	case 'l':
		return c.local
	case 'o':
		return c.sender
	case 'd':
		return domain
	case 'i':
		return dotted(c.addr)
	case 'p':
		return c.validated(ctx, domain)
	case 'h':
		return c.query.Helo
	case 'v':
		if c.addr.Is6() {
			return "ip6"
		}
		return "in-addr"
	case 'c':
		return c.addr.String()
	case 'r':
		if c.query.Receiver == "" {
			return "unknown"
		}
		return c.query.Receiver
	case 't':
		return strconv.FormatInt(c.query.At.Unix(), 10)
	}
	return ""
}

// dotted writes an address as labels: an IPv6 one as 32 hexadecimal digits.
func dotted(a netip.Addr) string {
	if a.Is4() {
		return a.String()
	}
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, 63)
	for i, b := range a.As16() {
		if i > 0 {
			out = append(out, '.')
		}
		out = append(out, digits[b>>4], '.', digits[b&15])
	}
	return string(out)
}
