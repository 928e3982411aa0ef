package message

import (
	"bytes"
	"io"
	"mime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// Longest values of a Summary in octets, and the longest value that is decoded
// to get one.
const (
	maxSummary   = 512
	maxMessageID = 998
	maxDecoded   = 8 << 10
)

// Summary is what a person wants to see of a message in a list: UTF-8 text for
// display, never for decisions. Encoded words are decoded, control characters
// and those that turn the direction of writing are gone.
type Summary struct {
	// From is the first From field: name and address, at most 512 octets.
	From string
	// Subject is at most 512 octets long.
	Subject string
	// MessageID is the identifier with its angle brackets, at most 998 octets.
	MessageID string
	// Date is the sender's date; it has a meaning only with HasDate.
	Date time.Time
	// HasDate is false when there is no date that can be read.
	HasDate bool
}

// Summarize reads a Summary from the first field of each name.
func Summarize(header []byte) Summary {
	var s Summary
	seen := [4]bool{}
	first := func(i int) bool {
		was := seen[i]
		seen[i] = true
		return !was
	}
	for f := range Fields(header) {
		switch {
		case f.Is("From") && first(0):
			s.From = displayText(f.Value(), maxSummary)
		case f.Is("Subject") && first(1):
			s.Subject = displayText(f.Value(), maxSummary)
		case f.Is("Message-ID") && first(2):
			s.MessageID = oneLine(f.Value(), maxMessageID)
		case f.Is("Date") && first(3):
			s.Date, s.HasDate = ParseDate(f.Value())
		}
	}
	return s
}

// displayText decodes encoded words and makes the result fit for one line.
func displayText(value string, limit int) string {
	if len(value) > maxDecoded {
		value = value[:maxDecoded]
	}
	return oneLine(DecodeWords(value), limit)
}

// DecodeWords decodes encoded words (RFC 2047) to UTF-8; what cannot be decoded
// stays as it is. Callers limit the length.
func DecodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		return s
	}
	decoder := mime.WordDecoder{CharsetReader: charsetReader}
	decoded, err := decoder.DecodeHeader(s)
	if err != nil {
		return s
	}
	return decoded
}

// ToUTF8 gives text of a charset as UTF-8, with the charsets of DecodeWords. What is
// no character of the charset becomes U+FFFD. The result may share memory with text.
func ToUTF8(charset string, text []byte) []byte {
	switch strings.ToLower(charset) {
	case "", "us-ascii", "utf-8", "utf8":
		return text
	}
	input, err := charsetReader(charset, bytes.NewReader(text))
	if err != nil {
		return text
	}
	decoded, err := io.ReadAll(input)
	if err != nil {
		return text
	}
	return decoded
}

// charsetReader decodes the charsets of the WHATWG list; of an unknown charset
// only ASCII is kept. A language tag after '*' is ignored (RFC 2231 §5).
func charsetReader(charset string, input io.Reader) (io.Reader, error) {
	name, _, _ := strings.Cut(charset, "*")
	if enc, err := htmlindex.Get(name); err == nil {
		return enc.NewDecoder().Reader(input), nil
	}
	octets, err := io.ReadAll(input)
	if err != nil {
		return nil, err
	}
	return strings.NewReader(asciiOnly(string(octets))), nil
}

// oneLine returns s as one line of valid UTF-8 of at most limit octets: control
// characters and other white space become single spaces, characters that turn
// the direction of writing are dropped.
func oneLine(s string, limit int) string {
	var b strings.Builder
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			space = b.Len() > 0
			continue
		case isDirection(r):
			continue
		}
		n := utf8.RuneLen(r)
		if space {
			n++
		}
		if b.Len()+n > limit {
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// isDirection reports whether r is an invisible character that reorders the
// text around it, or a byte order mark.
func isDirection(r rune) bool {
	switch {
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	case r == 0x200e, r == 0x200f, r == 0x061c, r == 0xfeff:
		return true
	}
	return false
}

// isASCII reports whether s holds no octet above 127.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// asciiOnly replaces each character outside ASCII by '?'.
func asciiOnly(s string) string {
	if isASCII(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return '?'
		}
		return r
	}, s)
}
