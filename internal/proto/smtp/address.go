package smtp

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"postroad/internal/proto/idna"
)

// Lengths of the parts of an address in octets, without quoting
// (RFC 5321 §4.5.3.1).
const (
	// MaxLocal is the longest local part of a recipient.
	MaxLocal = 64
	// MaxSenderLocal is the longest local part of a sender, see ParseSender.
	MaxSenderLocal = 255
	// MaxPath is the longest path taken, angle brackets and quoting included. The
	// RFC's 256 leave no room for a quoted local part before a long U-label
	// domain.
	MaxPath = 1024
)

// Address is a mailbox as the envelope knows it (RFC 5321 §4.1.2). The zero
// value is the null reverse-path. Addresses are comparable; the case of the
// local part is kept and counts.
type Address struct {
	// Local is the local part with quoting removed. It has no controls and is
	// valid UTF-8.
	Local string
	// Domain is an A-label name in lower case, or an address literal in its
	// brackets as it was given. It is empty for the null reverse-path and, with
	// Local "postmaster", for <postmaster>.
	Domain string
}

// IsNull reports the null reverse-path.
func (a Address) IsNull() bool { return a == Address{} }

// IsLiteral reports whether the domain is an address literal.
func (a Address) IsLiteral() bool { return strings.HasPrefix(a.Domain, "[") }

// NeedsUTF8 reports whether the address can be sent only with SMTPUTF8
// (RFC 6531 §3.3): its local part has octets outside ASCII.
func (a Address) NeedsUTF8() bool { return !idna.IsASCII(a.Local) }

// IsRouted reports whether the local part holds '%', '!' or '@': other systems
// have read these as a route to a third party. Such an address is correct, but
// must not be relayed for strangers.
func (a Address) IsRouted() bool { return strings.ContainsAny(a.Local, "%!@") }

// String gives user@domain, the local part quoted when it must be
// (RFC 5321 §4.1.2), "postmaster" for <postmaster> and "" for the null
// reverse-path.
func (a Address) String() string {
	if a.Domain == "" && !needsQuotes(a.Local) {
		return a.Local
	}
	b := make([]byte, 0, len(a.Local)+len(a.Domain)+3)
	if needsQuotes(a.Local) {
		b = append(b, '"')
		for i := range len(a.Local) {
			if c := a.Local[i]; c == '"' || c == '\\' {
				b = append(b, '\\')
			}
			b = append(b, a.Local[i])
		}
		b = append(b, '"')
	} else {
		b = append(b, a.Local...)
	}
	if a.Domain != "" {
		b = append(b, '@')
		b = append(b, a.Domain...)
	}
	return string(b)
}

// ParseAddress reads a bare address, user@domain, as an interface or a table has
// it: no angle brackets, no null path, no bare postmaster. With utf8 a local
// part outside ASCII and U-labels in the domain are taken. The error is a
// *ReplyError with 501 5.1.3, or 553 5.6.7 for what needs utf8.
func ParseAddress(s string, utf8 bool) (Address, error) {
	if len(s) > MaxPath {
		return Address{}, refuse(501, Enhanced{5, 1, 3}, "address too long")
	}
	return parseAddress(s, utf8, MaxLocal)
}

// ParseSender reads a reverse-path's address, as ParseAddress does, but with a
// local part of up to MaxSenderLocal octets: addresses that carry another one
// within (VERP, SRS) are longer than RFC 5321 §4.5.3.1.1 has it, and refusing
// them would lose mail.
func ParseSender(s string, utf8 bool) (Address, error) {
	return parseAddress(s, utf8, MaxSenderLocal)
}

func parseAddress(s string, utf8 bool, longest int) (Address, error) {
	a, n, problem := cutMailbox(s, utf8, longest)
	if problem == nil && n != len(s) {
		problem = problemSyntax
	}
	if problem != nil {
		return Address{}, problem.reply(Enhanced{5, 1, 3})
	}
	return a, nil
}

// addressProblem is why an address is refused.
type addressProblem struct {
	code     int
	enhanced Enhanced // zero: the one for sender or recipient syntax
	text     string
}

var (
	problemSyntax  = &addressProblem{501, Enhanced{}, "address syntax"}
	problemLocal   = &addressProblem{501, Enhanced{}, "local part syntax"}
	problemLength  = &addressProblem{501, Enhanced{}, "local part too long"}
	problemDomain  = &addressProblem{501, Enhanced{}, "domain syntax"}
	problemLiteral = &addressProblem{501, Enhanced{}, "address literal syntax"}
	problemUTF8    = &addressProblem{553, Enhanced{5, 6, 7}, "address needs SMTPUTF8"}
)

func (p *addressProblem) reply(syntax Enhanced) error {
	e := p.enhanced
	if e.IsZero() {
		e = syntax
	}
	return refuse(p.code, e, p.text)
}

// cutMailbox reads local-part "@" domain from the beginning of s and returns
// the octets it takes. longest bounds the local part. What follows the domain is
// the caller's to judge.
func cutMailbox(s string, utf8 bool, longest int) (Address, int, *addressProblem) {
	local, n, problem := cutLocal(s, utf8, longest)
	if problem != nil {
		return Address{}, 0, problem
	}
	if n == len(s) || s[n] != '@' {
		return Address{}, 0, problemSyntax
	}
	n++
	domain, m, problem := cutDomain(s[n:], utf8)
	if problem != nil {
		return Address{}, 0, problem
	}
	return Address{Local: local, Domain: domain}, n + m, nil
}

// cutLocal reads a dot-string or a quoted-string (RFC 5321 §4.1.2, with the
// UTF-8 of RFC 6531 §3.3).
func cutLocal(s string, utf8 bool, longest int) (string, int, *addressProblem) {
	var (
		local   string
		n       int
		problem *addressProblem
	)
	if strings.HasPrefix(s, `"`) {
		local, n, problem = cutQuoted(s)
	} else {
		local, n, problem = cutDotString(s)
	}
	if problem != nil {
		return "", 0, problem
	}
	if local == "" {
		return "", 0, problemLocal
	}
	if len(local) > longest {
		return "", 0, problemLength
	}
	if !idna.IsASCII(local) {
		if !utf8 {
			return "", 0, problemUTF8
		}
		if !printableUTF8(local) {
			return "", 0, problemLocal
		}
	}
	return local, n, nil
}

func cutDotString(s string) (string, int, *addressProblem) {
	n := 0
	for n < len(s) {
		if c := s[n]; c == '.' {
			if n == 0 || s[n-1] == '.' {
				return "", 0, problemLocal
			}
		} else if !isAtext(c) && c < 0x80 {
			break
		}
		n++
	}
	if n == 0 || s[n-1] == '.' {
		return "", 0, problemLocal
	}
	return s[:n], n, nil
}

func cutQuoted(s string) (string, int, *addressProblem) {
	escaped := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' || c == 0x7f:
			return "", 0, problemLocal
		case c == '\\':
			if i++; i == len(s) || s[i] < ' ' || s[i] >= 0x7f {
				return "", 0, problemLocal
			}
			escaped = true
		case c == '"':
			local := s[1:i]
			if escaped {
				local = unescape(local)
			}
			return local, i + 1, nil
		}
	}
	return "", 0, problemLocal
}

func unescape(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// cutDomain reads a domain, up to '>', a space, a comma, a colon or the end, or an address
// literal.
func cutDomain(s string, utf8 bool) (string, int, *addressProblem) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || !validLiteral(s[1:end]) {
			return "", 0, problemLiteral
		}
		return s[:end+1], end + 1, nil
	}
	n := strings.IndexAny(s, "> ,:")
	if n < 0 {
		n = len(s)
	}
	if !utf8 && !idna.IsASCII(s[:n]) {
		return "", 0, problemUTF8
	}
	domain, err := idna.ToASCII(s[:n])
	if err != nil || allDigits(domain[strings.LastIndexByte(domain, '.')+1:]) {
		return "", 0, problemDomain
	}
	return domain, n, nil
}

// validLiteral judges what stands between the brackets (RFC 5321 §4.1.3): an
// IPv4 address or "IPv6:" and an IPv6 address. No other tag is registered.
func validLiteral(s string) bool {
	const tag = "IPv6:"
	if len(s) > len(tag) && strings.EqualFold(s[:len(tag)], tag) {
		addr, err := netip.ParseAddr(s[len(tag):])
		return err == nil && addr.Is6() && addr.Zone() == ""
	}
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is4()
}

// allDigits tells a name whose last label is a number: no such top-level domain
// can exist, and some resolvers take it for an address.
func allDigits(label string) bool {
	for i := range len(label) {
		if label[i] < '0' || label[i] > '9' {
			return false
		}
	}
	return label != ""
}

func needsQuotes(local string) bool {
	for i := range len(local) {
		if c := local[i]; c == '.' {
			if i == 0 || i == len(local)-1 || local[i-1] == '.' {
				return true
			}
		} else if !isAtext(c) && c < 0x80 {
			return true
		}
	}
	return false
}

// isAtext reports RFC 5322 §3.2.3 atext.
func isAtext(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '/', '=', '?', '^', '_', '`', '{', '|', '}', '~':
		return true
	}
	return false
}

func printableUTF8(s string) bool {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return false
			}
		}
		if !unicode.IsGraphic(r) {
			return false
		}
	}
	return true
}
