package spf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// version begins every record (RFC 7208 §4.5).
const version = "v=spf1"

// maxRecord bounds the text of a record, in octets: what fits into one TXT record.
const maxRecord = 65535

// Record is a record that has been read (RFC 7208 §4.6).
type Record struct {
	Mechanisms []Mechanism
	// Redirect and Exp are the domains of these modifiers, macros unexpanded; empty without them.
	Redirect, Exp string
}

// Mechanism is one of a record's (RFC 7208 §5).
type Mechanism struct {
	// Text is the term as written.
	Text string
	// Result is what it gives when it matches.
	Result Result
	// Name is in lower case.
	Name string
	// Domain is the domain-spec, macros unexpanded; empty without one.
	Domain string
	// Prefix is that of ip4 and ip6.
	Prefix netip.Prefix
	// Bits4 and Bits6 are the lengths of a and mx, 32 and 128 where none is given.
	Bits4, Bits6 int
}

// Asks reports whether the mechanism asks DNS and is counted.
func (m *Mechanism) Asks() bool {
	switch m.Name {
	case "include", "a", "mx", "ptr", "exists":
		return true
	}
	return false
}

// IsRecord reports whether a text is an SPF record: the version alone, or followed by a space (RFC 7208 §4.5).
func IsRecord(text string) bool {
	if len(text) < len(version) || !strings.EqualFold(text[:len(version)], version) {
		return false
	}
	return len(text) == len(version) || text[len(version)] == ' '
}

// Parse reads a record as a whole: a fault anywhere makes all of it invalid (RFC 7208 §4.6).
func Parse(text string) (*Record, error) {
	if !IsRecord(text) || len(text) > maxRecord {
		return nil, fmt.Errorf("%w: it does not begin with v=spf1", ErrSyntax)
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return nil, fmt.Errorf("%w: it has the octet 0x%02x, which is no printable ASCII", ErrSyntax, c)
		}
	}
	const usual = 16
	r := &Record{Mechanisms: make([]Mechanism, 0, min(strings.Count(text, " "), usual))}
	redirect, exp := false, false
	for term := range strings.SplitSeq(text[len(version):], " ") {
		if term == "" {
			continue
		}
		name, value, modifier := cutModifier(term)
		if !modifier {
			m, err := parseMechanism(term)
			if err != nil {
				return nil, err
			}
			r.Mechanisms = append(r.Mechanisms, m)
			continue
		}
		var seen *bool
		switch strings.ToLower(name) {
		case "redirect":
			seen, r.Redirect = &redirect, value
		case "exp":
			seen, r.Exp = &exp, value
		default:
			if _, err := expandable(value, false); err != nil {
				return nil, fmt.Errorf("%w: %q: %w", ErrSyntax, term, err)
			}
			continue
		}
		if *seen {
			return nil, fmt.Errorf("%w: %s stands in it more than once", ErrSyntax, strings.ToLower(name))
		}
		*seen = true
		if err := checkDomainSpec(value); err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrSyntax, term, err)
		}
	}
	return r, nil
}

// cutModifier divides "name=value"; ok is false for what is no modifier (RFC 7208 §6).
func cutModifier(term string) (name, value string, ok bool) {
	i := strings.IndexAny(term, "=:/")
	if i < 1 || term[i] != '=' || !isLetter(term[0]) {
		return "", "", false
	}
	for _, c := range []byte(term[:i]) {
		if !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			return "", "", false
		}
	}
	return term[:i], term[i+1:], true
}

// parseMechanism reads one directive (RFC 7208 §4.6.1, §5).
func parseMechanism(term string) (Mechanism, error) {
	m := Mechanism{Text: term, Result: Pass, Bits4: 32, Bits6: 128}
	rest := term
	switch rest[0] {
	case '+':
		rest = rest[1:]
	case '-':
		m.Result, rest = Fail, rest[1:]
	case '~':
		m.Result, rest = SoftFail, rest[1:]
	case '?':
		m.Result, rest = Neutral, rest[1:]
	}
	n := strings.IndexAny(rest, ":/")
	if n < 0 {
		n = len(rest)
	}
	m.Name, rest = strings.ToLower(rest[:n]), rest[n:]
	bad := func(why string) (Mechanism, error) {
		return m, fmt.Errorf("%w: %q: %s", ErrSyntax, term, why)
	}
	var err error
	switch m.Name {
	case "all":
		if rest != "" {
			return bad("nothing may follow all")
		}
		return m, nil
	case "ip4", "ip6":
		if m.Prefix, err = parseNetwork(m.Name, rest); err != nil {
			return bad(err.Error())
		}
		return m, nil
	case "a", "mx":
		if rest, err = m.cutLengths(rest); err != nil {
			return bad(err.Error())
		}
	case "include", "exists":
		if rest == "" {
			return bad("a domain is missing")
		}
	case "ptr":
	default:
		return bad("there is no such mechanism")
	}
	if rest == "" {
		return m, nil
	}
	if rest[0] != ':' {
		return bad("a length of addresses is not allowed here")
	}
	m.Domain = rest[1:]
	if err := checkDomainSpec(m.Domain); err != nil {
		return bad(err.Error())
	}
	return m, nil
}

// cutLengths takes the dual-cidr-length off the end of what follows a or mx (RFC 7208 §5.3).
func (m *Mechanism) cutLengths(s string) (string, error) {
	head, digits, double := cutLength(s)
	if digits == "" {
		return s, nil
	}
	if double {
		if m.Bits6 = bits(digits, 128); m.Bits6 < 0 {
			return s, fmt.Errorf("/%s is no length of IPv6 addresses", digits)
		}
		s = head
		if head, digits, double = cutLength(s); digits == "" || double {
			return s, nil
		}
	}
	if m.Bits4 = bits(digits, 32); m.Bits4 < 0 {
		return s, fmt.Errorf("/%s is no length of IPv4 addresses", digits)
	}
	return head, nil
}

// cutLength divides "x/24" or, double, "x//64" before its digits.
func cutLength(s string) (head, digits string, double bool) {
	i := len(s)
	for i > 0 && isDigit(s[i-1]) {
		i--
	}
	if i == 0 || i == len(s) || s[i-1] != '/' {
		return s, "", false
	}
	digits, head = s[i:], s[:i-1]
	if strings.HasSuffix(head, "/") {
		return head[:len(head)-1], digits, true
	}
	return head, digits, false
}

// bits reads a length of at most limit without leading zeros; -1 when it is none.
func bits(digits string, limit int) int {
	if len(digits) == 0 || len(digits) > 3 || len(digits) > 1 && digits[0] == '0' {
		return -1
	}
	n := 0
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return -1
		}
		n = 10*n + int(digits[i]-'0')
	}
	if n > limit {
		return -1
	}
	return n
}

// parseNetwork reads ":address[/length]" of ip4 and ip6 (RFC 7208 §5.6).
func parseNetwork(name, s string) (netip.Prefix, error) {
	rest, ok := strings.CutPrefix(s, ":")
	if !ok {
		return netip.Prefix{}, fmt.Errorf("an address must follow %s and a colon", name)
	}
	text, digits, length := strings.Cut(rest, "/")
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" || a.Is4() != (name == "ip4") {
		return netip.Prefix{}, fmt.Errorf("%q is no address of %s", text, name)
	}
	n := a.BitLen()
	if length {
		if n = bits(digits, a.BitLen()); n < 0 {
			return netip.Prefix{}, fmt.Errorf("%q is no length of its addresses", digits)
		}
	}
	return netip.PrefixFrom(a, n), nil
}

var errNoDomain = errors.New("a domain is missing")

// checkDomainSpec holds a text against domain-spec (RFC 7208 §7.1): it ends in a macro, or in a dot and a top label.
func checkDomainSpec(s string) error {
	parts, err := expandable(s, false)
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		return errNoDomain
	}
	last := parts[len(parts)-1]
	if last.macro {
		return nil
	}
	text := strings.TrimSuffix(last.text, ".")
	dot := strings.LastIndexByte(text, '.')
	if dot < 0 || !isTopLabel(text[dot+1:]) {
		return fmt.Errorf("%q is no name of a domain", s)
	}
	return nil
}

// isTopLabel: letters, digits and inner hyphens, not digits alone (RFC 7208 §7.1).
func isTopLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	digits := true
	for _, c := range []byte(s) {
		if !isAlnum(c) && c != '-' {
			return false
		}
		digits = digits && isDigit(c)
	}
	return !digits
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isAlnum(c byte) bool  { return isDigit(c) || isLetter(c) }
