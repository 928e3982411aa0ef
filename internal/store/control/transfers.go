package control

import (
	"context"
	"fmt"
	"net/netip"

	"postroad/internal/core/account"
	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	keysSQL      sqldb.Stmt = `SELECT id, account_id, name, algorithm, sealed, created FROM tsig_key WHERE @scope(account_id) ORDER BY name`
	keyOwnersSQL sqldb.Stmt = `SELECT id, account_id FROM tsig_key WHERE @in(id, $1) AND @scope(account_id)`
	addKeySQL    sqldb.Stmt = `INSERT INTO tsig_key (id, account_id, name, algorithm, sealed, created) VALUES ($1, $2, $3, $4, $5, $6)`
	setKeySQL    sqldb.Stmt = `UPDATE tsig_key SET account_id = $2, name = $3, algorithm = $4, sealed = $5, created = $6 WHERE id = $1 AND @scope(account_id)`

	peersSQL      sqldb.Stmt = `SELECT id, account_id, zone, key_name, networks, notify, by_operator FROM transfer_peer WHERE @scope(account_id) ORDER BY id`
	peerOwnersSQL sqldb.Stmt = `SELECT id, account_id FROM transfer_peer WHERE @in(id, $1) AND @scope(account_id)`
	addPeerSQL    sqldb.Stmt = `INSERT INTO transfer_peer (id, account_id, zone, key_name, networks, notify, by_operator) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	setPeerSQL    sqldb.Stmt = `UPDATE transfer_peer SET account_id = $2, zone = $3, key_name = $4, networks = $5, notify = $6, by_operator = $7 WHERE id = $1 AND @scope(account_id)`

	secondariesSQL  sqldb.Stmt = `SELECT domain, account_id, server, key_name, by_operator FROM secondary_zone WHERE @scope(account_id) ORDER BY domain`
	putSecondarySQL sqldb.Stmt = `INSERT INTO secondary_zone (domain, account_id, server, key_name, by_operator, refreshed, serial, records, signatures)
		VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $6)
		ON CONFLICT (domain) DO UPDATE SET server = excluded.server, key_name = excluded.key_name, by_operator = excluded.by_operator
		WHERE @scope(secondary_zone.account_id)`
	copySQL        sqldb.Stmt = `SELECT refreshed, serial, records, signatures FROM secondary_zone WHERE domain = $1 AND @scope(account_id)`
	keepCopySQL    sqldb.Stmt = `UPDATE secondary_zone SET refreshed = $3, serial = $4, records = $5, signatures = $6 WHERE domain = $1 AND server = $2 AND @scope(account_id)`
	copySerialsSQL sqldb.Stmt = `SELECT domain, serial FROM secondary_zone WHERE refreshed > 0 AND @scope(account_id)`
	touchCopySQL   sqldb.Stmt = `UPDATE secondary_zone SET refreshed = $3 WHERE domain = $1 AND server = $2 AND @scope(account_id)`

	catalogsSQL   sqldb.Stmt = `SELECT name, account_id, every FROM catalog_zone WHERE @scope(account_id) ORDER BY name`
	putCatalogSQL sqldb.Stmt = `INSERT INTO catalog_zone (name, account_id, every) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET every = excluded.every WHERE @scope(catalog_zone.account_id)`
	catalogOwnersSQL sqldb.Stmt = `SELECT name, account_id FROM catalog_zone WHERE @in(name, $1) AND @scope(account_id)`

	removeKeysSQL            sqldb.Stmt = `DELETE FROM tsig_key WHERE @in(id, $1) AND @scope(account_id)`
	removePeersSQL           sqldb.Stmt = `DELETE FROM transfer_peer WHERE @in(id, $1) AND @scope(account_id)`
	removeZonePeersSQL       sqldb.Stmt = `DELETE FROM transfer_peer WHERE @in(zone, $1) AND @scope(account_id)`
	removeSecondariesSQL     sqldb.Stmt = `DELETE FROM secondary_zone WHERE @in(domain, $1) AND @scope(account_id)`
	removeCatalogsSQL        sqldb.Stmt = `DELETE FROM catalog_zone WHERE @in(name, $1) AND @scope(account_id)`
	removeJournalsSQL        sqldb.Stmt = `DELETE FROM zone_change WHERE @in(domain, $1) AND @scope(account_id)`
	removeAccountKeysSQL     sqldb.Stmt = `DELETE FROM tsig_key WHERE @in(account_id, $1) AND @scope(account_id)`
	removeAccountPeersSQL    sqldb.Stmt = `DELETE FROM transfer_peer WHERE @in(account_id, $1) AND @scope(account_id)`
	removeAccountCatalogsSQL sqldb.Stmt = `DELETE FROM catalog_zone WHERE @in(account_id, $1) AND @scope(account_id)`

	// movePeersSQL ends what the account before has allowed.
	movePeersSQL     sqldb.Stmt = `DELETE FROM transfer_peer WHERE zone = $1 AND account_id <> $2 AND @scope(account_id)`
	moveSecondarySQL sqldb.Stmt = `UPDATE secondary_zone SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`
	moveJournalSQL   sqldb.Stmt = `UPDATE zone_change SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`

	journalSQL sqldb.Stmt = `SELECT from_serial, to_serial, removed, added FROM zone_change WHERE domain = $1 AND @scope(account_id) ORDER BY version`
	// handedOutSQL gives zones as they are stored before a change, those alone that somebody may fetch: others need no journal.
	handedOutSQL sqldb.Stmt = `SELECT domain, account_id, serial, changed, records, signatures, signing FROM zone WHERE domain = $1 AND @scope(account_id)
		AND (EXISTS (SELECT 1 FROM transfer_peer WHERE transfer_peer.zone = zone.domain) OR EXISTS (SELECT 1 FROM catalog_zone))`
	addChangeSQL sqldb.Stmt = `INSERT INTO zone_change (domain, version, account_id, from_serial, to_serial, removed, added) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	trimSQL      sqldb.Stmt = `DELETE FROM zone_change WHERE domain = $1 AND @scope(account_id) AND version <= (
		SELECT version FROM zone_change WHERE domain = $1 AND @scope(account_id) ORDER BY version DESC LIMIT 1 OFFSET $2)`
)

// journalLength is how many changes of a zone are kept.
const journalLength = 100

// Transfers gives what is configured of transfers in scope.
func (s *Store) Transfers(ctx context.Context, scope account.Scope) (transfer.Settings, error) {
	var all transfer.Settings
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		all = transfer.Settings{}
		for _, read := range []func(*sqldb.Tx, *transfer.Settings) error{readKeys, readPeers, readSecondaries, readCatalogs} {
			if err := read(tx, &all); err != nil {
				return err
			}
		}
		return nil
	})
	return all, refusal(err)
}

func readKeys(tx *sqldb.Tx, all *transfer.Settings) error {
	return each(tx, keysSQL, nil, func(rows *sqldb.Rows) error {
		var k transfer.Key
		err := rows.Scan(&k.ID, &k.Account, &k.Name, &k.Algorithm, &k.Sealed, &k.Created)
		all.Keys = append(all.Keys, k)
		return err
	})
}

func readPeers(tx *sqldb.Tx, all *transfer.Settings) error {
	return each(tx, peersSQL, nil, func(rows *sqldb.Rows) error {
		var p transfer.Peer
		var networks, notify string
		if err := rows.Scan(&p.ID, &p.Account, &p.Zone, &p.Key, &networks, &notify, &p.Operator); err != nil {
			return err
		}
		if err := readList(networks, &p.Networks); err != nil {
			return fmt.Errorf("networks of the peer %s: %w", p.ID, err)
		}
		if err := p.Notify.UnmarshalText([]byte(notify)); err != nil {
			return fmt.Errorf("address of the peer %s: %w", p.ID, err)
		}
		all.Peers = append(all.Peers, p)
		return nil
	})
}

func readSecondaries(tx *sqldb.Tx, all *transfer.Settings) error {
	return each(tx, secondariesSQL, nil, func(rows *sqldb.Rows) error {
		var z transfer.Secondary
		var server string
		if err := rows.Scan(&z.Domain, &z.Account, &server, &z.Key, &z.Operator); err != nil {
			return err
		}
		if err := z.Primary.UnmarshalText([]byte(server)); err != nil {
			return fmt.Errorf("primary of %s: %w", z.Domain, err)
		}
		all.Secondaries = append(all.Secondaries, z)
		return nil
	})
}

func readCatalogs(tx *sqldb.Tx, all *transfer.Settings) error {
	return each(tx, catalogsSQL, nil, func(rows *sqldb.Rows) error {
		var c transfer.Catalog
		err := rows.Scan(&c.Name, &c.Account, &c.Every)
		all.Catalogs = append(all.Catalogs, c)
		return err
	})
}

func addressText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// putTransfers writes what is configured of transfers. A peer of a zone that is neither a domain nor a catalog of its
// account is control.ErrNotFound.
func putTransfers(t *sqldb.Tx, all *transfer.Settings) error {
	there, err := owners(t, keyOwnersSQL, keys(all.Keys, func(k *transfer.Key) string { return k.ID }))
	if err != nil {
		return err
	}
	for i := range all.Keys {
		k := &all.Keys[i]
		stmt := addKeySQL
		if _, old := there[k.ID]; old {
			stmt = setKeySQL
		}
		if err := t.Post(stmt, k.ID, k.Account, k.Name, k.Algorithm, k.Sealed, k.Created); err != nil {
			return err
		}
	}
	if err := putCatalogs(t, all.Catalogs); err != nil {
		return err
	}
	if err := checkPeers(t, all.Peers); err != nil {
		return err
	}
	if there, err = owners(t, peerOwnersSQL, keys(all.Peers, func(p *transfer.Peer) string { return p.ID })); err != nil {
		return err
	}
	for i := range all.Peers {
		p := &all.Peers[i]
		networks, err := listText(p.Networks)
		if err != nil {
			return err
		}
		stmt := addPeerSQL
		if _, old := there[p.ID]; old {
			stmt = setPeerSQL
		}
		if err := t.Post(stmt, p.ID, p.Account, p.Zone, p.Key, networks, addressText(p.Notify), p.Operator); err != nil {
			return err
		}
	}
	for i := range all.Secondaries {
		z := &all.Secondaries[i]
		if err := t.Post(putSecondarySQL, z.Domain, z.Account, addressText(z.Primary), z.Key, z.Operator, zone.Encode(nil)); err != nil {
			return err
		}
	}
	return nil
}

// putCatalogs writes catalogs. One whose name another account has is control.ErrExists.
func putCatalogs(t *sqldb.Tx, list []transfer.Catalog) error {
	if len(list) == 0 {
		return nil
	}
	for i := range list {
		c := &list[i]
		if err := t.Post(putCatalogSQL, c.Name, c.Account, c.Every); err != nil {
			return err
		}
	}
	now, err := owners(t, catalogOwnersSQL, keys(list, func(c *transfer.Catalog) string { return c.Name }))
	if err != nil {
		return err
	}
	for i := range list {
		if c := &list[i]; now[c.Name] != string(c.Account) {
			return fmt.Errorf("%w: the catalog %s", control.ErrExists, c.Name)
		}
	}
	return nil
}

func checkPeers(t *sqldb.Tx, list []transfer.Peer) error {
	names := keys(list, func(p *transfer.Peer) string { return p.Zone })
	domains, err := owners(t, domainOwnersSQL, names)
	if err != nil {
		return err
	}
	catalogs, err := owners(t, catalogOwnersSQL, names)
	if err != nil {
		return err
	}
	for i := range list {
		if p := &list[i]; domains[p.Zone] != string(p.Account) && catalogs[p.Zone] != string(p.Account) {
			return fmt.Errorf("%w: the account %s has no zone %s", control.ErrNotFound, p.Account, p.Zone)
		}
	}
	return nil
}

// Copy gives what was fetched last of the zone of a secondary; control.ErrNotFound when there is no such secondary.
func (s *Store) Copy(ctx context.Context, scope account.Scope, domain string) (transfer.Copy, error) {
	var c transfer.Copy
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		r := zoneRow{domain: domain}
		c = transfer.Copy{}
		found, err := tx.Row([]any{&c.Refreshed, &r.serial, &r.records, &r.signatures}, copySQL, domain)
		if err == nil && !found {
			err = fmt.Errorf("%w: the secondary %s", control.ErrNotFound, domain)
		}
		if err != nil {
			return err
		}
		z, err := r.zone()
		c.Serial, c.Records, c.Signatures = z.Serial, z.Records, z.Signatures
		return err
	})
	if err != nil {
		return transfer.Copy{}, refusal(err)
	}
	return c, nil
}

// CopySerials gives the serials of what was fetched, by domains.
func (s *Store) CopySerials(ctx context.Context, scope account.Scope) (map[string]uint32, error) {
	return s.serials(ctx, scope, copySerialsSQL)
}

// KeepCopy keeps what was fetched from a primary, or without records only that what is there is true still. It changes
// nothing, and says so by control.ErrNotFound, when the domain is no longer a secondary of that primary.
func (s *Store) KeepCopy(ctx context.Context, scope account.Scope, of transfer.Secondary, c transfer.Copy) error {
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		stmt, args := touchCopySQL, []any{of.Domain, addressText(of.Primary), c.Refreshed}
		if len(c.Records) > 0 {
			stmt, args = keepCopySQL, append(args, c.Serial, zone.Encode(c.Records), zone.Encode(c.Signatures))
		}
		n, err := tx.Exec(stmt, args...)
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: the secondary %s", control.ErrNotFound, of.Domain)
		}
		return err
	}))
}

// Journal gives what led to a zone's present version, the oldest change first.
func (s *Store) Journal(ctx context.Context, scope account.Scope, domain string) ([]transfer.Step, error) {
	var out []transfer.Step
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, journalSQL, []any{domain}, func(rows *sqldb.Rows) error {
			var step transfer.Step
			var removed, added []byte
			err := rows.Scan(&step.From, &step.To, &removed, &added)
			if err == nil {
				step.Removed, err = zone.Decode(removed)
			}
			if err == nil {
				step.Added, err = zone.Decode(added)
			}
			if err != nil {
				return fmt.Errorf("%w: the journal of %s: %w", sqldb.ErrCorrupt, domain, err)
			}
			out = append(out, step)
			return nil
		})
	})
	return out, refusal(err)
}

// putChange writes into a zone's journal what leads from its stored version to the new one, at a version of the
// configuration. A change without a new serial is none for those who fetch zones.
func putChange(t *sqldb.Tx, z *zone.Zone, version int64) error {
	var r zoneRow
	found, err := t.Row(r.columns(), handedOutSQL, z.Domain)
	if err != nil || !found || r.serial == z.Serial {
		return err
	}
	old, err := r.zone()
	if err != nil {
		return t.Post(removeJournalsSQL, []string{z.Domain}) // the damaged version leads nowhere
	}
	d := dns.Differ(old.Content(), z.Content())
	if err := t.Post(addChangeSQL, z.Domain, version, z.Account, old.Serial, z.Serial, zone.Encode(d.Removed), zone.Encode(d.Added)); err != nil {
		return err
	}
	return t.Post(trimSQL, z.Domain, journalLength)
}
