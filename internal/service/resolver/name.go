package resolver

import (
	"strings"

	"github.com/miekg/dns"
)

const (
	nameMax  = 253 // octets of a name in text, without the last dot (RFC 1035 §2.3.4)
	labelMax = 63
	specials = `'@;()"` // what the library writes with a backslash; backslash itself is refused
)

// lower folds ASCII letters only, as DNS does (RFC 4343).
func lower(name string) string {
	for i := range len(name) {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			folded := []byte(name)
			for j := i; j < len(folded); j++ {
				if c := folded[j]; 'A' <= c && c <= 'Z' {
					folded[j] = c + 'a' - 'A'
				}
			}
			return string(folded)
		}
	}
	return name
}

// plainName folds a name given by a caller and takes its last dot off.
func plainName(name string) string { return lower(strings.TrimSuffix(name, ".")) }

// nameFault says why a name cannot be asked for, "" if it can.
func nameFault(name string) string {
	if name == "" {
		return "an empty name"
	}
	if len(name) > nameMax {
		return "a name longer than 253 octets"
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return "a name with an empty label"
		}
		if len(label) > labelMax {
			return "a name with a label longer than 63 octets"
		}
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return "a name with octets that no host name has"
		}
	}
	return ""
}

// hostName turns a name from an answer into a host name; false when no host can have that name.
func hostName(presented string) (string, bool) {
	name := plainName(presented)
	if nameFault(name) != "" {
		return "", false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return "", false
		}
	}
	return name, true
}

// isLocalhost: names that are never asked for (RFC 6761 §6.3).
func isLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// within says whether a name is the zone or below it; both are folded and in the library's notation.
func within(name, zone string) bool { return dns.IsSubDomain(zone, name) }

// presented writes a name as the library does that unpacks it, with the last dot.
func presented(name string) string {
	if strings.ContainsAny(name, specials) {
		var out strings.Builder
		for i := range len(name) {
			if strings.IndexByte(specials, name[i]) >= 0 {
				out.WriteByte('\\')
			}
			out.WriteByte(name[i])
		}
		name = out.String()
	}
	return name + "."
}

// octets undoes the library's notation of a character-string (RFC 1035 §5.1): \DDD and \X.
func octets(presented string) string {
	if !strings.Contains(presented, `\`) {
		return presented
	}
	out := make([]byte, 0, len(presented))
	for i := 0; i < len(presented); i++ {
		c := presented[i]
		if c != '\\' || i+1 == len(presented) {
			out = append(out, c)
			continue
		}
		if i+3 < len(presented) && digit(presented[i+1]) && digit(presented[i+2]) && digit(presented[i+3]) {
			out = append(out, (presented[i+1]-'0')*100+(presented[i+2]-'0')*10+presented[i+3]-'0')
			i += 3
			continue
		}
		i++
		out = append(out, presented[i])
	}
	return string(out)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
