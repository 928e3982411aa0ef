// Package trace keeps the traces of service/trace in SQL, in a database of their own.
//
// A row holds the steps of one message that one account may see under one of its addresses, as octets (see writer):
// several steps of one moment cost one row. The database promises less than the others: what was added within the
// last second may be lost with the machine, so that no flush of it delays mail.
//
// # Failure
//
// Every error is temporary to the caller: mail does not depend on traces.
package trace

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/trace"
	service "postroad/internal/service/trace"
	"postroad/internal/store/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// reader is the schema version that this program reads up to.
const reader = 1

// Config says where the traces' database is.
type Config = sqldb.Place

// Open opens the traces' database.
func Open(ctx context.Context, c Config) (*sqldb.DB, error) {
	return c.Open(ctx, migrations, sqldb.Config{Name: "trace", Reader: reader, Readers: 2, CacheKiB: 8192, Relaxed: true})
}

// Store is the traces in one database. It is safe for concurrent use.
type Store struct {
	db *sqldb.DB
}

var _ service.Store = (*Store)(nil)

// New makes the store of an open database.
func New(db *sqldb.DB) *Store { return &Store{db: db} }

// rowsAtOnce is how many rows one statement inserts.
const rowsAtOnce = 10

const (
	addSQL sqldb.Stmt = `INSERT INTO trace (id, account_id, sender, recipient, steps) VALUES ($1, $2, $3, $4, $5)`
	getSQL sqldb.Stmt = `SELECT id, account_id, sender, recipient, steps FROM trace WHERE @in(id, $1) AND @scope(account_id)`

	endOfChunkSQL sqldb.Stmt = `SELECT id FROM trace WHERE id < $1 AND @scope(account_id) ORDER BY id LIMIT 1 OFFSET $2`
	sweepSQL      sqldb.Stmt = `DELETE FROM trace WHERE id <= $1 AND @scope(account_id)`
)

// addManySQL inserts rowsAtOnce rows.
const addManySQL sqldb.Stmt = `INSERT INTO trace (id, account_id, sender, recipient, steps) VALUES
	($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20), ($21, $22, $23, $24, $25),
	($26, $27, $28, $29, $30), ($31, $32, $33, $34, $35), ($36, $37, $38, $39, $40), ($41, $42, $43, $44, $45), ($46, $47, $48, $49, $50)`

// Add implements the service's Store.
func (s *Store) Add(ctx context.Context, scope account.Scope, rows []trace.Row) error {
	for i := range rows {
		if !scope.Has(rows[i].Account) {
			return fmt.Errorf("%w: %s", sqldb.ErrScope, rows[i].Account)
		}
	}
	values := make([]any, 0, 5*len(rows))
	var w writer
	for i := range rows {
		r := &rows[i]
		values = append(values, string(r.ID), string(r.Account), r.Sender, r.Recipient, w.row(r))
	}
	return s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		rest := values
		for len(rest) >= 5*rowsAtOnce {
			if err := tx.Post(addManySQL, rest[:5*rowsAtOnce]...); err != nil {
				return err
			}
			rest = rest[5*rowsAtOnce:]
		}
		for ; len(rest) > 0; rest = rest[5:] {
			if err := tx.Post(addSQL, rest[:5]...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Get implements the service's Store.
func (s *Store) Get(ctx context.Context, scope account.Scope, id mail.ID) ([]trace.Row, error) {
	return s.get(ctx, scope, []string{string(id)})
}

func (s *Store) get(ctx context.Context, scope account.Scope, ids []string) ([]trace.Row, error) {
	var out []trace.Row
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		rows, err := tx.Query(getSQL, ids)
		if err != nil {
			return err
		}
		for rows.Next() {
			var r trace.Row
			var steps []byte
			if rows.Scan(&r.ID, &r.Account, &r.Sender, &r.Recipient, &steps) != nil {
				break // Close gives the error
			}
			if r.Steps, err = decode(&r, steps); err != nil {
				break
			}
			out = append(out, r)
		}
		if closed := rows.Close(); err == nil {
			err = closed
		}
		return err
	})
	return out, err
}

// bound is the id before all those of a time's milliseconds.
func bound(at time.Time) string { return string(mail.NewID(at, 0, 0, 0)) }

// List implements the service's Store.
func (s *Store) List(ctx context.Context, scope account.Scope, f trace.Filter, limit int) ([]trace.Row, error) {
	conditions := []string{"@scope(account_id)"}
	var args []any
	add := func(condition string, v any) {
		args = append(args, v)
		conditions = append(conditions, condition+" $"+strconv.Itoa(len(args)))
	}
	if f.Recipient != "" {
		add("recipient =", f.Recipient)
	}
	if f.Sender != "" {
		add("sender <> '' AND sender =", f.Sender)
	}
	if !f.From.IsZero() {
		add("id >=", bound(f.From))
	}
	if !f.To.IsZero() {
		add("id <", bound(f.To))
	}
	if f.Before != "" {
		add("id <", string(f.Before))
	}
	args = append(args, limit)
	stmt := sqldb.Stmt("SELECT DISTINCT id FROM trace WHERE " + strings.Join(conditions, " AND ") + " ORDER BY id DESC LIMIT $" + strconv.Itoa(len(args)))
	var ids []string
	if err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) (err error) {
		ids, err = tx.Texts(stmt, args...)
		return err
	}); err != nil || len(ids) == 0 {
		return nil, err
	}
	rows, err := s.get(ctx, scope, ids)
	slices.SortStableFunc(rows, func(a, b trace.Row) int { return strings.Compare(string(b.ID), string(a.ID)) })
	return rows, err
}

// Sweep implements the service's Store.
func (s *Store) Sweep(ctx context.Context, scope account.Scope, before time.Time, limit int) (more bool, err error) {
	err = s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		end := bound(before)
		found, err := tx.Row([]any{&end}, endOfChunkSQL, end, limit)
		if err != nil {
			return err
		}
		more = found
		_, err = tx.Exec(sweepSQL, end)
		return err
	})
	return more, err
}
