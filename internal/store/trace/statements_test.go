package trace_test

import (
	"path/filepath"
	"strings"
	"testing"

	"postroad/internal/core/account"
	core "postroad/internal/core/trace"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

func TestEveryStatementCompilesOnBothEngines(t *testing.T) {
	engines(t, func(w *world) { sqltest.Compile(w.t, w.db, ".") })
}

func TestFiltersCompileInEveryCombination(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		for bits := range 32 {
			var f core.Filter
			if bits&1 != 0 {
				f.Recipient = "x"
			}
			if bits&2 != 0 {
				f.Sender = "x"
			}
			if bits&4 != 0 {
				f.From = begin
			}
			if bits&8 != 0 {
				f.To = begin
			}
			if bits&16 != 0 {
				f.Before = newID(1)
			}
			for _, scope := range []account.Scope{system, account.Of("a", "b"), account.Of()} {
				if _, err := w.List(t.Context(), scope, f, 1); err != nil {
					t.Errorf("%+v: %v", f, err)
				}
			}
		}
	})
}

// What people and the sweep ask must not read all traces.
func TestSearchesUseTheirIndices(t *testing.T) {
	t.Parallel()
	w := &world{t: t}
	w.config.Path = filepath.Join(t.TempDir(), "trace.db")
	w.open()
	defer func() { _ = w.db.Close() }()
	statements := sqltest.Statements(t, ".")
	for stmt, want := range map[sqldb.Stmt]string{
		statements["getSQL"]:        "USING INDEX trace_id (id=?)",
		statements["endOfChunkSQL"]: "USING COVERING INDEX trace_id (id<?)",
		statements["sweepSQL"]:      "USING INDEX trace_id (id<?)",
		"SELECT DISTINCT id FROM trace WHERE @scope(account_id) AND recipient = $1 AND id < $2 ORDER BY id DESC LIMIT $3":               "INDEX trace_recipient (recipient=? AND id<?)",
		"SELECT DISTINCT id FROM trace WHERE @scope(account_id) AND sender <> '' AND sender = $1 AND id < $2 ORDER BY id DESC LIMIT $3": "INDEX trace_sender (sender=? AND id<?)",
	} {
		var plan []string
		must(t, w.db.Read(t.Context(), system, func(tx *sqldb.Tx) error {
			plan = nil
			rows, err := tx.Query("EXPLAIN QUERY PLAN "+stmt, "1", "2", "3")
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
		}))
		if text := strings.Join(plan, "; "); !strings.Contains(text, want) || strings.Contains(text, "TEMP B-TREE") {
			t.Errorf("%s: %s", stmt, text)
		}
	}
}
