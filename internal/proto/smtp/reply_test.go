package smtp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestReplyAppendTo(t *testing.T) {
	tests := []struct {
		name string
		in   Reply
		want string
	}{
		{"plain", Reply{Code: 250, Text: "ok"}, "250 ok\r\n"},
		{"no text", Reply{Code: 250}, "250 \r\n"},
		{"enhanced on each line", Reply{550, Enhanced{5, 7, 1}, "a\nb"}, "550-5.7.1 a\r\n550 5.7.1 b\r\n"},
		{"no enhanced code with 354", Reply{354, Enhanced{3, 0, 0}, "go"}, "354 go\r\n"},
		{"controls", Reply{550, Enhanced{5, 0, 0}, "a\r\x00\x1b[31m\x7fb\u0085"}, "550 5.0.0 a   [31m b \r\n"},
		{"invalid UTF-8", Reply{550, Enhanced{}, "\xff\xc3ü"}, "550 ??ü\r\n"},
		{"injection", Reply{550, Enhanced{}, "a\r\n250 b"}, "550-a \r\n550 250 b\r\n"},
	}
	for _, tt := range tests {
		if got := string(tt.in.AppendTo([]byte("x"))); got != "x"+tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	for _, text := range []string{strings.Repeat("a", 1000), strings.Repeat("ü", 1000), strings.Repeat("€", 1000)} {
		got := string(Reply{Code: 250, Enhanced: Enhanced{2, 0, 0}, Text: text + "\n" + text}.AppendTo(nil))
		for line := range strings.SplitAfterSeq(got, "\r\n") {
			if len(line) > 512 || line != "" && len(line) < 508 || strings.Contains(line, "\ufffd") {
				t.Errorf("a line of %d octets", len(line))
			}
		}
	}
}

func TestReplyString(t *testing.T) {
	for want, in := range map[string]Reply{
		"":                       {},
		"550 5.1.1 no\u00a0such": {550, Enhanced{5, 1, 1}, "no\u00a0such"},
		"250 a b":                {250, Enhanced{}, "a\nb"},
		"421":                    {Code: 421},
	} {
		if got := in.String(); got != want {
			t.Errorf("%#v.String() = %q, want %q", in, got, want)
		}
	}
}

func TestReplyClasses(t *testing.T) {
	for code, want := range map[int][3]bool{
		0: {}, 199: {}, 250: {true}, 354: {true}, 421: {false, true}, 550: {false, false, true}, 600: {},
	} {
		r := Reply{Code: code}
		if got := [3]bool{r.Positive(), r.Temporary(), r.Permanent()}; got != want {
			t.Errorf("%d: %v, want %v", code, got, want)
		}
	}
}

func TestReplyOf(t *testing.T) {
	err := fmt.Errorf("session: %w", &ReplyError{Reply: Reply{Code: 550, Text: "no"}})
	if r, ok := ReplyOf(err); !ok || r.Code != 550 {
		t.Errorf("ReplyOf(%v) = %v, %v", err, r, ok)
	}
	if _, ok := ReplyOf(errors.New("x")); ok {
		t.Error("a reply out of nowhere")
	}
}

func TestParseEnhanced(t *testing.T) {
	for _, s := range []string{"2.0.0", "4.4.2", "5.7.999", "5.123.10"} {
		if e, ok := ParseEnhanced(s); !ok || e.String() != s {
			t.Errorf("ParseEnhanced(%q) = %v, %v", s, e, ok)
		}
	}
	for _, s := range []string{"", "3.0.0", "1.0.0", "5", "5.7", "5.7.", "5..1", "5.7.1.1", "5.7.1000", "5.07.1", "5.7.1 x", "x5.7.1", "55.7.1"} {
		if e, ok := ParseEnhanced(s); ok {
			t.Errorf("ParseEnhanced(%q) = %v", s, e)
		}
	}
	if s := (Enhanced{}).String(); s != "" {
		t.Errorf("the zero value is %q", s)
	}
}
