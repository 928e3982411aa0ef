package message

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"
)

// Errors of the field writers; none is temporary.
var (
	// ErrFieldName tells of a name that RFC 5322 §2.2 does not allow.
	ErrFieldName = errors.New("message: bad field name")
	// ErrFieldValue tells of a value with CR, LF, NUL, another control
	// character except TAB, or octets that are not UTF-8.
	ErrFieldValue = errors.New("message: bad field value")
	// ErrLineTooLong tells of a value that cannot be folded into lines of 998
	// octets.
	ErrLineTooLong = errors.New("message: line too long")
)

const (
	foldAt        = 78  // RFC 5322 §2.1.1
	maxLine       = 998 // RFC 5322 §2.1.1
	maxFieldName  = 128
	maxEncodedRow = 76 // RFC 2047 §2
)

// AppendField appends the field "name: value" with its CRLF to b. Long lines
// are folded at white space where possible; unfolding gives the value back.
// White space at both ends of the value is dropped. UTF-8 is written as it is,
// which is right only in messages sent with SMTPUTF8 (RFC 6532); see
// [AppendEncodedField]. On error b is returned unchanged.
func AppendField(b []byte, name, value string) ([]byte, error) {
	value, err := checkField(name, value)
	if err != nil {
		return b, err
	}
	out := append(b, name...)
	out = append(out, ':')
	if value != "" {
		out = append(out, ' ')
	}
	out, longest := appendFolded(out, value, len(name)+2)
	if longest > maxLine {
		return b, ErrLineTooLong
	}
	return append(out, "\r\n"...), nil
}

// AppendEncodedField is [AppendField] for unstructured fields such as Subject
// in messages of ASCII only: a value with other characters, or one that could
// be mistaken for an encoded word, is written as encoded words (RFC 2047).
func AppendEncodedField(b []byte, name, value string) ([]byte, error) {
	if isASCII(value) && !strings.Contains(value, "=?") {
		return AppendField(b, name, value)
	}
	value, err := checkField(name, value)
	if err != nil {
		return b, err
	}
	b = append(b, name...)
	b = append(b, ": "...)
	b = appendEncodedWords(b, value, len(name)+2)
	return append(b, "\r\n"...), nil
}

func checkField(name, value string) (string, error) {
	if name == "" || len(name) > maxFieldName || nameLen([]byte(name+":")) != len(name) {
		return "", ErrFieldName
	}
	if !isClean(value) {
		return "", ErrFieldValue
	}
	return strings.Trim(value, " \t"), nil
}

// appendFolded appends value, which begins at column col, with CRLF before the
// white space where a line would pass foldAt. It returns the longest line.
func appendFolded(b []byte, value string, col int) (_ []byte, longest int) {
	for i := 0; i < len(value); {
		word := i
		for word < len(value) && isWSP(value[word]) {
			word++
		}
		end := word
		for end < len(value) && !isWSP(value[end]) {
			end++
		}
		if word > i && col+end-i > foldAt {
			b = append(b, "\r\n"...)
			longest = max(longest, col)
			col = 0
		}
		b = append(b, value[i:end]...)
		col += end - i
		i = end
	}
	return b, max(longest, col)
}

func isWSP(c byte) bool { return c == ' ' || c == '\t' }

// appendEncodedWords appends value as encoded words, each on a line of its own
// of at most 76 octets, the first from column col. Quoted-printable is used
// where most is ASCII, base64 elsewhere.
func appendEncodedWords(b []byte, value string, col int) []byte {
	base64Form := 3*nonASCII(value) > len(value)
	const frame = len("=?utf-8?q?" + "?=")
	room := max(maxEncodedRow-col-frame, 16)
	for start := 0; start < len(value); {
		end, cost := start, 0
		for end < len(value) {
			_, size := utf8.DecodeRuneInString(value[end:])
			next := cost + qCost(value[end:end+size])
			if base64Form {
				next = base64.StdEncoding.EncodedLen(end + size - start)
			}
			if next > room {
				break
			}
			cost = next
			end += size
		}
		if start > 0 {
			b = append(b, "\r\n "...)
		}
		b = appendEncodedWord(b, value[start:end], base64Form)
		start = end
		room = maxEncodedRow - 1 - frame
	}
	return b
}

func appendEncodedWord(b []byte, s string, base64Form bool) []byte {
	if base64Form {
		b = append(b, "=?utf-8?b?"...)
		b = base64.StdEncoding.AppendEncode(b, []byte(s))
		return append(b, "?="...)
	}
	const digits = "0123456789ABCDEF"
	b = append(b, "=?utf-8?q?"...)
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			b = append(b, '_')
		case qCost(s[i:i+1]) == 1:
			b = append(b, c)
		default:
			b = append(b, '=', digits[c>>4], digits[c&15])
		}
	}
	return append(b, "?="...)
}

// qCost returns the octets that s takes in a Q encoded word that is allowed
// everywhere (RFC 2047 §5 (3)).
func qCost(s string) int {
	n := 0
	for i := range len(s) {
		if isAlnum(s[i]) || strings.IndexByte(" !*+-/", s[i]) >= 0 {
			n++
		} else {
			n += 3
		}
	}
	return n
}

func nonASCII(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			n++
		}
	}
	return n
}
