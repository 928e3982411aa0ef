package smtp

import (
	"errors"
	"strings"
	"testing"
)

// code gives the reply code and enhanced code of a refusal, "" for none.
func code(err error) string {
	var e *ReplyError
	if !errors.As(err, &e) {
		return ""
	}
	return string(append(e.Reply.Enhanced.appendTo([]byte{byte('0' + e.Reply.Code/100), byte('0' + e.Reply.Code/10%10), byte('0' + e.Reply.Code%10), ' '}), nil...))
}

var (
	local64   = strings.Repeat("l", 64)
	label63   = strings.Repeat("d", 63)
	domain253 = strings.Join([]string{label63, label63, label63, strings.Repeat("d", 61)}, ".")
)

func TestParseAddress(t *testing.T) {
	tests := []struct {
		in   string
		utf8 bool
		want Address
		code string // of the refusal; want is the zero value then
	}{
		{"user@example.org", false, Address{"user", "example.org"}, ""},
		{"User@EXAMPLE.Org", false, Address{"User", "example.org"}, ""},
		{"a.b+c=d@example.org", false, Address{"a.b+c=d", "example.org"}, ""},
		{"!#$%&'*+-/=?^_`{|}~@example.org", false, Address{"!#$%&'*+-/=?^_`{|}~", "example.org"}, ""},
		{`"user"@example.org`, false, Address{"user", "example.org"}, ""},
		{`"a b"@example.org`, false, Address{"a b", "example.org"}, ""},
		{`"a\"b\\c"@example.org`, false, Address{`a"b\c`, "example.org"}, ""},
		{`"a@b"@example.org`, false, Address{"a@b", "example.org"}, ""},
		{`"a..b"@example.org`, false, Address{"a..b", "example.org"}, ""},
		{"user@[192.0.2.1]", false, Address{"user", "[192.0.2.1]"}, ""},
		{"user@[IPv6:2001:db8::1]", false, Address{"user", "[IPv6:2001:db8::1]"}, ""},
		{"user@[ipv6:::1]", false, Address{"user", "[ipv6:::1]"}, ""},
		{"a%b@example.org", false, Address{"a%b", "example.org"}, ""},
		{"a!b@example.org", false, Address{"a!b", "example.org"}, ""},
		{local64 + "@example.org", false, Address{local64, "example.org"}, ""},
		{"a@" + domain253, false, Address{"a", domain253}, ""},
		{"user@bücher.example", true, Address{"user", "xn--bcher-kva.example"}, ""},
		{"üser@bücher.example", true, Address{"üser", "xn--bcher-kva.example"}, ""},
		{`"ü ser"@example.org`, true, Address{"ü ser", "example.org"}, ""},
		{"user@xn--bcher-kva.example", false, Address{"user", "xn--bcher-kva.example"}, ""},
		{"user@localhost", false, Address{"user", "localhost"}, ""},

		{"", false, Address{}, "501 5.1.3"},
		{"<>", false, Address{}, "501 5.1.3"},
		{"user", false, Address{}, "501 5.1.3"},
		{"postmaster", false, Address{}, "501 5.1.3"},
		{"@example.org", false, Address{}, "501 5.1.3"},
		{`""@example.org`, false, Address{}, "501 5.1.3"},
		{"user@", false, Address{}, "501 5.1.3"},
		{"user@@example.org", false, Address{}, "501 5.1.3"},
		{"user@a@example.org", false, Address{}, "501 5.1.3"},
		{"a@b.example@c.example", false, Address{}, "501 5.1.3"},
		{"user@example.org.", false, Address{}, "501 5.1.3"},
		{"user@.example.org", false, Address{}, "501 5.1.3"},
		{"user@example..org", false, Address{}, "501 5.1.3"},
		{"user@-example.org", false, Address{}, "501 5.1.3"},
		{"user@exa_mple.org", false, Address{}, "501 5.1.3"},
		{"user@192.0.2.1", false, Address{}, "501 5.1.3"},
		{"user@3232235777", false, Address{}, "501 5.1.3"},
		{".user@example.org", false, Address{}, "501 5.1.3"},
		{"user.@example.org", false, Address{}, "501 5.1.3"},
		{"us..er@example.org", false, Address{}, "501 5.1.3"},
		{"us er@example.org", false, Address{}, "501 5.1.3"},
		{"user@example.org ", false, Address{}, "501 5.1.3"},
		{" user@example.org", false, Address{}, "501 5.1.3"},
		{"user@example.org>", false, Address{}, "501 5.1.3"},
		{"<user@example.org>", false, Address{}, "501 5.1.3"},
		{"user(c)@example.org", false, Address{}, "501 5.1.3"},
		{"@a.example:user@example.org", false, Address{}, "501 5.1.3"},
		{"user@[192.0.2.1", false, Address{}, "501 5.1.3"},
		{"user@[192.0.2.256]", false, Address{}, "501 5.1.3"},
		{"user@[192.0.2.1].example", false, Address{}, "501 5.1.3"},
		{"user@[2001:db8::1]", false, Address{}, "501 5.1.3"},
		{"user@[IPv6:192.0.2.1]", false, Address{}, "501 5.1.3"},
		{"user@[IPv6:fe80::1%eth0]", false, Address{}, "501 5.1.3"},
		{"user@[X-tag:data]", false, Address{}, "501 5.1.3"},
		{"user@[]", false, Address{}, "501 5.1.3"},
		{"us\x00er@example.org", false, Address{}, "501 5.1.3"},
		{"us\rer@example.org", false, Address{}, "501 5.1.3"},
		{"\"us\rer\"@example.org", false, Address{}, "501 5.1.3"},
		{"\"us\x7fer\"@example.org", false, Address{}, "501 5.1.3"},
		{"\"us\\\ner\"@example.org", false, Address{}, "501 5.1.3"},
		{"\x01\x7f@example.org", false, Address{}, "501 5.1.3"},
		{"user@exa\x00mple.org", false, Address{}, "501 5.1.3"},
		{`"user@example.org`, false, Address{}, "501 5.1.3"},
		{`"user\"@example.org`, false, Address{}, "501 5.1.3"},
		{`"us"er"@example.org`, false, Address{}, "501 5.1.3"},
		{`"user"x@example.org`, false, Address{}, "501 5.1.3"},
		{local64 + "l@example.org", false, Address{}, "501 5.1.3"},
		{`"` + local64 + `l"@example.org`, false, Address{}, "501 5.1.3"},
		{strings.Repeat("ü", 33) + "@example.org", true, Address{}, "501 5.1.3"},
		{strings.Repeat("l", 900) + "@example.org", false, Address{}, "501 5.1.3"},
		{"a@" + domain253 + "d", false, Address{}, "501 5.1.3"},
		{"a@" + strings.Repeat("d", 255), false, Address{}, "501 5.1.3"},
		{"a@" + strings.Repeat("d.", 600) + "org", false, Address{}, "501 5.1.3"},
		{"üser@example.org", false, Address{}, "553 5.6.7"},
		{"user@bücher.example", false, Address{}, "553 5.6.7"},
		{"us\xffer@example.org", true, Address{}, "501 5.1.3"},
		{"us\u0085er@example.org", true, Address{}, "501 5.1.3"},
		{"us\u202eer@example.org", true, Address{}, "501 5.1.3"},
		{"user@exam\u200dple.org", true, Address{}, "501 5.1.3"},
		{"user@example.org。", true, Address{}, "501 5.1.3"},
	}
	for _, tt := range tests {
		got, err := ParseAddress(tt.in, tt.utf8)
		if got != tt.want || code(err) != tt.code || (err == nil) != (tt.code == "") {
			t.Errorf("ParseAddress(%.70q, %v) = %q, %v; want %q, %s", tt.in, tt.utf8, got, err, tt.want, tt.code)
		}
		if err != nil {
			continue
		}
		again, err := ParseAddress(got.String(), tt.utf8)
		if err != nil || again != got {
			t.Errorf("%q does not survive String: %q, %v", got, again, err)
		}
	}
}

func TestAddressString(t *testing.T) {
	tests := []struct {
		in   Address
		want string
	}{
		{Address{}, ""},
		{Address{"postmaster", ""}, "postmaster"},
		{Address{"user", "example.org"}, "user@example.org"},
		{Address{"a b", "example.org"}, `"a b"@example.org`},
		{Address{"a@b", "example.org"}, `"a@b"@example.org`},
		{Address{`a"\b`, "example.org"}, `"a\"\\b"@example.org`},
		{Address{".a", "example.org"}, `".a"@example.org`},
		{Address{"a..b", "example.org"}, `"a..b"@example.org`},
		{Address{"a.", "example.org"}, `"a."@example.org`},
		{Address{"ü", "[192.0.2.1]"}, "ü@[192.0.2.1]"},
	}
	for _, tt := range tests {
		if got := tt.in.String(); got != tt.want {
			t.Errorf("%#v.String() = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestAddressQuestions(t *testing.T) {
	if !(Address{}).IsNull() || (Address{"postmaster", ""}).IsNull() {
		t.Error("IsNull")
	}
	if !(Address{"ü", "a"}).NeedsUTF8() || (Address{"u", "xn--bcher-kva.example"}).NeedsUTF8() {
		t.Error("NeedsUTF8")
	}
	for local, routed := range map[string]bool{"a%b": true, "a!b": true, "a@b": true, "a+b": false} {
		if (Address{local, "example.org"}).IsRouted() != routed {
			t.Errorf("IsRouted of %q", local)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"a@b", `"a\"b"@c.d`, "ü@ü.example", "a@[IPv6:::1]", "@a:b@c", "a@b@c"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, utf8 bool) {
		a, err := ParseAddress(s, utf8)
		if err != nil {
			if code(err) == "" {
				t.Fatalf("%v carries no reply", err)
			}
			return
		}
		if strings.ContainsAny(a.String(), "\r\n\x00") || a.Local == "" || a.Domain == "" || len(a.Local) > MaxLocal {
			t.Fatalf("ParseAddress(%q) = %q", s, a)
		}
		if !sendablePath(a.String()) {
			t.Fatalf("%q can't be sent", a)
		}
		if again, err := ParseAddress(a.String(), utf8); err != nil || again != a {
			t.Fatalf("ParseAddress(%q) = %#v, and of its String %#v, %v", s, a, again, err)
		}
	})
}
