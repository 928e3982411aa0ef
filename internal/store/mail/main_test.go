package mail_test

import (
	"os"
	"path/filepath"
	"testing"

	"postroad/internal/sim"
	"postroad/internal/store/mail"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

// cluster is the PostgreSQL that the tests of this package share.
var cluster sim.Postgres

func TestMain(m *testing.M) { os.Exit(sqltest.Main(m, &cluster, child)) }

// world is an empty set of mailboxes.
type world struct {
	*mail.Store
	t      *testing.T
	blobs  *sqldb.Blobs
	config mail.Config
	dir    string
}

func (w *world) open(t *testing.T) {
	t.Helper()
	var err error
	if w.blobs, err = sqldb.OpenBlobs(filepath.Join(w.dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	if w.Store, err = mail.Open(t.Context(), w.config, w.blobs); err != nil {
		t.Fatal(err)
	}
}

func (w *world) restart(t *testing.T) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(t)
}

// engines runs a test on both engines.
func engines(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	run := func(name string, lite func(dir string) mail.Config) {
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
			t.Cleanup(func() { _ = w.Close() })
			test(w)
		})
	}
	run("sqlite", func(dir string) mail.Config { return mail.Config{Dir: dir, Shards: 3} })
	run("postgres", nil)
}
