package zone

import (
	"fmt"
	"strconv"
	"strings"

	"postroad/internal/proto/dns"
)

const (
	// MinTTL is the least TTL that records of a zone have, in seconds, unless rules are set otherwise.
	MinTTL = 30
	// MaxTTL is the greatest TTL, in seconds (RFC 2181 §8).
	MaxTTL = 1<<31 - 1
)

// units are the letters that people write after a number of a TTL.
var units = map[byte]uint64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}

// ParseTTL reads a TTL as people and zone files write it: seconds ("3600"), or numbers with units in any order, each once
// ("1h", "1h30m", "2d"). It must not exceed MaxTTL.
func ParseTTL(text string) (uint32, error) {
	wrong := func() (uint32, error) {
		return 0, fmt.Errorf("%w: %.40q is no TTL: write seconds such as 3600, or 1h, 1h30m, 2d; at most %d seconds", dns.ErrSyntax, text, MaxTTL)
	}
	rest := strings.ToLower(strings.TrimSpace(text))
	var total uint64
	var seen string
	for whole := true; rest != ""; whole = false {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseUint(rest[:digits], 10, 32)
		if err != nil {
			return wrong()
		}
		unit := byte('s')
		switch {
		case digits < len(rest):
			unit = rest[digits]
			rest = rest[digits+1:]
		case whole:
			rest = ""
		default:
			return wrong()
		}
		if units[unit] == 0 || strings.IndexByte(seen, unit) >= 0 {
			return wrong()
		}
		seen += string(unit)
		if total += n * units[unit]; total > MaxTTL {
			return wrong()
		}
	}
	if seen == "" {
		return wrong()
	}
	return uint32(total), nil
}

// FormatTTL shows a TTL as ParseTTL reads it: in the largest unit that it is a whole number of, if that is less to read.
func FormatTTL(ttl uint32) string {
	for _, unit := range "wdhm" {
		if u := uint32(units[byte(unit)]); ttl > 0 && ttl%u == 0 { //nolint:gosec // a week has few seconds
			return strconv.FormatUint(uint64(ttl/u), 10) + string(unit)
		}
	}
	return strconv.FormatUint(uint64(ttl), 10) + "s"
}
