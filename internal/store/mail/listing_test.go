package mail_test

import (
	"testing"

	"postroad/internal/core/mailbox"
	"postroad/internal/store/sqldb"
)

// equal holds an index against the messages that the folder has.
func (w *world) equal(what string, x *mailbox.Index) {
	w.t.Helper()
	list, err := w.Messages(w.t.Context(), system, "a", "INBOX", 0, 1<<20)
	must(w.t, err)
	if x.Len() != len(list) {
		w.t.Fatalf("%s: %d messages instead of %d", what, x.Len(), len(list))
	}
	for i, e := range x.All() {
		if m := list[i]; e.UID != m.UID || e.ModSeq != m.ModSeq || len(x.Names(e.Flags)) != len(m.Flags) {
			w.t.Fatalf("%s: place %d has %+v instead of %+v", what, i, e, m)
		}
	}
}

func TestALargeFolderIsOpenedByItsListing(t *testing.T) {
	engines(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		w.create(t, "a")
		index := func(what string) *mailbox.Index {
			t.Helper()
			x, err := w.Index(ctx, system, "a", mailbox.Inbox, nil)
			must(t, err)
			w.settle(t)
			w.equal(what, x)
			return x
		}
		items := make([]mailbox.Item, 1000)
		uids := make([]uint32, len(items))
		for i := range items {
			items[i], uids[i] = item("a", "x"), uint32(i+1) //nolint:gosec // small
		}
		w.deliver(t, items...)
		for range 5 {
			_, err := w.Copy(ctx, system, "a", mailbox.Inbox, uids, mailbox.Inbox)
			must(t, err)
		}
		stored := func() (modseq int64) {
			t.Helper()
			for _, db := range w.Databases() {
				must(t, db.Read(ctx, system, func(tx *sqldb.Tx) error {
					_, err := tx.Row([]any{&modseq}, "SELECT modseq FROM listing")
					return err
				}))
				if modseq != 0 {
					return modseq
				}
			}
			return 0
		}
		index("without a listing")
		first := stored()
		if first != w.folder(t).HighestModSeq {
			t.Fatalf("the listing is of MODSEQ %d", first)
		}
		index("by its listing")
		w.remove(t, "a", 1, 2, 3, 700, 6000)
		_, err := w.SetFlags(ctx, system, "a", mailbox.Inbox, mailbox.FlagChange{UIDs: []uint32{4, 5999}, Mode: mailbox.FlagsAdd, Flags: []string{"word", `\Seen`}, UnchangedSince: -1})
		must(t, err)
		w.deliver(t, item("a", "new"))
		index("after changes")
		w.restart(t)
		if index("after a restart"); stored() != first {
			t.Errorf("a listing was stored for a few changes")
		}
		for _, content := range [][]byte{{}, []byte("xxxxxxxxxxxxxxxxxxxx"), make([]byte, 8)} {
			for _, db := range w.Databases() {
				must(t, db.Write(ctx, system, func(tx *sqldb.Tx) error { return tx.Post("UPDATE listing SET content = $1", content) }))
			}
			index("by a damaged listing")
		}
		if stored() == first {
			t.Error("the damaged listing stays")
		}
	})
}

func (w *world) folder(t *testing.T) mailbox.Folder {
	t.Helper()
	f, err := w.Folder(t.Context(), system, "a", "INBOX")
	must(t, err)
	return f
}
