package smtp

import (
	"strings"

	"postroad/internal/proto/idna"
)

// Path is a reverse-path or forward-path (RFC 5321 §4.1.2).
type Path struct {
	Address
	// SourceRoute says that hosts to pass came before the mailbox
	// (<@a,@b:user@c>, RFC 5321 appendix F.2). They are not kept; the caller
	// refuses.
	SourceRoute bool
	// Literal says that the domain is an address literal.
	Literal bool
}

// pathKind is whose path is read: they differ in what may stand between the
// brackets and in the code of a refusal.
type pathKind uint8

const (
	reversePath pathKind = iota // of MAIL: may be null
	forwardPath                 // of RCPT: may be <postmaster>
)

func (k pathKind) syntax() Enhanced {
	if k == reversePath {
		return Enhanced{5, 1, 7}
	}
	return Enhanced{5, 1, 3}
}

// cutPath reads a path in its angle brackets from the beginning of s, with U-labels
// and UTF-8 local parts taken when utf8 is set. It returns what follows.
func cutPath(s string, kind pathKind, utf8 bool) (Path, string, error) {
	var p Path
	if !strings.HasPrefix(s, "<") {
		return p, "", refuse(501, kind.syntax(), "address must be in angle brackets")
	}
	inner := s[1:]
	if strings.HasPrefix(inner, ">") && kind == reversePath {
		return p, inner[1:], nil
	}
	const postmaster = "postmaster>"
	if kind == forwardPath && len(inner) >= len(postmaster) && strings.EqualFold(inner[:len(postmaster)], postmaster) {
		p.Local = "postmaster"
		return p, inner[len(postmaster):], nil
	}
	if strings.HasPrefix(inner, "@") {
		n, problem := cutSourceRoute(inner, utf8)
		if problem != nil {
			return p, "", problem.reply(kind.syntax())
		}
		inner, p.SourceRoute = inner[n:], true
	}
	longest := MaxLocal
	if kind == reversePath {
		longest = MaxSenderLocal // see ParseSender
	}
	a, n, problem := cutMailbox(inner, utf8, longest)
	if problem == nil && (n == len(inner) || inner[n] != '>') {
		problem = problemSyntax
	}
	if problem != nil {
		return p, "", problem.reply(kind.syntax())
	}
	rest := inner[n+1:]
	if len(s)-len(rest) > MaxPath {
		return p, "", refuse(501, kind.syntax(), "address too long")
	}
	p.Address, p.Literal = a, a.IsLiteral()
	return p, rest, nil
}

// cutSourceRoute reads "@a,@b:" (A-d-l of RFC 5321 §4.1.2).
func cutSourceRoute(s string, utf8 bool) (int, *addressProblem) {
	n := 0
	for {
		if n >= len(s) || s[n] != '@' {
			return 0, problemSyntax
		}
		n++
		_, m, problem := cutDomain(s[n:], utf8)
		if problem != nil {
			return 0, problem
		}
		n += m
		if n == len(s) {
			return 0, problemSyntax
		}
		switch s[n] {
		case ':':
			return n + 1, nil
		case ',':
			n++
		default:
			return 0, problemSyntax
		}
	}
}

// ParseHelo reads the argument of HELO, EHLO or LHLO and returns the name as it
// was given. Names in use are worse than RFC 5321 §4.1.1.1 has them, so
// underscores, hyphens at an edge, a trailing dot and an IPv6 literal without
// its tag are taken; anything else outside letters, digits, hyphen and dot, an
// empty name or label and more than 255 octets are not.
func ParseHelo(arg []byte) (name string, err error) {
	switch {
	case len(arg) == 0:
		return "", refuse(501, Enhanced{5, 5, 4}, "a domain or address literal must follow")
	case len(arg) > 255:
		return "", refuse(501, Enhanced{5, 5, 4}, "name too long")
	}
	name = string(arg)
	if name[0] == '[' {
		inner, ok := strings.CutSuffix(name[1:], "]")
		if ok && (validLiteral(inner) || strings.Contains(inner, ":") && validLiteral("IPv6:"+inner)) {
			return name, nil
		}
		return "", refuse(501, Enhanced{5, 5, 4}, "address literal syntax")
	}
	for i := range len(name) {
		c := name[i]
		ok := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' ||
			c == '.' && i > 0 && name[i-1] != '.'
		if !ok {
			return "", refuse(501, Enhanced{5, 5, 4}, "domain syntax")
		}
	}
	return name, nil
}

// sendablePath reports whether s may stand between angle brackets in a command
// we send: no octet of it can end the path, the parameters or the line. It is
// wider than the grammar, because rewritten senders pass 64 octets and a
// recipient was judged when it came in.
func sendablePath(s string) bool {
	if len(s) > MaxPath {
		return false
	}
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ', c == 0x7f:
			return false
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			if i++; i == len(s) || s[i] < ' ' || s[i] >= 0x7f {
				return false
			}
		case c == ' ', c == '<', c == '>', c == '\\':
			if !quoted {
				return false
			}
		}
	}
	return !quoted && (idna.IsASCII(s) || printableUTF8(s))
}
