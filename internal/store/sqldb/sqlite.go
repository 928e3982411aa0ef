package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"

	"modernc.org/sqlite"

	"postroad/internal/core/account"
)

// minSQLite is the oldest SQLite whose write-ahead log is safe with two connections (https://www.sqlite.org/wal.html#walresetbug).
const minSQLite = "3.51.3"

const (
	// pageSize of new databases, in octets.
	pageSize = 4096
	// walSoft is the number of frames from which on the log is written back in the background.
	walSoft = 8192
	// walHard is the number of frames from which on the writer waits for that: 128 MiB.
	walHard = 32768
	// walTail is the number of frames that the writer writes back by itself, so that the log begins anew.
	walTail = 1024
	// walLook is the number of commits between two looks at the log's length.
	walLook = 16
)

// liteConn is one connection to a SQLite file.
type liteConn struct {
	conn   driver.Conn
	stmts  map[*query]*liteStmt
	values []driver.NamedValue
	begun  bool
	now    sessionState
}

// liteStmt is a prepared statement; it can be run once at a time.
type liteStmt struct {
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
	stmt  driver.Stmt
	busy  bool
}

var (
	beginRead  = &query{text: "BEGIN"}
	beginWrite = &query{text: "BEGIN IMMEDIATE"}
	commitTx   = &query{text: "COMMIT"}
	rollbackTx = &query{text: "ROLLBACK"}
)

// openLite opens a connection and prepares it: a writer creates the file, a reader cannot change it.
func openLite(path string, cacheKiB int, write bool) (*liteConn, error) {
	connector, err := sqlite.NewConnector("file:" + escapePath(path))
	if err != nil {
		return nil, err
	}
	conn, err := connector.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	c := &liteConn{conn: conn, stmts: map[*query]*liteStmt{}}
	for _, pragma := range pragmas(cacheKiB, write) {
		if err := c.run("PRAGMA " + pragma); err != nil {
			return nil, errors.Join(fmt.Errorf("PRAGMA %s: %w", pragma, err), conn.Close())
		}
	}
	return c, nil
}

// pragmas lists a connection's settings in the order in which they must be made.
func pragmas(cacheKiB int, write bool) []string {
	list := []string{
		"busy_timeout = 10000",
		"temp_store = MEMORY",
		"trusted_schema = OFF",
		"cell_size_check = ON",
		"cache_size = -" + strconv.Itoa(cacheKiB),
	}
	if !write {
		return append(list, "query_only = ON")
	}
	return append(list,
		"page_size = "+strconv.Itoa(pageSize),
		"journal_mode = WAL",
		"synchronous = FULL",
		"wal_autocheckpoint = 0",
		"journal_size_limit = "+strconv.Itoa(walHard*pageSize),
	)
}

// escapePath spells a path within a file: URI.
func escapePath(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

// run executes a text that is not kept.
func (c *liteConn) run(text string) error {
	stmt, err := c.conn.Prepare(text)
	if err != nil {
		return err
	}
	s := liteParts(stmt)
	_, err = s.exec.ExecContext(context.Background(), nil)
	return errors.Join(err, stmt.Close())
}

// first executes a text that is not kept and gives its first row of numbers or texts.
func (c *liteConn) first(text string) ([]driver.Value, error) {
	stmt, err := c.conn.Prepare(text)
	if err != nil {
		return nil, err
	}
	rows, err := liteParts(stmt).query.QueryContext(context.Background(), nil)
	if err != nil {
		return nil, errors.Join(err, stmt.Close())
	}
	values := make([]driver.Value, len(rows.Columns()))
	err = rows.Next(values)
	return values, errors.Join(err, rows.Close(), stmt.Close())
}

func liteParts(stmt driver.Stmt) *liteStmt {
	s := &liteStmt{stmt: stmt}
	s.exec, _ = stmt.(driver.StmtExecContext)
	s.query, _ = stmt.(driver.StmtQueryContext)
	return s
}

func (c *liteConn) prepared(q *query) (s *liteStmt, kept bool, err error) {
	s = c.stmts[q]
	if s != nil && !s.busy {
		return s, true, nil
	}
	stmt, err := c.conn.Prepare(q.text)
	if err != nil {
		return nil, false, err
	}
	fresh := liteParts(stmt)
	if s == nil {
		c.stmts[q] = fresh
		return fresh, true, nil
	}
	return fresh, false, nil
}

func (c *liteConn) prepare(q *query) error {
	_, _, err := c.prepared(q)
	return err
}

func (c *liteConn) bind(q *query, args []any, list []string) ([]driver.NamedValue, error) {
	c.values = c.values[:0]
	for i, from := range q.order {
		v := driver.NamedValue{Ordinal: i + 1}
		var err error
		if from == scopeParam {
			v.Value, err = listText(list)
		} else if from < len(args) {
			v.Value, err = liteValue(args[from])
		} else {
			err = fmt.Errorf("parameter $%d is missing", from+1)
		}
		if err != nil {
			return nil, fmt.Errorf("%.60q: %w", q.text, err)
		}
		c.values = append(c.values, v)
	}
	return c.values, nil
}

func (c *liteConn) begin(write bool) error {
	q := beginRead
	if write {
		q = beginWrite
	}
	_, err := c.exec(q, nil, nil)
	c.begun = err == nil
	return err
}

func (c *liteConn) end(commit bool) error {
	if commit {
		_, err := c.exec(commitTx, nil, nil)
		if err != nil {
			_, _ = c.exec(rollbackTx, nil, nil) // it fails when the engine rolled back already
		}
		c.begun = false
		return err
	}
	if c.begun {
		_, _ = c.exec(rollbackTx, nil, nil) // as above
		c.begun = false
	}
	return nil
}

// keep does nothing: SQLite knows no row-level security, the statements carry the scope.
func (c *liteConn) keep(account.Scope, []string) error { return nil }

func (c *liteConn) post(q *query, args []any, list []string) error {
	_, err := c.exec(q, args, list)
	return err
}

func (c *liteConn) exec(q *query, args []any, list []string) (int64, error) {
	if q == flushQuery {
		return 0, nil
	}
	s, kept, err := c.prepared(q)
	if err != nil {
		return 0, err
	}
	values, err := c.bind(q, args, list)
	if err != nil {
		return 0, err
	}
	result, err := s.exec.ExecContext(context.Background(), values)
	if !kept {
		err = errors.Join(err, s.stmt.Close())
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c *liteConn) rows(q *query, args []any, list []string) (cursor, error) {
	s, kept, err := c.prepared(q)
	if err != nil {
		return nil, err
	}
	values, err := c.bind(q, args, list)
	if err != nil {
		return nil, err
	}
	rows, err := s.query.QueryContext(context.Background(), values)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &liteRows{stmt: s, kept: kept, rows: rows, values: make([]driver.Value, len(rows.Columns()))}, nil
}

func (c *liteConn) state() sessionState { return c.now }

func (c *liteConn) close() error {
	errs := make([]error, 0, len(c.stmts)+1)
	for _, s := range c.stmts {
		errs = append(errs, s.stmt.Close())
	}
	return errors.Join(append(errs, c.conn.Close())...)
}

// liteRows are the rows of a running statement.
type liteRows struct {
	stmt   *liteStmt
	kept   bool
	rows   driver.Rows
	values []driver.Value
}

func (r *liteRows) next() (bool, error) {
	err := r.rows.Next(r.values)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, err
}

func (r *liteRows) scan(dest []any) error {
	if len(dest) != len(r.values) {
		return fmt.Errorf("%d columns for %d places", len(r.values), len(dest))
	}
	for i, v := range r.values {
		if err := store(v, dest[i]); err != nil {
			return fmt.Errorf("column %d: %w", i, err)
		}
	}
	return nil
}

func (r *liteRows) close() error {
	err := r.rows.Close()
	r.stmt.busy = false
	if !r.kept {
		err = errors.Join(err, r.stmt.stmt.Close())
	}
	return err
}

// liteWriter is the one connection that writes. It watches over the write-ahead log.
type liteWriter struct {
	*liteConn
	db      *DB
	commits int  // since the last look at the log
	errs    int  // input/output errors so far
	suspect bool // the log may hold frames that never reached the disk
	back    *writeBack
}

// mend rewrites a suspect log into the database; a second error ends it all.
func (w *liteWriter) mend() error {
	if w.db.failed.Load() {
		return ErrFailed
	}
	if w.back.broken.Swap(false) {
		w.broke(&ioError{w.back.cause.Load()}, true)
	}
	if w.db.failed.Load() {
		return ErrFailed
	}
	if !w.suspect {
		return nil
	}
	if err := w.truncate(); err != nil {
		if sqliteCode(err) != sqliteFull {
			w.db.fail(err)
		}
		return err
	}
	w.suspect = false
	return nil
}

// ioError carries a background error into the writer's books.
type ioError struct{ cause *error }

func (e *ioError) Error() string { return "writing the log back: " + (*e.cause).Error() }
func (e *ioError) Unwrap() error { return *e.cause }

// truncate writes the whole log into the database, flushes it and empties the log.
func (c *liteConn) truncate() error {
	row, err := c.first("PRAGMA wal_checkpoint(TRUNCATE)")
	if err != nil {
		return err
	}
	if busy, ok := row[0].(int64); !ok || busy != 0 {
		return errors.New("the write-ahead log could not be truncated: a reader holds it")
	}
	return nil
}

// broke keeps the books on input/output errors.
func (w *liteWriter) broke(err error, commit bool) {
	switch code := sqliteCode(err); {
	case code == sqliteFull:
		return
	case !commit && code != sqliteIOErr:
		return
	}
	w.suspect = true
	w.errs++
	if w.errs > 1 {
		w.db.fail(err)
	}
}

// settled looks at the log's length now and then and has it written back.
func (w *liteWriter) settled() {
	w.commits++
	if w.commits < walLook && !w.back.done.Load() {
		return
	}
	w.commits = 0
	frames, left, err := w.checkpoint("NOOP")
	if err != nil || left < walTail && frames < walSoft {
		return
	}
	if w.back.done.Swap(false) && left <= walTail || frames >= walHard {
		if frames >= walHard {
			w.back.idle()
		}
		if _, _, err := w.checkpoint("PASSIVE"); err != nil {
			w.broke(err, false)
		}
		return
	}
	if left >= walSoft {
		w.back.ask()
	}
}

// checkpoint gives the frames in the log and how many of them are not in the database yet.
func (c *liteConn) checkpoint(mode string) (frames, left int64, err error) {
	row, err := c.first("PRAGMA wal_checkpoint(" + mode + ")")
	if err != nil {
		return 0, 0, err
	}
	frames, _ = row[1].(int64)
	written, _ := row[2].(int64)
	return frames, frames - written, nil
}

func (w *liteWriter) close() error {
	return errors.Join(w.back.close(), w.liteConn.close())
}

// writeBack copies the log into the database beside the writer, on a connection of its own.
type writeBack struct {
	conn   *liteConn
	asked  chan struct{}
	free   chan struct{} // holds a token while no copy is running
	ended  chan struct{}
	done   atomic.Bool // a copy has finished since the writer last looked
	broken atomic.Bool // a copy has failed since then
	cause  atomic.Pointer[error]
	log    *slog.Logger
}

func newWriteBack(conn *liteConn, log *slog.Logger) *writeBack {
	b := &writeBack{conn: conn, asked: make(chan struct{}, 1), free: make(chan struct{}, 1), ended: make(chan struct{}), log: log}
	b.free <- struct{}{}
	go b.loop()
	return b
}

func (b *writeBack) ask() {
	select {
	case b.asked <- struct{}{}:
	default:
	}
}

// idle waits until no copy is running.
func (b *writeBack) idle() {
	<-b.free
	b.free <- struct{}{}
}

func (b *writeBack) loop() {
	defer close(b.ended)
	for range b.asked {
		<-b.free
		// What is written meanwhile is less each time; the writer does the last bit.
		for range 3 {
			_, left, err := b.conn.checkpoint("PASSIVE")
			if err != nil {
				b.log.Error("the write-ahead log was not written back", "error", err)
				b.cause.Store(&err)
				b.broken.Store(true)
				break
			}
			if left <= walTail/2 {
				break
			}
		}
		b.done.Store(true)
		b.free <- struct{}{}
	}
}

func (b *writeBack) close() error {
	close(b.asked)
	<-b.ended
	return b.conn.close()
}
