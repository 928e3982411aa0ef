package dns

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// textLook is what a look at a zone text finds before the library reads it.
type textLook struct {
	hasTTL   bool          // there is a $TTL
	generics []genericData // data in the form of RFC 3597, in the order of the text
}

// genericData is where a \# stands and how many octets it announces.
type genericData struct{ line, length int }

// generic gives the announced length of the data of the record that ends on a line, if its data has the form of RFC 3597.
func (l *textLook) generic(line int) (length int, ok bool) {
	for len(l.generics) > 0 && l.generics[0].line <= line {
		length, ok = l.generics[0].length, true
		l.generics = l.generics[1:]
	}
	return length, ok
}

// textScan walks through a zone text by the same marks as the library: quotation marks, backslashes, semicolons and
// parentheses. It refuses what the library would take for something else than what people see.
type textScan struct {
	text    []byte
	at      int
	line    int
	quote   int // the line on which a quotation mark was opened; 0: none is open
	depth   int // of parentheses
	begun   bool
	look    textLook
	pending bool // the next word is the length after a \#
}

// scanText looks at a text, and blanks out the ages that Windows writes beside records ("[AGE:3624871]").
func scanText(text []byte) (textLook, error) {
	s := textScan{text: text, line: 1}
	for s.at < len(text) {
		if err := s.step(); err != nil {
			return textLook{}, err
		}
	}
	if s.quote > 0 {
		return textLook{}, s.unclosed()
	}
	return s.look, nil
}

func (s *textScan) wrong(sentence, hint string) error {
	return &TextError{Line: s.line, Sentence: sentence, Hint: hint}
}

func (s *textScan) unclosed() error {
	s.line = s.quote
	return s.wrong("A quotation mark is not closed on its line.", `close it; write the next " on the next line, the whole in ( and )`)
}

func (s *textScan) bareCR() error {
	return s.wrong("A line ends in CR alone, which is taken for no line end.", "save the file with the line ends of Unix or Windows")
}

// step takes one octet, one word, or one comment.
func (s *textScan) step() error {
	c := s.text[s.at]
	switch {
	case c == '\n':
		if s.quote > 0 {
			return s.unclosed()
		}
		s.line++
		s.begun = false
	case c == '\r':
		if s.at+1 < len(s.text) && s.text[s.at+1] != '\n' {
			return s.bareCR()
		}
	case c < ' ' && c != '\t' || c == 0x7f:
		return s.wrong(fmt.Sprintf("There is a control character, number %d.", c), `leave it out; inside a text write it as \`+fmt.Sprintf("%03d", c))
	case c == '"':
		if s.quote > 0 {
			s.quote = 0
		} else {
			s.quote = s.line
		}
	case s.quote > 0:
		if c == '\\' && s.at+1 < len(s.text) && s.text[s.at+1] != '\n' && s.text[s.at+1] != '\r' {
			s.at++
		}
	case c == ';':
		end := bytes.IndexByte(s.text[s.at:], '\n')
		if end < 0 {
			end = len(s.text) - s.at
		}
		if comment := bytes.TrimSuffix(s.text[s.at:s.at+end], []byte("\r")); bytes.IndexByte(comment, '\r') >= 0 {
			return s.bareCR()
		}
		s.at += end
		return nil
	case c == '(':
		s.depth++
	case c == ')':
		s.depth--
	case c == ' ' || c == '\t':
		s.begun = true
	default:
		return s.word()
	}
	s.at++
	return nil
}

// word takes a word outside quotation marks.
func (s *textScan) word() error {
	from := s.at
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n;()\"", s.text[s.at]) < 0 {
		if s.text[s.at] >= 0x80 {
			return s.wrong("There is a letter beyond ASCII outside quotation marks.", "write names as A-labels, such as xn--bcher-kva for bücher, and put texts into quotation marks")
		}
		if s.text[s.at] == '\\' && s.at+1 < len(s.text) && s.text[s.at+1] != '\n' && s.text[s.at+1] != '\r' {
			s.at++
		}
		if c := s.text[s.at]; c < ' ' && c != '\t' || c == 0x7f {
			return s.wrong(fmt.Sprintf("There is a control character, number %d.", c), "leave it out")
		}
		s.at++
	}
	word, first := s.text[from:s.at], !s.begun && s.depth == 0
	s.begun = true
	if s.pending {
		s.pending = false
		n, err := strconv.ParseUint(string(word), 10, 16)
		if err != nil {
			return s.wrong(fmt.Sprintf("%.40q is no number of octets.", word), `after \# come the number of octets and the octets in hexadecimal`)
		}
		s.look.generics = append(s.look.generics, genericData{s.line, int(n)}) //nolint:gosec // ParseUint has held it to 16 bits
	}
	if string(word) == `\#` {
		s.pending = true
		return nil
	}
	if age, ok := bytes.CutPrefix(word, []byte("[AGE:")); ok && len(age) > 1 && len(bytes.Trim(age[:len(age)-1], "0123456789")) == 0 && age[len(age)-1] == ']' {
		copy(word, bytes.Repeat([]byte(" "), len(word)))
		return nil
	}
	return s.directive(strings.ToUpper(string(word[:min(len(word), 20)])), first)
}

// directive judges a word that may be one; first says that it begins a line.
func (s *textScan) directive(word string, first bool) error {
	switch {
	case word[0] != '$':
	case word == "$INCLUDE":
		return s.wrong("$INCLUDE is not taken: it would read a file of the server.", "put what that file says in its place")
	case word == "$GENERATE":
		return s.wrong("$GENERATE is not taken: it makes records that nobody sees.", "write the records out")
	case word == "$TTL":
		s.look.hasTTL = true
	case word == "$ORIGIN":
	case first:
		return s.wrong(fmt.Sprintf("%q is no directive.", word), `leave the line out; a name that begins with $ is written \$`)
	}
	return nil
}
