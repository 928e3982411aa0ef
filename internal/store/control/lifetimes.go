package control

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/service/checks"
	"postroad/internal/store/sqldb"
)

// A TTL counts until its records, seen last at "seen", are gone from every cache, and a day longer: that often it is told
// again. Caches show less of a TTL than there was: nine tenths of it are taken for the same one.
const (
	lifetimeSQL    sqldb.Stmt = `SELECT ttl FROM lifetime WHERE domain = $1 AND seen + ttl + $3 >= $2 AND @scope(account_id)`
	putLifetimeSQL sqldb.Stmt = `INSERT INTO lifetime (domain, account_id, ttl, seen) VALUES ($1, $2, $3, $4)
		ON CONFLICT (domain) DO UPDATE SET
		ttl = CASE WHEN lifetime.seen + lifetime.ttl + $5 < excluded.seen OR lifetime.ttl < excluded.ttl THEN excluded.ttl ELSE lifetime.ttl END,
		seen = CASE WHEN lifetime.seen + lifetime.ttl + $5 < excluded.seen OR lifetime.ttl * 9 <= excluded.ttl * 10 THEN excluded.seen ELSE lifetime.seen END
		WHERE @scope(lifetime.account_id)`
	moveLifetimeSQL   sqldb.Stmt = `UPDATE lifetime SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`
	removeLifetimeSQL sqldb.Stmt = `DELETE FROM lifetime WHERE @in(domain, $1) AND @scope(account_id)`
)

// lifetimeSlack is how much longer a TTL counts.
const lifetimeSlack = 24 * time.Hour

var _ checks.Lifetimes = (*Store)(nil)

// SawTTL implements checks.Lifetimes.
func (s *Store) SawTTL(ctx context.Context, scope account.Scope, domain string, ttl time.Duration, at time.Time) error {
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		var owner account.ID
		found, err := tx.Row([]any{&owner}, domainOwnerSQL, domain)
		if err != nil || !found {
			return err
		}
		return tx.Post(putLifetimeSQL, domain, owner, ttl.Microseconds(), at, lifetimeSlack.Microseconds())
	}))
}

// LargestTTL implements control.Memory.
func (s *Store) LargestTTL(ctx context.Context, scope account.Scope, domain string, at time.Time) (time.Duration, error) {
	var ttl int64
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		ttl = 0
		_, err := tx.Row([]any{&ttl}, lifetimeSQL, domain, at, lifetimeSlack.Microseconds())
		return err
	})
	return time.Duration(ttl) * time.Microsecond, refusal(err)
}
