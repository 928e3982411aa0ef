package smtp

import "strings"

// params walks the ESMTP parameters after a path (RFC 5321 §4.1.2
// Mail-parameters).
type params struct {
	rest string
	utf8 bool // values may hold octets over 0x7f (RFC 6531 §3.3)
}

// next gives the next parameter with its keyword in upper case. At the end ok is
// false and err nil.
func (p *params) next() (keyword, value string, hasValue, ok bool, err error) {
	if p.rest != "" && p.rest[0] != ' ' {
		return "", "", false, false, refuse(501, Enhanced{5, 5, 2}, "a space must follow the address")
	}
	p.rest = strings.TrimLeft(p.rest, " ")
	if p.rest == "" {
		return "", "", false, false, nil
	}
	param := p.rest
	if i := strings.IndexByte(param, ' '); i >= 0 {
		param = param[:i]
	}
	p.rest = p.rest[len(param):]
	keyword, value, hasValue = strings.Cut(param, "=")
	if !validKeyword(keyword) || hasValue && !p.validValue(value) {
		return "", "", false, false, refuse(501, Enhanced{5, 5, 4}, "parameter syntax")
	}
	return strings.ToUpper(keyword), value, hasValue, true, nil
}

// validKeyword judges esmtp-keyword.
func validKeyword(s string) bool {
	for i := range len(s) {
		c := s[i]
		ok := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' && i > 0
		if !ok {
			return false
		}
	}
	return s != ""
}

// validValue judges esmtp-value.
func (p *params) validValue(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c == '=' || c == 0x7f || c >= 0x80 && !p.utf8 {
			return false
		}
	}
	return s != ""
}

func unknownParameter() error {
	return refuse(555, Enhanced{5, 5, 4}, "unknown parameter")
}

func repeatedParameter(keyword string) error {
	return refuse(555, Enhanced{5, 5, 4}, keyword+" given twice")
}

func badParameter(keyword string) error {
	return refuse(501, Enhanced{5, 5, 4}, "bad value of "+keyword)
}

// cutKeyword removes a leading word and colon ("FROM:") in any case, and the
// spaces that many clients put after it.
func cutKeyword(arg []byte, word string) (string, bool) {
	if len(arg) < len(word) || !strings.EqualFold(string(arg[:len(word)]), word) {
		return "", false
	}
	return strings.TrimLeft(string(arg[len(word):]), " "), true
}

// parseDecimal reads an unsigned decimal of 1 to 20 digits and nothing else.
// What does not fit is math.MaxInt64 and overflow.
func parseDecimal(s string) (n int64, overflow, ok bool) {
	if s == "" || len(s) > 20 {
		return 0, false, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false, false
		}
		d := int64(s[i] - '0')
		if overflow || n > (maxInt64-d)/10 {
			overflow = true
			continue
		}
		n = n*10 + d
	}
	if overflow {
		n = maxInt64
	}
	return n, overflow, true
}

const maxInt64 = 1<<63 - 1
