package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

var (
	errDuration = errors.New("not a duration")
	errSize     = errors.New("not a size")
)

// ParseDuration reads a duration as people write it: "90s", "4h", "1h30m", "5d", "1d12h". It is never negative.
func ParseDuration(s string) (time.Duration, error) {
	rest := strings.TrimSpace(s)
	var total time.Duration
	if days, after, ok := strings.Cut(rest, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%w: %q", errDuration, s)
		}
		total, rest = time.Duration(n)*day, after //nolint:gosec // 16 bits of days fit
		if rest == "" {
			return total, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || d > math.MaxInt64-total {
		return 0, fmt.Errorf("%w: %q", errDuration, s)
	}
	return total + d, nil
}

// FormatDuration writes a duration as ParseDuration reads it, without parts that are zero: "5d", "1h30m".
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	if n := d / day; n > 0 {
		fmt.Fprintf(&b, "%dd", n)
		d %= day
	}
	if n := d / time.Hour; n > 0 {
		fmt.Fprintf(&b, "%dh", n)
		d %= time.Hour
	}
	if n := d / time.Minute; n > 0 {
		fmt.Fprintf(&b, "%dm", n)
		d %= time.Minute
	}
	if d > 0 {
		b.WriteString(d.String())
	}
	return b.String()
}

type sizeUnit struct {
	name string
	size int64
}

func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"KIB", 1 << 10},
		{"MIB", 1 << 20},
		{"GIB", 1 << 30},
		{"TIB", 1 << 40},
		{"KB", 1e3},
		{"MB", 1e6},
		{"GB", 1e9},
		{"TB", 1e12},
		{"K", 1 << 10},
		{"M", 1 << 20},
		{"G", 1 << 30},
		{"T", 1 << 40},
		{"B", 1},
		{"", 1},
	}
}

// ParseSize reads a number of octets: "52428800", "50MiB", "50M" (the same), "50MB" (of a thousand), "1.5GiB".
// It is never negative.
func ParseSize(s string) (int64, error) {
	text := strings.ToUpper(strings.TrimSpace(s))
	for _, u := range sizeUnits() {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		number = strings.TrimSpace(number)
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && n >= 0 && n <= math.MaxInt64/u.size {
			return n * u.size, nil
		}
		if strings.Trim(number, "0123456789.") != "" || u.size == 1 {
			break
		}
		f, err := strconv.ParseFloat(number, 64)
		if err != nil || f*float64(u.size) >= 1<<53 {
			break
		}
		return int64(f * float64(u.size)), nil
	}
	return 0, fmt.Errorf("%w: %q", errSize, s)
}

// FormatSize writes octets in the largest binary unit that divides them: "50MiB", "1000".
func FormatSize(n int64) string {
	for _, u := range []sizeUnit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
