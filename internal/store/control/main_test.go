package control_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/service/control"
	"postroad/internal/sim"
	controlstore "postroad/internal/store/control"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

// cluster is the PostgreSQL that the tests of this package share.
var cluster sim.Postgres

func TestMain(m *testing.M) { os.Exit(sqltest.Main(m, &cluster, nil)) }

// world is a configuration in an empty database.
type world struct {
	*controlstore.Store
	db      *sqldb.DB
	config  controlstore.Config
	version int64
	t       *testing.T
}

func open(tb testing.TB, c controlstore.Config) *world {
	tb.Helper()
	db, err := controlstore.Open(context.Background(), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() }) // where it matters the test closes it
	return &world{Store: controlstore.New(db), db: db, config: c}
}

// onSQLite and onPostgres give the configuration of an empty database.
func onSQLite(tb testing.TB) controlstore.Config {
	tb.Helper()
	return controlstore.Config{Path: filepath.Join(tb.TempDir(), "control.db")}
}

func onPostgres(tb testing.TB) controlstore.Config {
	tb.Helper()
	return controlstore.Config{DSN: cluster.Database(tb)}
}

// configs are the engines.
var configs = map[string]func(tb testing.TB) controlstore.Config{"sqlite": onSQLite, "postgres": onPostgres}

// engines runs a test on both engines.
func engines(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, config(t))
			w.t = t
			test(w)
		})
	}
}

// apply makes a change by the system, which must succeed.
func (w *world) apply(tb testing.TB, tx control.Tx) {
	tb.Helper()
	version, err := w.Update(context.Background(), account.System(), w.version, tx)
	if err != nil {
		tb.Fatal(err)
	}
	w.version = version
}

// load reads everything in scope.
func (w *world) load(tb testing.TB, scope account.Scope) control.State {
	tb.Helper()
	st, err := w.Load(context.Background(), scope)
	if err != nil {
		tb.Fatal(err)
	}
	return st
}
