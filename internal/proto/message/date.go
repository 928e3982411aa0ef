package message

import (
	"strconv"
	"strings"
	"time"
)

// AppendDate appends t as a date-time in its own time zone (RFC 5322 §3.3).
func AppendDate(b []byte, t time.Time) []byte {
	return t.AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 -0700")
}

// maxDate is the longest date that is read, in octets.
const maxDate = 256

// ParseDate reads a date-time (RFC 5322 §3.3) with its obsolete forms (§4.3):
// comments, years of two or three digits, zones as letters. Seconds and zone
// may be missing; an unknown zone counts as UTC. The day of the week is not
// checked. The year must lie between 1900 and 9999.
func ParseDate(s string) (time.Time, bool) {
	if len(s) > maxDate {
		return time.Time{}, false
	}
	words := strings.FieldsFunc(dropComments(s), func(r rune) bool {
		return r == ' ' || r == '\t' || r == ','
	})
	if len(words) > 0 && !isDigits(words[0]) {
		words = words[1:]
	}
	if len(words) != 4 && len(words) != 5 {
		return time.Time{}, false
	}
	day, ok1 := number(words[0], 1, 2, 31)
	month := parseMonth(words[1])
	year, ok2 := parseYear(words[2])
	hour, minute, second, ok3 := parseClock(words[3])
	if !ok1 || month == 0 || !ok2 || !ok3 {
		return time.Time{}, false
	}
	zone := time.UTC
	if len(words) == 5 {
		offset, ok := parseZone(words[4])
		if !ok {
			return time.Time{}, false
		}
		if offset != 0 {
			zone = time.FixedZone("", offset)
		}
	}
	t := time.Date(year, month, day, hour, minute, second, 0, zone)
	if second < 60 && t.Day() != day {
		return time.Time{}, false
	}
	return t, true
}

// dropComments replaces each comment by a space; nested comments count once.
func dropComments(s string) string {
	if !strings.Contains(s, "(") {
		return s
	}
	var b strings.Builder
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			depth++
			b.WriteByte(' ')
		case depth == 0:
			b.WriteByte(c)
		case c == ')':
			depth--
		case c == '\\':
			i++
		}
	}
	return b.String()
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// number reads a decimal of minLen to maxLen digits that is at most limit.
func number(s string, minLen, maxLen, limit int) (int, bool) {
	if len(s) < minLen || len(s) > maxLen || !isDigits(s) {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n <= limit
}

func parseMonth(s string) time.Month {
	if len(s) < 3 {
		return 0
	}
	for m := time.January; m <= time.December; m++ {
		if strings.EqualFold(s, m.String()) || strings.EqualFold(s, m.String()[:3]) {
			return m
		}
	}
	return 0
}

func parseYear(s string) (int, bool) {
	year, ok := number(s, 2, 4, 9999)
	switch {
	case len(s) == 2 && year < 50:
		year += 2000
	case len(s) < 4:
		year += 1900
	}
	return year, ok && year >= 1900
}

func parseClock(s string) (hour, minute, second int, ok bool) {
	h, rest, found := strings.Cut(s, ":")
	m, sec, withSeconds := strings.Cut(rest, ":")
	hour, ok1 := number(h, 1, 2, 23)
	minute, ok2 := number(m, 2, 2, 59)
	ok3 := true
	if withSeconds {
		second, ok3 = number(sec, 2, 2, 60)
	}
	return hour, minute, second, found && ok1 && ok2 && ok3
}

// parseZone returns the offset from UTC in seconds.
func parseZone(s string) (int, bool) {
	if s[0] == '+' || s[0] == '-' {
		n, ok := number(s[1:], 4, 4, 2359)
		if !ok || n%100 > 59 {
			return 0, false
		}
		offset := (n/100*60 + n%100) * 60
		if s[0] == '-' {
			offset = -offset
		}
		return offset, true
	}
	for i := range len(s) {
		if !isAlnum(s[i]) {
			return 0, false
		}
	}
	hours := 0
	switch strings.ToUpper(s) {
	case "EDT":
		hours = -4
	case "EST", "CDT":
		hours = -5
	case "CST", "MDT":
		hours = -6
	case "MST", "PDT":
		hours = -7
	case "PST":
		hours = -8
	}
	return hours * 3600, true
}
