package control

import (
	"fmt"

	"postroad/internal/core/account"
	"postroad/internal/core/zone"
	"postroad/internal/store/sqldb"
)

const (
	setsSQL      sqldb.Stmt = `SELECT id, account_id, name, exchangers, gateways, spf FROM exchanger_set WHERE @scope(account_id)`
	setOwnersSQL sqldb.Stmt = `SELECT id, account_id FROM exchanger_set WHERE @in(id, $1) AND @scope(account_id)`
	addSetSQL    sqldb.Stmt = `INSERT INTO exchanger_set (id, account_id, name, exchangers, gateways, spf) VALUES ($1, $2, $3, $4, $5, $6)`
	setSetSQL    sqldb.Stmt = `UPDATE exchanger_set SET account_id = $2, name = $3, exchangers = $4, gateways = $5, spf = $6
		WHERE id = $1 AND @scope(account_id)`

	serverSetsSQL      sqldb.Stmt = `SELECT id, account_id, name, hosts FROM nameserver_set WHERE @scope(account_id)`
	serverSetOwnersSQL sqldb.Stmt = `SELECT id, account_id FROM nameserver_set WHERE @in(id, $1) AND @scope(account_id)`
	addServerSetSQL    sqldb.Stmt = `INSERT INTO nameserver_set (id, account_id, name, hosts) VALUES ($1, $2, $3, $4)`
	setServerSetSQL    sqldb.Stmt = `UPDATE nameserver_set SET account_id = $2, name = $3, hosts = $4 WHERE id = $1 AND @scope(account_id)`

	removeSetsSQL              sqldb.Stmt = `DELETE FROM exchanger_set WHERE @in(id, $1) AND @scope(account_id)`
	removeServerSetsSQL        sqldb.Stmt = `DELETE FROM nameserver_set WHERE @in(id, $1) AND @scope(account_id)`
	removeAccountSetsSQL       sqldb.Stmt = `DELETE FROM exchanger_set WHERE @in(account_id, $1) AND @scope(account_id)`
	removeAccountServerSetsSQL sqldb.Stmt = `DELETE FROM nameserver_set WHERE @in(account_id, $1) AND @scope(account_id)`
)

func loadSets(t *sqldb.Tx) (sets []zone.ExchangerSet, servers []zone.NameServerSet, err error) {
	err = each(t, setsSQL, nil, func(rows *sqldb.Rows) error {
		var s zone.ExchangerSet
		var owner, exchangers, gateways string
		if err := rows.Scan(&s.ID, &owner, &s.Name, &exchangers, &gateways, &s.SPF); err != nil {
			return err
		}
		s.Account = account.ID(owner)
		if err := readList(exchangers, &s.Exchangers); err != nil {
			return fmt.Errorf("exchangers of the set %s: %w", s.ID, err)
		}
		if err := readList(gateways, &s.Gateways); err != nil {
			return fmt.Errorf("gateways of the set %s: %w", s.ID, err)
		}
		sets = append(sets, s)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	err = each(t, serverSetsSQL, nil, func(rows *sqldb.Rows) error {
		var s zone.NameServerSet
		var owner, hosts string
		if err := rows.Scan(&s.ID, &owner, &s.Name, &hosts); err != nil {
			return err
		}
		s.Account = account.ID(owner)
		if err := readList(hosts, &s.Hosts); err != nil {
			return fmt.Errorf("hosts of the set %s: %w", s.ID, err)
		}
		servers = append(servers, s)
		return nil
	})
	return sets, servers, err
}

func putSets(t *sqldb.Tx, list []zone.ExchangerSet) error {
	there, err := owners(t, setOwnersSQL, keys(list, func(s *zone.ExchangerSet) string { return s.ID }))
	if err != nil {
		return err
	}
	for i := range list {
		s := &list[i]
		exchangers, err := listText(s.Exchangers)
		if err != nil {
			return err
		}
		gateways, err := listText(s.Gateways)
		if err != nil {
			return err
		}
		stmt := addSetSQL
		if _, old := there[s.ID]; old {
			stmt = setSetSQL
		}
		if err := t.Post(stmt, s.ID, s.Account, s.Name, exchangers, gateways, s.SPF); err != nil {
			return err
		}
	}
	return nil
}

func putServerSets(t *sqldb.Tx, list []zone.NameServerSet) error {
	there, err := owners(t, serverSetOwnersSQL, keys(list, func(s *zone.NameServerSet) string { return s.ID }))
	if err != nil {
		return err
	}
	for i := range list {
		s := &list[i]
		hosts, err := listText(s.Hosts)
		if err != nil {
			return err
		}
		stmt := addServerSetSQL
		if _, old := there[s.ID]; old {
			stmt = setServerSetSQL
		}
		if err := t.Post(stmt, s.ID, s.Account, s.Name, hosts); err != nil {
			return err
		}
	}
	return nil
}
