package smtp

import "testing"

func TestXText(t *testing.T) {
	for plain, want := range map[string]string{
		"": "", "abc": "abc", "a+b=c": "a+2Bb+3Dc", "a b": "a+20b", "\r\n": "+0D+0A", "\xff": "+FF", "~!": "~!",
	} {
		if got := EncodeXText(plain); got != want {
			t.Errorf("EncodeXText(%q) = %q, want %q", plain, got, want)
		}
		if got, err := DecodeXText(want); got != plain || err != nil {
			t.Errorf("DecodeXText(%q) = %q, %v", want, got, err)
		}
	}
	for _, s := range []string{"+", "a+", "+4", "+g0", "+0g", "+2b", "++"} {
		if got, err := DecodeXText(s); err == nil {
			t.Errorf("DecodeXText(%q) = %q, want an error", s, got)
		}
	}
}

func TestORcptIsSentInASCII(t *testing.T) {
	for in, want := range map[string]string{
		"rfc822;a+b@c":     "rfc822;a+2Bb@c",
		"utf-8;a@c":        "utf-8;a@c",
		"utf-8;ü+\\€@c":    `utf-8;\x{FC}\x{2B}\x{5C}\x{20AC}@c`,
		"utf-8;\U0001F600": `utf-8;\x{1F600}`,
	} {
		if got, ok := appendORcpt(nil, in); string(got) != want || !ok {
			t.Errorf("ORCPT %q is sent as %q, %v; want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "a@c", "rfc822;", "rf c822;a", "rfc822;ü"} {
		if got, ok := appendORcpt(nil, in); ok {
			t.Errorf("ORCPT %q is sent as %q", in, got)
		}
	}
}
