// Package queue keeps the queue of service/queue in SQL: messages, their rows, lanes and the queue's age.
//
// A message's content lies in its own row up to mail.InlineLimit and in the blob folder beyond. Rows are found by
// three partial indices: born leased, scheduled, kept. A lane's row says when the lane is to be tried next; on SQLite
// who holds a lane is remembered in memory, since one process owns the database, on PostgreSQL in the lane's row.
//
// # Failure
//
// Every error that is none of service/queue's own carries ErrStorage, with ErrFull when the disk is full. A content
// that does not match its checksum stays where it is: a delivery comes with ErrCorrupt from its Content.Open.
package queue

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
	"postroad/internal/store/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// reader is the schema version that this program reads up to.
const reader = 1

// Config says where the queue's database is.
type Config = sqldb.Place

// Open opens the queue's database.
func Open(ctx context.Context, c Config) (*sqldb.DB, error) {
	return c.Open(ctx, migrations, sqldb.Config{Name: "queue", Reader: reader})
}

// Store is the queue in one database. It is safe for concurrent use.
type Store struct {
	db     *sqldb.DB
	blobs  *sqldb.Blobs
	leases *leases // SQLite only
}

var (
	_ queue.Spool   = (*Store)(nil)
	_ queue.Lanes   = (*Store)(nil)
	_ queue.Inspect = (*Store)(nil)
)

// New makes the store of an open database; contents beyond mail.InlineLimit lie in blobs.
func New(db *sqldb.DB, blobs *sqldb.Blobs) *Store {
	s := &Store{db: db, blobs: blobs}
	if db.Engine() == sqldb.SQLite {
		s.leases = newLeases(time.Now)
	}
	return s
}

// storageError gives errors of the layer below the names that service/queue knows.
func storageError(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, queue.ErrStaleLease), errors.Is(err, queue.ErrNoMessage), errors.Is(err, queue.ErrStorage):
		return err
	case errors.Is(err, sqldb.ErrCorrupt):
		return fmt.Errorf("%w: %w", queue.ErrCorrupt, err)
	case errors.Is(err, sqldb.ErrFull):
		return fmt.Errorf("%w: %w: %w", queue.ErrStorage, queue.ErrFull, err)
	}
	return fmt.Errorf("%w: %w", queue.ErrStorage, err)
}

const (
	getAgeSQL sqldb.Stmt = `SELECT elapsed FROM age WHERE name = 'queue'`
	addAgeSQL sqldb.Stmt = `UPDATE age SET elapsed = elapsed + $1 WHERE name = 'queue' RETURNING elapsed`
	tickAgePG sqldb.Stmt = `UPDATE age SET elapsed = elapsed + GREATEST(0, LEAST($1, now.micros - ticked)), ticked = now.micros
		FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros) now WHERE name = 'queue' RETURNING elapsed`
	maxElapsed = time.Hour
)

// Age implements queue.Spool. When several nodes tick, each adds what has passed since the last tick of any of them.
func (s *Store) Age(ctx context.Context, elapsed time.Duration) (int64, error) {
	var micros int64
	elapsed = min(elapsed, maxElapsed)
	read := func(tx *sqldb.Tx) error {
		_, err := tx.Row([]any{&micros}, getAgeSQL)
		return err
	}
	if elapsed <= 0 {
		err := s.db.Read(ctx, account.System(), read)
		return micros / int64(time.Second/time.Microsecond), storageError(err)
	}
	err := s.db.Write(ctx, account.System(), func(tx *sqldb.Tx) error {
		stmt := addAgeSQL
		if tx.Engine() == sqldb.Postgres {
			stmt = tickAgePG
		}
		_, err := tx.Row([]any{&micros}, stmt, elapsed.Microseconds())
		return err
	})
	return micros / int64(time.Second/time.Microsecond), storageError(err)
}

// Owns tells which content files belong to queued messages, for the sweep of the blob folder.
func (s *Store) Owns(ctx context.Context, names []string) (map[string]bool, error) {
	owned := map[string]bool{}
	err := s.db.Read(ctx, account.System(), func(tx *sqldb.Tx) error {
		clear(owned)
		rows, err := tx.Query(ownedSQL, names)
		if err != nil {
			return err
		}
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				break
			}
			owned[name] = true
		}
		return rows.Close()
	})
	return owned, storageError(err)
}

const ownedSQL sqldb.Stmt = `SELECT blob FROM message WHERE blob <> '' AND @in(blob, $1)`

// mustOwn refuses accounts that are not in scope.
func mustOwn(scope account.Scope, m *mail.Stored) error {
	if scope.IsSystem() {
		return nil
	}
	if !scope.Has(m.Message.Account) {
		return outOfScope(m.Message.Account)
	}
	for i := range m.Rows {
		if !scope.Has(m.Rows[i].Account) {
			return outOfScope(m.Rows[i].Account)
		}
	}
	return nil
}

func outOfScope(of account.ID) error { return fmt.Errorf("%w: %s", sqldb.ErrScope, of) }
