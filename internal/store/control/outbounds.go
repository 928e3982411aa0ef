package control

import (
	"errors"
	"fmt"

	"postroad/internal/core/directory"
	"postroad/internal/store/sqldb"
)

const (
	allOutboundsSQL sqldb.Stmt = `SELECT id, account_id, domain, identity, host, port, by_operator, tls, login, password, sealed, source
		FROM outbound WHERE @scope(account_id)`
	outboundOwnersSQL sqldb.Stmt = `SELECT id, account_id FROM outbound WHERE @in(id, $1) AND @scope(account_id)`
	addOutboundSQL    sqldb.Stmt = `INSERT INTO outbound (id, account_id, domain, identity, host, port, by_operator, tls, login, password, sealed, source)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', $10, $11)`
	setOutboundSQL sqldb.Stmt = `UPDATE outbound SET account_id = $2, domain = $3, identity = $4, host = $5, port = $6, by_operator = $7, tls = $8, login = $9,
		password = '', sealed = $10, source = $11 WHERE id = $1 AND @scope(account_id)`
)

var errSource = errors.New("these are no addresses from which mail leaves")

// loadOutbounds gives routes with their passwords sealed; with a Password are those that an earlier program wrote.
func loadOutbounds(t *sqldb.Tx) ([]directory.Outbound, error) {
	var out []directory.Outbound
	err := each(t, allOutboundsSQL, nil, func(rows *sqldb.Rows) error {
		var o directory.Outbound
		var source string
		var sealed []byte
		if err := rows.Scan(&o.ID, &o.Account, &o.Domain, &o.Identity, &o.Hop.Host, &o.Hop.Port, &o.Operator, &o.TLS, &o.User, &o.Password, &sealed, &source); err != nil {
			return err
		}
		o.Sealed = string(sealed)
		var ok bool
		if o.Source, ok = directory.ParseSource(source); !ok {
			return fmt.Errorf("outbound route %s: %q: %w", o.ID, source, errSource)
		}
		out = append(out, o)
		return nil
	})
	return out, err
}

// putOutbounds writes routes with their passwords as Sealed has them: a Password is never written.
func putOutbounds(t *sqldb.Tx, list []directory.Outbound) error {
	there, err := owners(t, outboundOwnersSQL, keys(list, func(o *directory.Outbound) string { return o.ID }))
	if err != nil {
		return err
	}
	for i := range list {
		o := &list[i]
		stmt := addOutboundSQL
		if _, old := there[o.ID]; old {
			stmt = setOutboundSQL
		}
		if err := t.Post(stmt, o.ID, o.Account, o.Domain, o.Identity, o.Hop.Host, o.Hop.Port, o.Operator, o.TLS, o.User, []byte(o.Sealed), o.Source.String()); err != nil {
			return err
		}
	}
	return nil
}
