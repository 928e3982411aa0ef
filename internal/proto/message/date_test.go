package message

import (
	"net/mail"
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	at := func(h, m, s, offset int) time.Time {
		return time.Date(2026, 11, 22, h, m, s, 0, time.FixedZone("", offset))
	}
	tests := []struct {
		in   string
		want time.Time
	}{
		{"Sun, 22 Nov 2026 12:00:00 +0100", at(12, 0, 0, 3600)},
		{"22 Nov 2026 12:00 -0530", at(12, 0, 0, -19800)},
		{"Sun,22 nov 26 1:02:03 GMT", at(1, 2, 3, 0)},
		{"Sun, 22 Nov 126 12:00:00 EST (Eastern (old))", at(12, 0, 0, -18000)},
		{"22 November 2026 (a\\) comment) 12:00:00 PDT", at(12, 0, 0, -25200)},
		{"22 Nov 2026 12:00:00", at(12, 0, 0, 0)},
		{"22 Nov 2026 12:00:00 Z", at(12, 0, 0, 0)},
		{"22 Nov 2026 12:00:60 +0000", at(12, 1, 0, 0)},
	}
	for _, tt := range tests {
		got, ok := ParseDate(tt.in)
		if !ok || !got.Equal(tt.want) {
			t.Errorf("ParseDate(%q) = %v, %v, want %v", tt.in, got, ok, tt.want)
		}
	}
	for _, in := range []string{
		"", "now", "31 Feb 2026 12:00:00 +0000", "22 Nov 2026", "22 Nov 2026 24:00:00 +0000", "22 Nov 2026 12:60 +0000",
		"22 Xyz 2026 12:00 +0000", "22 Nov 1 12:00 +0000", "22 Nov 20260 12:00 +0000", "22 Nov 1899 12:00 +0000",
		"0 Nov 2026 12:00 +0000", "22 Nov 2026 12:00 +01:00", "22 Nov 2026 12:00 +9999", "22 Nov 2026 12:00 + 0000",
	} {
		if got, ok := ParseDate(in); ok {
			t.Errorf("ParseDate(%q) = %v", in, got)
		}
	}
}

func FuzzParseDate(f *testing.F) {
	f.Add("Sun, 22 Nov 2026 12:00:00 +0100")
	f.Add("22 Nov 126 (x) 1:02 EDT")
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := ParseDate(s)
		if !ok {
			return
		}
		written := string(AppendDate(nil, d))
		if again, ok := ParseDate(written); !ok || !again.Equal(d) {
			t.Fatalf("%q is read as %v, written as %q, read again as %v", s, d, written, again)
		}
		if std, err := mail.ParseDate(written); err != nil || !std.Equal(d) {
			t.Fatalf("net/mail reads %q as %v, %v", written, std, err)
		}
	})
}
