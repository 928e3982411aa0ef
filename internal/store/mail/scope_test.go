package mail_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"postroad/internal/core/account"
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
		return expect(t, w.Remove(t.Context(), scope, "a"), mailstore.ErrNoMailbox)
	},
	"Deliver": func(w *world, scope account.Scope) any {
		t := w.t
		return expect(t, w.Deliver(t.Context(), scope, []mailbox.Item{item("a", "x")})[0], mailstore.ErrNoMailbox)
	},
	"Settled": func(w *world, scope account.Scope) any {
		t := w.t
		must(t, w.Settled(t.Context(), scope, []mailbox.DeliveredID{{Mailbox: "a", QueueID: delivered}}))
		for _, db := range w.Databases() { // what nobody waits for goes before what comes after it
			must(t, db.Write(t.Context(), system, func(*sqldb.Tx) error { return nil }))
		}
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
		expect(t, err, mailstore.ErrNoMailbox)
		return list
	},
	"Messages": func(w *world, scope account.Scope) any {
		t := w.t
		list, err := w.Messages(t.Context(), scope, "a", "INBOX", 0, 10)
		expect(t, err, mailstore.ErrNoFolder)
		return list
	},
	"Body": func(w *world, scope account.Scope) any {
		t := w.t
		f, err := w.Body(t.Context(), scope, "a", "INBOX", 1)
		expect(t, err, mailstore.ErrNoFolder)
		return f
	},
	"Flag": func(w *world, scope account.Scope) any {
		t := w.t
		_, err := w.Flag(t.Context(), scope, "a", "INBOX", 1, []string{`\Seen`})
		return expect(t, err, mailstore.ErrNoFolder)
	},
	"Expunge": func(w *world, scope account.Scope) any {
		t := w.t
		_, err := w.Expunge(t.Context(), scope, "a", "INBOX", []uint32{1})
		return expect(t, err, mailstore.ErrNoFolder)
	},
	"Changes": func(w *world, scope account.Scope) any {
		t := w.t
		changed, expunged, err := w.Changes(t.Context(), scope, "a", "INBOX", 0)
		expect(t, err, mailstore.ErrNoFolder)
		return len(changed) + len(expunged)
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

// fill puts a row of acc-a into every table.
func (w *world) fill(t *testing.T) {
	t.Helper()
	w.create(t, "a")
	first := item("a", "secret")
	first.QueueID = delivered
	w.deliver(t, first, item("a", "secret"))
	_, err := w.Expunge(t.Context(), system, "a", "INBOX", []uint32{2})
	must(t, err)
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
			_, err := tx.Exec("INSERT INTO removal (mailbox_id, account_id) VALUES ('gone', 'acc-a')")
			return err
		}))
		sqltest.Hidden(t, db, account.Of("acc-b"))
	})
}
