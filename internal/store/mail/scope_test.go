package mail_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"postroad/internal/core/account"
	coremail "postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/mailstore"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

// foreign calls every operation with another account's scope and this account's mailbox "a". Each tells whether it
// saw anything.
var foreign = map[string]func(w *world, scope account.Scope) (saw any){
	"Create": func(w *world, scope account.Scope) any {
		t := w.t
		if err := w.Create(t.Context(), scope, mailbox.Mailbox{ID: "new", Account: "acc-a"}); !errors.Is(err, sqldb.ErrScope) {
			t.Errorf("Create: %v", err)
		}
		if scope.Has("acc-b") {
			if err := w.Create(t.Context(), scope, mailbox.Mailbox{ID: "a", Account: "acc-b", Quota: 1}); err == nil {
				t.Error("Create took another account's mailbox")
			}
		}
		return nil
	},
	"Remove": func(w *world, scope account.Scope) any {
		t := w.t
		return expect(t, w.Remove(t.Context(), scope, "a"), mailbox.ErrNoMailbox)
	},
	"Deliver": func(w *world, scope account.Scope) any {
		t := w.t
		return expect(t, w.Deliver(t.Context(), scope, []mailbox.Item{item("a", "x")})[0], mailbox.ErrNoMailbox)
	},
	"Settled": func(w *world, scope account.Scope) any {
		t := w.t
		must(t, w.Settled(t.Context(), scope, []mailbox.DeliveredID{{Mailbox: "a", QueueID: delivered}}))
		w.settle(t)
		return nil
	},
	"Usage": func(w *world, scope account.Scope) any {
		t := w.t
		all, err := w.Usage(t.Context(), scope, nil)
		must(t, err)
		one, err := w.Usage(t.Context(), scope, []string{"a"})
		must(t, err)
		return len(all) + len(one)
	},
	"Folders": func(w *world, scope account.Scope) any {
		t := w.t
		list, err := w.Folders(t.Context(), scope, "a")
		expect(t, err, mailbox.ErrNoMailbox)
		return list
	},
	"Messages": func(w *world, scope account.Scope) any {
		t := w.t
		list, err := w.Messages(t.Context(), scope, "a", "INBOX", 0, 10)
		expect(t, err, mailbox.ErrNoFolder)
		return list
	},
	"Versions": func(w *world, scope account.Scope) any {
		got, err := w.Versions(w.t.Context(), scope, []string{"a"})
		must(w.t, err)
		return len(got)
	},
	"Folder": func(w *world, scope account.Scope) any {
		got, err := w.Folder(w.t.Context(), scope, "a", "INBOX")
		expect(w.t, err, mailbox.ErrNoFolder)
		return got
	},
	"CreateFolder": func(w *world, scope account.Scope) any {
		got, err := w.CreateFolder(w.t.Context(), scope, "a", "New", "")
		expect(w.t, err, mailbox.ErrNoMailbox)
		return got
	},
	"RenameFolder": func(w *world, scope account.Scope) any {
		return expect(w.t, w.RenameFolder(w.t.Context(), scope, "a", "Sent", "New"), mailbox.ErrNoFolder)
	},
	"DeleteFolder": func(w *world, scope account.Scope) any {
		return expect(w.t, w.DeleteFolder(w.t.Context(), scope, "a", "Sent"), mailbox.ErrNoFolder)
	},
	"Subscribe": func(w *world, scope account.Scope) any {
		return expect(w.t, w.Subscribe(w.t.Context(), scope, "a", "Sent", false), mailbox.ErrNoMailbox)
	},
	"Subscriptions": func(w *world, scope account.Scope) any {
		got, err := w.Subscriptions(w.t.Context(), scope, "a")
		expect(w.t, err, mailbox.ErrNoMailbox)
		return got
	},
	"Index": func(w *world, scope account.Scope) any {
		got, err := w.Index(w.t.Context(), scope, "a", mailbox.Inbox, nil)
		expect(w.t, err, mailbox.ErrNoFolder)
		return got
	},
	"Summary": func(w *world, scope account.Scope) any {
		got, err := w.Summary(w.t.Context(), scope, "a", "INBOX")
		expect(w.t, err, mailbox.ErrNoFolder)
		return got
	},
	"Facts": func(w *world, scope account.Scope) any {
		got, err := w.Facts(w.t.Context(), scope, "a", mailbox.Inbox, []uint32{1})
		expect(w.t, err, mailbox.ErrNoFolder)
		return got
	},
	"Open": func(w *world, scope account.Scope) any {
		_, err := w.Open(w.t.Context(), scope, "a", mailbox.Inbox, 1)
		return expect(w.t, err, mailbox.ErrNoFolder)
	},
	"Bodies": func(w *world, scope account.Scope) any {
		saw := 0
		err := w.Bodies(w.t.Context(), scope, "a", mailbox.Inbox, []uint32{1}, func(uint32, mailbox.Body, error) error { saw++; return nil })
		expect(w.t, err, mailbox.ErrNoFolder)
		return saw
	},
	"Vanished": func(w *world, scope account.Scope) any {
		got, err := w.Vanished(w.t.Context(), scope, "a", mailbox.Inbox, 0)
		expect(w.t, err, mailbox.ErrNoFolder)
		return got
	},
	"Append": func(w *world, scope account.Scope) any {
		_, err := w.Append(w.t.Context(), scope, "a", mailbox.Inbox, []mailbox.Appended{{Size: 1, Content: coremail.Content{Inline: []byte("x")}}})
		return expect(w.t, err, mailbox.ErrNoFolder)
	},
	"SetFlags": func(w *world, scope account.Scope) any {
		_, err := w.SetFlags(w.t.Context(), scope, "a", mailbox.Inbox, mailbox.FlagChange{UIDs: []uint32{1}, Mode: mailbox.FlagsAdd, Flags: []string{`\Seen`, "k"}, UnchangedSince: -1})
		return expect(w.t, err, mailbox.ErrNoFolder)
	},
	"Copy": func(w *world, scope account.Scope) any {
		_, err := w.Copy(w.t.Context(), scope, "a", mailbox.Inbox, []uint32{1}, 2)
		return expect(w.t, err, mailbox.ErrNoFolder)
	},
	"Move": func(w *world, scope account.Scope) any {
		_, err := w.Move(w.t.Context(), scope, "a", mailbox.Inbox, []uint32{1}, 2)
		return expect(w.t, err, mailbox.ErrNoFolder)
	},
	"Expunge": func(w *world, scope account.Scope) any {
		_, err := w.Expunge(w.t.Context(), scope, "a", mailbox.Inbox, []uint32{1})
		return expect(w.t, err, mailbox.ErrNoFolder)
	},
	"Note": func(w *world, scope account.Scope) any {
		t := w.t
		must(t, w.Store.Note(t.Context(), scope, "a", mailbox.Inbox, []mailbox.Note{{UID: 1, Text: []byte("x")}}))
		w.settle(t)
		return nil
	},
}

func expect(t *testing.T, err, want error) any {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v instead of %v", err, want)
	}
	return nil
}

// delivered is a queue id that mailbox "a" remembers.
var delivered = newID()

func (w *world) dump(t *testing.T) string {
	t.Helper()
	var all []string
	for _, db := range w.Databases() {
		all = append(all, sqltest.Dump(t, db))
	}
	return strings.Join(all, "\n")
}

// settle waits for what nobody waits for: it goes before what comes after it.
func (w *world) settle(t *testing.T) {
	t.Helper()
	for _, db := range w.Databases() {
		must(t, db.Write(t.Context(), system, func(*sqldb.Tx) error { return nil }))
	}
}

// fill puts a row of acc-a into every table.
func (w *world) fill(t *testing.T) {
	t.Helper()
	w.create(t, "a")
	first := item("a", "secret")
	first.QueueID = delivered
	w.deliver(t, first, item("a", "secret"))
	_, err := w.SetFlags(t.Context(), system, "a", mailbox.Inbox, mailbox.FlagChange{UIDs: []uint32{1, 2}, Mode: mailbox.FlagsAdd, Flags: []string{`\Deleted`, "word"}, UnchangedSince: -1})
	must(t, err)
	_, err = w.Expunge(t.Context(), system, "a", mailbox.Inbox, []uint32{2})
	must(t, err)
	must(t, w.Store.Note(t.Context(), system, "a", mailbox.Inbox, []mailbox.Note{{UID: 1, Text: []byte("x")}}))
	w.settle(t)
}

func TestNoOperationReachesAnotherAccount(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		w.fill(t)
		before := w.dump(t)
		for m := range reflect.TypeFor[mailstore.Store]().Methods() {
			call, ok := foreign[m.Name]
			if !ok {
				t.Errorf("%s is not tried", m.Name)
				continue
			}
			for _, scope := range []account.Scope{account.Of("acc-b"), account.Of("acc-b", "acc-c"), account.Of(), {}} {
				if saw := call(w, scope); saw != nil && !reflect.ValueOf(saw).IsZero() {
					t.Errorf("%s saw %v", m.Name, saw)
				}
			}
			if after := w.dump(t); after != before {
				t.Fatalf("%s changed\n%s\ninto\n%s", m.Name, before, after)
			}
		}
		if list, err := w.Messages(t.Context(), account.Of("acc-b", "acc-a"), "a", "INBOX", 0, 10); err != nil || len(list) != 1 {
			t.Errorf("the owner sees %v, %v", list, err)
		}
	})
}

func TestRowLevelSecurityAloneHidesRows(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		db := w.Databases()[0]
		if db.Engine() != sqldb.Postgres {
			t.Skip("SQLite has no row-level security")
		}
		w.fill(t)
		must(t, db.Write(t.Context(), system, func(tx *sqldb.Tx) error {
			if _, err := tx.Exec("INSERT INTO folder_removal (mailbox_id, folder, account_id) VALUES ('gone', 2, 'acc-a')"); err != nil {
				return err
			}
			if _, err := tx.Exec("INSERT INTO listing (mailbox_id, folder, account_id, modseq, content) VALUES ('a', 1, 'acc-a', 1, '')"); err != nil {
				return err
			}
			_, err := tx.Exec("INSERT INTO removal (mailbox_id, account_id) VALUES ('gone', 'acc-a')")
			return err
		}))
		sqltest.Hidden(t, db, account.Of("acc-b"))
	})
}
