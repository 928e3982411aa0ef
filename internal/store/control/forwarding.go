package control

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/service/forwarding"
	"postroad/internal/store/sqldb"
)

// What another account had of a forward or a domain is counted anew.
const (
	waitingForwardsSQL sqldb.Stmt = `SELECT address, account_id, seen, fragile, leaves, at FROM forwarding WHERE leaves > $1 AND @scope(account_id) ORDER BY address`
	someForwardsSQL    sqldb.Stmt = `SELECT address, account_id, seen, fragile, leaves, at FROM forwarding WHERE @in(address, $1) AND @scope(account_id) ORDER BY address`
	forwardRecordSQL   sqldb.Stmt = `SELECT seen, fragile FROM forwarding WHERE address = $1 AND @scope(account_id)`
	addForwardSQL      sqldb.Stmt = `INSERT INTO forwarding (address, account_id, seen, fragile, leaves, at) VALUES ($1, $2, $3, $4, CAST($5 AS BIGINT) + CAST($6 AS BIGINT), $7)
		ON CONFLICT (address) DO UPDATE SET account_id = excluded.account_id,
		fragile = CASE WHEN forwarding.account_id <> excluded.account_id THEN excluded.fragile ELSE (forwarding.fragile << CAST(excluded.seen AS INTEGER)) | excluded.fragile END,
		seen = CASE WHEN forwarding.account_id <> excluded.account_id THEN excluded.seen WHEN forwarding.seen + excluded.seen > $8 THEN $8 ELSE forwarding.seen + excluded.seen END,
		leaves = CASE WHEN forwarding.account_id <> excluded.account_id OR forwarding.leaves < CAST($5 AS BIGINT) THEN excluded.leaves ELSE forwarding.leaves + CAST($6 AS BIGINT) END,
		at = CASE WHEN forwarding.at > excluded.at THEN forwarding.at ELSE excluded.at END
		WHERE @scope(forwarding.account_id)`
	forgetForwardsSQL sqldb.Stmt = `DELETE FROM forwarding WHERE at < $1 AND @scope(account_id)`

	lastBroughtSQL sqldb.Stmt = `SELECT domain, client, account_id, messages, at FROM brought WHERE at >= $1 AND @scope(account_id) ORDER BY at DESC, domain, client LIMIT $2`
	someBroughtSQL sqldb.Stmt = `SELECT domain, client, account_id, messages, at FROM brought WHERE @in(domain, $1) AND @scope(account_id) ORDER BY domain, client`
	addBroughtSQL  sqldb.Stmt = `INSERT INTO brought (domain, client, account_id, messages, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (domain, client) DO UPDATE SET account_id = excluded.account_id,
		messages = CASE WHEN brought.account_id <> excluded.account_id THEN excluded.messages ELSE brought.messages + excluded.messages END,
		at = CASE WHEN brought.at > excluded.at THEN brought.at ELSE excluded.at END
		WHERE @scope(brought.account_id)`
	removeBroughtSQL sqldb.Stmt = `DELETE FROM brought WHERE domain = $1 AND client = $2 AND @scope(account_id)`
	forgetBroughtSQL sqldb.Stmt = `DELETE FROM brought WHERE at < $1 AND @scope(account_id)`
)

var _ forwarding.Store = (*Store)(nil)

// ForwardCounts implements forwarding.Store.
func (s *Store) ForwardCounts(ctx context.Context, scope account.Scope, leaves, since time.Time, most int) (forwarding.Counts, error) {
	var out forwarding.Counts
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) (err error) {
		out = forwarding.Counts{}
		if out.Sent, err = sent(tx, waitingForwardsSQL, leaves); err != nil {
			return err
		}
		out.Brought, err = brought(tx, lastBroughtSQL, since, most)
		return err
	})
	return out, refusal(err)
}

// ForwardRecord implements forwarding.Store.
func (s *Store) ForwardRecord(ctx context.Context, scope account.Scope, forward string) (forwarding.Record, error) {
	var r forwarding.Record
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		var fragile int64
		_, err := tx.Row([]any{&r.N, &fragile}, forwardRecordSQL, forward)
		r.Fragile = uint64(fragile) //nolint:gosec // bits
		return err
	})
	return r, refusal(err)
}

// AddForwardCounts implements forwarding.Store.
func (s *Store) AddForwardCounts(ctx context.Context, scope account.Scope, added forwarding.Added, before time.Time) (forwarding.Counts, error) {
	addresses := keys(added.Uses, func(c *forwarding.Use) string { return c.Forward })
	domains := keys(added.Brought, func(b *forwarding.Brought) string { return b.Domain })
	wanted := map[[2]string]bool{}
	for i := range added.Brought {
		wanted[[2]string{added.Brought[i].Domain, added.Brought[i].Client}] = true
	}
	var out forwarding.Counts
	err := s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		out = forwarding.Counts{}
		for _, stmt := range []sqldb.Stmt{forgetForwardsSQL, forgetBroughtSQL} {
			if err := tx.Post(stmt, before); err != nil {
				return err
			}
		}
		for i := range added.Uses {
			if err := addUse(tx, &added.Uses[i]); err != nil {
				return err
			}
		}
		for i := range added.Brought {
			b := &added.Brought[i]
			if err := tx.Post(addBroughtSQL, b.Domain, b.Client, b.Account, b.Messages, b.At); err != nil {
				return err
			}
		}
		for i := range added.Gone {
			if err := tx.Post(removeBroughtSQL, added.Gone[i].Domain, added.Gone[i].Client); err != nil {
				return err
			}
		}
		var err error
		if out.Sent, err = sent(tx, someForwardsSQL, addresses); err != nil {
			return err
		}
		list, err := brought(tx, someBroughtSQL, domains)
		for _, b := range list {
			if wanted[[2]string{b.Domain, b.Client}] {
				out.Brought = append(out.Brought, b)
			}
		}
		return err
	})
	return out, refusal(err)
}

// addUse adds to a forward's row. No engine moves bits by the whole width of a number, so they come in halves.
func addUse(tx *sqldb.Tx, c *forwarding.Use) error {
	const half = forwarding.Remembered / 2
	post := func(n int, fragile uint64, share time.Duration) error {
		return tx.Post(addForwardSQL, c.Forward, c.Account, n, int64(fragile), c.From, share.Microseconds(), c.At, forwarding.Remembered) //nolint:gosec // bits
	}
	if c.Last.N <= half {
		return post(c.Last.N, c.Last.Fragile, c.Share)
	}
	if err := post(c.Last.N-half, c.Last.Fragile>>half, c.Share); err != nil {
		return err
	}
	return post(half, c.Last.Fragile&(1<<half-1), 0)
}

func sent(tx *sqldb.Tx, stmt sqldb.Stmt, arg any) ([]forwarding.Sent, error) {
	var out []forwarding.Sent
	err := each(tx, stmt, []any{arg}, func(rows *sqldb.Rows) error {
		var c forwarding.Sent
		var fragile int64
		err := rows.Scan(&c.Forward, &c.Account, &c.Last.N, &fragile, &c.Leaves, &c.At)
		c.Last.Fragile = uint64(fragile) //nolint:gosec // bits
		out = append(out, c)
		return err
	})
	return out, err
}

func brought(tx *sqldb.Tx, stmt sqldb.Stmt, args ...any) ([]forwarding.Brought, error) {
	var out []forwarding.Brought
	err := each(tx, stmt, args, func(rows *sqldb.Rows) error {
		var b forwarding.Brought
		err := rows.Scan(&b.Domain, &b.Client, &b.Account, &b.Messages, &b.At)
		out = append(out, b)
		return err
	})
	return out, err
}
