package control

import (
	"context"
	"fmt"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
	"postroad/internal/service/control"
	service "postroad/internal/service/sending"
	"postroad/internal/store/sqldb"
)

const (
	talliesSQL   sqldb.Stmt = `SELECT account_id, kind, id, hour, hour_count, day, day_count FROM sent WHERE day >= $1 AND @scope(account_id) ORDER BY kind, id, account_id`
	someTallySQL sqldb.Stmt = `SELECT account_id, kind, id, hour, hour_count, day, day_count FROM sent WHERE @in(id, $1) AND @scope(account_id)`
	addTallySQL  sqldb.Stmt = `INSERT INTO sent (account_id, kind, id, hour, hour_count, day, day_count) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (account_id, kind, id) DO UPDATE SET
		hour_count = CASE WHEN sent.hour > excluded.hour THEN sent.hour_count WHEN sent.hour = excluded.hour THEN sent.hour_count + excluded.hour_count ELSE excluded.hour_count END,
		hour = CASE WHEN sent.hour > excluded.hour THEN sent.hour ELSE excluded.hour END,
		day_count = CASE WHEN sent.day > excluded.day THEN sent.day_count WHEN sent.day = excluded.day THEN sent.day_count + excluded.day_count ELSE excluded.day_count END,
		day = CASE WHEN sent.day > excluded.day THEN sent.day ELSE excluded.day END
		WHERE @scope(sent.account_id)`
	forgetTalliesSQL sqldb.Stmt = `DELETE FROM sent WHERE day < $1 AND @scope(account_id)`
)

var _ service.Store = (*Store)(nil)

// Tallies implements sending.Store.
func (s *Store) Tallies(ctx context.Context, scope account.Scope, day int64) ([]sending.Count, error) {
	var out []sending.Count
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		var err error
		out, err = tallies(tx, talliesSQL, day)
		return err
	})
	return out, refusal(err)
}

// TalliesOf implements sending.Store.
func (s *Store) TalliesOf(ctx context.Context, scope account.Scope, keys []sending.Key) ([]sending.Count, error) {
	var out []sending.Count
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		var err error
		out, err = talliesOf(tx, keys)
		return err
	})
	return out, refusal(err)
}

// AddTallies implements sending.Store.
func (s *Store) AddTallies(ctx context.Context, scope account.Scope, added []sending.Count, day int64) ([]sending.Count, error) {
	keys := make([]sending.Key, len(added))
	for i, c := range added {
		if keys[i] = c.Key; !scope.Has(c.Account) {
			return nil, fmt.Errorf("%w: %w: %q", control.ErrDenied, sqldb.ErrScope, c.Account)
		}
	}
	var out []sending.Count
	err := s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		if err := tx.Post(forgetTalliesSQL, day); err != nil {
			return err
		}
		for _, c := range added {
			if err := tx.Post(addTallySQL, c.Account, c.Kind, c.ID, c.Hour, c.HourCount, c.Day, c.DayCount); err != nil {
				return err
			}
		}
		var err error
		out, err = talliesOf(tx, keys)
		return err
	})
	return out, refusal(err)
}

// talliesOf gives the tallies of some senders.
func talliesOf(tx *sqldb.Tx, keys []sending.Key) ([]sending.Count, error) {
	wanted, ids := make(map[sending.Key]bool, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		wanted[k], ids[i] = true, k.ID
	}
	list, err := tallies(tx, someTallySQL, ids)
	return slices.DeleteFunc(list, func(c sending.Count) bool { return !wanted[c.Key] }), err
}

func tallies(tx *sqldb.Tx, stmt sqldb.Stmt, arg any) ([]sending.Count, error) {
	var out []sending.Count
	err := each(tx, stmt, []any{arg}, func(rows *sqldb.Rows) error {
		var c sending.Count
		err := rows.Scan(&c.Account, &c.Kind, &c.ID, &c.Hour, &c.HourCount, &c.Day, &c.DayCount)
		out = append(out, c)
		return err
	})
	return out, err
}
