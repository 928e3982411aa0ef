package sasl

import (
	"testing"
	"unicode/utf8"
)

func TestSaslprep(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		refused        bool
	}{
		{name: "RFC 4013 §3: soft hyphen", in: "I\u00adX", want: "IX"},
		{name: "RFC 4013 §3: no change", in: "user", want: "user"},
		{name: "RFC 4013 §3: case kept", in: "USER", want: "USER"},
		{name: "RFC 4013 §3: NFKC", in: "\u00aa", want: "a"},
		{name: "RFC 4013 §3: NFKC of a numeral", in: "\u2168", want: "IX"},
		{name: "RFC 4013 §3: prohibited", in: "\u0007", refused: true},
		{name: "RFC 4013 §3: right-to-left", in: "\u0627\u0031", refused: true},
		{name: "composed", in: "o\u0308", want: "ö"},
		{name: "spaces", in: "a\u00a0b\u3000c", want: "a b c"},
		{name: "right-to-left throughout", in: "\u05d0\u05d1", want: "\u05d0\u05d1"},
		{name: "right-to-left around a digit", in: "\u05d01\u05d1", want: "\u05d01\u05d1"},
		{name: "mixed directions", in: "\u05d0a\u05d1", refused: true},
		{name: "emoji", in: "pass\U0001f600", want: "pass\U0001f600"},
		{name: "NUL", in: "a\x00", refused: true},
		{name: "DEL", in: "a\x7f", refused: true},
		{name: "C1 control", in: "a\u0085", refused: true},
		{name: "private use", in: "\ue000", refused: true},
		{name: "non-character", in: "\uffff", refused: true},
		{name: "replacement character", in: "\ufffd", refused: true},
		{name: "direction mark", in: "a\u202e", refused: true},
		{name: "tag", in: "a\U000e0041", refused: true},
		{name: "line separator", in: "a\u2028", refused: true},
		{name: "not UTF-8", in: "\xff", refused: true},
	} {
		got, ok := saslprep(tt.in)
		if ok == tt.refused || got != tt.want {
			t.Errorf("%s: saslprep(%q) = %q, %v", tt.name, tt.in, got, ok)
		}
	}
}

func FuzzSaslprep(f *testing.F) {
	for _, s := range []string{"user", "I\u00adX", "\u0627\u0031", "\u1e9b\u0323", "\u00a0\u200b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		prepared, ok := saslprep(s)
		if !ok {
			return
		}
		if !utf8.ValidString(prepared) {
			t.Fatalf("%q gives %q", s, prepared)
		}
		if again, ok := saslprep(prepared); !ok || again != prepared {
			t.Fatalf("%q gives %q, then %q, %v", s, prepared, again, ok)
		}
	})
}
