package queue_test

import (
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

func TestEveryStatementCompilesOnBothEngines(t *testing.T) {
	engines(t, func(w *world) { sqltest.Compile(w.t, w.db, ".") })
}

func TestFiltersCompileInEveryCombination(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		for bits := range 128 {
			var f mail.Filter
			if bits&1 != 0 {
				f.IDs = []mail.ID{"x", "y"}
			}
			if bits&2 != 0 {
				f.Domain = "x"
			}
			if bits&4 != 0 {
				f.Host = "x"
			}
			if bits&8 != 0 {
				f.States = []mail.State{mail.StateHeld}
			}
			if bits&16 != 0 {
				f.OlderThan = time.Now()
			}
			if bits&32 != 0 {
				f.Sent.Login, f.Sent.Account, f.Sent.Domain = "x", "x", "x"
			}
			if bits&64 != 0 {
				f.Sent.Halted = true
			}
			for _, scope := range []account.Scope{account.System(), account.Of("a", "b"), account.Of()} {
				if _, err := w.List(t.Context(), scope, f, "", 1); err != nil {
					t.Errorf("%+v: %v", f, err)
				}
				if _, err := w.Count(t.Context(), scope, f, time.Now()); err != nil {
					t.Errorf("%+v: %v", f, err)
				}
				for _, a := range []mail.Action{mail.Expedite, mail.Hold, mail.Release, mail.Drop} {
					if _, _, err := w.Change(t.Context(), scope, f, a, time.Now(), nil); err != nil {
						t.Errorf("%+v: %v", f, err)
					}
				}
			}
		}
	})
}

// What the schedule asks must not read the whole queue.
func TestTheScheduleUsesItsIndices(t *testing.T) {
	t.Parallel()
	w := &world{dir: t.TempDir()}
	w.config.Path = w.dir + "/queue.db"
	w.open(t)
	defer func() { _ = w.db.Close() }()
	statements := sqltest.Statements(t, ".")
	for name, want := range map[string]string{
		"dueSQL":            "USING INDEX recipient_due (lane=? AND (next_attempt,message_id,n)>(?,?,?)",
		"agedSQL":           "USING INDEX recipient_age (lane=? AND check_age<?)",
		"firstRowSQL":       "USING COVERING INDEX recipient_due (lane=?)",
		"firstLeasedSQL":    "USING COVERING INDEX recipient_leased",
		"unleaseSQL":        "USING COVERING INDEX recipient_leased",
		"lanesDueSQL":       "USING INDEX lane_due (next_attempt>? AND next_attempt<?)",
		"countScheduledSQL": "USING COVERING INDEX recipient_due",
		"countLeasedSQL":    "USING COVERING INDEX recipient_leased",
		"countKeptSQL":      "USING COVERING INDEX recipient_kept",
		"ownedSQL":          "USING COVERING INDEX message_blob",
	} {
		var plan []string
		err := w.db.Read(t.Context(), account.System(), func(tx *sqldb.Tx) error {
			plan = nil
			rows, err := tx.Query("EXPLAIN QUERY PLAN "+statements[name], "1", "2", "3", "4", "5", "6")
			if err != nil {
				return err
			}
			for rows.Next() {
				var id, parent, unused int
				var detail string
				if rows.Scan(&id, &parent, &unused, &detail) == nil {
					plan = append(plan, detail)
				}
			}
			return rows.Close()
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text := strings.Join(plan, "; ")
		if !strings.Contains(text, want) || strings.Contains(text, "TEMP B-TREE") {
			t.Errorf("%s: %s", name, text)
		}
	}
}
