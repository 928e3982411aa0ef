package idna_test

import (
	"testing"

	"postroad/internal/proto/idna"
)

func TestNamesThatLookAlike(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, like string
	}{
		{"acme.example", "acme.example"},
		{"аcme.example", "acme.example"}, // Cyrillic
		{"асме.example", "acme.example"},
		{"αcme.example", "acme.example"}, // Greek
		{"ɑcme.example", "acme.example"}, // Latin
		{"раураl.example", "paypal.example"},
		{"mail.аcme.example", "mail.acme.example"},
		{"bücher.example", "bücher.example"},
		{"москва.example", "mockba.example"},
		{"日本.example", "日本.example"},
	} {
		ascii, err := idna.ToASCII(c.name)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := idna.Lookalike(ascii); got != c.like {
			t.Errorf("%s looks like %q, want %q", c.name, got, c.like)
		}
	}
}
