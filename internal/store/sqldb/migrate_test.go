package sqldb_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"postroad/internal/core/account"
	"postroad/internal/store/sqldb"
)

func TestALaterSchemaIsReadIfItSaysSo(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, c sqldb.Config) {
		t.Helper()
		t.Parallel()
		c.Name, c.Reader = "test", 1
		later := schema()
		later["00002_more.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nALTER TABLE thing ADD COLUMN more TEXT NOT NULL DEFAULT '';\nUPDATE meta SET value = '2' WHERE name = 'version';\n")}
		c.Migrations = later
		db, err := sqldb.Open(t.Context(), c)
		must(t, err)
		must(t, db.Close())
		c.Migrations = schema()
		db, err = sqldb.Open(t.Context(), c)
		must(t, err)
		must(t, db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error {
			if err := put(tx, "by an earlier program"); err != nil {
				return err
			}
			return tx.Post("UPDATE meta SET value = '2' WHERE name = 'min_reader'")
		}))
		must(t, db.Close())
		if _, err := sqldb.Open(t.Context(), c); !errors.Is(err, sqldb.ErrTooNew) {
			t.Errorf("min_reader 2 with a reader of 1: %v", err)
		}
		c.Reader, c.Migrations = 2, later
		db, err = sqldb.Open(t.Context(), c)
		must(t, err)
		must(t, db.Close())
	}
	t.Run("sqlite", func(t *testing.T) { test(t, sqldb.Config{Path: filepath.Join(t.TempDir(), "test.db")}) })
	t.Run("postgres", func(t *testing.T) { test(t, sqldb.Config{DSN: cluster.Database(t)}) })
}

func TestNodesThatStartAtOnceMigrateOnce(t *testing.T) {
	t.Parallel()
	dsn := cluster.Database(t)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			db, err := sqldb.Open(t.Context(), sqldb.Config{Name: "test", DSN: dsn, Migrations: schema(), Reader: 1})
			if err != nil {
				t.Error(err)
				return
			}
			must(t, db.Close())
		})
	}
	wg.Wait()
}

func TestFourSchemasLiveInOneDatabase(t *testing.T) {
	t.Parallel()
	dsn := cluster.Database(t)
	for _, name := range []string{"one", "two"} {
		db, err := sqldb.Open(t.Context(), sqldb.Config{Name: name, DSN: dsn, Migrations: schema(), Reader: 1})
		must(t, err)
		must(t, db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error { return put(tx, "x") }))
		must(t, db.Close())
	}
}

func TestARoleThatSeesThroughRowLevelSecurityIsRefused(t *testing.T) {
	t.Parallel()
	dsn := strings.Replace(cluster.Database(t), "postroad@", "postgres@", 1)
	if _, err := sqldb.Open(t.Context(), sqldb.Config{Name: "test", DSN: dsn, Migrations: schema(), Reader: 1}); !errors.Is(err, sqldb.ErrUnsafe) {
		t.Error(err)
	}
}

func TestSeveralNodesNeedASynchronousStandby(t *testing.T) {
	t.Parallel()
	c := sqldb.Config{Name: "test", DSN: cluster.Database(t), Migrations: schema(), Reader: 1, Clustered: true}
	if _, err := sqldb.Open(t.Context(), c); !errors.Is(err, sqldb.ErrUnsafe) {
		t.Error(err)
	}
}
