package mail_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroad/internal/core/account"
	coremail "postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/store/mail"
	"postroad/internal/store/sqldb"
)

var system = account.System()

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newID() coremail.ID { return coremail.NewID(time.Now(), 0, 1, rand.Uint64()) }

// item makes a message for a mailbox.
func item(box, content string) mailbox.Item {
	return mailbox.Item{
		Mailbox: box, QueueID: newID(), At: time.Now().UTC().Truncate(time.Microsecond), Size: int64(len(content)), Hash: sqldb.Sum([]byte(content)),
		Content: coremail.Content{Inline: []byte(content)}, From: "Ann", Subject: "x", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func (w *world) create(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		must(t, w.Create(t.Context(), system, mailbox.Mailbox{ID: id, Account: "acc-a"}))
	}
}

func (w *world) deliver(t *testing.T, items ...mailbox.Item) {
	t.Helper()
	must(t, errors.Join(w.Deliver(t.Context(), system, items)...))
}

func (w *world) list(t *testing.T, box string) []mailbox.Message {
	t.Helper()
	list, err := w.Messages(t.Context(), system, box, "INBOX", 0, 1000)
	must(t, err)
	return list
}

func uids(list []mailbox.Message) []uint32 {
	var out []uint32
	for _, m := range list {
		out = append(out, m.UID)
	}
	return out
}

func (w *world) body(t *testing.T, box string, uid uint32) string {
	t.Helper()
	f, err := w.Open(t.Context(), system, box, mailbox.Inbox, uid)
	must(t, err)
	b, err := io.ReadAll(f.Whole())
	must(t, errors.Join(err, f.Close()))
	return string(b)
}

// remove removes messages of an INBOX, whatever their flags.
func (w *world) remove(t *testing.T, box string, uids ...uint32) []uint32 {
	t.Helper()
	_, err := w.SetFlags(t.Context(), system, box, mailbox.Inbox, mailbox.FlagChange{UIDs: uids, Mode: mailbox.FlagsAdd, Flags: []string{`\Deleted`}, UnchangedSince: -1})
	must(t, err)
	gone, err := w.Expunge(t.Context(), system, box, mailbox.Inbox, uids)
	must(t, err)
	return gone
}

func TestWhatIsDeliveredIsReadBack(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		w.create(t, "a", "b", "c")
		first, second, other := item("a", "one\x00\xff\r\n"), item("a", ""), item("b", "three")
		w.deliver(t, first, second, other)
		want := []mailbox.Message{
			{UID: 1, ModSeq: 2, Flags: []string{}, At: first.At, Size: first.Size, From: "Ann", Subject: "x", Date: first.Date},
			{UID: 2, ModSeq: 3, Flags: []string{}, At: second.At, Size: 0, From: "Ann", Subject: "x", Date: first.Date},
		}
		if diff := cmp.Diff(want, w.list(t, "a")); diff != "" {
			t.Error(diff)
		}
		if got := w.body(t, "a", 1); got != "one\x00\xff\r\n" {
			t.Errorf("body %q", got)
		}
		if got := w.body(t, "a", 2); got != "" {
			t.Errorf("body %q", got)
		}
		w.restart(t)
		if got := w.body(t, "b", 1); got != "three" {
			t.Errorf("body %q", got)
		}
		usage, err := w.Usage(t.Context(), system, nil)
		must(t, err)
		if diff := cmp.Diff(map[string]mailbox.Usage{"a": {Messages: 2, Bytes: first.Size}, "b": {Messages: 1, Bytes: 5}, "c": {}}, usage); diff != "" {
			t.Error(diff)
		}
		if usage, err = w.Usage(t.Context(), system, []string{"b", "nobody"}); err != nil || len(usage) != 1 || usage["b"].Bytes != 5 {
			t.Errorf("usage of one: %v, %v", usage, err)
		}
		if page, err := w.Messages(t.Context(), system, "a", "INBOX", 1, 1); err != nil || len(page) != 1 || page[0].UID != 2 {
			t.Errorf("second page: %v, %v", page, err)
		}
	})
}

func TestWhatIsNotThere(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ctx := t.Context()
		w.create(t, "a")
		check := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: %v instead of %v", what, err, want)
			}
		}
		good := item("a", "x")
		errs := w.Deliver(ctx, system, []mailbox.Item{item("nobody", "x"), good})
		check("deliver to nobody", errs[0], mailbox.ErrNoMailbox)
		check("beside it", errs[1], nil)
		_, err := w.Folders(ctx, system, "nobody")
		check("folders of nobody", err, mailbox.ErrNoMailbox)
		_, err = w.Messages(ctx, system, "a", "Nowhere", 0, 1)
		check("messages of no folder", err, mailbox.ErrNoFolder)
		_, err = w.Open(ctx, system, "a", mailbox.Inbox, 9)
		check("body", err, mailbox.ErrNoMessage)
		_, err = w.Folder(ctx, system, "a", "Nowhere")
		check("folder", err, mailbox.ErrNoFolder)
		check("remove", w.Remove(ctx, system, "nobody"), mailbox.ErrNoMailbox)
		if gone, err := w.Expunge(ctx, system, "a", mailbox.Inbox, []uint32{7, 8}); err != nil || len(gone) != 0 {
			t.Errorf("expunge of nothing: %v, %v", gone, err)
		}
	})
}

func TestAQueueIDIsDeliveredOnce(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		w.create(t, "a", "b")
		m := item("a", "x")
		again := m
		again.Mailbox = "b"
		w.deliver(t, m, m, again)
		w.deliver(t, m)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { _ = w.Deliver(t.Context(), system, []mailbox.Item{m}) })
		}
		wg.Wait()
		if len(w.list(t, "a")) != 1 || len(w.list(t, "b")) != 1 {
			t.Fatalf("%d and %d copies", len(w.list(t, "a")), len(w.list(t, "b")))
		}
		w.remove(t, "a", 1)
		w.restart(t)
		w.deliver(t, m)
		if n := len(w.list(t, "a")); n != 0 {
			t.Fatalf("%d copies after expunge", n)
		}
		must(t, w.Settled(t.Context(), system, []mailbox.DeliveredID{{Mailbox: "a", QueueID: m.QueueID}}))
		w.deliver(t, m)
		if got := uids(w.list(t, "a")); !slices.Equal(got, []uint32{2}) {
			t.Fatalf("after Settled: %v", got)
		}
	})
}

func TestUIDsAreNeverGivenTwice(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		w.create(t, "a")
		seen := map[uint32]bool{}
		for range 4 {
			w.deliver(t, item("a", "x"), item("a", "y"))
			for _, uid := range uids(w.list(t, "a")) {
				if seen[uid] {
					t.Fatalf("UID %d a second time", uid)
				}
				seen[uid] = true
			}
			w.remove(t, "a", uids(w.list(t, "a"))...)
			w.restart(t)
		}
		folders, err := w.Folders(t.Context(), system, "a")
		must(t, err)
		if f := folders[0]; f.Name != "INBOX" || f.UIDNext != 9 || f.UIDValidity == 0 || f.Messages != 0 || f.HighestModSeq != 17 {
			t.Errorf("folder %+v", f)
		}
	})
}

func TestQuotaHoldsUnderParallelDeliveries(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		must(t, w.Create(t.Context(), system, mailbox.Mailbox{ID: "a", Account: "acc-a", Quota: 100}))
		var wg sync.WaitGroup
		errs := make([]error, 50)
		for i := range errs {
			wg.Go(func() { errs[i] = w.Deliver(t.Context(), system, []mailbox.Item{item("a", "0123456789")})[0] })
		}
		wg.Wait()
		stored := 0
		for _, err := range errs {
			switch {
			case err == nil:
				stored++
			case !errors.Is(err, mailbox.ErrQuota):
				t.Error(err)
			}
		}
		usage, err := w.Usage(t.Context(), system, []string{"a"})
		must(t, err)
		if stored != 10 || usage["a"].Bytes != 100 || usage["a"].Messages != 10 || len(w.list(t, "a")) != 10 {
			t.Errorf("%d stored, %+v", stored, usage["a"])
		}
		must(t, w.Create(t.Context(), system, mailbox.Mailbox{ID: "a", Account: "acc-a", Quota: 110}))
		w.deliver(t, item("a", "0123456789"))
		w.remove(t, "a", 1, 2)
		if usage, err = w.Usage(t.Context(), system, nil); err != nil || usage["a"] != (mailbox.Usage{Messages: 9, Bytes: 90, Quota: 110}) {
			t.Errorf("after expunge %+v, %v", usage["a"], err)
		}
	})
}

func TestContentFilesAreTheMailboxesOwn(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ctx := t.Context()
		must(t, w.Create(ctx, system, mailbox.Mailbox{ID: "a", Account: "acc-a", Quota: 150000}))
		content := string(bytes.Repeat([]byte("0123456789abcdef"), 8192))
		blob, err := w.blobs.Create()
		must(t, err)
		_, err = io.WriteString(blob, content)
		must(t, errors.Join(err, blob.Commit()))
		m := item("a", content)
		m.Content = coremail.Content{Blob: blob.Name()}
		second := m
		second.QueueID = newID()
		w.deliver(t, m, m)
		if errs := w.Deliver(ctx, system, []mailbox.Item{second}); !errors.Is(errs[0], mailbox.ErrQuota) {
			t.Fatal(errs)
		}
		files := func() int {
			entries, err := os.ReadDir(w.blobs.Dir())
			must(t, err)
			return len(entries)
		}
		if n := files(); n != 2 {
			t.Errorf("%d content files", n)
		}
		must(t, w.blobs.Remove(blob.Name())) // the queue's own name
		if got := w.body(t, "a", 1); got != content {
			t.Error("other bytes came back")
		}
		entries, err := os.ReadDir(w.blobs.Dir())
		must(t, err)
		owned, err := w.Owns(ctx, []string{entries[0].Name(), blob.Name()})
		if err != nil || !owned[entries[0].Name()] || len(owned) != 1 {
			t.Errorf("owned %v, %v", owned, err)
		}
		path := filepath.Join(w.blobs.Dir(), entries[0].Name())
		must(t, os.WriteFile(path, []byte(content[1:]+"x"), 0o600))
		f, err := w.Open(ctx, system, "a", mailbox.Inbox, 1)
		must(t, err)
		if _, err := io.ReadAll(f.Whole()); !errors.Is(err, mailbox.ErrCorrupt) {
			t.Errorf("other bytes on the disk: %v", err)
		}
		must(t, f.Close())
		w.remove(t, "a", 1)
		if n := files(); n != 0 {
			t.Errorf("%d content files after expunge", n)
		}
	})
}

func TestThePrefixIsReadBeforeTheContent(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		must(t, w.Create(t.Context(), system, mailbox.Mailbox{ID: "a", Account: "acc-a", Quota: 100}))
		blob, err := w.blobs.Create()
		must(t, err)
		_, err = io.WriteString(blob, "content")
		must(t, errors.Join(err, blob.Commit()))
		inline, file, large := item("a", "content"), item("a", "content"), item("a", "content")
		inline.Prefix, file.Prefix, large.Prefix = []byte("X: 1\r\n"), []byte("X: 2\r\n"), make([]byte, 90)
		file.Content = coremail.Content{Blob: blob.Name()}
		w.deliver(t, inline, file)
		if errs := w.Deliver(t.Context(), system, []mailbox.Item{large}); !errors.Is(errs[0], mailbox.ErrQuota) {
			t.Errorf("a prefix beyond the quota: %v", errs)
		}
		for uid, want := range map[uint32]string{1: "X: 1\r\ncontent", 2: "X: 2\r\ncontent"} {
			if got := w.body(t, "a", uid); got != want {
				t.Errorf("UID %d: %q", uid, got)
			}
			if size := w.list(t, "a")[uid-1].Size; size != int64(len(want)) {
				t.Errorf("UID %d: size %d", uid, size)
			}
		}
		for _, db := range w.Databases() {
			must(t, db.Write(t.Context(), system, func(tx *sqldb.Tx) error {
				return tx.Post("UPDATE body SET prefix = $1", []byte("Y: 1\r\n"))
			}))
		}
		for uid := range uint32(2) {
			f, err := w.Open(t.Context(), system, "a", mailbox.Inbox, uid+1)
			if err == nil {
				_, err = io.ReadAll(f.Whole())
				_ = f.Close()
			}
			if !errors.Is(err, mailbox.ErrCorrupt) {
				t.Errorf("UID %d with another prefix: %v", uid+1, err)
			}
		}
	})
}

func TestABitFlipInABodyIsFound(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		w.create(t, "a")
		bad := item("a", "bad")
		bad.Hash ^= 1
		w.deliver(t, bad, item("a", "good"))
		if _, err := w.Open(t.Context(), system, "a", mailbox.Inbox, 1); !errors.Is(err, mailbox.ErrCorrupt) {
			t.Errorf("flipped: %v", err)
		}
		if got := w.body(t, "a", 2); got != "good" {
			t.Errorf("beside it: %q", got)
		}
	})
}

func TestARemovedMailboxIsGone(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ctx := t.Context()
		w.create(t, "a", "b")
		var items []mailbox.Item
		for range 2500 {
			items = append(items, item("a", "x"))
		}
		w.deliver(t, items...)
		w.deliver(t, item("b", "stays"))
		w.remove(t, "a", 1)
		_, err := w.SetFlags(ctx, system, "a", mailbox.Inbox, mailbox.FlagChange{UIDs: []uint32{2}, Mode: mailbox.FlagsAdd, Flags: []string{"word"}, UnchangedSince: -1})
		must(t, err)
		_, err = w.Copy(ctx, system, "a", mailbox.Inbox, []uint32{2}, 2)
		must(t, err)
		must(t, w.Store.Note(ctx, system, "a", mailbox.Inbox, []mailbox.Note{{UID: 2, Text: []byte("x")}}))
		must(t, w.Remove(ctx, system, "a"))
		if _, err := w.Folders(ctx, system, "a"); !errors.Is(err, mailbox.ErrNoMailbox) {
			t.Error(err)
		}
		for table, where := range map[string]string{
			"message": "mailbox_id = 'a'", "delivered": "mailbox_id = 'a'", "expunged": "mailbox_id = 'a'", "folder": "mailbox_id = 'a'",
			"keyword": "mailbox_id = 'a'", "subscription": "mailbox_id = 'a'", "listing": "mailbox_id = 'a'", "note": "TRUE",
			"removal": "TRUE", "folder_removal": "TRUE", "body": "NOT EXISTS (SELECT 1 FROM message WHERE body = body.id)",
		} {
			for _, db := range w.Databases() {
				var n int
				must(t, db.Read(ctx, system, func(tx *sqldb.Tx) error {
					_, err := tx.Row([]any{&n}, sqldb.Stmt("SELECT count(*) FROM "+table+" WHERE "+where))
					return err
				}))
				if n != 0 {
					t.Errorf("%d rows of %s stay", n, table)
				}
			}
		}
		if got := w.body(t, "b", 1); got != "stays" {
			t.Errorf("another mailbox: %q", got)
		}
	})
}

func TestDatabasesBelongTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := &world{dir: dir, config: mail.Config{Dir: dir, Shards: 3}}
	w.open(t)
	w.create(t, "a", "b", "c", "d", "e")
	must(t, w.Close())
	w.config.Shards = 7
	w.open(t)
	if n := len(w.Databases()); n != 3 {
		t.Errorf("%d databases", n)
	}
	w.deliver(t, item("a", "x"), item("e", "x"))
	must(t, w.Close())
	for name, harm := range map[string]func(){
		"missing":       func() { must(t, os.Rename(dir+"/mail-02.db", dir+"/away")) },
		"first missing": func() { must(t, os.Rename(dir+"/mail-00.db", dir+"/away")) },
		"exchanged": func() {
			must(t, os.Rename(dir+"/mail-01.db", dir+"/away"))
			must(t, os.Rename(dir+"/mail-02.db", dir+"/mail-01.db"))
			must(t, os.Rename(dir+"/away", dir+"/mail-02.db"))
		},
	} {
		harm()
		if _, err := mail.Open(t.Context(), w.config, w.blobs); !errors.Is(err, mail.ErrShards) {
			t.Errorf("%s: %v", name, err)
		}
		switch name {
		case "missing":
			must(t, os.Rename(dir+"/away", dir+"/mail-02.db"))
		case "first missing":
			must(t, os.Rename(dir+"/away", dir+"/mail-00.db"))
		default:
			harm()
		}
	}
	w.open(t)
	must(t, w.Close())
}
