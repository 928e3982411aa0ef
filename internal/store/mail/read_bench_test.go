package mail_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"postroad/internal/core/mailbox"
	"postroad/internal/store/mail"
	"postroad/internal/store/sqldb"
)

// benchMessages is how many messages the folder of the reading benchmarks has.
const benchMessages = 100_000

// shelfOf100000 makes a mailbox of many messages of 4 KiB on SQLite.
func shelfOf100000(b *testing.B) (*mail.Store, func() *mail.Store) {
	b.Helper()
	ctx, dir := context.Background(), b.TempDir()
	blobs, err := sqldb.OpenBlobs(dir + "/blobs")
	if err != nil {
		b.Fatal(err)
	}
	open := func() *mail.Store {
		store, err := mail.Open(ctx, mail.Config{Dir: dir}, blobs)
		if err != nil {
			b.Fatal(err)
		}
		return store
	}
	store := open()
	if err := store.Create(ctx, system, mailbox.Mailbox{ID: "mailbox-of-26-letters-0000", Account: "acc-a"}); err != nil {
		b.Fatal(err)
	}
	header := "From: Somebody <somebody@example.org>\r\nTo: box@a.example\r\nSubject: number %06d of many\r\nMessage-ID: <%d@example.org>\r\nDate: Mon, 2 Feb 2026 03:04:05 +0000\r\n\r\n"
	body := strings.Repeat("0123456789abcd\r\n", 245)
	for n := 0; n < benchMessages; n += 500 {
		items := make([]mailbox.Item, 500)
		for i := range items {
			items[i] = item("mailbox-of-26-letters-0000", fmt.Sprintf(header, n+i, n+i)+body)
			items[i].Subject = fmt.Sprintf("number %06d of many", n+i)
		}
		for _, err := range store.Deliver(ctx, system, items) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	return store, func() *mail.Store {
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
		store = open()
		return store
	}
}

// BenchmarkRead reads a folder of 100,000 messages.
func BenchmarkRead(b *testing.B) {
	ctx := context.Background()
	store, reopen := shelfOf100000(b)
	const box = "mailbox-of-26-letters-0000"
	var whole *mailbox.Index
	b.Run("index-cold", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			store = reopen()
			b.StartTimer()
			var err error
			if whole, err = store.Index(ctx, system, box, mailbox.Inbox, nil); err != nil || whole.Len() != benchMessages {
				b.Fatal(err)
			}
		}
	})
	b.Run("index-warm", func(b *testing.B) {
		for b.Loop() {
			if _, err := store.Index(ctx, system, box, mailbox.Inbox, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("index-changed", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			for _, err := range store.Deliver(ctx, system, []mailbox.Item{item(box, "x")}) {
				if err != nil {
					b.Fatal(err)
				}
			}
			b.StartTimer()
			var err error
			if whole, err = store.Index(ctx, system, box, mailbox.Inbox, whole); err != nil {
				b.Fatal(err)
			}
		}
	})
	uids := make([]uint32, 1000)
	for i := range uids {
		uids[i] = uint32(50_000 + i) //nolint:gosec // small
	}
	b.Run("facts-1000", func(b *testing.B) {
		for b.Loop() {
			if list, err := store.Facts(ctx, system, box, mailbox.Inbox, uids); err != nil || len(list) != 1000 {
				b.Fatal(err)
			}
		}
	})
	b.Run("bodies-1000", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if err := store.Bodies(ctx, system, box, mailbox.Inbox, uids, func(uint32, mailbox.Body, error) error { n++; return nil }); err != nil || n != 1000 {
				b.Fatal(err)
			}
		}
	})
	notes := make([]mailbox.Note, 1000)
	for i := range notes {
		notes[i] = mailbox.Note{UID: uids[i], Text: make([]byte, 800)}
	}
	if err := store.Note(ctx, system, box, mailbox.Inbox, notes); err != nil {
		b.Fatal(err)
	}
	b.Run("facts-with-notes-1000", func(b *testing.B) {
		for b.Loop() {
			if list, err := store.Facts(ctx, system, box, mailbox.Inbox, uids); err != nil || len(list) != 1000 {
				b.Fatal(err)
			}
		}
	})
	_ = store.Close()
}
