package authres

import (
	"strings"
)

// parser reads a field from left to right and never goes back.
type parser struct {
	s string
	i int
}

// skip passes white space and comments (RFC 5322 §3.2.2); false when a comment does not end.
func (p *parser) skip() bool {
	depth := 0
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '(':
			depth++
		case depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return true
		case c == ')':
			depth--
		case c == '\\' && depth > 0:
			p.i++
		}
	}
	p.i = min(p.i, len(p.s))
	return depth == 0
}

// end reports whether nothing more comes.
func (p *parser) end() bool { return p.skip() && p.i == len(p.s) }

// take passes one character after white space and comments.
func (p *parser) take(c byte) bool {
	if !p.skip() || p.i >= len(p.s) || p.s[p.i] != c {
		return false
	}
	p.i++
	return true
}

// word reads the longest run of characters after white space and comments, where it is good.
func (p *parser) word(good func(string) bool) (string, bool) {
	if !p.skip() {
		return "", false
	}
	end := p.i
	for end < len(p.s) && isToken(p.s[end:end+1]) {
		end++
	}
	if word := p.s[p.i:end]; word != "" && good(word) {
		p.i = end
		return word, true
	}
	return "", false
}

// value reads a token or a quoted string.
func (p *parser) value() (string, bool) {
	if !p.skip() || p.i >= len(p.s) {
		return "", false
	}
	if p.s[p.i] != '"' {
		return p.word(isToken)
	}
	var out strings.Builder
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return out.String(), true
		case c == '\\':
			p.i++
			if p.i < len(p.s) {
				out.WriteByte(p.s[p.i])
			}
		default:
			out.WriteByte(c)
		}
	}
	return "", false
}

// id reads the authserv-id. What follows must not belong to it.
func (p *parser) id() (string, bool) {
	id, ok := p.value()
	if !ok || id == "" {
		return "", false
	}
	after := p.i
	if !p.skip() {
		return "", false
	}
	if p.i == len(p.s) || p.s[p.i] == ';' || after != p.i && isDigits(p.s[p.i:p.i+1]) {
		return id, true
	}
	return "", false
}

// method reads one result with its reason and properties; none for the word that says there is no result.
func (p *parser) method() (m Method, none, ok bool) {
	name, ok := p.word(isKeyword)
	if !ok {
		return m, false, false
	}
	if strings.EqualFold(name, "none") && p.end() {
		return m, true, true
	}
	if p.take('/') {
		if _, ok := p.word(isDigits); !ok {
			return m, false, false
		}
	}
	m.Name = strings.ToLower(name)
	if !p.take('=') {
		return m, false, false
	}
	result, ok := p.word(isKeyword)
	if !ok {
		return m, false, false
	}
	m.Result = strings.ToLower(result)
	for p.skip() && p.i < len(p.s) && p.s[p.i] != ';' {
		if len(m.Properties) >= maxProps || !p.fact(&m) {
			return m, false, false
		}
	}
	return m, false, true
}

// fact reads a reason or a property.
func (p *parser) fact(m *Method) bool {
	word, ok := p.word(isToken)
	if !ok {
		return false
	}
	kind, name, dotted := strings.Cut(word, ".")
	if !dotted {
		if strings.EqualFold(word, "reason") && m.Reason == "" && len(m.Properties) == 0 && p.take('=') {
			m.Reason, ok = p.value()
			return ok
		}
		if !p.take('.') {
			return false
		}
		name = ""
	}
	if name == "" {
		if name, ok = p.word(isKeyword); !ok {
			return false
		}
	}
	if !isKeyword(kind) || !isKeyword(name) || !p.take('=') {
		return false
	}
	value, ok := p.property()
	m.Properties = append(m.Properties, Property{Type: strings.ToLower(kind), Name: strings.ToLower(name), Value: value})
	return ok
}

// property reads a value, or an address that is written as it is.
func (p *parser) property() (string, bool) {
	if !p.skip() || p.i >= len(p.s) {
		return "", false
	}
	local := ""
	if p.s[p.i] != '@' {
		var ok bool
		if local, ok = p.pvalue(); !ok {
			return "", false
		}
		if p.i >= len(p.s) || p.s[p.i] != '@' {
			return local, true
		}
	}
	p.i++
	domain, ok := p.word(isToken)
	return local + "@" + domain, ok
}

// pvalue reads a value; of a token, slashes, colons and equals signs too, which many write without quotes.
func (p *parser) pvalue() (string, bool) {
	if p.s[p.i] == '"' {
		return p.value()
	}
	end := p.i
	for end < len(p.s) && (isToken(p.s[end:end+1]) || strings.IndexByte("/:=[]<>?", p.s[end]) >= 0) {
		end++
	}
	value := p.s[p.i:end]
	p.i = end
	return value, value != ""
}

func isKeyword(s string) bool { return s != "" && keyword(s) == s }

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
