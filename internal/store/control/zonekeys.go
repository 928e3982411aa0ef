package control

import (
	"context"
	"fmt"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/dnssec"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	addZoneKeySQL sqldb.Stmt = `INSERT INTO zone_key (id, account_id, domain, sealed, unused) VALUES ($1, $2, $3, $4, 0)
		ON CONFLICT (id) DO UPDATE SET unused = 0 WHERE @scope(zone_key.account_id)`
	zoneKeySQL      sqldb.Stmt = `SELECT account_id, domain, sealed, unused FROM zone_key WHERE id = $1 AND @scope(account_id)`
	zoneKeysSQL     sqldb.Stmt = `SELECT id, account_id, domain, unused FROM zone_key WHERE @scope(account_id) ORDER BY domain, id`
	markZoneKeysSQL sqldb.Stmt = `UPDATE zone_key SET unused = $2 WHERE @in(id, $1) AND @scope(account_id)`
	dropZoneKeysSQL sqldb.Stmt = `DELETE FROM zone_key WHERE @in(id, $1) AND @scope(account_id)`
	moveZoneKeysSQL sqldb.Stmt = `UPDATE zone_key SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`

	removeAccountZoneKeysSQL sqldb.Stmt = `DELETE FROM zone_key WHERE @in(account_id, $1) AND @scope(account_id)`

	dueZonesSQL    sqldb.Stmt = `SELECT domain FROM zone WHERE sign_due > 0 AND sign_due <= $1 AND @scope(account_id) ORDER BY sign_due LIMIT $2`
	signedZonesSQL sqldb.Stmt = `SELECT domain FROM zone WHERE sign_due > 0 AND @scope(account_id) ORDER BY domain`
)

// sinceUnix reads a moment of the table, 0 for none.
func sinceUnix(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// ZoneKey gives the private part of a key; control.ErrNotFound.
func (s *Store) ZoneKey(ctx context.Context, scope account.Scope, id string) (dnssec.SealedKey, error) {
	k := dnssec.SealedKey{ID: id}
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		var unused int64
		found, err := tx.Row([]any{&k.Account, &k.Domain, &k.Sealed, &unused}, zoneKeySQL, id)
		if err == nil && !found {
			err = fmt.Errorf("%w: the key %s", control.ErrNotFound, id)
		}
		k.Unused = sinceUnix(unused)
		return err
	})
	if err != nil {
		return dnssec.SealedKey{}, refusal(err)
	}
	return k, nil
}

// ZoneKeys lists the keys that are kept, by their zones, without their private parts.
func (s *Store) ZoneKeys(ctx context.Context, scope account.Scope) ([]dnssec.SealedKey, error) {
	var out []dnssec.SealedKey
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, zoneKeysSQL, nil, func(rows *sqldb.Rows) error {
			var k dnssec.SealedKey
			var unused int64
			err := rows.Scan(&k.ID, &k.Account, &k.Domain, &unused)
			k.Unused = sinceUnix(unused)
			out = append(out, k)
			return err
		})
	})
	return out, refusal(err)
}

// MarkZoneKeys notes since when keys are in no zone; the zero time: they are in one.
func (s *Store) MarkZoneKeys(ctx context.Context, scope account.Scope, ids []string, unused time.Time) error {
	seconds := int64(0)
	if !unused.IsZero() {
		seconds = unused.Unix()
	}
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error { return tx.Post(markZoneKeysSQL, ids, seconds) }))
}

// DropZoneKeys destroys private parts of keys.
func (s *Store) DropZoneKeys(ctx context.Context, scope account.Scope, ids []string) error {
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error { return tx.Post(dropZoneKeysSQL, ids) }))
}

// DueZones lists the zones that are to be signed again at the moment given, the longest due first.
func (s *Store) DueZones(ctx context.Context, scope account.Scope, at time.Time, limit int) ([]string, error) {
	return s.zoneNames(ctx, scope, dueZonesSQL, at.Unix(), limit)
}

// SignedZones lists all zones that are signed, in order.
func (s *Store) SignedZones(ctx context.Context, scope account.Scope) ([]string, error) {
	return s.zoneNames(ctx, scope, signedZonesSQL)
}

func (s *Store) zoneNames(ctx context.Context, scope account.Scope, stmt sqldb.Stmt, args ...any) ([]string, error) {
	var out []string
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, stmt, args, func(rows *sqldb.Rows) error {
			var name string
			err := rows.Scan(&name)
			out = append(out, name)
			return err
		})
	})
	return out, refusal(err)
}
