package sqldb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

func migrateLite(ctx context.Context, c Config) (err error) {
	connector, err := sqlite.NewConnector("file:" + escapePath(c.Path) + "?_busy_timeout=10000&_sync=FULL")
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	return migrate(ctx, db, goose.DialectSQLite3, c)
}

// migratePG migrates under an advisory lock, so that of several nodes that start at once one does it.
func migratePG(ctx context.Context, config *pgx.ConnConfig, c Config) (err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if err := checkPG(ctx, conn, c.Clustered); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", lockNumber(schemaPrefix+c.Name)); err != nil {
		return fmt.Errorf("waiting for the migration lock: %w", err)
	}
	schema := pgx.Identifier{schemaPrefix + c.Name}.Sanitize()
	if _, err := conn.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+schema); err != nil {
		return fmt.Errorf("creating the schema: %w", err)
	}
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := migrate(ctx, db, goose.DialectPostgres, c); err != nil {
		return err
	}
	return protect(ctx, conn, schemaPrefix+c.Name)
}

// lockNumber is the advisory lock of a schema.
func lockNumber(name string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash takes everything
	return int64(h.Sum64())      //nolint:gosec // any number will do
}

// migrate brings the schema up to date, unless a later version wrote it that we can still read.
func migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, c Config) error {
	provider, err := goose.NewProvider(dialect, db, dialectFS{inner: c.Migrations, dialect: dialect}, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if current > 0 {
		version, reader, err := metaVersions(ctx, db)
		if err != nil {
			return err
		}
		if reader > c.Reader {
			return fmt.Errorf("%w: its version is %d and asks for a program that reads %d, this one reads %d",
				ErrTooNew, version, reader, c.Reader)
		}
	}
	if current >= target {
		return nil
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}

// metaVersions reads the table meta, which the first migration makes.
func metaVersions(ctx context.Context, db *sql.DB) (version, reader int, err error) {
	for name, dest := range map[string]*int{"version": &version, "min_reader": &reader} {
		var text string
		if err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = $1", name).Scan(&text); err != nil {
			return 0, 0, fmt.Errorf("reading the schema's %s: %w", name, err)
		}
		if *dest, err = strconv.Atoi(text); err != nil {
			return 0, 0, fmt.Errorf("the schema's %s: %w", name, err)
		}
	}
	return version, reader, nil
}

// protect puts every table with an account_id under row-level security, also for the tables' owner.
func protect(ctx context.Context, conn *pgx.Conn, schema string) error {
	rows, err := conn.Query(ctx, `SELECT table_name FROM information_schema.columns
		WHERE table_schema = $1 AND column_name = 'account_id'
		AND NOT EXISTS (SELECT 1 FROM pg_policies WHERE schemaname = $1 AND tablename = table_name AND policyname = 'scope')`, schema)
	if err != nil {
		return fmt.Errorf("looking for tables without row-level security: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("looking for tables without row-level security: %w", err)
	}
	for _, table := range tables {
		name := pgx.Identifier{schema, table}.Sanitize()
		for _, statement := range []string{
			"ALTER TABLE " + name + " ENABLE ROW LEVEL SECURITY",
			"ALTER TABLE " + name + " FORCE ROW LEVEL SECURITY",
			// The settings stand in selects of their own, so that they are read once in a statement and not for each row.
			"CREATE POLICY scope ON " + name + ` USING ((SELECT current_setting('postroad.system', true)) = 'on'
				OR account_id = ANY ((SELECT string_to_array(current_setting('postroad.accounts', true), ','))::text[]))`,
		} {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return fmt.Errorf("row-level security of %s: %w", table, err)
			}
		}
	}
	return nil
}

// dialectFS shows migrations to one engine: comments that are text for it alone lose their mark.
type dialectFS struct {
	inner   fs.FS
	dialect goose.Dialect
}

func (d dialectFS) Open(name string) (fs.File, error) {
	f, err := d.inner.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	mark := []byte("-- sqlite: ")
	if d.dialect == goose.DialectPostgres {
		mark = []byte("-- postgres: ")
	}
	return &textFile{File: f, Reader: bytes.NewReader(bytes.ReplaceAll(text, mark, nil))}, nil
}

// textFile is a file with another content.
type textFile struct {
	fs.File
	*bytes.Reader
}

func (f *textFile) Read(b []byte) (int, error) { return f.Reader.Read(b) }
