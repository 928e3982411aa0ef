package smtp

import "strconv"

// Enhanced is an enhanced status code: class, subject, detail (RFC 3463). The
// zero value means that there is none.
type Enhanced [3]uint16

// IsZero reports whether there is no code.
func (e Enhanced) IsZero() bool { return e == Enhanced{} }

// String gives the code as "5.7.1", and "" for the zero value.
func (e Enhanced) String() string {
	if e.IsZero() {
		return ""
	}
	return string(e.appendTo(nil))
}

func (e Enhanced) appendTo(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(e[0]), 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(e[1]), 10)
	b = append(b, '.')
	return strconv.AppendUint(b, uint64(e[2]), 10)
}

// ParseEnhanced reads a status code as RFC 3463 §2 writes it: class 2, 4 or 5,
// subject and detail of one to three digits without leading zeros, and nothing
// after it.
func ParseEnhanced(s string) (Enhanced, bool) {
	e, n := cutEnhanced([]byte(s))
	return e, n > 0 && n == len(s)
}

// cutEnhanced reads a status code from the beginning of b, where it must be
// followed by a space or the end. It returns the octets it takes, 0 for none.
func cutEnhanced(b []byte) (Enhanced, int) {
	var e Enhanced
	i := 0
	for part := range e {
		start, n := i, uint16(0)
		for i < len(b) && i-start < 3 && '0' <= b[i] && b[i] <= '9' {
			n = n*10 + uint16(b[i]-'0')
			i++
		}
		if i == start || i-start > 1 && b[start] == '0' {
			return Enhanced{}, 0
		}
		e[part] = n
		if part < 2 {
			if i >= len(b) || b[i] != '.' {
				return Enhanced{}, 0
			}
			i++
		}
	}
	if e[0] != 2 && e[0] != 4 && e[0] != 5 || i < len(b) && b[i] != ' ' {
		return Enhanced{}, 0
	}
	return e, i
}
