package imap

import (
	"strings"
	"testing"
)

func TestModifiedUTF7(t *testing.T) {
	for sent, name := range map[string]string{
		"INBOX": "INBOX", "a&-b": "a&b", "&-": "&", "&-&-": "&&", "~peter/mail/&U,BTFw-/&ZeVnLIqe-": "~peter/mail/台北/日本語",
		"&2D3cAA-": "\U0001F400", "Entw&APw-rfe": "Entwürfe", "&AOQ-&-&AOQ-": "ä&ä", "%*&AOQ-": "%*ä",
	} {
		if got, ok := DecodeUTF7(sent); !ok || got != name {
			t.Errorf("%q: read %q, %v", sent, got, ok)
		}
		if got := EncodeUTF7(name); got != sent {
			t.Errorf("%q: wrote %q", name, got)
		}
	}
	for _, sent := range []string{
		"&", "&AOQ", "&AOQ=-", "&A-", "&AOR-", "&AGE-", "&AOQ-&AOQ-", "ä", "a\x01", "&2D0-", "&3AA-", "&2D0AYQ-", "&!-", "&AOQ/-", "&\n-", "&AO\r\nQ-",
	} {
		if got, ok := DecodeUTF7(sent); ok {
			t.Errorf("%q: read %q", sent, got)
		}
	}
}

func FuzzModifiedUTF7(f *testing.F) {
	f.Add("Entw&APw-rfe&-")
	f.Add("日本語")
	f.Fuzz(func(t *testing.T, s string) {
		if name, ok := DecodeUTF7(s); ok && EncodeUTF7(name) != s {
			t.Errorf("%q is %q is %q", s, name, EncodeUTF7(name))
		}
		if ValidName(s) {
			if got, ok := DecodeUTF7(EncodeUTF7(s)); !ok || got != s {
				t.Errorf("%q becomes %q", s, got)
			}
		}
	})
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b/c", true},
		{"%", "a", true},
		{"%", "a/b", false},
		{"a/%", "a/b", true},
		{"a/%", "a/b/c", false},
		{"a/*", "a/b/c", true},
		{"%/%", "a/b", true},
		{"%/%", "a", false},
		{"*b", "a/b", true},
		{"inbox", "INBOX", true},
		{"inb%", "INBOX", true},
		{"Sent", "sent", false},
		{"", "", true},
		{"", "a", false},
		{"%%", "ab", true},
		{"*%*c", "a/b/c", true},
		{"%*", "a/b", true},
		{"a*c%e", "a/b/cde", true},
		{"a*c%e", "a/b/cd/e", false},
		{"*", "", true},
		{"ä%", "äö", true},
	} {
		if got := Matches(c.pattern, c.name, '/'); got != c.want {
			t.Errorf("%q %q: got %v", c.pattern, c.name, got)
		}
	}
	if Matches(strings.Repeat("*a", 500), strings.Repeat("a", 499), '/') {
		t.Error("500 letters match 499")
	}
}
