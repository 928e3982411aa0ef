package zone

import (
	"errors"
	"testing"

	"postroad/internal/proto/dns"
)

func TestTTLsAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]uint32{
		"0": 0, "300": 300, "1h": 3600, "1H30M": 5400, "2d": 172800, "1w": 604800, " 5m ": 300, "30s": 30, "1d1h1m1s": 90061, "2147483647": MaxTTL,
	} {
		if got, err := ParseTTL(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "h", "1x", "-1", "1h30", "1h1h", "2147483648", "4000w", "1.5h", "99999999999999999999", "1 h", "٣"} {
		if got, err := ParseTTL(text); !errors.Is(err, dns.ErrSyntax) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for ttl, want := range map[uint32]string{0: "0s", 1: "1s", 90: "90s", 300: "5m", 3600: "1h", 5400: "90m", 86400: "1d", 172800: "2d", 604800: "1w", 1209600: "2w"} {
		if got := FormatTTL(ttl); got != want {
			t.Errorf("%d is shown as %q, want %q", ttl, got, want)
		}
		if again, err := ParseTTL(want); err != nil || again != ttl {
			t.Errorf("%q read again: %d, %v", want, again, err)
		}
	}
}
