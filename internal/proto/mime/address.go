package mime

import "strings"

// AddressKind says what an Address is.
type AddressKind uint8

// The kinds of Address.
const (
	Mailbox    AddressKind = iota // one address
	GroupStart                    // the name of a group (RFC 5322 §3.4); its members follow
	GroupEnd                      // the end of the group
)

// Address is one element of an address list, without the quoting of RFC 5322.
type Address struct {
	Kind   AddressKind
	Name   string // the display name, or of an address without one its comment; encoded words stay; of GroupStart the group's name
	Route  string // obsolete source route (RFC 5322 §4.4), such as "@a.example,@b.example"
	Local  string // of something that is no address: its text
	Domain string // of something that is no address: empty
}

// appendAddresses reads an address list with everything that is wrong in it:
// what is no address becomes an Address without a domain.
func appendAddresses(list []Address, s string) []Address {
	p := lister{scanner: scanner{s: s}, list: list, at: -1}
	for p.i < len(p.s) {
		p.element()
	}
	p.flush()
	if p.inGroup {
		p.list = append(p.list, Address{Kind: GroupEnd})
	}
	return p.list
}

// lister reads one element after another. Between commas it collects words, of
// which only what follows tells whether they are a name or an address.
type lister struct {
	scanner
	list    []Address
	inGroup bool

	words   strings.Builder // what was read, quoting removed
	at      int             // where in words the last "@" outside of quotes stands, -1 when there is none
	space   bool            // white space lies behind the last word
	comment string
	closed  bool // the address of this element was in angle brackets and is in the list
}

// element reads one token.
func (p *lister) element() {
	switch c := p.s[p.i]; c {
	case ' ', '\t', '\r', '\n':
		p.i++
		p.space = true
	case '(':
		p.readComment()
	case '"':
		p.add(p.quoted(), false)
	case '<':
		p.i++
		p.angle()
	case ',':
		p.i++
		p.flush()
	case ';':
		p.i++
		p.flush()
		if p.inGroup {
			p.inGroup = false
			p.list = append(p.list, Address{Kind: GroupEnd})
		}
	case ':':
		p.i++
		if p.inGroup || p.at >= 0 || p.closed {
			p.add(":", false)
			return
		}
		p.inGroup = true
		p.list = append(p.list, Address{Kind: GroupStart, Name: p.words.String()})
		p.reset()
	case '@':
		p.i++
		p.add("@", true)
	case '[':
		n := strings.IndexByte(p.s[p.i:], ']') + 1
		if n == 0 {
			n = 1
		}
		p.add(p.s[p.i:p.i+n], false)
		p.i += n
	default:
		start := p.i
		for p.i++; p.i < len(p.s) && strings.IndexByte(" \t\r\n(\"<,;:@[", p.s[p.i]) < 0; p.i++ { //nolint:revive // the loop is the search
		}
		p.add(p.s[start:p.i], false)
	}
}

// add takes a word in; words of a name are joined by a space, those of an address are not.
func (p *lister) add(word string, isAt bool) {
	if p.closed {
		return
	}
	if p.space && p.words.Len() > 0 && p.at < 0 && !isAt {
		p.words.WriteByte(' ')
	}
	p.space = false
	if isAt {
		p.at = p.words.Len()
	}
	p.words.WriteString(word)
}

// readComment keeps the text of the last comment.
func (p *lister) readComment() {
	start := p.i
	depth := 0
	for ; p.i < len(p.s); p.i++ {
		switch p.s[p.i] {
		case '(':
			depth++
		case ')':
			depth--
		case '\\':
			p.i++
		}
		if depth == 0 {
			break
		}
	}
	end := min(p.i, len(p.s))
	p.i = min(p.i+1, len(p.s))
	p.comment = strings.TrimSpace(unescape(p.s[start+1 : end]))
	p.space = true
}

// angle reads an address up to the closing bracket; what was read before is its name.
func (p *lister) angle() {
	inside := lister{scanner: scanner{s: p.s, i: p.i}, at: -1}
	route := ""
	if p.closed { // a second pair of brackets in one element
		p.flush()
	}
	for inside.i < len(inside.s) && inside.s[inside.i] != '>' {
		switch c := inside.s[inside.i]; c {
		case '(':
			inside.readComment()
		case '"':
			inside.add(inside.quoted(), false)
		case '@':
			inside.i++
			inside.add("@", true)
		case ' ', '\t', '\r', '\n':
			inside.i++
		case ':':
			inside.i++
			if text := inside.words.String(); strings.HasPrefix(text, "@") && route == "" {
				route = text
				inside.reset()
				continue
			}
			inside.add(":", false)
		default:
			inside.add(inside.s[inside.i:inside.i+1], false)
			inside.i++
		}
	}
	p.i = min(inside.i+1, len(p.s))
	a := inside.address()
	a.Name, a.Route = p.words.String(), route
	if p.at < 0 && a.Name == "" {
		a.Name = p.comment
	}
	p.reset()
	p.list = append(p.list, a)
	p.closed = true
}

// address is what the words make as an address.
func (p *lister) address() Address {
	text := p.words.String()
	if p.at < 0 {
		return Address{Local: text}
	}
	return Address{Local: text[:p.at], Domain: text[p.at+1:]}
}

// flush ends an element at a comma, at a semicolon, or at the end.
func (p *lister) flush() {
	if p.words.Len() > 0 && !p.closed {
		a := p.address()
		a.Name = p.comment
		p.list = append(p.list, a)
	}
	if last := len(p.list) - 1; p.closed && p.list[last].Name == "" {
		p.list[last].Name = p.comment
	}
	p.reset()
}

// reset begins a new element.
func (p *lister) reset() {
	p.words.Reset()
	p.at, p.space, p.comment, p.closed = -1, false, "", false
}
