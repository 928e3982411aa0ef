package imap

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const maxName = 1000 // octets of a mailbox name

// ValidName says whether a mailbox may have this name: UTF-8 of 1 to 1,000 octets without control characters and line
// separators (RFC 9051 §5.1, RFC 5198 §2).
func ValidName(name string) bool {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return false
	}
	for _, c := range name {
		if c < 0x20 || 0x7f <= c && c < 0xa0 || c == 0x2028 || c == 0x2029 {
			return false
		}
	}
	return true
}

// CleanName gives the form of a mailbox name that is stored and compared: NFC (RFC 9051 §5.1), and INBOX in capitals.
func CleanName(name string) string {
	if equalFold(name, "INBOX") {
		return "INBOX"
	}
	return norm.NFC.String(name)
}

// utf7 is base64 as modified UTF-7 has it (RFC 3501 §5.1.3).
var utf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding).Strict()

// EncodeUTF7 writes a name in modified UTF-7 (RFC 3501 §5.1.3). What is not UTF-8 becomes U+FFFD.
func EncodeUTF7(name string) string {
	if plainName(name) {
		return name
	}
	var b strings.Builder
	for name != "" {
		n := 0
		for n < len(name) && 0x20 <= name[n] && name[n] < 0x7f {
			n++
		}
		b.WriteString(strings.ReplaceAll(name[:n], "&", "&-"))
		name = name[n:]
		for n = 0; n < len(name) && (name[n] < 0x20 || name[n] >= 0x7f); {
			n++
		}
		if n > 0 {
			var units []byte
			for _, u := range utf16.Encode([]rune(name[:n])) {
				units = append(units, byte(u>>8), byte(u))
			}
			b.WriteString("&" + utf7.EncodeToString(units) + "-")
			name = name[n:]
		}
	}
	return b.String()
}

func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < 0x20 || c >= 0x7f || c == '&' {
			return false
		}
	}
	return true
}

// DecodeUTF7 reads modified UTF-7. Each name has one spelling; every other is refused, as are octets that are not
// printable ASCII.
func DecodeUTF7(s string) (string, bool) { return decodeUTF7(s, false) }

// decodeUTF7 is DecodeUTF7, with mixed for names that may have UTF-8 beside shifts.
func decodeUTF7(s string, mixed bool) (string, bool) {
	if plainName(s) {
		return s, true
	}
	var b strings.Builder
	afterShift := false // a shift that ended just here must not be followed by another one
	for s != "" {
		c := s[0]
		switch {
		case c < 0x20 || c == 0x7f || c > 0x7f && !mixed:
			return "", false
		case c != '&':
			b.WriteByte(c)
			s, afterShift = s[1:], false
			continue
		}
		code, rest, ok := strings.Cut(s[1:], "-")
		if !ok {
			return "", false
		}
		s = rest
		if code == "" {
			b.WriteByte('&')
			afterShift = false
			continue
		}
		if afterShift || !decodeShift(&b, code) {
			return "", false
		}
		afterShift = true
	}
	return b.String(), true
}

func decodeShift(b *strings.Builder, code string) bool {
	if strings.ContainsAny(code, "\r\n") { // what the decoder would skip
		return false
	}
	units, err := utf7.DecodeString(code)
	if err != nil || len(units)%2 != 0 {
		return false
	}
	for i := 0; i < len(units); i += 2 {
		c := rune(units[i])<<8 | rune(units[i+1])
		if utf16.IsSurrogate(c) {
			if i+3 >= len(units) {
				return false
			}
			i += 2
			c = utf16.DecodeRune(c, rune(units[i])<<8|rune(units[i+1]))
			if c == utf8.RuneError {
				return false
			}
		}
		if 0x20 <= c && c < 0x7f {
			return false
		}
		b.WriteRune(c)
	}
	return true
}

// Matches says whether a mailbox name matches a pattern of LIST: "*" stands for anything, "%" for anything without the
// delimiter (RFC 9051 §6.3.9). The time is bounded by the product of the lengths.
func Matches(pattern, name string, delimiter byte) bool {
	fold := equalFold(name, "INBOX")
	at := make([]bool, len(pattern)+1) // at[i]: pattern[:i] matches what was read of the name
	at[0] = true
	skipStars(pattern, at)
	for i := range len(name) {
		c := name[i]
		alive := false
		for j := len(pattern); j > 0; j-- {
			p := pattern[j-1]
			switch {
			case p == '*' || p == '%' && c != delimiter:
				at[j] = at[j] || at[j-1]
			case p == '%':
				at[j] = false
			default:
				at[j] = at[j-1] && (p == c || fold && lower(p) == lower(c))
			}
			alive = alive || at[j]
		}
		if !alive {
			return false
		}
		at[0] = false
		skipStars(pattern, at)
	}
	return at[len(pattern)]
}

// skipStars lets wildcards match nothing.
func skipStars(pattern string, at []bool) {
	for j := range len(pattern) {
		if at[j] && (pattern[j] == '*' || pattern[j] == '%') {
			at[j+1] = true
		}
	}
}
