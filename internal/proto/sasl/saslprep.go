package sasl

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// saslprep prepares s by RFC 4013: mapping, NFKC, prohibited characters, rule
// for right-to-left text. ok is false when s must be refused.
func saslprep(s string) (prepared string, ok bool) {
	if printableASCII(s) {
		return s, true
	}
	if !utf8.ValidString(s) {
		return "", false
	}
	s = norm.NFKC.String(strings.Map(mapRune, s))
	for _, r := range s {
		if prohibited(r) {
			return "", false
		}
	}
	if !bidiRule(s) {
		return "", false
	}
	return s, true
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// mapRune maps spaces to SPACE (RFC 3454 C.1.2) and drops what is commonly
// mapped to nothing (B.1). ZERO WIDTH SPACE is in both tables; it is dropped.
func mapRune(r rune) rune {
	switch {
	case r == 0x00ad, r == 0x034f, r == 0x1806, r >= 0x180b && r <= 0x180d, r >= 0x200b && r <= 0x200d,
		r == 0x2060, r >= 0xfe00 && r <= 0xfe0f, r == 0xfeff:
		return -1
	case r == 0x00a0, r == 0x1680, r >= 0x2000 && r <= 0x200a, r == 0x202f, r == 0x205f, r == 0x3000:
		return ' '
	}
	return r
}

// prohibited tells the characters of RFC 3454 C.1.2 and C.2.1 to C.9.
func prohibited(r rune) bool {
	switch {
	case unicode.IsControl(r), unicode.Is(unicode.Co, r):
		return true
	case r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe: // C.4
		return true
	case r >= 0xfff9 && r <= 0xfffd, r >= 0x2ff0 && r <= 0x2ffb: // C.6, C.7
		return true
	case r == 0x0340, r == 0x0341, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f: // C.8
		return true
	case r == 0xe0001, r >= 0xe0020 && r <= 0xe007f: // C.9
		return true
	case r == 0x06dd, r == 0x070f, r == 0x180e, r == 0x2028, r == 0x2029, r >= 0x2061 && r <= 0x2063, r >= 0x1d173 && r <= 0x1d17a: // C.2.2
		return true
	}
	return r != ' ' && unicode.Is(unicode.Zs, r)
}

// bidiRule keeps RFC 3454 §6: text with a right-to-left letter has no
// left-to-right one and begins and ends with a right-to-left letter.
func bidiRule(s string) bool {
	left, right := false, false
	for _, r := range s {
		left = left || class(r) == bidi.L
		right = right || isRight(r)
	}
	if !right {
		return true
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	return !left && isRight(first) && isRight(last)
}

func class(r rune) bidi.Class {
	p, _ := bidi.LookupRune(r)
	return p.Class()
}

func isRight(r rune) bool {
	c := class(r)
	return c == bidi.R || c == bidi.AL
}
