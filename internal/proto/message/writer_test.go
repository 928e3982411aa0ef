package message

import (
	"errors"
	"mime"
	"strings"
	"testing"
)

func TestAppendField(t *testing.T) {
	long := strings.Repeat("word ", 40)
	tests := []struct{ name, value, want string }{
		{"Subject", "Hello", "Subject: Hello\r\n"},
		{"X-Empty", "", "X-Empty:\r\n"},
		{"X-Empty", " \t", "X-Empty:\r\n"},
		{"X-Trim", " a ", "X-Trim: a\r\n"},
		{"X-Tab", "a\tb", "X-Tab: a\tb\r\n"},
		{"To", "jürgen@münchen.example", "To: jürgen@münchen.example\r\n"},
		{"X-Spaces", strings.Repeat("a", 66) + "   " + "bbbb", "X-Spaces: " + strings.Repeat("a", 66) + "\r\n   bbbb\r\n"},
		{"X-Word", strings.Repeat("a", 990), "X-Word: " + strings.Repeat("a", 990) + "\r\n"},
	}
	for _, tt := range tests {
		got, err := AppendField([]byte("A: b\r\n"), tt.name, tt.value)
		if err != nil || string(got) != "A: b\r\n"+tt.want {
			t.Errorf("AppendField(%q, %q) = %q, %v", tt.name, tt.value, got, err)
		}
	}
	got, err := AppendField(nil, "X-Long", long)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(got)) {
		if len(line) > foldAt+2 {
			t.Errorf("line %q", line)
		}
	}
	if values := Values(got, "X-Long"); values[0] != strings.TrimSpace(long) {
		t.Errorf("unfolded %q", values)
	}
}

func TestAppendFieldRefuses(t *testing.T) {
	tests := []struct {
		name, value string
		want        error
	}{
		{"Subject", "a\r\nBcc: x@y", ErrFieldValue},
		{"Subject", "a\nb", ErrFieldValue},
		{"Subject", "a\rb", ErrFieldValue},
		{"Subject", "a\x00b", ErrFieldValue},
		{"Subject", "a\x1bb", ErrFieldValue},
		{"Subject", "a\xff", ErrFieldValue},
		{"", "a", ErrFieldName},
		{"Sub ject", "a", ErrFieldName},
		{"Subject ", "a", ErrFieldName},
		{"Subject:", "a", ErrFieldName},
		{"Sub\r\nject", "a", ErrFieldName},
		{"Sübject", "a", ErrFieldName},
		{strings.Repeat("a", 200), "a", ErrFieldName},
	}
	for _, tt := range tests {
		for _, appendField := range []func([]byte, string, string) ([]byte, error){AppendField, AppendEncodedField} {
			got, err := appendField([]byte("x"), tt.name, tt.value)
			if !errors.Is(err, tt.want) || string(got) != "x" {
				t.Errorf("(%q, %q) = %q, %v", tt.name, tt.value, got, err)
			}
		}
	}
	if got, err := AppendField([]byte("x"), "X", strings.Repeat("a", 999)); !errors.Is(err, ErrLineTooLong) || string(got) != "x" {
		t.Errorf("long word: %v", err)
	}
}

func TestAppendEncodedField(t *testing.T) {
	for _, tt := range []struct{ value, want string }{
		{"plain", "Subject: plain\r\n"},
		{"für dich", "Subject: =?utf-8?q?f=C3=BCr_dich?=\r\n"},
		{"日本", "Subject: =?utf-8?b?5pel5pys?=\r\n"},
		{"=?utf-8?q?x?=", "Subject: =?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?=\r\n"},
	} {
		got, err := AppendEncodedField(nil, "Subject", tt.value)
		if err != nil || string(got) != tt.want {
			t.Errorf("%q: %q, %v", tt.value, got, err)
		}
	}
}

func FuzzAppendEncodedField(f *testing.F) {
	f.Add("Subject", strings.Repeat("日本語のとても長い題名", 20))
	f.Add("X", strings.Repeat("für ", 50))
	f.Add("Subject", "=?x?")
	f.Fuzz(func(t *testing.T, name, value string) {
		got, err := AppendEncodedField(nil, name, value)
		if err != nil {
			return
		}
		checkLines(t, got)
		values := Values(got, name)
		if len(values) != 1 || !isASCII(string(got)) {
			t.Fatalf("%q, %q gives %q", name, value, got)
		}
		decoded, err := new(mime.WordDecoder).DecodeHeader(values[0])
		if want := strings.Trim(value, " \t"); err != nil || decoded != want {
			t.Fatalf("%q gives %q, decoded %q", want, got, decoded)
		}
		if strings.Contains(string(got), "=?utf-8?") && len(name) < 40 {
			for line := range strings.Lines(string(got)) {
				if len(line) > maxEncodedRow+2 {
					t.Fatalf("line %q", line)
				}
			}
		}
	})
}
