package smtp

import "strings"

// ParseBDAT reads the argument of BDAT, a chunk size in octets and perhaps LAST
// (RFC 3030 §2). The size is a plain decimal: no sign, no other base, and what
// does not fit 63 bits is refused. The error is a *ReplyError with 501 5.5.4;
// as nobody knows then how many octets follow, the caller closes.
func ParseBDAT(arg []byte) (size int64, last bool, err error) {
	word, rest, more := strings.Cut(string(arg), " ")
	if more {
		rest = strings.Trim(rest, " ")
		last = strings.EqualFold(rest, "LAST")
		if !last && rest != "" {
			return 0, false, refuse(501, Enhanced{5, 5, 4}, "BDAT size [LAST]")
		}
	}
	size, overflow, ok := parseDecimal(word)
	if !ok || overflow {
		return 0, false, refuse(501, Enhanced{5, 5, 4}, "bad chunk size")
	}
	return size, last, nil
}
