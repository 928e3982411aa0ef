// Package control keeps what people configure in SQL: accounts, domains, mailboxes, rules, zones, outbound routes
// and tokens, with the audit log, findings and the installation's settings.
//
// One row holds the version of the configuration. Every Update takes it forward first, so that changes come one
// after the other on any number of nodes and the ids of audit entries ascend in the order in which they were committed.
// What lies in a domain always belongs to the domain's account: rows that say otherwise are refused.
//
// # Scope
//
// Every statement over rows of accounts carries the scope; on PostgreSQL row-level security hides the others once
// more. What is put into an account out of scope is control.ErrDenied, what is looked for there control.ErrNotFound.
// Names are unique over the whole installation, so that control.ErrExists tells that a name is taken out of scope too.
//
// # Failure
//
// Errors that are none of service/control's own carry sqldb.ErrStorage; nothing of the change is durable then, unless
// the COMMIT itself failed: Load tells.
package control

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// reader is the schema version that this program reads up to.
const reader = 1

// Config says where the control database is.
type Config = sqldb.Place

// Open opens the control database.
func Open(ctx context.Context, c Config) (*sqldb.DB, error) {
	return c.Open(ctx, migrations, sqldb.Config{Name: "control", Reader: reader})
}

// Store is the configuration in one database. It is safe for concurrent use.
type Store struct {
	db *sqldb.DB
}

var _ control.Store = (*Store)(nil)

// New makes the store of an open database.
func New(db *sqldb.DB) *Store { return &Store{db: db} }

// refusal gives errors of the layer below the names that service/control knows.
func refusal(err error) error {
	switch {
	case errors.Is(err, sqldb.ErrConflict):
		return fmt.Errorf("%w: %w", control.ErrExists, err)
	case errors.Is(err, sqldb.ErrScope):
		return fmt.Errorf("%w: %w", control.ErrDenied, err)
	}
	return err
}

// each runs a query and calls take for each of its rows, which puts the columns where it wants them.
func each(tx *sqldb.Tx, stmt sqldb.Stmt, args []any, take func(rows *sqldb.Rows) error) error {
	rows, err := tx.Query(stmt, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := take(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return rows.Close()
}

// owners gives the accounts of those of the keys that are in scope: stmt selects key and account.
func owners(tx *sqldb.Tx, stmt sqldb.Stmt, keys []string) (map[string]string, error) {
	found := make(map[string]string, len(keys))
	if len(keys) == 0 {
		return found, nil
	}
	err := each(tx, stmt, []any{keys}, func(rows *sqldb.Rows) error {
		var key, owner string
		err := rows.Scan(&key, &owner)
		found[key] = owner
		return err
	})
	return found, err
}

// keys gives a text of each element of a list.
func keys[T any](list []T, key func(*T) string) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = key(&list[i])
	}
	return out
}
