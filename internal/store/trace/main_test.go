package trace_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"postroad/internal/sim"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
	"postroad/internal/store/trace"
)

// cluster is the PostgreSQL that the tests of this package share.
var cluster sim.Postgres

func TestMain(m *testing.M) { os.Exit(sqltest.Main(m, &cluster, func(string) {})) }

// world is an empty database of traces.
type world struct {
	*trace.Store
	t      *testing.T
	db     *sqldb.DB
	config trace.Config
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.db, err = trace.Open(context.Background(), w.config); err != nil {
		w.t.Fatal(err)
	}
	w.Store = trace.New(w.db)
}

// restart closes the database and opens it again.
func (w *world) restart() {
	w.t.Helper()
	if err := w.db.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

// engines runs a test on both engines.
func engines(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	run := func(name string, config func(t *testing.T) trace.Config) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, config: config(t)}
			w.open()
			t.Cleanup(func() { _ = w.db.Close() })
			test(w)
		})
	}
	run("sqlite", func(t *testing.T) trace.Config {
		t.Helper()
		return trace.Config{Path: filepath.Join(t.TempDir(), "trace.db")}
	})
	run("postgres", func(t *testing.T) trace.Config {
		t.Helper()
		return trace.Config{DSN: cluster.Database(t)}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
