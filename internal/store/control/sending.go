package control

import (
	"context"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
	service "postroad/internal/service/sending"
	"postroad/internal/store/sqldb"
)

const (
	talliesSQL   sqldb.Stmt = `SELECT kind, id, account_id, hour, hour_count, day, day_count FROM sending WHERE day >= $1 AND @scope(account_id) ORDER BY kind, id`
	someTallySQL sqldb.Stmt = `SELECT kind, id, account_id, hour, hour_count, day, day_count FROM sending WHERE @in(id, $1) AND @scope(account_id)`
	// addTallySQL gives a sender to the account that counts: a login lies in a domain, and a domain can go to another account.
	addTallySQL sqldb.Stmt = `INSERT INTO sending (kind, id, account_id, hour, hour_count, day, day_count) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (kind, id) DO UPDATE SET account_id = excluded.account_id,
		hour_count = CASE WHEN sending.hour > excluded.hour THEN sending.hour_count WHEN sending.hour = excluded.hour THEN sending.hour_count + excluded.hour_count ELSE excluded.hour_count END,
		hour = CASE WHEN sending.hour > excluded.hour THEN sending.hour ELSE excluded.hour END,
		day_count = CASE WHEN sending.day > excluded.day THEN sending.day_count WHEN sending.day = excluded.day THEN sending.day_count + excluded.day_count ELSE excluded.day_count END,
		day = CASE WHEN sending.day > excluded.day THEN sending.day ELSE excluded.day END
		WHERE @scope(sending.account_id)`
	forgetTalliesSQL sqldb.Stmt = `DELETE FROM sending WHERE day < $1 AND @scope(account_id)`
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

// AddTallies implements sending.Store.
func (s *Store) AddTallies(ctx context.Context, scope account.Scope, added []sending.Count, day int64) ([]sending.Count, error) {
	wanted := make(map[sending.Key]bool, len(added))
	ids := make([]string, 0, len(added))
	for _, c := range added {
		if !wanted[c.Key] {
			wanted[c.Key] = true
			ids = append(ids, c.ID)
		}
	}
	var out []sending.Count
	err := s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		if err := tx.Post(forgetTalliesSQL, day); err != nil {
			return err
		}
		for _, c := range added {
			if err := tx.Post(addTallySQL, c.Kind, c.ID, c.Account, c.Hour, c.HourCount, c.Day, c.DayCount); err != nil {
				return err
			}
		}
		list, err := tallies(tx, someTallySQL, ids)
		for _, c := range list {
			if wanted[c.Key] {
				out = append(out, c)
			}
		}
		return err
	})
	return out, refusal(err)
}

func tallies(tx *sqldb.Tx, stmt sqldb.Stmt, arg any) ([]sending.Count, error) {
	var out []sending.Count
	err := each(tx, stmt, []any{arg}, func(rows *sqldb.Rows) error {
		var c sending.Count
		err := rows.Scan(&c.Kind, &c.ID, &c.Account, &c.Hour, &c.HourCount, &c.Day, &c.DayCount)
		out = append(out, c)
		return err
	})
	return out, err
}
