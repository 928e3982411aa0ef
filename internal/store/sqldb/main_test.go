package sqldb_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"postroad/internal/core/account"
	"postroad/internal/sim"
	"postroad/internal/store/sqldb"
	"postroad/internal/store/sqldb/sqltest"
)

// cluster is the PostgreSQL that the tests of this package share.
var cluster sim.Postgres

func TestMain(m *testing.M) { os.Exit(sqltest.Main(m, &cluster, child)) }

const metaSQL = "-- +goose Up\nCREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);\n" +
	"INSERT INTO meta (name, value) VALUES ('version', '1'), ('min_reader', '1');\n"

const thingSQL = "CREATE TABLE thing (id TEXT PRIMARY KEY, account_id TEXT NOT NULL, n BIGINT NOT NULL, b BYTEA, flag BOOLEAN NOT NULL)" +
	" -- sqlite: WITHOUT ROWID\n;\n-- postgres: CREATE SEQUENCE only_here;\n"

func schema() fstest.MapFS {
	return fstest.MapFS{"00001_first.sql": {Data: []byte(metaSQL + thingSQL)}}
}

const (
	putSQL   sqldb.Stmt = "INSERT INTO thing (id, account_id, n, b, flag) VALUES ($1, $2, $3, $4, $5)"
	countSQL sqldb.Stmt = "SELECT count(*) FROM thing WHERE @scope(account_id)"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, c sqldb.Config) *sqldb.DB {
	t.Helper()
	c.Name, c.Reader = "test", 1
	if c.Migrations == nil {
		c.Migrations = schema()
	}
	db, err := sqldb.Open(context.Background(), c)
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// world is an empty database.
type world struct {
	t *testing.T
	*sqldb.DB
}

// engines runs a test on both engines.
func engines(t *testing.T, test func(w world)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(world{t, open(t, sqldb.Config{Path: filepath.Join(t.TempDir(), "test.db")})})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(world{t, open(t, sqldb.Config{DSN: cluster.Database(t)})})
	})
}

func put(tx *sqldb.Tx, id string) error {
	return tx.Post(putSQL, id, "acc-a", 1, []byte{0}, true)
}

func count(t *testing.T, db *sqldb.DB) (n int) {
	t.Helper()
	must(t, db.Read(t.Context(), account.System(), func(tx *sqldb.Tx) error {
		_, err := tx.Row([]any{&n}, countSQL)
		return err
	}))
	return n
}
