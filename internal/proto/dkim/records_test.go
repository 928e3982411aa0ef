package dkim

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestRecords: what is remembered of a record is what it says, and what cannot be read is not remembered.
func TestRecords(t *testing.T) {
	t.Parallel()
	var r Records
	text := func(n byte) string {
		record, err := MakeRecord(ed25519.PublicKey(strings.Repeat(string(rune('a'+n%26)), ed25519.PublicKeySize)))
		if err != nil {
			t.Fatal(err)
		}
		return record + fmt.Sprintf("; n=%d", n)
	}
	for range 2 {
		for n := range byte(30) {
			got, err := r.parse(text(n))
			want, _ := ParseRecord(text(n))
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%d: %v, %v; want %v", n, got, err, want)
			}
		}
		if _, err := r.parse("v=DKIM1; p="); !errors.Is(err, ErrRevoked) {
			t.Errorf("a revoked key: %v", err)
		}
		if len(r.known) != 30 {
			t.Errorf("%d records are remembered", len(r.known))
		}
	}
	if _, err := r.parse(text(0) + "; x=" + strings.Repeat("x", maxRemembered)); err != nil || len(r.known) != 30 {
		t.Errorf("a long record: %v, %d are remembered", err, len(r.known))
	}
	for n := range 3 * maxKnown {
		if _, err := r.parse(text(0) + fmt.Sprintf("; x=%d", n)); err != nil {
			t.Fatal(err)
		}
		if len(r.known) > maxKnown {
			t.Fatalf("%d records are remembered", len(r.known))
		}
	}
	if _, err := (*Records)(nil).parse(text(1)); err != nil {
		t.Error(err)
	}
}

// TestManyTags: however many tags a list has, each is found, and none twice.
func TestManyTags(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for n := range 3 * few {
		fmt.Fprintf(&b, "t%d=v%d;", n, n)
		tags, err := ParseTags(b.String())
		if err != nil || tags.First != "t0" {
			t.Fatalf("%d tags: %v, %v", n+1, tags, err)
		}
		for m := range 3 * few {
			if value, ok := tags.Get(fmt.Sprintf("t%d", m)); ok != (m <= n) || ok && value != fmt.Sprintf("v%d", m) {
				t.Errorf("%d tags, tag %d: %q, %v", n+1, m, value, ok)
			}
		}
		for _, m := range []int{0, n} {
			if _, err := ParseTags(b.String() + fmt.Sprintf("t%d=x", m)); !errors.Is(err, ErrSyntax) {
				t.Errorf("%d tags and t%d once more: %v", n+1, m, err)
			}
		}
	}
}
