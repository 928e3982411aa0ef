package control

import (
	"errors"
	"fmt"

	"postroad/internal/core/directory"
	"postroad/internal/store/sqldb"
)

const (
	allOutboundsSQL   sqldb.Stmt = `SELECT id, account_id, domain, host, port, by_operator, tls, login, password, source FROM outbound WHERE @scope(account_id)`
	outboundOwnersSQL sqldb.Stmt = `SELECT id, account_id FROM outbound WHERE @in(id, $1) AND @scope(account_id)`
	addOutboundSQL    sqldb.Stmt = `INSERT INTO outbound (id, account_id, domain, host, port, by_operator, tls, login, password, source)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	setOutboundSQL sqldb.Stmt = `UPDATE outbound SET account_id = $2, domain = $3, host = $4, port = $5, by_operator = $6, tls = $7, login = $8, password = $9, source = $10
		WHERE id = $1 AND @scope(account_id)`
)

var errSource = errors.New("these are no addresses from which mail leaves")

func loadOutbounds(t *sqldb.Tx) ([]directory.Outbound, error) {
	var out []directory.Outbound
	err := each(t, allOutboundsSQL, nil, func(rows *sqldb.Rows) error {
		var o directory.Outbound
		var source string
		if err := rows.Scan(&o.ID, &o.Account, &o.Domain, &o.Hop.Host, &o.Hop.Port, &o.Operator, &o.TLS, &o.User, &o.Password, &source); err != nil {
			return err
		}
		var ok bool
		if o.Source, ok = directory.ParseSource(source); !ok {
			return fmt.Errorf("outbound route %s: %q: %w", o.ID, source, errSource)
		}
		out = append(out, o)
		return nil
	})
	return out, err
}

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
		if err := t.Post(stmt, o.ID, o.Account, o.Domain, o.Hop.Host, o.Hop.Port, o.Operator, o.TLS, o.User, o.Password, o.Source.String()); err != nil {
			return err
		}
	}
	return nil
}
