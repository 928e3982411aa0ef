package sqldb

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"postroad/internal/core/account"
)

const (
	// pgConnect is the longest wait for a connection to the server.
	pgConnect = 5 * time.Second
	// pgPatience is the longest wait for any statement but COMMIT.
	pgPatience = 60 * time.Second
	// pgPause is the time after a failed connection during which none is tried: jobs fail at once instead.
	pgPause = 200 * time.Millisecond
	// pgVersion is the oldest server version, as server_version_num spells it.
	pgVersion = 150000
)

// pgSession is one connection to PostgreSQL. Statements whose result nobody asks for are sent with the next one.
type pgSession struct {
	db      *DB
	conn    *pgx.Conn
	batch   *pgx.Batch
	posted  int
	now     sessionState
	kept    string // what the server was told to keep to; empty when unknown
	warning atomic.Pointer[pgconn.Notice]
}

var (
	pgBeginWrite = &query{text: "BEGIN"}
	pgBeginRead  = &query{text: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}
	pgKeep       = &query{
		text:  "SELECT set_config('postroad.system', $1, false), set_config('postroad.accounts', $2, false)",
		order: []int{0, 1},
	}
)

// pgConfig reads a DSN and points it at the store's own schema.
func pgConfig(dsn, schema string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("the PostgreSQL data source name: %w", err)
	}
	config.ConnectTimeout = pgConnect
	config.RuntimeParams["search_path"] = schema
	config.RuntimeParams["application_name"] = "postroad " + strings.TrimPrefix(schema, schemaPrefix)
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "120000"
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	config.StatementCacheCapacity = 512
	return config, nil
}

func (d *DB) openPG(ctx context.Context) (*pgSession, error) {
	if pause := d.pause.Load(); pause != 0 && time.Now().UnixNano() < pause {
		return nil, errors.New("the database server is away")
	}
	s := &pgSession{db: d, batch: &pgx.Batch{}}
	config := d.pg.Copy()
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.Severity == "WARNING" || n.SeverityUnlocalized == "WARNING" {
			s.warning.Store(n)
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		d.pause.Store(time.Now().Add(pgPause).UnixNano())
		return nil, err
	}
	d.pause.Store(0)
	s.conn = conn
	return s, nil
}

// mend has nothing to do: what a server lost, its own log restores.
func (s *pgSession) mend() error { return nil }

func (s *pgSession) settled() {}

func (s *pgSession) broke(error, bool) {}

func (s *pgSession) state() sessionState { return s.now }

func (s *pgSession) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), pgConnect)
	defer cancel()
	return s.conn.Close(ctx)
}

func (s *pgSession) begin(write bool) error {
	if s.conn.IsClosed() {
		s.now = sessionLost
		return errors.New("the connection is closed")
	}
	if write {
		return s.post(pgBeginWrite, nil, nil)
	}
	return s.post(pgBeginRead, nil, nil)
}

func (s *pgSession) end(commit bool) error {
	if !commit {
		s.batch, s.posted, s.kept = &pgx.Batch{}, 0, ""
		if s.now == sessionLost {
			return nil
		}
		s.now = sessionFine
		if _, err := s.conn.Exec(context.Background(), "ROLLBACK"); err != nil {
			s.now = sessionLost // the server rolls back what a lost connection leaves
		}
		return nil
	}
	s.warning.Store(nil)
	tag, err := s.conn.Exec(context.Background(), "COMMIT")
	if err != nil {
		s.note(err)
		s.kept = ""
		return err
	}
	s.now = sessionFine
	if tag.String() != "COMMIT" {
		s.kept = ""
		return fmt.Errorf("COMMIT was answered with %s", tag)
	}
	if n := s.warning.Load(); n != nil {
		return fmt.Errorf("COMMIT with a warning: %s", n.Message)
	}
	return nil
}

func (s *pgSession) keep(scope account.Scope, list []string) error {
	system, accounts := "off", strings.Join(list, ",")
	if scope.IsSystem() {
		system, accounts = "on", ""
	}
	want := system + " " + accounts
	if s.kept == want {
		return nil
	}
	s.kept = want
	return s.post(pgKeep, []any{system, accounts}, nil)
}

func (s *pgSession) post(q *query, args []any, list []string) error {
	values, err := pgValues(q, args, list)
	if err != nil {
		return err
	}
	s.batch.Queue(q.text, values...)
	s.posted++
	return nil
}

func pgValues(q *query, args []any, list []string) ([]any, error) {
	values := make([]any, 0, len(q.order))
	for _, from := range q.order {
		if from == scopeParam {
			values = append(values, list)
			continue
		}
		if from >= len(args) {
			return nil, fmt.Errorf("%.60q: parameter $%d is missing", q.text, from+1)
		}
		v, err := pgValue(args[from])
		if err != nil {
			return nil, fmt.Errorf("%.60q: %w", q.text, err)
		}
		values = append(values, v)
	}
	return values, nil
}

func (s *pgSession) prepare(q *query) error {
	if _, err := s.exec(flushQuery, nil, nil); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pgPatience)
	defer cancel()
	_, err := s.conn.PgConn().Prepare(ctx, "", q.text, nil)
	s.note(err)
	return err
}

// note remembers what an error did to the connection.
func (s *pgSession) note(err error) {
	switch {
	case err == nil:
	case s.conn.IsClosed():
		s.now = sessionLost
	case s.now == sessionFine:
		s.now = sessionAborted
	}
}

// send runs everything that was posted, and gives the results from the last one on.
func (s *pgSession) send() (pgx.BatchResults, context.CancelFunc, error) {
	ctx, cancel := context.WithTimeout(context.Background(), pgPatience)
	results := s.conn.SendBatch(ctx, s.batch)
	n := s.posted
	s.batch, s.posted = &pgx.Batch{}, 0
	for range n - 1 {
		if _, err := results.Exec(); err != nil {
			err = errors.Join(err, results.Close())
			cancel()
			s.note(err)
			return nil, nil, err
		}
	}
	return results, cancel, nil
}

func (s *pgSession) exec(q *query, args []any, list []string) (int64, error) {
	if q != flushQuery {
		if err := s.post(q, args, list); err != nil {
			return 0, err
		}
	}
	if s.posted == 0 {
		return 0, nil
	}
	results, cancel, err := s.send()
	if err != nil {
		return 0, err
	}
	defer cancel()
	tag, err := results.Exec()
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	s.note(err)
	return tag.RowsAffected(), err
}

func (s *pgSession) rows(q *query, args []any, list []string) (cursor, error) {
	if err := s.post(q, args, list); err != nil {
		return nil, err
	}
	results, cancel, err := s.send()
	if err != nil {
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		err = errors.Join(err, results.Close())
		cancel()
		s.note(err)
		return nil, err
	}
	return &pgRows{s: s, results: results, rows: rows, cancel: cancel}, nil
}

// pgRows are the rows of the last statement of a batch.
type pgRows struct {
	s       *pgSession
	results pgx.BatchResults
	rows    pgx.Rows
	cancel  context.CancelFunc
	times   []int64
	places  []any
}

func (r *pgRows) next() (bool, error) {
	if r.rows.Next() {
		return true, nil
	}
	err := r.rows.Err()
	r.s.note(err)
	return false, err
}

// scan reads times as the numbers that they are stored as.
func (r *pgRows) scan(dest []any) error {
	if r.places == nil {
		r.places, r.times = make([]any, len(dest)), make([]int64, len(dest))
	}
	for i, d := range dest {
		r.places[i] = d
		if _, ok := d.(*time.Time); ok {
			r.places[i] = &r.times[i]
		}
	}
	if err := r.rows.Scan(r.places...); err != nil {
		return err
	}
	for i, d := range dest {
		if t, ok := d.(*time.Time); ok {
			*t = Time(r.times[i])
		}
	}
	return nil
}

func (r *pgRows) close() error {
	r.rows.Close()
	err := r.rows.Err()
	if closeErr := r.results.Close(); err == nil {
		err = closeErr
	}
	r.cancel()
	r.s.note(err)
	return err
}

// checkPG refuses a server that would lose acknowledged mail, or a role that sees through row-level security.
func checkPG(ctx context.Context, conn *pgx.Conn, clustered bool) error {
	var version int
	var fsync, commit, standbys string
	var bypasses bool
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('fsync'),
		current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
		(SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)`).
		Scan(&version, &fsync, &commit, &standbys, &bypasses)
	switch {
	case err != nil:
		return fmt.Errorf("asking for the server's settings: %w", err)
	case version < pgVersion:
		return fmt.Errorf("%w: PostgreSQL %s is older than 15", ErrUnsafe, strconv.Itoa(version/10000))
	case fsync != "on":
		return fmt.Errorf("%w: fsync is off", ErrUnsafe)
	case commit == "off":
		return fmt.Errorf("%w: synchronous_commit is off", ErrUnsafe)
	case clustered && (standbys == "" || commit == "local"):
		return fmt.Errorf("%w: with several nodes a synchronous standby is needed (synchronous_standby_names)", ErrUnsafe)
	case bypasses:
		return fmt.Errorf("%w: the role is a superuser or has BYPASSRLS, so that row-level security hides nothing", ErrUnsafe)
	}
	return nil
}
