package mime

import (
	"strings"

	"postroad/internal/proto/message"
)

// Limits of what is read of one part's header.
const (
	maxParams = 100 // parameters of one field, and languages
	maxToken  = 127 // octets of a type, a subtype or an encoding (RFC 6838 §4.2)
)

// Content is what the fields of a part say of its body (RFC 2045 §5 to §8,
// RFC 2183, RFC 3282, RFC 2557, RFC 1864). Texts are unfolded and otherwise as
// written; one that is absent is empty.
type Content struct {
	Type              string  // in lower case
	Subtype           string  // in lower case
	Params            []Param // of Content-Type
	ID                string
	Description       string
	Encoding          string // Content-Transfer-Encoding in lower case; "7bit" when there is none
	MD5               string
	Disposition       string // in lower case
	DispositionParams []Param
	Language          []string
	Location          string
}

// Param is a parameter of a field. The pieces of a value in several parameters
// are joined (RFC 2231 §3 and §6); a value with character set and percent encoding
// keeps both, and the name keeps its asterisk (RFC 2231 §4).
type Param struct {
	Name  string // in lower case
	Value string
}

// param gives the value of the first parameter of that name, "" when there is none.
func param(params []Param, name string) string {
	for _, p := range params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

func (c *Content) isMessage() bool {
	return c.Type == "message" && (c.Subtype == "rfc822" || c.Subtype == "global")
}

// boundary gives what separates the parts of a multipart, "" when nothing does.
func (c *Content) boundary() string {
	b := strings.TrimRight(param(c.Params, "boundary"), " \t")
	if len(b) > maxBoundary {
		return ""
	}
	return b
}

// readContent reads a header's Content fields, the first of each name. What it
// keeps is taken from room; what has no room is left out.
func readContent(header []byte, digest bool, room *int) Content {
	c := Content{Type: "text", Subtype: "plain", Encoding: "7bit"}
	if digest {
		c.Type, c.Subtype = "message", "rfc822"
	}
	const prefix = "content-"
	seen := map[string]bool{}
	for f := range message.Fields(header) {
		if len(f.Name) <= len(prefix) || !strings.EqualFold(f.Name[:len(prefix)], prefix) {
			continue
		}
		name := strings.ToLower(f.Name[len(prefix):])
		if seen[name] {
			continue
		}
		if *room -= len(name); *room < 0 {
			break
		}
		seen[name] = true
		c.read(name, f, room)
	}
	return c
}

// read takes one field over.
func (c *Content) read(name string, f message.Field, room *int) {
	text := func(to *string) {
		if value := f.Value(); len(value) <= *room {
			*room -= len(value)
			*to = value
		}
	}
	switch name {
	case "type":
		in := scanner{s: f.Value()}
		kind, subtype, ok := in.mediaType()
		if !ok {
			c.Type, c.Subtype = "text", "plain"
			return
		}
		c.Type, c.Subtype = kind, subtype
		c.Params = in.params(room)
	case "transfer-encoding":
		in := scanner{s: f.Value()}
		in.skip()
		if word := in.word(";"); word != "" && len(word) <= maxToken {
			c.Encoding = strings.ToLower(word)
		}
	case "disposition":
		in := scanner{s: f.Value()}
		in.skip()
		if word := in.word(";"); word != "" && len(word) <= maxToken {
			c.Disposition = strings.ToLower(word)
			c.DispositionParams = in.params(room)
		}
	case "language":
		c.Language = languages(f.Value(), room)
	case "id":
		text(&c.ID)
	case "description":
		text(&c.Description)
	case "md5":
		text(&c.MD5)
	case "location":
		text(&c.Location)
	}
}

// languages reads a list of language tags (RFC 3282 §2).
func languages(value string, room *int) []string {
	var list []string
	in := scanner{s: value}
	for in.i < len(in.s) && len(list) < maxParams {
		in.skip()
		word := in.word(",")
		in.skip()
		if in.i < len(in.s) && in.s[in.i] == ',' {
			in.i++
		} else if word == "" {
			in.i++
		}
		if word == "" {
			continue
		}
		if *room -= len(word) + 16; *room < 0 {
			break
		}
		list = append(list, word)
	}
	return list
}

// scanner reads the value of a structured field.
type scanner struct {
	s string
	i int
}

// skip passes over white space and comments; one that is not closed reaches to the end.
func (in *scanner) skip() {
	depth := 0
	for ; in.i < len(in.s); in.i++ {
		switch c := in.s[in.i]; {
		case c == '(':
			depth++
		case depth > 0 && c == ')':
			depth--
		case depth > 0 && c == '\\':
			in.i++
		case depth == 0 && c != ' ' && c != '\t' && c != '\r':
			return
		}
	}
	in.i = len(in.s)
}

// word reads up to white space, a comment or one of the given octets.
func (in *scanner) word(until string) string {
	start := in.i
	for in.i < len(in.s) {
		c := in.s[in.i]
		if c == ' ' || c == '\t' || c == '(' || strings.IndexByte(until, c) >= 0 {
			break
		}
		in.i++
	}
	return in.s[start:in.i]
}

// mediaType reads type/subtype in lower case.
func (in *scanner) mediaType() (kind, subtype string, ok bool) {
	in.skip()
	kind = in.word("/;")
	in.skip()
	if kind == "" || in.i == len(in.s) || in.s[in.i] != '/' {
		return "", "", false
	}
	in.i++
	in.skip()
	subtype = in.word("/;")
	if !isToken(kind) || !isToken(subtype) {
		return "", "", false
	}
	return strings.ToLower(kind), strings.ToLower(subtype), true
}

// isToken tells whether s is a token (RFC 2045 §5.1) that is not too long.
func isToken(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return true
}

// params reads parameters, each after a semicolon, and joins those in pieces.
func (in *scanner) params(room *int) []Param {
	var list []Param
	for range maxParams {
		name, value, ok := in.param()
		if !ok {
			break
		}
		if name == "" || len(name) > maxToken {
			continue
		}
		if *room -= len(name) + len(value) + 32; *room < 0 {
			break
		}
		list = append(list, Param{Name: strings.ToLower(name), Value: value})
	}
	return joinPieces(list)
}

// param reads the next parameter; its name is empty when it has none.
func (in *scanner) param() (name, value string, ok bool) {
	n := strings.IndexByte(in.s[in.i:], ';')
	if n < 0 {
		return "", "", false
	}
	in.i += n + 1
	in.skip()
	name = in.word("=;")
	in.skip()
	if in.i == len(in.s) || in.s[in.i] != '=' {
		return "", "", true
	}
	in.i++
	in.skip()
	if in.i < len(in.s) && in.s[in.i] == '"' {
		return name, in.quoted(), true
	}
	return name, in.word(";"), true
}

// quoted reads a quoted string without its quotes; one that is not closed reaches to the end.
func (in *scanner) quoted() string {
	in.i++
	start := in.i
	plain := true
	for ; in.i < len(in.s) && in.s[in.i] != '"'; in.i++ {
		if in.s[in.i] == '\\' {
			plain = false
			in.i++
		}
	}
	in.i = min(in.i, len(in.s))
	value := in.s[start:in.i]
	in.i = min(in.i+1, len(in.s))
	if plain {
		return value
	}
	return unescape(value)
}

// unescape takes the backslash from each quoted pair.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
