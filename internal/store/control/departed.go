package control

import (
	"fmt"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/store/sqldb"
)

const (
	departedSQL       sqldb.Stmt = `SELECT id, account_id, name, until, mode, recipients, unreachable, former, removed FROM departed WHERE @scope(account_id)`
	departedOwnersSQL sqldb.Stmt = `SELECT id, account_id FROM departed WHERE @in(id, $1) AND @scope(account_id)`
	addDepartedSQL    sqldb.Stmt = `INSERT INTO departed (id, account_id, name, until, mode, recipients, unreachable, former, removed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	setDepartedSQL sqldb.Stmt = `UPDATE departed SET account_id = $2, name = $3, until = $4, mode = $5, recipients = $6, unreachable = $7, former = $8, removed = $9
		WHERE id = $1 AND @scope(account_id)`
	removeDepartedSQL sqldb.Stmt = `DELETE FROM departed WHERE @in(id, $1) AND @scope(account_id)`
)

func loadDeparted(t *sqldb.Tx) ([]directory.Departed, error) {
	var out []directory.Departed
	err := each(t, departedSQL, nil, func(rows *sqldb.Rows) error {
		var d directory.Departed
		var owner, mode, recipients, unreachable, former string
		if err := rows.Scan(&d.ID, &owner, &d.Name, &d.Leaving.Until, &mode, &recipients, &unreachable, &former, &d.Removed); err != nil {
			return err
		}
		d.Account, d.Leaving.From = account.ID(owner), directory.Mode(mode)
		d.Recipients, d.Unreachable = directory.RecipientPolicy(recipients), directory.UnreachablePolicy(unreachable)
		if err := readList(former, &d.Former); err != nil {
			return fmt.Errorf("former addresses of %s: %w", d.Name, err)
		}
		out = append(out, d)
		return nil
	})
	return out, err
}

func putDeparted(t *sqldb.Tx, list []directory.Departed) error {
	there, err := owners(t, departedOwnersSQL, keys(list, func(d *directory.Departed) string { return d.ID }))
	if err != nil {
		return err
	}
	for i := range list {
		d := &list[i]
		former, err := listText(d.Former)
		if err != nil {
			return err
		}
		stmt := addDepartedSQL
		if _, old := there[d.ID]; old {
			stmt = setDepartedSQL
		}
		if err := t.Post(stmt, d.ID, d.Account, d.Name, d.Leaving.Until, d.Leaving.From, d.Recipients, d.Unreachable, former, d.Removed); err != nil {
			return err
		}
	}
	return nil
}
