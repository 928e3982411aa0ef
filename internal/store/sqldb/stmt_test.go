package sqldb

import (
	"slices"
	"testing"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stmt         Stmt
		scoped       bool
		lite, pg     string
		order, pgOrd []int
		writes       bool
	}{
		{"SELECT a FROM t WHERE b = $2 AND c = $1 AND d = $2", false, "SELECT a FROM t WHERE b = ? AND c = ? AND d = ?", "SELECT a FROM t WHERE b = $2 AND c = $1 AND d = $2", []int{1, 0, 1}, []int{0, 1}, false},
		{"DELETE FROM t WHERE @scope(x.a)", false, "DELETE FROM t WHERE TRUE", "DELETE FROM t WHERE TRUE", nil, nil, true},
		{"DELETE FROM t WHERE b = $1 AND @scope(a)", true, "DELETE FROM t WHERE b = ? AND a IN (SELECT value FROM json_each(?))", "DELETE FROM t WHERE b = $1 AND a = ANY($2)", []int{0, -1}, []int{0, -1}, true},
		{"SELECT '$9 @scope(' WHERE @in(a, $1)", true, "SELECT '$9 @scope(' WHERE a IN (SELECT value FROM json_each(?))", "SELECT '$9 @scope(' WHERE a = ANY($1)", []int{0}, []int{0}, false},
		{"WITH x AS (SELECT 1) UPDATE t SET a = 1", false, "WITH x AS (SELECT 1) UPDATE t SET a = 1", "WITH x AS (SELECT 1) UPDATE t SET a = 1", nil, nil, true},
		{"SELECT 1 FROM t FOR UPDATE", false, "SELECT 1 FROM t FOR UPDATE", "SELECT 1 FROM t FOR UPDATE", nil, nil, true},
	} {
		lite, err := expand(SQLite, c.stmt, c.scoped)
		if err != nil || lite.text != c.lite || !slices.Equal(lite.order, c.order) || lite.writes != c.writes {
			t.Errorf("%s: %+v, %v", c.stmt, lite, err)
		}
		pg, err := expand(Postgres, c.stmt, c.scoped)
		if err != nil || pg.text != c.pg || !slices.Equal(pg.order, c.pgOrd) {
			t.Errorf("%s: %+v, %v", c.stmt, pg, err)
		}
	}
	for _, bad := range []Stmt{"SELECT 'x", "WHERE @scope(a", "WHERE @in(a)", "WHERE @in(a, $1", "WHERE a = $", "WHERE a = $0", "WHERE a = $70000"} {
		if q, err := expand(SQLite, bad, true); err == nil {
			t.Errorf("%s became %s", bad, q.text)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"SELECT $1, '$2' WHERE @scope(a) AND @in(b, $2)", "$", "@in(", "@in(,$1)", "'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, engine := range []Engine{SQLite, Postgres} {
			for _, scoped := range []bool{false, true} {
				q, err := expand(engine, Stmt(text), scoped)
				if err != nil {
					continue
				}
				for _, from := range q.order {
					if from < scopeParam || from >= maxParameters {
						t.Fatalf("%q: parameter %d", text, from)
					}
				}
			}
		}
	})
}

func TestOlderVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{{"3.51.2", "3.51.3", true}, {"3.51.3", "3.51.3", false}, {"3.100.0", "3.51.3", false}, {"3.9", "3.51.3", true}, {"4.0.0", "3.51.3", false}, {"", "3.51.3", true}} {
		if got := olderVersion(c.a, c.b); got != c.want {
			t.Errorf("%q older than %q: %v", c.a, c.b, got)
		}
	}
}
