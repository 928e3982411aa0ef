package zone

import (
	"slices"
	"strings"

	"postroad/internal/proto/dns"
)

// spfVersion begins every SPF record (RFC 7208 §4.5).
const spfVersion = "v=spf1"

// maxSPF bounds an SPF record, in octets: an answer with it fits into one packet beside other texts (RFC 7208 §3.4).
const maxSPF = 450

// mechanisms are those of RFC 7208 §5.
var mechanisms = []string{"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"}

// SPF gives the SPF records of the zone's own name. More than one is a fault (RFC 7208 §4.5).
func (z *Zone) SPF() []string {
	var out []string
	for _, r := range z.at(z.Apex()) {
		if text := textOf(r); isSPF(text) {
			out = append(out, text)
		}
	}
	return out
}

// WithSPF gives the zone with one SPF record in place of those that it has; an empty one is none at all.
func (z *Zone) WithSPF(text string) Zone {
	var all [][]byte
	for _, r := range z.at(z.Apex()) {
		if r.Type == dns.TypeTXT && !isSPF(textOf(r)) {
			all = append(all, r.Data)
		}
	}
	if text != "" {
		all = append(all, textData(text))
	}
	return z.with(z.Apex(), dns.TypeTXT, all)
}

// isSPF reports whether the text of a record is an SPF record: the version alone, or followed by a space.
func isSPF(text string) bool {
	rest, ok := cutFold(text, spfVersion)
	return ok && (rest == "" || rest[0] == ' ')
}

func cutFold(text, prefix string) (string, bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return text, false
	}
	return text[len(prefix):], true
}

// textOf joins the character-strings of a TXT record (RFC 7208 §3.3); empty for other types.
func textOf(r dns.Record) string {
	if r.Type != dns.TypeTXT {
		return ""
	}
	var b strings.Builder
	for data := r.Data; len(data) > 0; {
		n := min(int(data[0]), len(data)-1)
		b.Write(data[1 : 1+n])
		data = data[1+n:]
	}
	return b.String()
}

// textData is a text on the wire, in character-strings of at most 255 octets.
func textData(text string) []byte {
	var out []byte
	for part := range slices.Chunk([]byte(text), 255) {
		out = append(append(out, byte(len(part))), part...)
	}
	return out
}

// CheckSPF refuses a text that is no SPF record.
func CheckSPF(text string) error {
	bad := func(why string) error {
		return &FaultError{Sentence: quoted(text) + " is no SPF record: " + why + ".", Hint: `as in "v=spf1 mx ~all"; none says that the set has no SPF record`}
	}
	visible := func(r rune) bool { return r >= ' ' && r < 0x7f }
	switch {
	case !isSPF(text):
		return bad("it does not begin with v=spf1")
	case len(text) > maxSPF:
		return bad("it is too long for one packet")
	case strings.ContainsFunc(text, func(r rune) bool { return !visible(r) }):
		return bad("it has other than visible ASCII characters")
	}
	for _, term := range strings.Fields(text)[1:] {
		if strings.Contains(modifier(term), "=") {
			continue
		}
		if name := strings.ToLower(mechanism(term)); !slices.Contains(mechanisms, name) {
			return bad("there is no mechanism " + quoted(term))
		}
	}
	return nil
}

// mechanism is the name of a term, without qualifier and what follows.
func mechanism(term string) string {
	term = strings.TrimLeft(term, "+-~?")
	if i := strings.IndexAny(term, ":/"); i >= 0 {
		term = term[:i]
	}
	return term
}

// modifier is the part of a term in which an equal sign makes it a modifier.
func modifier(term string) string {
	if i := strings.IndexAny(term, ":/"); i >= 0 {
		term = term[:i]
	}
	return term
}

// MergeSPF gives an SPF record that somebody has of their own, with what ours passes added before its end.
func MergeSPF(own, ours string) string {
	terms := strings.Fields(own)
	if len(terms) == 0 {
		return ours
	}
	end := len(terms)
	for i, term := range terms[1:] {
		if name := strings.ToLower(mechanism(term)); name == "all" || strings.HasPrefix(strings.ToLower(term), "redirect=") {
			end = i + 1
			break
		}
	}
	var more []string
	for _, term := range strings.Fields(ours)[1:] {
		has := func(other string) bool { return strings.EqualFold(other, term) }
		if strings.EqualFold(mechanism(term), "all") || strings.Contains(modifier(term), "=") || slices.ContainsFunc(terms, has) {
			continue
		}
		more = append(more, term)
	}
	return strings.Join(slices.Insert(slices.Clone(terms), end, more...), " ")
}
