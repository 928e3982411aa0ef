package message

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// maxAddresses is how many addresses are taken from the author fields of one
// message.
const maxAddresses = 1000

// FromAddresses returns the addresses of all author fields of a header: from
// holds those of From and Resent-From, sender those of Sender and
// Resent-Sender. It serves to decide whether a login may send the message, so
// everything that two readers could see differently makes ok false:
//
//   - From is missing, repeated, without an address, or cannot be parsed;
//   - Sender or Resent-Sender holds other than one address, Sender is repeated;
//   - an address contains an encoded word, or a display name decodes to control
//     characters or angle brackets;
//   - an author field holds control characters, octets that are not UTF-8 or a
//     continuation line of white space only;
//   - a line that is no field would be an author field without its odd octets;
//   - the header is larger than [MaxHeader], or there are over 1,000 addresses.
//
// Addresses are local-part@domain: comments, routes and folding are gone, the
// local part is quoted only where it must be, the domain is in lower case (but
// not converted to A-labels). With ok false the addresses found are returned
// for the log.
func FromAddresses(header []byte) (from, sender []string, ok bool) {
	ok = len(header) <= MaxHeader
	fromFields, senderFields := 0, 0
	for f := range Fields(header) {
		isFrom := f.Is("From")
		isSender := f.Is("Sender")
		switch {
		case f.Name == "":
			ok = ok && !disguisedAuthor(f.Raw)
		case isFrom || f.Is("Resent-From"):
			if isFrom {
				fromFields++
			}
			list, good := fieldAddresses(f)
			from = append(from, list...)
			ok = ok && good && len(list) > 0
		case isSender || f.Is("Resent-Sender"):
			if isSender {
				senderFields++
			}
			list, good := fieldAddresses(f)
			sender = append(sender, list...)
			ok = ok && good && len(list) == 1
		}
		if len(from)+len(sender) > maxAddresses {
			return from, sender, false
		}
	}
	return from, sender, ok && fromFields == 1 && senderFields <= 1
}

// DomainsIn gives what stands behind every "@" of a text as a domain would, in lower case. It is for fields that cannot be
// parsed, in which other readers may find another address.
func DomainsIn(s string) (domains []string) {
	for {
		_, after, found := strings.Cut(s, "@")
		if !found || len(domains) == maxAddresses {
			return domains
		}
		s = strings.TrimLeft(after, " \t")
		end := strings.IndexFunc(s, func(r rune) bool { return r != '.' && r < utf8.RuneSelf && !isAtomByte(byte(r)) })
		if end < 0 {
			end = len(s)
		}
		if domain := strings.ToLower(strings.Trim(s[:end], ".")); domain != "" {
			domains = append(domains, domain)
		}
	}
}

// disguisedAuthor reports whether the letters before the colon of a line that
// is no field spell an author field: some readers skip the other octets.
func disguisedAuthor(raw []byte) bool {
	before, _, found := bytes.Cut(raw, []byte(":"))
	if !found {
		return false
	}
	var letters []byte
	for _, c := range before {
		if 'a' <= c|0x20 && c|0x20 <= 'z' {
			letters = append(letters, c|0x20)
		}
	}
	switch string(letters) {
	case "from", "sender", "resentfrom", "resentsender":
		return true
	}
	return false
}

func fieldAddresses(f Field) (list []string, ok bool) {
	p := addressParser{s: string(f.Body())}
	ok = isClean(p.s) && !hasBlankContinuation(f.Raw) && p.addressList()
	return p.found, ok && !p.doubtful
}

// hasBlankContinuation reports whether a line after the first holds only white
// space: some readers take it for the end of the header.
func hasBlankContinuation(raw []byte) bool {
	for first := true; len(raw) > 0; first = false {
		line := raw
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			line = raw[:i+1]
		}
		raw = raw[len(line):]
		if !first && len(bytes.Trim(line, " \t\r\n")) == 0 {
			return true
		}
	}
	return false
}

// isClean reports whether s is UTF-8 without control characters other than TAB.
func isClean(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// addressParser reads address lists (RFC 5322 §3.4, obsolete forms §4.4, groups
// as RFC 6854 allows them in From, UTF-8 as RFC 6532 §3.2). It never goes back,
// so it takes linear time.
type addressParser struct {
	s        string
	i        int
	found    []string
	doubtful bool // parsed, but other readers may see another address
}

func (p *addressParser) addressList() bool {
	inGroup, wantComma := false, false
	for len(p.found) <= maxAddresses {
		if !p.skipCFWS() {
			return false
		}
		switch c := p.peek(); {
		case c == 0:
			return !inGroup
		case c == ',':
			p.i++
			wantComma = false
		case c == ';':
			if !inGroup {
				return false
			}
			p.i++
			inGroup, wantComma = false, true
		case wantComma:
			return false
		default:
			group, ok := p.mailboxOrGroup()
			if !ok || group && inGroup {
				return false
			}
			inGroup = inGroup || group
			wantComma = !group
		}
	}
	return false
}

// peek returns the next octet, 0 at the end; isClean has excluded NUL.
func (p *addressParser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

// skipCFWS skips white space and comments; false when a comment is not closed.
func (p *addressParser) skipCFWS() bool {
	depth := 0
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '(':
			depth++
		case depth == 0 && c != ' ' && c != '\t':
			return true
		case c == ')':
			depth--
		case c == '\\':
			p.i++
		}
	}
	p.i = min(p.i, len(p.s))
	return depth == 0
}

// mailboxOrGroup reads one mailbox, or the name and colon of a group. What comes
// first is a phrase or a local part; only the octet after it tells which.
func (p *addressParser) mailboxOrGroup() (group, ok bool) {
	start := p.i
	local, isLocal, ok := p.words()
	if !ok {
		return false, false
	}
	switch p.peek() {
	case '@':
		if !isLocal {
			return false, false
		}
		p.i++
		return false, p.domainOf(local)
	case '<':
		p.checkPhrase(p.s[start:p.i])
		p.i++
		return false, p.angle()
	case ':':
		p.checkPhrase(p.s[start:p.i])
		p.i++
		return true, local != ""
	}
	return false, false
}

// words reads words and dots with white space and comments between. isLocal
// reports whether they form a local part: words with single dots between.
// local is that local part with its quoting removed.
func (p *addressParser) words() (local string, isLocal, ok bool) {
	var b strings.Builder
	isLocal = true
	wantWord := true
	for {
		if !p.skipCFWS() {
			return "", false, false
		}
		c := p.peek()
		if c == '.' {
			isLocal = isLocal && !wantWord
			wantWord = true
			b.WriteByte('.')
			p.i++
			continue
		}
		if c != '"' && !isAtomByte(c) {
			return b.String(), isLocal && !wantWord, true
		}
		isLocal = isLocal && wantWord
		wantWord = false
		if c != '"' {
			b.WriteString(p.atom())
		} else if !p.quoted(&b) {
			return "", false, false
		}
	}
}

// isAtomByte reports whether c may stand in an atom; RFC 6532 adds all of UTF-8.
func isAtomByte(c byte) bool { return c >= utf8.RuneSelf || isAtext(c) }

func (p *addressParser) atom() string {
	start := p.i
	for p.i < len(p.s) && isAtomByte(p.s[p.i]) {
		p.i++
	}
	return p.s[start:p.i]
}

// quoted reads a quoted string and appends its content to b.
func (p *addressParser) quoted(b *strings.Builder) bool {
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; c {
		case '"':
			p.i++
			return true
		case '\\':
			p.i++
			if p.i < len(p.s) {
				b.WriteByte(p.s[p.i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return false
}

// angle reads the rest of an angle address, after '<'.
func (p *addressParser) angle() bool {
	if !p.route() {
		return false
	}
	address, ok := p.addrSpec()
	if !ok || p.peek() != '>' {
		return false
	}
	p.i++
	p.found = append(p.found, address)
	return true
}

// route skips an obsolete source route: "@a,@b:" (RFC 5322 §4.4).
func (p *addressParser) route() bool {
	routed := false
	for {
		if !p.skipCFWS() {
			return false
		}
		switch p.peek() {
		case ',':
			p.i++
			routed = true
		case '@':
			p.i++
			routed = true
			if _, ok := p.domain(); !ok {
				return false
			}
		case ':':
			p.i++
			return routed
		default:
			return !routed
		}
	}
}

// addrSpec reads local-part@domain and what white space and comments follow.
func (p *addressParser) addrSpec() (string, bool) {
	local, isLocal, ok := p.words()
	if !ok || !isLocal || p.peek() != '@' {
		return "", false
	}
	p.i++
	return p.join(local)
}

func (p *addressParser) domainOf(local string) bool {
	address, ok := p.join(local)
	if ok {
		p.found = append(p.found, address)
	}
	return ok
}

func (p *addressParser) join(local string) (string, bool) {
	domain, ok := p.domain()
	if !ok {
		return "", false
	}
	if strings.Contains(local, "=?") {
		p.doubtful = true
	}
	return quoteLocal(local) + "@" + strings.ToLower(domain), true
}

// domain reads a domain or domain literal and skips what follows it.
func (p *addressParser) domain() (string, bool) {
	if !p.skipCFWS() {
		return "", false
	}
	if p.peek() == '[' {
		return p.literal()
	}
	var b strings.Builder
	for {
		label := p.atom()
		if label == "" || !isLabel(label) || !p.skipCFWS() {
			return "", false
		}
		b.WriteString(label)
		if p.peek() != '.' {
			return b.String(), true
		}
		b.WriteByte('.')
		p.i++
		if !p.skipCFWS() {
			return "", false
		}
	}
}

func isLabel(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < utf8.RuneSelf && !isAlnum(c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func (p *addressParser) literal() (string, bool) {
	n := strings.IndexByte(p.s[p.i:], ']')
	if n < 0 {
		return "", false
	}
	s := p.s[p.i : p.i+n+1]
	for i := 1; i < len(s)-1; i++ {
		if c := s[i]; !isAlnum(c) && c != '.' && c != ':' && c != '-' {
			return "", false
		}
	}
	p.i += n + 1
	return s, len(s) > 2 && p.skipCFWS()
}

// checkPhrase marks a display name doubtful when decoding its encoded words
// brings forth what could end the name or the line in a careless reader.
func (p *addressParser) checkPhrase(phrase string) {
	if !strings.Contains(phrase, "=?") {
		return
	}
	if len(phrase) > maxDecoded {
		p.doubtful = true
		return
	}
	decoded := DecodeWords(phrase)
	angles := func(s string) int { return strings.Count(s, "<") + strings.Count(s, ">") }
	if !isClean(decoded) || angles(decoded) > angles(phrase) {
		p.doubtful = true
	}
}

// quoteLocal returns a local part as it must be written: bare when it is a
// dot-atom, else as a quoted string.
func quoteLocal(local string) string {
	bare := local != ""
	last := byte('.')
	for i := range len(local) {
		c := local[i]
		if c == '.' && last == '.' || c != '.' && !isAtomByte(c) {
			bare = false
			break
		}
		last = c
	}
	if bare && last != '.' {
		return local
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
}
