package trace_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"postroad/internal/core/account"
	core "postroad/internal/core/trace"
	service "postroad/internal/service/trace"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

// foreign calls every operation with another account's scope and this account's id. Each tells whether it saw anything.
var foreign = map[string]func(w *world, scope account.Scope) (saw any){
	"Add": func(w *world, scope account.Scope) any {
		if err := w.Add(w.t.Context(), scope, []core.Row{row(newID(1), "acc-a", "bob@red.example")}); !errors.Is(err, sqldb.ErrScope) {
			w.t.Errorf("Add: %v", err)
		}
		return nil
	},
	"Get": func(w *world, scope account.Scope) any {
		rows, err := w.Get(w.t.Context(), scope, newID(1))
		must(w.t, err)
		return rows
	},
	"List": func(w *world, scope account.Scope) any {
		rows, err := w.List(w.t.Context(), scope, core.Filter{Recipient: "bob@red.example"}, 10)
		must(w.t, err)
		return rows
	},
	"Sweep": func(w *world, scope account.Scope) any {
		more, err := w.Sweep(w.t.Context(), scope, begin.Add(time.Hour), 1)
		must(w.t, err)
		return more
	},
}

func TestNoOperationReachesAnotherAccount(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		must(t, w.Add(t.Context(), system, []core.Row{row(newID(1), "acc-a", "bob@red.example"), row(newID(2), "acc-a", "bob@red.example")}))
		before := sqltest.Dump(t, w.db)
		for m := range reflect.TypeFor[service.Store]().Methods() {
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
			if after := sqltest.Dump(t, w.db); after != before {
				t.Fatalf("%s changed\n%s\ninto\n%s", m.Name, before, after)
			}
		}
		if list, err := w.List(t.Context(), account.Of("acc-b", "acc-a"), core.Filter{Recipient: "bob@red.example"}, 10); err != nil || len(list) != 2 {
			t.Errorf("the owner sees %v, %v", list, err)
		}
	})
}

// Of a message of two accounts each finds and reads its own rows.
func TestAMessageOfTwoAccounts(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		must(t, w.Add(t.Context(), system, []core.Row{row(newID(1), "acc-a", "bob@red.example"), row(newID(1), "acc-b", "bea@blue.example")}))
		for _, c := range []struct{ owner, recipient, other string }{{"acc-a", "bob@red.example", "bea@blue.example"}, {"acc-b", "bea@blue.example", "bob@red.example"}} {
			scope := account.Of(account.ID(c.owner))
			list, err := w.List(t.Context(), scope, core.Filter{Sender: "ann@far.example"}, 10)
			if err != nil || len(list) != 1 || list[0].Recipient != c.recipient {
				t.Errorf("%s finds %v, %v", c.owner, list, err)
			}
			if list, err := w.List(t.Context(), scope, core.Filter{Recipient: c.other}, 10); err != nil || len(list) != 0 {
				t.Errorf("%s finds %v, %v", c.owner, list, err)
			}
		}
	})
}

func TestRowLevelSecurityAloneHidesRows(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		if w.db.Engine() != sqldb.Postgres {
			t.Skip("SQLite has no row-level security")
		}
		must(t, w.Add(t.Context(), system, []core.Row{row(newID(1), "acc-a", "bob@red.example")}))
		sqltest.Hidden(t, w.db, account.Of("acc-b"))
	})
}
