package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// schemaPrefix begins the name of every schema on PostgreSQL.
const schemaPrefix = "postroad_"

// Config says where a database is and what is in it.
type Config struct {
	Name       string       // "queue", "control", "mail": names the schema on PostgreSQL
	Path       string       // SQLite: the file; its folder must exist
	DSN        string       // PostgreSQL: where the server is; when given, Path is not used
	Clustered  bool         // PostgreSQL: several nodes share it, so a synchronous standby is demanded
	Migrations fs.FS        // goose migrations, one text for both engines
	Reader     int          // what this program reads: databases whose min_reader is not above it
	Readers    int          // connections for reading; 4 when zero
	Relaxed    bool         // what was written within the last second may be lost with the machine: a commit flushes nothing
	Hold       Stmt         // PostgreSQL: selects a text of the rows with the keys of $1, in order, FOR UPDATE; see DB.Write
	CacheKiB   int          // SQLite: page cache of the writer, readers have a quarter; 16384 when zero
	Log        *slog.Logger // for what no caller can be told; nothing is logged when nil
}

// Place is where a database is, as whoever opens a store says it.
type Place struct {
	Path      string       // SQLite: the file
	DSN       string       // PostgreSQL; when given, Path is not used
	Clustered bool         // several nodes share the server
	Log       *slog.Logger // for what no caller can be told
}

// Open opens the database at this place. Its migrations lie in the folder "migrations" of files; c says what else there
// is to say of it.
func (p Place) Open(ctx context.Context, files fs.FS, c Config) (*DB, error) {
	var err error
	if c.Migrations, err = fs.Sub(files, "migrations"); err != nil {
		return nil, err
	}
	c.Path, c.DSN, c.Clustered, c.Log = p.Path, p.DSN, p.Clustered, p.Log
	return Open(ctx, c)
}

// DB is one open database. It is safe for concurrent use.
type DB struct {
	engine  Engine
	hold    Stmt
	texts   texts
	writer  *writer
	readers *pool
	pg      *pgx.ConnConfig
	pause   atomic.Int64 // PostgreSQL: no connection is tried before (nanoseconds since 1970)
	closing atomic.Bool

	failed  atomic.Bool
	failure chan struct{}
	once    sync.Once
	cause   error
}

// Open opens a database, migrates it and, on SQLite, rewrites what is left of the write-ahead log.
// It fails with ErrTooNew, ErrUnsafe or an engine's error.
func Open(ctx context.Context, c Config) (*DB, error) {
	if c.Readers == 0 {
		c.Readers = 4
	}
	if c.CacheKiB == 0 {
		c.CacheKiB = 16384
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &DB{failure: make(chan struct{}), hold: c.Hold}
	d.texts.system, d.texts.scoped = map[Stmt]*query{}, map[Stmt]*query{}
	d.writer = &writer{db: d, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	var err error
	if c.DSN != "" {
		err = d.startPG(ctx, c)
	} else {
		err = d.startLite(ctx, c)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the %s database: %w", c.Name, err)
	}
	go d.writer.loop()
	return d, nil
}

func (d *DB) startLite(ctx context.Context, c Config) error {
	d.engine = SQLite
	conn, err := openLite(c.Path, c.CacheKiB, true)
	if err != nil {
		return err
	}
	if err := prepareLite(ctx, conn, c); err != nil {
		return errors.Join(err, conn.close())
	}
	if c.Relaxed {
		if err := conn.run("PRAGMA synchronous = NORMAL"); err != nil {
			return errors.Join(err, conn.close())
		}
	}
	beside, err := openLite(c.Path, 256, true)
	if err != nil {
		return errors.Join(err, conn.close())
	}
	w := &liteWriter{liteConn: conn, db: d, back: newWriteBack(beside, c.Log)}
	d.writer.session = w
	d.writer.open = func() (writeSession, error) { return nil, ErrFailed } // the one connection is never lost
	d.readers = newPool(c.Readers, func(context.Context) (readSession, error) {
		return openLite(c.Path, max(c.CacheKiB/4, 1024), false)
	})
	return nil
}

// prepareLite checks the library, empties the log and migrates.
func prepareLite(ctx context.Context, conn *liteConn, c Config) error {
	row, err := conn.first("SELECT sqlite_version()")
	if err != nil {
		return err
	}
	if version, _ := row[0].(string); olderVersion(version, minSQLite) {
		return fmt.Errorf("%w: SQLite %s is older than %s", ErrUnsafe, version, minSQLite)
	}
	if err := conn.truncate(); err != nil {
		return fmt.Errorf("emptying the write-ahead log: %w", err)
	}
	return migrateLite(ctx, c)
}

// olderVersion compares dotted numbers.
func olderVersion(a, b string) bool {
	var x, y [3]int
	_, _ = fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2]) // what is missing counts as 0
	_, _ = fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

func (d *DB) startPG(ctx context.Context, c Config) error {
	d.engine = Postgres
	var err error
	if d.pg, err = pgConfig(c.DSN, schemaPrefix+c.Name); err != nil {
		return err
	}
	if err := migratePG(ctx, d.pg, c); err != nil {
		return err
	}
	if c.Relaxed {
		d.pg.RuntimeParams["synchronous_commit"] = "off"
	}
	d.writer.open = func() (writeSession, error) { return d.openPG(context.Background()) }
	d.readers = newPool(c.Readers, func(ctx context.Context) (readSession, error) { return d.openPG(ctx) })
	return nil
}

// Engine is the kind of database.
func (d *DB) Engine() Engine { return d.engine }

// Failed is closed when the database has failed for good; the program should end with a non-zero status.
func (d *DB) Failed() <-chan struct{} { return d.failure }

// Cause is why the database has failed; nil while it has not.
func (d *DB) Cause() error {
	if !d.failed.Load() {
		return nil
	}
	<-d.failure
	return d.cause
}

func (d *DB) fail(err error) {
	d.once.Do(func() {
		d.cause = err
		d.failed.Store(true)
		close(d.failure)
	})
}

// Close runs the jobs that wait, waits for readers and closes all connections. Further calls of Write and Read fail.
func (d *DB) Close() error {
	if d.closing.Swap(true) {
		return nil
	}
	err := d.writer.close()
	return errors.Join(err, d.readers.close())
}
