package mailbox_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/mailbox"
)

func TestNamesOfFolders(t *testing.T) {
	for name, want := range map[string]string{
		"INBOX": "INBOX", "inbox": "INBOX", "InBox/Sub": "INBOX/Sub", "x/inbox": "x/inbox", "inboxes": "inboxes", "Grüße & Co.": "Grüße & Co.",
		"a/b/c": "a/b/c", "..a": "..a", "~x": "~x", `a\b"c`: `a\b"c`,
	} {
		if got, err := mailbox.CleanName(name); err != nil || got != want {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", "a/../b", ".", "..", "a/.", "a*", "%", "#news", "a\x00", "a\nb", "a\x7f", "a\u0085", "a\u2028", "\xff",
		strings.Repeat("x", mailbox.MaxName+1), strings.Repeat("a/", 50) + "a",
	} {
		if got, err := mailbox.CleanName(name); !errors.Is(err, mailbox.ErrName) {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}

func TestWhatLiesAboveAndBelow(t *testing.T) {
	if got := slices.Collect(mailbox.Parents("a/b/c")); !slices.Equal(got, []string{"a", "a/b"}) {
		t.Error(got)
	}
	for pair, want := range map[string]bool{"a/b a": true, "a a": false, "ab a": false, "a/b/c a": true, "a a/b": false} {
		name, above, _ := strings.Cut(pair, " ")
		if mailbox.Below(name, above) != want {
			t.Errorf("%s below %s: %v", name, above, !want)
		}
	}
}

func TestSpecialUses(t *testing.T) {
	for _, s := range mailbox.Standards() {
		if got, err := mailbox.CleanUse(strings.ToLower(s.Use)); err != nil || got != s.Use || mailbox.NameOf(s.Use) != s.Name {
			t.Errorf("%s: %s, %v", s.Use, got, err)
		}
	}
	for _, use := range []string{`\All`, `\Flagged`, "Sent", ""} {
		if _, err := mailbox.CleanUse(use); !errors.Is(err, mailbox.ErrUse) {
			t.Errorf("%q: %v", use, err)
		}
	}
}
