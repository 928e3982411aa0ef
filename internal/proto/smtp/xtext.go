package smtp

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"postroad/internal/proto/idna"
)

// EncodeXText writes s as xtext (RFC 3461 §4): what is not printable ASCII, and
// '+' and '=', becomes '+' and two hexadecimal digits.
func EncodeXText(s string) string {
	for i := range len(s) {
		if !isXChar(s[i]) {
			return string(appendXText(make([]byte, 0, len(s)+16), s))
		}
	}
	return s
}

func appendXText(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; isXChar(c) {
			b = append(b, c)
		} else {
			b = append(b, '+', hex[c>>4], hex[c&15])
		}
	}
	return b
}

func isXChar(c byte) bool { return c > ' ' && c < 0x7f && c != '+' && c != '=' }

// DecodeXText reads xtext (RFC 3461 §4). The result may hold any octet, controls
// included. Octets over 0x7f are taken as they are. The error is a *ReplyError
// with 501 5.5.4.
func DecodeXText(s string) (string, error) {
	plus := strings.IndexByte(s, '+')
	if plus < 0 {
		return s, nil
	}
	b := append(make([]byte, 0, len(s)), s[:plus]...)
	for i := plus; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+2 >= len(s) {
				return "", refuse(501, Enhanced{5, 5, 4}, "xtext syntax")
			}
			high, ok := upperHex(s[i+1])
			low, ok2 := upperHex(s[i+2])
			if !ok || !ok2 {
				return "", refuse(501, Enhanced{5, 5, 4}, "xtext syntax")
			}
			c = high<<4 | low
			i += 2
		}
		b = append(b, c)
	}
	return string(b), nil
}

// upperHex reads a hexadecimal digit; RFC 3461 §4 has upper case only.
func upperHex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// maxORcpt is the longest ORCPT in octets as sent (RFC 3461 §4.2).
const maxORcpt = 500

// parseORcpt reads the value of ORCPT: an address type, a semicolon and the
// address in xtext, with the \x{…} of RFC 6533 §3 in type utf-8.
func parseORcpt(value string) (string, bool) {
	kind, address, found := strings.Cut(value, ";")
	if !found || len(value) > maxORcpt || !validKeyword(kind) {
		return "", false
	}
	kind = strings.ToLower(kind)
	address, err := DecodeXText(address)
	if err != nil || address == "" {
		return "", false
	}
	if kind != "utf-8" {
		return kind + ";" + address, printableASCII(address)
	}
	address, ok := decodeUnicode(address)
	return kind + ";" + address, ok && printableUTF8(address)
}

// appendORcpt writes ORCPT's value in ASCII, which both utf-8-addr-xtext and
// servers without SMTPUTF8 read. It reports false for what can't be written.
func appendORcpt(b []byte, s string) ([]byte, bool) {
	kind, address, found := strings.Cut(s, ";")
	if !found || !validKeyword(kind) || address == "" {
		return b, false
	}
	start := len(b)
	b = append(b, kind...)
	b = append(b, ';')
	if !strings.EqualFold(kind, "utf-8") || idna.IsASCII(address) && !strings.Contains(address, `\`) {
		b = appendXText(b, address)
		return b, len(b)-start <= maxORcpt && idna.IsASCII(address)
	}
	for _, r := range address {
		if r < utf8.RuneSelf && r != '\\' && isXChar(byte(r)) {
			b = append(b, byte(r))
			continue
		}
		b = append(b, `\x{`...)
		b = append(b, strings.ToUpper(fmt.Sprintf("%02x", r))...)
		b = append(b, '}')
	}
	return b, len(b)-start <= maxORcpt
}

// decodeUnicode reads the \x{…} of RFC 6533 §3 EmbeddedUnicodeChar.
func decodeUnicode(s string) (string, bool) {
	if !strings.Contains(s, `\`) {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for len(s) > 0 {
		if s[0] != '\\' {
			b = append(b, s[0])
			s = s[1:]
			continue
		}
		end := strings.IndexByte(s, '}')
		if !strings.HasPrefix(s, `\x{`) || end < 5 || end > 9 {
			return "", false
		}
		n, err := strconv.ParseUint(s[3:end], 16, 32)
		if err != nil || !utf8.ValidRune(rune(n)) {
			return "", false
		}
		b = utf8.AppendRune(b, rune(n))
		s = s[end+1:]
	}
	return string(b), true
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
