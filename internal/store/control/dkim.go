package control

import (
	"context"
	"fmt"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/dkimkey"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	dkimDomainsSQL sqldb.Stmt = `SELECT domain, account_id, stopped, algorithms, rotate, keys, kept FROM dkim WHERE @scope(account_id) ORDER BY domain`
	dkimSQL        sqldb.Stmt = `SELECT domain, account_id, stopped, algorithms, rotate, keys, kept FROM dkim WHERE domain = $1 AND @scope(account_id)`
	putDKIMSQL     sqldb.Stmt = `INSERT INTO dkim (domain, account_id, stopped, algorithms, rotate, keys, kept) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (domain) DO UPDATE SET stopped = excluded.stopped, algorithms = excluded.algorithms, rotate = excluded.rotate, keys = excluded.keys, kept = excluded.kept
		WHERE @scope(dkim.account_id)`
	removeDKIMSQL sqldb.Stmt = `DELETE FROM dkim WHERE @in(domain, $1) AND @scope(account_id)`
	moveDKIMSQL   sqldb.Stmt = `UPDATE dkim SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`
)

// DKIM implements dkim.Store.
func (s *Store) DKIM(ctx context.Context, scope account.Scope, domain string) (dkimkey.Domain, error) {
	list, err := s.dkim(ctx, scope, dkimSQL, domain)
	if err != nil || len(list) == 0 {
		if err == nil {
			err = fmt.Errorf("%w: DKIM keys of %s", control.ErrNotFound, domain)
		}
		return dkimkey.Domain{}, err
	}
	return list[0], nil
}

// DKIMDomains implements dkim.Store.
func (s *Store) DKIMDomains(ctx context.Context, scope account.Scope) ([]dkimkey.Domain, error) {
	return s.dkim(ctx, scope, dkimDomainsSQL)
}

func (s *Store) dkim(ctx context.Context, scope account.Scope, stmt sqldb.Stmt, args ...any) ([]dkimkey.Domain, error) {
	var out []dkimkey.Domain
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, stmt, args, func(rows *sqldb.Rows) error {
			var d dkimkey.Domain
			var algorithms, keys, kept string
			var rotate int64
			if err := rows.Scan(&d.Name, &d.Account, &d.Off, &algorithms, &rotate, &keys, &kept); err != nil {
				return err
			}
			d.Rotate = time.Duration(rotate) * time.Microsecond
			if err := readList(algorithms, &d.Algorithms); err != nil {
				return err
			}
			if err := readList(keys, &d.Keys); err != nil {
				return err
			}
			if err := readList(kept, &d.Kept); err != nil {
				return err
			}
			out = append(out, d)
			return nil
		})
	})
	return out, refusal(err)
}

func putDKIM(t *sqldb.Tx, list []dkimkey.Domain) error {
	for i := range list {
		d := &list[i]
		algorithms, err := listText(d.Algorithms)
		if err != nil {
			return err
		}
		keys, err := listText(d.Keys)
		if err != nil {
			return err
		}
		kept, err := listText(d.Kept)
		if err != nil {
			return err
		}
		if err := t.Post(putDKIMSQL, d.Name, d.Account, d.Off, algorithms, d.Rotate.Microseconds(), keys, kept); err != nil {
			return err
		}
	}
	return nil
}
