// Package idna turns domain names into the form a mail or DNS program
// compares and sends, the A-label in lower case (RFC 5890, RFC 5891, UTS 46),
// and back into the form people read.
//
// Names are taken without the trailing dot of a root-anchored DNS name: a mail
// address must not carry one, so whoever reads DNS text cuts it off first.
//
// # Failure
//
// Every refusal wraps ErrName and is permanent: the same name never becomes
// valid by waiting.
package idna

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	// MaxName is the longest name in octets, written without the trailing dot
	// (RFC 1035 §2.3.4: 255 octets on the wire).
	MaxName = 253
	// MaxLabel is the longest label in octets (RFC 1035 §2.3.4).
	MaxLabel = 63

	// maxInput bounds what is handed to the mapping: no name of MaxName octets
	// needs more text than this in any normal form.
	maxInput = 4 * 255
)

// ErrName says that a text is no domain name. Every error of this package
// wraps it.
var ErrName = errors.New("not a domain name")

// profile is UTS 46 non-transitional processing for look-up. MapForLookup alone
// lets labels of 64 octets pass, hence VerifyDNSLength.
var profile = idna.New(
	idna.MapForLookup(),
	idna.StrictDomainName(true),
	idna.ValidateLabels(true),
	idna.CheckHyphens(true),
	idna.CheckJoiners(true),
	idna.BidiRule(),
	idna.VerifyDNSLength(true),
	idna.Transitional(false),
)

// ToASCII returns name as A-labels in lower case, without a trailing dot.
// It refuses empty labels (so also a leading or trailing dot), labels over
// MaxLabel, names over MaxName, octets outside letters, digits and hyphen, a
// hyphen at the edge of a label, A-labels that do not decode, and what UTS 46
// disallows. A name that has the returned form already costs no allocation.
// Names of services (_dmarc.example.com) are for ToASCIIService.
func ToASCII(name string) (string, error) {
	switch classify(name) {
	case shapeReady:
		return name, nil
	case shapeUpper:
		return strings.ToLower(name), nil
	case shapeBad:
		return "", fmt.Errorf("%w: %.80q", ErrName, name)
	case shapeMapped:
	}
	if len(name) > maxInput {
		return "", fmt.Errorf("%w: %d octets", ErrName, len(name))
	}
	// The mapping would take an invalid octet for U+FFFD and encode that.
	if !utf8.ValidString(name) {
		return "", fmt.Errorf("%w: invalid UTF-8 in %.80q", ErrName, name)
	}
	out, err := profile.ToASCII(name)
	if err != nil {
		return "", fmt.Errorf("%w: %.80q: %w", ErrName, name, err)
	}
	out = strings.ToLower(out)
	// The mapping may have brought forth dots (U+3002) and other ASCII: the
	// result is held against the same rule as a name that came in ASCII.
	if s := classify(out); s != shapeReady && s != shapeMapped || !IsASCII(out) {
		return "", fmt.Errorf("%w: %.80q", ErrName, name)
	}
	return out, nil
}

// ToASCIIService is ToASCII for names that may carry underscores, such as
// _dmarc.example.com or s1._domainkey.example.com (RFC 8552). Everything up to
// the last label with an underscore must be ASCII; the rest is a domain name in
// the sense of ToASCII, or empty.
func ToASCIIService(name string) (string, error) {
	last := strings.LastIndexByte(name, '_')
	if last < 0 {
		return ToASCII(name)
	}
	service, domain, found := name, "", false
	if dot := strings.IndexByte(name[last:], '.'); dot >= 0 {
		service, domain, found = name[:last+dot], name[last+dot+1:], true
	}
	if !validService(service) {
		return "", fmt.Errorf("%w: %.80q", ErrName, name)
	}
	service = strings.ToLower(service)
	if !found {
		return service, nil
	}
	ascii, err := ToASCII(domain)
	if err != nil {
		return "", err
	}
	if len(service)+1+len(ascii) > MaxName {
		return "", fmt.Errorf("%w: %d octets", ErrName, len(service)+1+len(ascii))
	}
	if ascii == domain && name[:len(service)] == service {
		return name, nil
	}
	return service + "." + ascii, nil
}

// ToUnicode returns name with its A-labels written as U-labels, for display
// only. A name that has none, or whose A-labels are invalid, is returned as it
// is.
func ToUnicode(name string) string {
	if len(name) > maxInput || !hasACE(name) {
		return name
	}
	out, err := profile.ToUnicode(name)
	if err != nil {
		return name
	}
	return out
}

// IsASCII reports whether s has only octets below 0x80.
func IsASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

type shape uint8

const (
	shapeBad    shape = iota
	shapeReady        // lower-case letters, digits, hyphens: the result itself
	shapeUpper        // the same with upper-case letters
	shapeMapped       // has an A-label or octets over 0x7f: for the mapping to judge
)

// classify looks at a name once and tells how it is to be treated. Hyphens in
// the third and fourth place of an ASCII label are allowed unless it claims to
// be an A-label: such host names exist.
func classify(name string) shape {
	if name == "" {
		return shapeBad
	}
	out, start, ace := shapeReady, 0, false
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case 'A' <= c && c <= 'Z':
			out = shapeUpper
		case c == '-':
			if i == start || i+1 == len(name) || name[i+1] == '.' {
				return shapeBad
			}
			if i == start+3 && name[i-1] == '-' && name[start]|0x20 == 'x' && name[start+1]|0x20 == 'n' {
				ace = true
			}
		case c == '.':
			if i == start || i-start > MaxLabel {
				return shapeBad
			}
			start = i + 1
		case c >= 0x80:
			return shapeMapped
		default:
			return shapeBad
		}
	}
	if start == len(name) || len(name)-start > MaxLabel || len(name) > MaxName {
		return shapeBad
	}
	if ace {
		return shapeMapped
	}
	return out
}

// hasACE reports whether a label begins with "xn--" in any case.
func hasACE(name string) bool {
	for {
		if len(name) >= 4 && strings.EqualFold(name[:4], "xn--") {
			return true
		}
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			return false
		}
		name = name[dot+1:]
	}
}

func validService(name string) bool {
	if name == "" || len(name) > MaxName {
		return false
	}
	start := 0
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		case c == '.':
			if i == start || i-start > MaxLabel {
				return false
			}
			start = i + 1
		default:
			return false
		}
	}
	return start < len(name) && len(name)-start <= MaxLabel
}
