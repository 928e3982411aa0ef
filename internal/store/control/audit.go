package control

import (
	"context"
	"math"

	"postroad/internal/core/account"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	addEntrySQL sqldb.Stmt = `INSERT INTO audit (id, at, actor, account_id, domain, action, subject, before, after, overridden)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	entriesSQL sqldb.Stmt = `SELECT id, at, actor, account_id, domain, action, subject, before, after, overridden FROM audit
		WHERE id < $1 AND @scope(account_id) ORDER BY id DESC LIMIT $2`
	domainEntriesSQL sqldb.Stmt = `SELECT id, at, actor, account_id, domain, action, subject, before, after, overridden FROM audit
		WHERE domain = $3 AND id < $1 AND @scope(account_id) ORDER BY id DESC LIMIT $2`
)

// putEntries appends entries with the ids behind last.
func putEntries(t *sqldb.Tx, list []control.Entry, last int64) error {
	for i := range list {
		e := &list[i]
		last++
		if err := t.Post(addEntrySQL, last, e.At, e.Actor, e.Account, e.Domain, e.Action, e.Subject, e.Before, e.After, e.Overridden); err != nil {
			return err
		}
	}
	return nil
}

// Audit implements control.Store.
func (s *Store) Audit(ctx context.Context, scope account.Scope, domain string, before int64, limit int) ([]control.Entry, error) {
	if limit <= 0 {
		return nil, nil
	}
	if before == 0 {
		before = math.MaxInt64
	}
	stmt, args := entriesSQL, []any{before, limit}
	if domain != "" {
		stmt, args = domainEntriesSQL, []any{before, limit, domain}
	}
	var out []control.Entry
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, stmt, args, func(rows *sqldb.Rows) error {
			var e control.Entry
			err := rows.Scan(&e.ID, &e.At, &e.Actor, &e.Account, &e.Domain, &e.Action, &e.Subject, &e.Before, &e.After, &e.Overridden)
			out = append(out, e)
			return err
		})
	})
	return out, refusal(err)
}
