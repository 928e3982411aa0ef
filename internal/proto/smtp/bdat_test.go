package smtp

import (
	"math"
	"testing"
)

func TestParseBDAT(t *testing.T) {
	tests := []struct {
		arg  string
		size int64
		last bool
	}{
		{"0", 0, false},
		{"0 LAST", 0, true},
		{"1000 last", 1000, true},
		{"0007  Last", 7, true},
		{"9223372036854775807", math.MaxInt64, false},
	}
	for _, tt := range tests {
		if size, last, err := ParseBDAT([]byte(tt.arg)); size != tt.size || last != tt.last || err != nil {
			t.Errorf("ParseBDAT(%q) = %d, %v, %v", tt.arg, size, last, err)
		}
	}
	for _, arg := range []string{
		"", "LAST", "-5", "+5", "0x10", "1e3", "1.0", "5LAST", "5 LAS", "5 LAST LAST", "5 6", "5\tLAST", "٣", "5\x00",
		"9223372036854775808", "18446744073709551626", "999999999999999999999",
	} {
		if size, last, err := ParseBDAT([]byte(arg)); code(err) != "501 5.5.4" {
			t.Errorf("ParseBDAT(%q) = %d, %v, %v; want a refusal", arg, size, last, err)
		}
	}
}
