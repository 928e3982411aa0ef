package message

import (
	"net/netip"
	"strings"
)

// Hop is what a Received field says of who brought the message to the server that wrote it (RFC 5321 §4.4).
type Hop struct {
	// From: the field says so; without it the message began there, or was taken up again.
	From bool
	// Helo is the name that the client gave, as far as the field has one.
	Helo string
	// Addr is the client's address as the server saw it.
	Addr netip.Addr
}

// maxReceived bounds the Received field that is read, in octets.
const maxReceived = 4 << 10

// ReadHop reads the from clause of the body of a Received field, unfolded. Only an address that the server itself has seen
// counts: in brackets or alone in a comment behind the client's name, at most after the name that DNS has for it. ok is
// false for a field that has a from clause and does not say the address in exactly one way.
func ReadHop(body string) (h Hop, ok bool) {
	if len(body) > maxReceived {
		return Hop{}, false
	}
	s := strings.TrimLeft(body, " \t")
	word, rest := cutWord(s)
	if !strings.EqualFold(word, "from") {
		return Hop{}, true
	}
	h.From = true
	h.Helo, rest = cutWord(rest)
	helo := ""
	for {
		rest = strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(rest, "(") {
			break
		}
		comment, after, closed := cutComment(rest)
		if !closed {
			return Hop{}, false
		}
		rest = after
		if name, ok := heloComment(comment); ok {
			helo = name
			continue
		}
		addr, ok := seenAddr(comment)
		if !ok {
			continue
		}
		if h.Addr.IsValid() && h.Addr != addr {
			return Hop{}, false
		}
		h.Addr = addr
		if _, name, ok := strings.Cut(comment, " helo="); ok { // Exim
			helo, _, _ = strings.Cut(name, " ")
		}
	}
	if next, _ := cutWord(rest); !strings.EqualFold(next, "by") && !strings.EqualFold(next, "via") && !strings.EqualFold(next, "with") {
		return Hop{}, false
	}
	if !h.Addr.IsValid() && helo != "" {
		// Exim, of a client without a name in DNS: the address stands where others write what the client says.
		h.Addr, _ = bracketed(h.Helo)
	}
	if helo != "" {
		h.Helo = helo
	}
	return h, h.Addr.IsValid()
}

// cutWord takes the next run of octets other than white space.
func cutWord(s string) (word, rest string) {
	s = strings.TrimLeft(s, " \t")
	i := strings.IndexAny(s, " \t;")
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

// cutComment takes a comment off the front (RFC 5322 §3.2.2).
func cutComment(s string) (inside, rest string, ok bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return s[1:i], s[i+1:], true
			}
		}
	}
	return "", "", false
}

// heloComment reads "helo=name" (Exim) and "HELO name" (qmail).
func heloComment(s string) (string, bool) {
	if name, ok := strings.CutPrefix(s, "helo="); ok {
		return name, true
	}
	if name, ok := strings.CutPrefix(s, "HELO "); ok && !strings.ContainsAny(name, " \t") {
		return name, true
	}
	return "", false
}

// seenAddr reads "[address]…", "name [address]…" and "address".
func seenAddr(comment string) (netip.Addr, bool) {
	first, rest := cutWord(comment)
	if a, ok := bracketed(first); ok {
		return a, true
	}
	if a, err := netip.ParseAddr(first); err == nil && strings.TrimSpace(rest) == "" && a.Zone() == "" {
		return a.Unmap(), true
	}
	if strings.ContainsAny(first, "[]=") {
		return netip.Addr{}, false
	}
	second, _ := cutWord(rest)
	return bracketed(second)
}

// bracketed reads an address literal (RFC 5321 §4.1.3), an IPv6 one without its tag too.
func bracketed(s string) (netip.Addr, bool) {
	s, open := strings.CutPrefix(s, "[")
	s, closed := strings.CutSuffix(s, "]")
	if !open || !closed {
		return netip.Addr{}, false
	}
	if tagged := len("IPv6:"); len(s) > tagged && strings.EqualFold(s[:tagged], "IPv6:") {
		s = s[tagged:]
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}
