package sasl

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The keys follow from the exchange in RFC 7677 §3.
const rfcVerifierText = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

func TestVerifierTextForm(t *testing.T) {
	v := rfcVerifier(t)
	if v.String() != rfcVerifierText {
		t.Errorf("String() = %s", v)
	}
	parsed, err := ParseVerifier(rfcVerifierText)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, parsed); diff != "" {
		t.Error(diff)
	}
}

func TestParseVerifierRefuses(t *testing.T) {
	change := func(from, to string) string { return strings.Replace(rfcVerifierText, from, to, 1) }
	for name, s := range map[string]string{
		"empty":            "",
		"other hash":       change("256", "1"),
		"few iterations":   change("4096", "4095"),
		"many iterations":  change("4096", "5000001"),
		"sign":             change("4096", "+4096"),
		"leading zero":     change("4096", "04096"),
		"no number":        change("4096", "x"),
		"huge number":      change("4096", "99999999999999999999"),
		"short salt":       change("W22ZaJ0SNY7soEsUEjb6gQ==", "W22Z"),
		"no salt":          change("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
		"short key":        change("WG5d8oPm", ""),
		"bad base64":       change("WG5d", "WG!d"),
		"line end":         change("WG5d", "WG5d\n"),
		"wrong separator":  change(":W22", "$W22"),
		"doubled":          change("$4096", "$$4096"),
		"text before":      "$" + rfcVerifierText,
		"text after":       rfcVerifierText + ":",
		"one part more":    rfcVerifierText + ":AAAA",
		"long":             rfcVerifierText + strings.Repeat("=", 2000),
		"non-zero padding": change("gQ==", "gR=="),
	} {
		if v, err := ParseVerifier(s); err == nil {
			t.Errorf("%s: %v", name, v)
		}
	}
}

func TestNewVerifierRefuses(t *testing.T) {
	salt := []byte("0123456789abcdef")
	for _, password := range []string{"", strings.Repeat("x", MaxPassword+1), "a\x00b", "a\nb", "a\xffb", "\u00ad", "a\u202eb", "\u05d01"} {
		if _, err := NewVerifier(password, salt, MinIterations); !errors.Is(err, ErrPassword) {
			t.Errorf("password %.20q: %v", password, err)
		}
	}
	for _, tt := range []struct{ salt, iterations int }{{7, 4096}, {65, 4096}, {16, 4095}, {16, MaxIterations + 1}, {16, -1}} {
		if _, err := NewVerifier("x", make([]byte, tt.salt), tt.iterations); err == nil || errors.Is(err, ErrPassword) {
			t.Errorf("%d octets of salt, %d iterations: %v", tt.salt, tt.iterations, err)
		}
	}
}

func TestVerifierCheck(t *testing.T) {
	v := rfcVerifier(t)
	for password, want := range map[string]bool{
		"pencil": true, "pen\u00adcil": true, "Pencil": false, "": false, "pencil ": false, "pencil\x00": false, "pen\xffcil": false,
	} {
		if v.Check(password) != want {
			t.Errorf("Check(%q) = %v", password, !want)
		}
	}
	if (Verifier{}).Check("") || (Verifier{}).Check("x") {
		t.Error("zero verifier has a password")
	}
	longest := strings.Repeat("x", MaxPassword)
	v, err := NewVerifier(longest, []byte("0123456789abcdef"), MinIterations)
	if err != nil || !v.Check(longest) || v.Check(longest[1:]) {
		t.Errorf("longest password: %v", err)
	}
}

func TestVerifierOwnsItsSalt(t *testing.T) {
	salt := []byte("0123456789abcdef")
	v, err := NewVerifier("x", salt, MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	salt[0] = 'x'
	if !v.Check("x") {
		t.Error("verifier changed with the caller's salt")
	}
}

func TestVerifierStaysOutOfLogs(t *testing.T) {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("test", "verifier", rfcVerifier(t))
	if strings.Contains(log.String(), "SCRAM") {
		t.Error(log.String())
	}
}

func TestFakeVerifier(t *testing.T) {
	secret := []byte("secret")
	a := FakeVerifier("a@b.example", secret)
	if diff := cmp.Diff(a, FakeVerifier("A@b.Example", secret)); diff != "" {
		t.Errorf("differs from call to call: %s", diff)
	}
	for _, other := range []Verifier{FakeVerifier("b@b.example", secret), FakeVerifier("a@b.example", []byte("other"))} {
		if bytes.Equal(a.Salt, other.Salt) || bytes.Equal(a.StoredKey, other.StoredKey) || bytes.Equal(a.ServerKey, other.ServerKey) {
			t.Error("same for another user or secret")
		}
	}
	if len(a.Salt) != SaltSize || a.Iterations != DefaultIterations || bytes.Equal(a.StoredKey, a.ServerKey) || a.check() != nil {
		t.Errorf("unlike a real one: %d, %d", len(a.Salt), a.Iterations)
	}
	if parsed, err := ParseVerifier(a.String()); err != nil || !cmp.Equal(a, parsed) {
		t.Errorf("text form: %v", err)
	}
	if a.Check("a@b.example") {
		t.Error("a password fits")
	}
}

func FuzzParseVerifier(f *testing.F) {
	f.Add(rfcVerifierText)
	f.Add("SCRAM-SHA-256$4096:$:")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseVerifier(s)
		if err == nil && v.String() != s {
			t.Fatalf("%q is written as %q", s, v.String())
		}
	})
}

func TestErrorsSayWhat(t *testing.T) {
	if got := fmt.Sprint(malformed("nonce")); got != "sasl: malformed message: nonce" {
		t.Error(got)
	}
}
