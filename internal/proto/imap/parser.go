package imap

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	maxDepth  = 100   // of parentheses
	maxList   = 1000  // entries of a list in a command
	maxRanges = 10000 // of a sequence set
)

// classes of octets in the grammar of RFC 9051 §9.
const (
	isAtom    uint8 = 1 << iota // ATOM-CHAR
	isAstring                   // ASTRING-CHAR
	isList                      // list-char
	isTag                       // of a tag
)

var classes = classTable()

func classTable() (t [256]uint8) {
	for c := byte(0x21); c < 0x7f; c++ {
		switch c {
		case '(', ')', '{', '"', '\\':
		case '%', '*':
			t[c] = isList
		case ']':
			t[c] = isAstring | isList | isTag
		case '+':
			t[c] = isAtom | isAstring | isList
		default:
			t[c] = isAtom | isAstring | isList | isTag
		}
	}
	return t
}

// parser reads the text of one command from left to right. The first failure stays; what is read after it is empty.
type parser struct {
	text  []byte
	pos   int
	lits  []literal
	utf8  bool
	depth int
	err   *Error
	upper [40]byte // of keyword
}

func (r *Reader) parser() *parser {
	return &parser{text: r.text, lits: r.lits, utf8: r.utf8}
}

func (p *parser) fail(text string) { p.refuse(BAD, "", text) }

func (p *parser) refuse(status Status, code Code, text string) {
	if p.err == nil {
		p.err = &Error{Status: status, Code: code, Text: text}
		p.pos = len(p.text)
	}
}

func (p *parser) failure(tag string) error {
	if p.err == nil {
		return nil
	}
	p.err.Tag = tag
	return p.err
}

// peek is the next octet, 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

// accept takes c if it comes next.
func (p *parser) accept(c byte) bool {
	if p.pos < len(p.text) && p.text[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(c byte) {
	if !p.accept(c) {
		switch c {
		case ' ':
			p.fail("A space is missing, or there is an argument too few.")
		case ')', ']':
			p.fail("A bracket is not closed.")
		default:
			p.fail("Expected " + string(rune(c)) + ".")
		}
	}
}

func (p *parser) space() { p.expect(' ') }

// end demands that the command is over.
func (p *parser) end() {
	if p.pos < len(p.text) {
		p.fail("There is more than the command takes.")
	}
}

// token takes the octets of a class that come next; there must be one.
func (p *parser) token(class uint8) []byte {
	from := p.pos
	for p.pos < len(p.text) && classes[p.text[p.pos]]&class != 0 {
		p.pos++
	}
	if p.pos == from {
		p.fail("A word is missing, or it has an octet that words must not have.")
		return nil
	}
	return p.text[from:p.pos]
}

func (p *parser) atom() string { return string(p.token(isAtom)) }

// keyword takes an atom in capitals, valid until the next one. An atom that is longer than any keyword is empty.
func (p *parser) keyword() []byte { return p.capitals(p.token(isAtom)) }

func (p *parser) capitals(word []byte) []byte {
	if len(word) > len(p.upper) {
		return nil
	}
	for i, c := range word {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		p.upper[i] = c
	}
	return p.upper[:len(word)]
}

// next takes a keyword if it is the given one, which is in capitals.
func (p *parser) next(word string) bool {
	end := p.pos + len(word)
	if end > len(p.text) || !bytes.EqualFold(p.text[p.pos:end], []byte(word)) ||
		end < len(p.text) && classes[p.text[end]]&isAtom != 0 {
		return false
	}
	p.pos = end
	return true
}

// literal takes the literal that is announced here; ok is false where none is.
func (p *parser) literal() (content []byte, binary, ok bool) {
	for len(p.lits) > 0 && p.lits[0].at < p.pos {
		p.lits = p.lits[1:]
	}
	if len(p.lits) == 0 || p.lits[0].at != p.pos {
		return nil, false, false
	}
	l := p.lits[0]
	p.lits, p.pos = p.lits[1:], l.end
	return p.text[l.start:l.end], l.binary, true
}

// str takes a string: quoted or a literal.
func (p *parser) str() string {
	if p.accept('"') {
		return p.quoted()
	}
	content, binary, ok := p.literal()
	if !ok || binary {
		p.fail("Expected a string.")
	}
	return string(content)
}

func (p *parser) quoted() string {
	line := p.text[:p.lineEnd()]
	from := p.pos
	var unescaped []byte // used once there was an escape
	for ; p.pos < len(line); p.pos++ {
		switch c := line[p.pos]; {
		case c == '"':
			s := line[from:p.pos]
			if unescaped != nil {
				s = unescaped
			}
			p.pos++
			if !utf8.Valid(s) {
				p.fail("A quoted string is not in UTF-8.")
			}
			return string(s)
		case c == '\\':
			if p.pos+1 == len(line) || line[p.pos+1] != '"' && line[p.pos+1] != '\\' {
				p.fail(`Only " and \ stand behind a \ in a quoted string.`)
				return ""
			}
			if unescaped == nil {
				unescaped = append(make([]byte, 0, 64), line[from:p.pos]...)
			}
			p.pos++
			unescaped = append(unescaped, line[p.pos])
		case c == 0:
			p.fail("NUL stands in literal8 only.")
			return ""
		case unescaped != nil:
			unescaped = append(unescaped, c)
		}
	}
	p.fail("A quoted string is not closed.")
	return ""
}

// lineEnd is where the line ends that is being read: behind the next announcement of a literal.
func (p *parser) lineEnd() int {
	for _, l := range p.lits {
		if l.at >= p.pos {
			return l.start
		}
	}
	return len(p.text)
}

func (p *parser) astring() string {
	if p.pos < len(p.text) && classes[p.text[p.pos]]&isAstring != 0 {
		return string(p.token(isAstring))
	}
	return p.str()
}

// text8 takes an astring that has to be UTF-8.
func (p *parser) text8() string {
	s := p.astring()
	if !utf8.ValidString(s) {
		p.fail("A string is not in UTF-8.")
	}
	return s
}

// nstring takes a string or NIL.
func (p *parser) nstring() (s string, isNil bool) {
	if p.next("NIL") {
		return "", true
	}
	return p.str(), false
}

// number takes a number from least to most.
func (p *parser) number(least, most uint64) uint64 {
	from := p.pos
	var n uint64
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		d := uint64(c - '0')
		if n > (most-d)/10 {
			p.fail("A number is too large.")
			return 0
		}
		n = n*10 + d
		p.pos++
	}
	switch {
	case p.pos == from:
		p.fail("A number is missing.")
	case n < least:
		p.fail("A number is too small.")
	}
	return n
}

func (p *parser) nzNumber() uint32   { return uint32(p.number(1, 1<<32-1)) }
func (p *parser) number63() uint64   { return p.number(0, 1<<63-1) }
func (p *parser) nzNumber63() uint64 { return p.number(1, 1<<63-1) }

// list takes "(" entry *(SP entry) ")", or "()".
func (p *parser) list(entry func()) {
	p.expect('(')
	if p.depth++; p.depth > maxDepth {
		p.fail("Parentheses are nested too deeply.")
	}
	for n := 0; p.err == nil && !p.accept(')'); n++ {
		if n > 0 {
			p.space()
		}
		if n == maxList {
			p.fail("A list has more than " + strconv.Itoa(maxList) + " entries.")
		}
		if p.err == nil {
			entry()
		}
	}
	p.depth--
}

// mailbox takes a mailbox name and gives it in UTF-8, INBOX in capitals.
func (p *parser) mailbox() string {
	name := p.decodeName(p.astring())
	if p.err == nil && !ValidName(name) {
		p.refuse(NO, "CANNOT", "A mailbox name must not be empty, longer than 1000 octets, or have control characters.")
	}
	return name
}

// decodeName gives a name's UTF-8. Clients that take us for a server of RFC 9051 alone send UTF-8 without ENABLE, with
// "&-" for "&"; no octet of it can be one of modified UTF-7.
func (p *parser) decodeName(name string) string {
	if !utf8.ValidString(name) {
		p.refuse(NO, "CANNOT", "A mailbox name is not in UTF-8.")
	}
	if p.utf8 {
		return CleanName(name)
	}
	decoded, ok := decodeUTF7(name, true)
	if !ok {
		p.refuse(NO, "CANNOT", "A mailbox name is not in modified UTF-7.")
	}
	return CleanName(decoded)
}

// pattern takes list-mailbox.
func (p *parser) pattern() string {
	var s string
	if p.pos < len(p.text) && classes[p.text[p.pos]]&isList != 0 {
		s = string(p.token(isList))
	} else {
		s = p.str()
	}
	return p.decodePattern(s)
}

// decodePattern gives the UTF-8 of a pattern or reference, which may be empty and may match nothing.
func (p *parser) decodePattern(s string) string {
	s = p.decodeName(s)
	if len(s) > maxName {
		p.refuse(NO, "CANNOT", "A mailbox name must not be longer than 1000 octets.")
	}
	return s
}

// Flags (RFC 9051 §2.3.2) in the spelling that is sent.
const (
	Seen     = `\Seen`
	Answered = `\Answered`
	Flagged  = `\Flagged`
	Deleted  = `\Deleted`
	Draft    = `\Draft`
	Recent   = `\Recent` // of RFC 3501 alone; nobody can set it
)

// flag takes a flag that can be set: a system flag or a keyword.
func (p *parser) flag() string {
	if !p.accept('\\') {
		if word := p.token(isAtom); len(word) <= maxKeyword {
			return string(word)
		}
		p.refuse(NO, "LIMIT", "A keyword must not be longer than "+strconv.Itoa(maxKeyword)+" octets.")
		return ""
	}
	switch string(p.keyword()) {
	case "SEEN":
		return Seen
	case "ANSWERED":
		return Answered
	case "FLAGGED":
		return Flagged
	case "DELETED":
		return Deleted
	case "DRAFT":
		return Draft
	}
	p.fail(`Only \Seen, \Answered, \Flagged, \Deleted, \Draft and keywords can be set.`)
	return ""
}

const maxKeyword = 100 // octets of a keyword

// flags takes a flag-list without its repetitions.
func (p *parser) flags() []string {
	list := make([]string, 0, 4)
	p.list(func() { list = addFlag(list, p.flag()) })
	return list
}

func addFlag(list []string, flag string) []string {
	for _, f := range list {
		if equalFold(f, flag) {
			return list
		}
	}
	return append(list, flag)
}

func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// dateTime takes date-time, with its quotes.
func (p *parser) dateTime() time.Time {
	const layout = "_2-Jan-2006 15:04:05 -0700"
	if !p.accept('"') {
		p.fail("Expected a date and time in quotes.")
		return time.Time{}
	}
	text := p.quoted()
	at, err := time.ParseInLocation(layout, text, time.UTC)
	if err != nil || len(text) != len(layout) {
		p.fail(`A date and time looks like "17-Jul-1996 02:44:25 -0700".`)
	}
	return at
}

// Date is a day of the calendar.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf is the day that t has where it was written.
func DateOf(t time.Time) Date {
	year, month, day := t.Date()
	return Date{Year: year, Month: month, Day: day}
}

// Compare is below 0 where d is before other, above 0 where it is after it.
func (d Date) Compare(other Date) int {
	switch {
	case d.Year != other.Year:
		return d.Year - other.Year
	case d.Month != other.Month:
		return int(d.Month) - int(other.Month)
	}
	return d.Day - other.Day
}

// date takes date: 1-Feb-1994, with or without quotes.
func (p *parser) date() Date {
	var text string
	if p.accept('"') {
		text = p.quoted()
	} else {
		text = string(p.token(isAtom))
	}
	at, err := time.ParseInLocation("2-Jan-2006", text, time.UTC)
	if err != nil {
		p.fail("A date looks like 1-Feb-1994.")
	}
	return DateOf(at)
}
