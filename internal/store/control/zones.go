package control

import (
	"context"
	"fmt"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/zone"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	zoneSQL    sqldb.Stmt = `SELECT domain, account_id, serial, changed, records, signatures, signing FROM zone WHERE domain = $1 AND @scope(account_id)`
	zonesSQL   sqldb.Stmt = `SELECT domain, account_id, serial, changed, records, signatures, signing FROM zone WHERE @scope(account_id) ORDER BY domain`
	putZoneSQL sqldb.Stmt = `INSERT INTO zone (domain, account_id, serial, changed, records, signatures, signing, sign_due) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (domain) DO UPDATE SET serial = excluded.serial, changed = excluded.changed, records = excluded.records, signatures = excluded.signatures,
		signing = excluded.signing, sign_due = excluded.sign_due
		WHERE @scope(zone.account_id)`
	serialsSQL  sqldb.Stmt = `SELECT domain, serial FROM zone WHERE @scope(account_id)`
	moveZoneSQL sqldb.Stmt = `UPDATE zone SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`

	removeZonesSQL sqldb.Stmt = `DELETE FROM zone WHERE @in(domain, $1) AND @scope(account_id)`
)

// zoneRow is a row of the table.
type zoneRow struct {
	domain, owner       string
	serial              uint32
	changed             time.Time
	records, signatures []byte
	signing             []byte
}

func (r *zoneRow) columns() []any {
	return []any{&r.domain, &r.owner, &r.serial, &r.changed, &r.records, &r.signatures, &r.signing}
}

// zone gives the row as a zone; without records, and with an error that wraps sqldb.ErrCorrupt, when it is damaged.
func (r *zoneRow) zone() (zone.Zone, error) {
	z := zone.Zone{Domain: r.domain, Account: account.ID(r.owner), Serial: r.serial, Changed: r.changed}
	records, err := zone.Decode(r.records)
	if err != nil {
		return z, fmt.Errorf("%w: the zone %s: %w", sqldb.ErrCorrupt, r.domain, err)
	}
	signatures, err := zone.Decode(r.signatures)
	if err != nil {
		return z, fmt.Errorf("%w: the signatures of the zone %s: %w", sqldb.ErrCorrupt, r.domain, err)
	}
	signing, err := dnssec.Decode(r.signing)
	if err != nil {
		return z, fmt.Errorf("%w: the keys of the zone %s: %w", sqldb.ErrCorrupt, r.domain, err)
	}
	z.Records, z.Signatures, z.Signing = records, signatures, signing
	return z, nil
}

// Zone implements control.Zones. Of a damaged zone it gives what is not damaged, with the error.
func (s *Store) Zone(ctx context.Context, scope account.Scope, domain string) (zone.Zone, error) {
	var z zone.Zone
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		var r zoneRow
		found, err := tx.Row(r.columns(), zoneSQL, domain)
		if err == nil && !found {
			err = fmt.Errorf("%w: the zone %s", control.ErrNotFound, domain)
		}
		if err != nil {
			return err
		}
		z, err = r.zone()
		return err
	})
	return z, refusal(err)
}

// Serials gives the serials of all zones by their domains.
func (s *Store) Serials(ctx context.Context, scope account.Scope) (map[string]uint32, error) {
	return s.serials(ctx, scope, serialsSQL)
}

func (s *Store) serials(ctx context.Context, scope account.Scope, stmt sqldb.Stmt) (map[string]uint32, error) {
	var out map[string]uint32
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = map[string]uint32{}
		return each(tx, stmt, nil, func(rows *sqldb.Rows) error {
			var domain string
			var serial uint32
			err := rows.Scan(&domain, &serial)
			out[domain] = serial
			return err
		})
	})
	return out, refusal(err)
}

// Zones implements control.Zones, with one scan of the table.
func (s *Store) Zones(ctx context.Context, scope account.Scope, yield func(zone.Zone) error) error {
	return refusal(s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		return each(tx, zonesSQL, nil, func(rows *sqldb.Rows) error {
			var r zoneRow
			if err := rows.Scan(r.columns()...); err != nil {
				return err
			}
			z, _ := r.zone() // a damaged one has no records, and must not keep the others from being read
			return yield(z)
		})
	}))
}

func putZones(t *sqldb.Tx, list []zone.Zone, version int64) error {
	for i := range list {
		z := &list[i]
		if err := putChange(t, z, version); err != nil {
			return err
		}
		signing, err := dnssec.Encode(z.Signing)
		if err != nil {
			return err
		}
		due := int64(0)
		if z.Signing != nil {
			due = max(1, z.Signing.Due(z.Signatures).Unix())
		} else {
			signing = []byte{}
		}
		if err := t.Post(putZoneSQL, z.Domain, z.Account, z.Serial, z.Changed, zone.Encode(z.Records), zone.Encode(z.Signatures), signing, due); err != nil {
			return err
		}
		for _, k := range z.NewKeys {
			if err := t.Post(addZoneKeySQL, k.ID, z.Account, z.Domain, k.Sealed); err != nil {
				return err
			}
		}
	}
	return nil
}
