package queue_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

// foreign calls every operation that takes a scope with another account's scope and this account's ids. Each tells
// whether it saw anything.
var foreign = map[string]func(w *world, scope account.Scope, m mail.Stored) (saw any){
	"Accept": func(w *world, scope account.Scope, _ mail.Stored) any {
		t := w.t
		err := w.Accept(t.Context(), scope, []mail.Stored{message([]byte("x"), mail.StateWaiting, time.Now(), lane)})
		if !errors.Is(err, sqldb.ErrScope) {
			t.Errorf("Accept: %v", err)
		}
		return nil
	},
	"Due": func(w *world, scope account.Scope, _ mail.Stored) any {
		t := w.t
		list, _, err := w.Due(t.Context(), scope, lane, time.Now(), queue.Cursor{}, 10)
		must(t, err)
		return list
	},
	"Aged": func(w *world, scope account.Scope, _ mail.Stored) any {
		t := w.t
		list, err := w.Aged(t.Context(), scope, lane, 1<<40, 10)
		must(t, err)
		return list
	},
	"Body": func(w *world, scope account.Scope, m mail.Stored) any {
		t := w.t
		content, err := w.Body(t.Context(), scope, m.Message.ID)
		if !errors.Is(err, queue.ErrNoMessage) {
			t.Errorf("Body: %v", err)
		}
		return content.Inline
	},
	"Settle": func(w *world, scope account.Scope, m mail.Stored) any {
		t := w.t
		for _, state := range []mail.State{mail.StateDone, mail.StateFailed, mail.StateDeferred, mail.StateHeld, mail.StateDead} {
			must(t, w.Settle(t.Context(), scope, queue.Token{}, []queue.Settlement{settlement(m.Rows[0].Row, state, time.Now())}))
		}
		change := settlement(m.Rows[0].Row, mail.StateFailed, time.Now())
		report := message([]byte("report"), mail.StateWaiting, time.Now(), lane)
		change.Report = &report
		if err := w.Settle(t.Context(), scope, queue.Token{}, []queue.Settlement{change}); !errors.Is(err, sqldb.ErrScope) {
			t.Errorf("Settle with a report: %v", err)
		}
		return nil
	},
	"Redirect": func(w *world, scope account.Scope, m mail.Stored) any {
		t := w.t
		to := m.Rows[0]
		to.Lane = "remote/elsewhere.example"
		there := queue.Redirection{Row: m.Rows[0].Row, From: lane, To: []mail.Recipient{to}}
		if err := w.Redirect(t.Context(), scope, queue.Token{}, []queue.Redirection{there}); !errors.Is(err, sqldb.ErrScope) {
			t.Errorf("Redirect: %v", err)
		}
		must(t, w.Redirect(t.Context(), scope, queue.Token{}, []queue.Redirection{{Row: m.Rows[0].Row, From: lane, Reply: "held"}}))
		return nil
	},
	"Waiting": func(w *world, scope account.Scope, _ mail.Stored) any {
		got, err := w.Waiting(w.t.Context(), scope, lane, "example.org")
		must(w.t, err)
		return got
	},
	"Keep": func(w *world, scope account.Scope, _ mail.Stored) any {
		must(w.t, w.Keep(w.t.Context(), scope, "example.org", time.Hour))
		return nil
	},
	"List": func(w *world, scope account.Scope, m mail.Stored) any {
		t := w.t
		list, err := w.List(t.Context(), scope, mail.Filter{}, "", 10)
		must(t, err)
		if list == nil {
			list, err = w.List(t.Context(), scope, mail.Filter{IDs: []mail.ID{m.Message.ID}}, "", 10)
			must(t, err)
		}
		return list
	},
	"Count": func(w *world, scope account.Scope, _ mail.Stored) any {
		t := w.t
		counts, err := w.Count(t.Context(), scope, mail.Filter{}, time.Now())
		must(t, err)
		return counts
	},
	"Change": func(w *world, scope account.Scope, m mail.Stored) any {
		t := w.t
		var rows int64
		for _, f := range []mail.Filter{{}, {IDs: []mail.ID{m.Message.ID}}} {
			for _, a := range []mail.Action{mail.Expedite, mail.Hold, mail.Release, mail.Drop} {
				n, lanes, err := w.Change(t.Context(), scope, f, a, time.Now(), nil)
				must(t, err)
				rows += n + int64(len(lanes))
			}
		}
		return rows
	},
}

// scoped lists an interface's methods that take a scope.
func scoped(of reflect.Type) []string {
	var names []string
	for m := range of.Methods() {
		for in := range m.Type.Ins() {
			if in == reflect.TypeFor[account.Scope]() {
				names = append(names, m.Name)
			}
		}
	}
	return names
}

func TestNoOperationReachesAnotherAccount(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		m := message([]byte("secret"), mail.StateWaiting, time.Now(), lane)
		held := message([]byte("secret"), mail.StateHeld, time.Now(), lane)
		w.accept(t, m, held)
		before := sqltest.Dump(t, w.db)
		for _, of := range []reflect.Type{reflect.TypeFor[queue.Spool](), reflect.TypeFor[queue.Lanes](), reflect.TypeFor[queue.Inspect]()} {
			for _, name := range scoped(of) {
				call, ok := foreign[name]
				if !ok {
					t.Errorf("%s takes a scope and is not tried", name)
					continue
				}
				for _, scope := range []account.Scope{account.Of("acc-b"), account.Of("acc-b", "acc-c"), account.Of(), {}} {
					if saw := call(w, scope, m); saw != nil && !reflect.ValueOf(saw).IsZero() {
						t.Errorf("%s saw %v", name, saw)
					}
				}
				if after := sqltest.Dump(t, w.db); after != before {
					t.Fatalf("%s changed\n%s\ninto\n%s", name, before, after)
				}
			}
		}
		if list, err := w.List(t.Context(), account.Of("acc-b", "acc-a"), mail.Filter{}, "", 10); err != nil || len(list) != 2 {
			t.Errorf("the owner sees %v, %v", list, err)
		}
	})
}

func TestRowLevelSecurityAloneHidesRows(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		if w.db.Engine() != sqldb.Postgres {
			t.Skip("SQLite has no row-level security")
		}
		w.accept(t, message([]byte("secret"), mail.StateWaiting, time.Now(), lane))
		sqltest.Hidden(t, w.db, account.Of("acc-b"))
	})
}

// A policy that reads a setting for each row costs as much as the rows themselves.
func TestRowLevelSecurityReadsItsSettingsOnce(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		if w.db.Engine() != sqldb.Postgres {
			t.Skip("SQLite has no row-level security")
		}
		var plan strings.Builder
		must(t, w.db.Read(t.Context(), account.Of("acc-a"), func(tx *sqldb.Tx) error {
			rows, err := tx.Query("EXPLAIN SELECT n FROM recipient")
			if err != nil {
				return err
			}
			for rows.Next() {
				var line string
				if rows.Scan(&line) == nil {
					plan.WriteString(line + "\n")
				}
			}
			return rows.Close()
		}))
		for line := range strings.Lines(plan.String()) {
			if strings.Contains(line, "Filter:") && strings.Contains(line, "current_setting") || !strings.Contains(plan.String(), "InitPlan") {
				t.Fatalf("the settings are read for each row:\n%s", plan.String())
			}
		}
	})
}

// Whoever owns one of a message's rows sees the envelope with that row, and dropping it leaves the others alone.
func TestAMessageOfTwoAccounts(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ctx, b := t.Context(), account.Of("acc-b")
		m := message([]byte("shared"), mail.StateWaiting, time.Now(), lane, "local/0")
		m.Rows[1].Account = "acc-b"
		w.accept(t, m)
		list, err := w.List(ctx, b, mail.Filter{}, "", 10)
		if err != nil || len(list) != 1 || len(list[0].Rows) != 1 || list[0].Rows[0].N != 1 {
			t.Fatalf("listed %v, %v", list, err)
		}
		if _, err := w.Body(ctx, b, m.Message.ID); err != nil {
			t.Error(err)
		}
		if n, _, err := w.Change(ctx, b, mail.Filter{}, mail.Drop, time.Now(), nil); err != nil || n != 1 {
			t.Fatalf("dropped %d, %v", n, err)
		}
		if due := w.due(t, lane, time.Now()); len(due) != 1 || string(due[0].Content.Inline) != "shared" {
			t.Fatalf("the other account's row: %v", due)
		}
		if n, _, err := w.Change(ctx, account.Of("acc-a"), mail.Filter{}, mail.Drop, time.Now(), nil); err != nil || n != 1 {
			t.Fatalf("dropped %d, %v", n, err)
		}
		if _, err := w.Body(ctx, account.System(), m.Message.ID); !errors.Is(err, queue.ErrNoMessage) {
			t.Error(err)
		}
	})
}
