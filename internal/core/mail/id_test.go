package mail_test

import (
	"testing"
	"time"

	"postroad/internal/core/mail"
)

func TestIDIsOrderedByTimeAndKeepsItsEpoch(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	var last mail.ID
	for i := range 1000 {
		id := mail.NewID(at.Add(time.Duration(i)*time.Millisecond), 7, 0xabcdef, uint64(1000-i))
		if id <= last {
			t.Fatalf("id %s made after %s sorts before it", id, last)
		}
		if len(id) != mail.IDLength {
			t.Fatalf("length %d", len(id))
		}
		if got, err := mail.ParseID(string(id)); err != nil || got != id {
			t.Fatalf("ParseID(%s) = %s, %v", id, got, err)
		}
		if id.Epoch() != 0xabcdef {
			t.Fatalf("epoch of %s = %x", id, id.Epoch())
		}
		last = id
	}
	for _, bad := range []string{"", "x", string(last) + "0", "z" + string(last)[1:], string(last)[:25] + "u", string(last)[:25] + "\n"} {
		if _, err := mail.ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) took it", bad)
		}
	}
}
