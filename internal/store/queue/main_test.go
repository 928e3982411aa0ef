package queue_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"postroad/internal/sim"
	"postroad/internal/store/queue"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

// cluster is the PostgreSQL that the tests of this package share.
var cluster sim.Postgres

func TestMain(m *testing.M) { os.Exit(sqltest.Main(m, &cluster, child)) }

// world is a queue in an empty database.
type world struct {
	*queue.Store
	t      *testing.T
	db     *sqldb.DB
	blobs  *sqldb.Blobs
	config queue.Config
	dir    string
}

// restart closes the database and opens it again.
func (w *world) restart(t *testing.T) {
	t.Helper()
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(t)
}

func (w *world) open(t *testing.T) {
	t.Helper()
	var err error
	if w.db, err = queue.Open(context.Background(), w.config); err != nil {
		t.Fatal(err)
	}
	if w.blobs, err = sqldb.OpenBlobs(filepath.Join(w.dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	w.Store = queue.New(w.db, w.blobs)
}

// engines runs a test on both engines.
func engines(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	run := func(name string, lite func(dir string) queue.Config) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := &world{t: t, dir: dir}
			if lite != nil {
				w.config = lite(dir)
			} else {
				w.config.DSN = cluster.Database(t)
			}
			w.open(t)
			t.Cleanup(func() { _ = w.db.Close() })
			test(w)
		})
	}
	run("sqlite", func(dir string) queue.Config { return queue.Config{Path: filepath.Join(dir, "queue.db")} })
	run("postgres", nil)
}
