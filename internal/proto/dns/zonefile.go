package dns

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	codec "github.com/miekg/dns"
)

// The limits of a zone text that ReadZone takes where none are given.
const (
	DefaultTextOctets  = 4 << 20
	DefaultTextRecords = 10000
)

// maxTTL is the greatest TTL, in seconds (RFC 2181 §8).
const maxTTL = 1<<31 - 1

// ZoneText is what a zone file says.
type ZoneText struct {
	// Records are in the order of the text.
	Records []Record
	// Lines are where each of Records ends, the first line is 1.
	Lines []int
	// Signing is how many records were left out because signing a zone makes them (Type.DNSSEC).
	Signing int
}

// TextError says what is wrong in a zone text, and where. It wraps ErrSyntax.
type TextError struct {
	Line     int    // the first is 1; 0: nowhere in particular
	Sentence string // what is wrong
	Hint     string // what to do, without a capital and a full stop
}

// Error is line, sentence and hint.
func (e *TextError) Error() string {
	text := e.Sentence
	if e.Line > 0 {
		text = "line " + strconv.Itoa(e.Line) + ": " + text
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Unwrap is ErrSyntax.
func (e *TextError) Unwrap() error { return ErrSyntax }

// ReadZone reads a zone file (RFC 1035 §5) of the zone origin, which is absolute: as BIND, cPanel and the DNS server of
// Windows write them, and as people do. $ORIGIN and $TTL are understood; $INCLUDE would read files of this machine and
// $GENERATE make any number of records, so both are refused. So are classes other than IN. Where a TTL is left out, that
// of $TTL holds (RFC 2308 §4), without one the last that was written, or else the least TTL of the SOA record; in a file
// of Windows always the latter. A limit of 0 is its default. Errors are a TextError, or what r gives.
//
// Which names and records a zone may have is not judged here.
func ReadZone(r io.Reader, origin string, limits Limits) (ZoneText, error) {
	if limits.Octets == 0 {
		limits.Octets = DefaultTextOctets
	}
	if limits.Records == 0 {
		limits.Records = DefaultTextRecords
	}
	text, err := io.ReadAll(io.LimitReader(r, limits.Octets+1))
	if err != nil {
		return ZoneText{}, err
	}
	if int64(len(text)) > limits.Octets {
		return ZoneText{}, &TextError{Sentence: fmt.Sprintf("The zone file has more than %d octets.", limits.Octets), Hint: "leave out what is not needed, or ask the operator for more"}
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return ZoneText{}, &TextError{Line: 1, Sentence: "The file is UTF-16 text.", Hint: "save it as ASCII or UTF-8 text"}
	}
	look, err := scanText(text)
	if err != nil {
		return ZoneText{}, err
	}
	z := zoneReader{look: look, limits: limits, end: 1 + bytes.Count(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))}
	z.lines.text = append(text, "\n\n"...) // the library takes a record that ends with the text for one without data
	parser := codec.NewZoneParser(&z.lines, codec.Fqdn(origin), "")
	if !look.hasTTL {
		if least, ok := leastTTL(text, origin); ok && windowsFile(text) {
			z.lines.text, z.lines.before = append(fmt.Appendf(nil, "$TTL %d\n", least), z.lines.text...), 1
		} else if ok {
			parser.SetDefaultTTL(least)
		}
	}
	err = z.read(parser)
	return z.got, err
}

// windowsFile reports whether the DNS server of Windows wrote the file.
func windowsFile(text []byte) bool {
	return bytes.Contains(text[:min(len(text), 512)], []byte("Database file"))
}

// leastTTL finds the least TTL of the SOA record.
func leastTTL(text []byte, origin string) (uint32, bool) {
	parser := codec.NewZoneParser(bytes.NewReader(text), codec.Fqdn(origin), "")
	parser.SetDefaultTTL(0)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if soa, is := rr.(*codec.SOA); is {
			return soa.Minttl, true
		}
	}
	return 0, false
}

// lineReader gives a text octet by octet to the library's parser, which reads no further than it has to.
type lineReader struct {
	text   []byte
	at     int
	line   int // how many line ends were read
	before int // lines that are not of the file
}

// ReadByte gives the next octet.
func (l *lineReader) ReadByte() (byte, error) {
	if l.at == len(l.text) {
		return 0, io.EOF
	}
	c := l.text[l.at]
	l.at++
	if c == '\n' {
		l.line++
	}
	return c, nil
}

// Read is for the library's signature; the parser uses ReadByte.
func (l *lineReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := l.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

// last is the line of the octet that was read last.
func (l *lineReader) last() int {
	line := l.line + 1 - l.before
	if l.at > 0 && l.text[l.at-1] == '\n' {
		line--
	}
	return line
}

// zoneReader takes records from the library's parser.
type zoneReader struct {
	lines  lineReader
	look   textLook
	limits Limits
	end    int // the last line
	got    ZoneText
}

// read takes all records.
func (z *zoneReader) read(parser *codec.ZoneParser) error {
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		line := z.lines.last()
		if Type(rr.Header().Rrtype).DNSSEC() {
			z.got.Signing++
			continue
		}
		r, err := z.record(rr, line)
		if err != nil {
			return err
		}
		if len(z.got.Records) == z.limits.Records {
			return &TextError{Line: line, Sentence: fmt.Sprintf("The zone file has more than %d records.", z.limits.Records), Hint: "leave out what is not needed, or ask the operator for more"}
		}
		z.got.Records = append(z.got.Records, r)
		z.got.Lines = append(z.got.Lines, line)
	}
	if err := parser.Err(); err != nil {
		return z.failed(err)
	}
	return nil
}

// record gives a record of the library as ours.
func (z *zoneReader) record(rr codec.RR, line int) (Record, error) {
	header := rr.Header()
	wrong := func(sentence, hint string) (Record, error) {
		return Record{}, &TextError{Line: line, Sentence: sentence, Hint: hint}
	}
	if header.Name == "" {
		return wrong("The first record has no owner.", "begin the line with a name, or with @ for the zone itself")
	}
	name, err := Name(header.Name, "")
	if err != nil {
		return wrong(fmt.Sprintf("%.80q is no name.", header.Name), "write labels of at most 63 octets, joined by dots")
	}
	r := Record{Name: name, Type: Type(header.Rrtype), TTL: header.Ttl}
	switch {
	case header.Class != codec.ClassINET:
		return wrong("A record has a class other than IN.", "write IN, or leave the class out")
	case r.Type.Meta():
		return wrong("A record has the type "+r.Type.String()+", which belongs to questions and messages.", "leave it out")
	case r.TTL > maxTTL:
		return wrong(fmt.Sprintf("The TTL %d is too great.", r.TTL), fmt.Sprintf("write a day or less, such as 86400; at most %d", maxTTL))
	}
	if r.Data, err = wireData(rr); err != nil || r.Valid() != nil {
		return wrong("What a record of type "+r.Type.String()+" says is no data of that type.", dataForm(r.Type))
	}
	if length, generic := z.look.generic(line); generic && length != len(r.Data) {
		return wrong("What a record of type "+r.Type.String()+" says in hexadecimal is no data of that type.", `after \# come the number of octets and the octets`)
	}
	return r, nil
}

// shownToken is how many octets of a text an error shows.
const shownToken = 60

// failed makes an error of the library one for people.
func (z *zoneReader) failed(err error) error {
	var parse *codec.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	text, line := strings.TrimPrefix(err.Error(), "dns: "), z.lines.last()
	if at := strings.LastIndex(text, " at line: "); at >= 0 {
		where, _, _ := strings.Cut(text[at+len(" at line: "):], ":")
		if n, err := strconv.Atoi(where); err == nil {
			line = min(max(1, n-z.lines.before), z.end)
		}
		text = text[:at]
	}
	what, token := text, ""
	if at := strings.Index(text, `: "`); at >= 0 {
		what, token = text[:at], text[at+2:]
	}
	if len(token) > shownToken {
		token = token[:shownToken] + `…"`
	}
	if token == `"\n"` || token == `""` || token == `" "` {
		token = "nothing"
	}
	for _, known := range libraryErrors {
		if strings.Contains(text, known.says) {
			return &TextError{Line: line, Sentence: strings.ReplaceAll(known.sentence, "TOKEN", token), Hint: known.hint}
		}
	}
	kind, field, _ := strings.Cut(strings.TrimPrefix(what, "bad "), " ")
	t, err := ParseType(kind)
	if err != nil {
		return &TextError{Line: line, Sentence: fmt.Sprintf("%s is not understood: %s.", token, what), Hint: lineForm}
	}
	sentence := fmt.Sprintf("A record of type %s has %s in place of its %s.", t, token, strings.TrimSpace(field))
	return &TextError{Line: line, Sentence: sentence, Hint: dataForm(t)}
}

// lineForm is the hint for lines.
const lineForm = "a line is: name, TTL, IN, type, data; TTL and IN may be left out, and in place of the name of the line before may stand blanks"

// dataForm is the hint for the data of a type.
func dataForm(t Type) string {
	if example, ok := dataForms[t]; ok {
		return "write it like this: " + t.String() + " " + example
	}
	return "write it as the type wants it"
}

// dataForms are examples of data.
var dataForms = map[Type]string{
	TypeA: "192.0.2.1", TypeAAAA: "2001:db8::1", TypeNS: "ns1.example.net.", TypeCNAME: "www.example.net.", TypePTR: "host.example.net.",
	TypeDNAME: "example.org.", TypeMX: "10 mail.example.net.", TypeTXT: `"v=spf1 mx -all"`, TypeSRV: "0 5 993 imap.example.net.",
	TypeCAA: `0 issue "ca.example"`, TypeSOA: "ns1.example.net. hostmaster.example.net. 1 7200 1800 1209600 300",
	TypeTLSA: "3 1 1 and 64 hexadecimal digits", TypeSSHFP: "4 2 and 64 hexadecimal digits", TypeDS: "12345 13 2 and 64 hexadecimal digits",
	TypeNAPTR: `100 10 "u" "E2U+sip" "!^.*$!sip:info@example.net!" .`, TypeHTTPS: `1 . alpn="h2"`, TypeSVCB: `1 svc.example.net. port="8443"`,
}

// libraryErrors are what the library says, and what that means.
var libraryErrors = []struct{ says, sentence, hint string }{
	{"extra closing brace", "A ) has no (.", "leave it out"},
	{"unbalanced brace", "A ( is never closed.", "add a ) after the last line of the record"},
	{"missing TTL", "The first record has no TTL, and nothing says which one holds.", "begin the file with $TTL 3600"},
	{"not a TTL", "TOKEN is neither a TTL nor a type.", lineForm},
	{"expecting RR type", "There is TOKEN where a type belongs.", lineForm},
	{"unknown RR type", "TOKEN is no type of record.", "write a type such as A or MX, or TYPE and its number"},
	{"unknown class", "A record has a class that is not known.", "write IN, or leave the class out"},
	{"bad owner name", "TOKEN is no name.", "write labels of at most 63 octets, joined by dots"},
	{"bad origin name", "TOKEN is no name for $ORIGIN.", "write the whole name with its last dot"},
	{"expecting $TTL value", "TOKEN is no TTL.", "write seconds, such as $TTL 3600, or $TTL 1h"},
	{"expecting $ORIGIN value", "TOKEN is no name for $ORIGIN.", "write the whole name with its last dot"},
	{"no blank", "There is TOKEN where a blank and more belong.", lineForm},
	{"garbage after", "TOKEN follows data that is complete.", "leave it out, put a ; before what is a comment, and \" around texts that have blanks"},
	{"syntax error at beginning", "The line does not begin with a name.", lineForm},
	{"unexpected newline", "The line ends before its data.", lineForm},
}
