package control

import (
	"postroad/internal/core/directory"
	"postroad/internal/store/sqldb"
)

const (
	allIdentitiesSQL  sqldb.Stmt = `SELECT id, account_id, domain, mailbox, address, proof, proved, expires, code, sent, created FROM identity WHERE @scope(account_id)`
	identityOwnersSQL sqldb.Stmt = `SELECT id, account_id FROM identity WHERE @in(id, $1) AND @scope(account_id)`
	addIdentitySQL    sqldb.Stmt = `INSERT INTO identity (id, account_id, domain, mailbox, address, proof, proved, expires, code, sent, created)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	setIdentitySQL sqldb.Stmt = `UPDATE identity SET account_id = $2, domain = $3, mailbox = $4, address = $5, proof = $6, proved = $7, expires = $8,
		code = $9, sent = $10, created = $11 WHERE id = $1 AND @scope(account_id)`
	removeIdentitiesSQL        sqldb.Stmt = `DELETE FROM identity WHERE @in(id, $1) AND @scope(account_id)`
	removeMailboxIdentitiesSQL sqldb.Stmt = `DELETE FROM identity WHERE @in(mailbox, $1) AND @scope(account_id)`
	removeDomainIdentitiesSQL  sqldb.Stmt = `DELETE FROM identity WHERE @in(domain, $1) AND @scope(account_id)`
	// moveIdentitiesSQL ends what was shown for the account before: it says nothing of the new one.
	moveIdentitiesSQL sqldb.Stmt = `DELETE FROM identity WHERE domain = $1 AND account_id <> $2 AND @scope(account_id)`
)

func loadIdentities(t *sqldb.Tx) ([]directory.Identity, error) {
	var out []directory.Identity
	err := each(t, allIdentitiesSQL, nil, func(rows *sqldb.Rows) error {
		var i directory.Identity
		err := rows.Scan(&i.ID, &i.Account, &i.Domain, &i.Mailbox, &i.Address, &i.Proof, &i.Proved, &i.Expires, &i.Code, &i.Sent, &i.Created)
		if len(i.Code) == 0 {
			i.Code = nil
		}
		out = append(out, i)
		return err
	})
	return out, err
}

func putIdentities(t *sqldb.Tx, list []directory.Identity) error {
	there, err := owners(t, identityOwnersSQL, keys(list, func(i *directory.Identity) string { return i.ID }))
	if err != nil {
		return err
	}
	for n := range list {
		i := &list[n]
		stmt := addIdentitySQL
		if _, old := there[i.ID]; old {
			stmt = setIdentitySQL
		}
		code := i.Code
		if code == nil {
			code = []byte{}
		}
		if err := t.Post(stmt, i.ID, i.Account, i.Domain, i.Mailbox, i.Address, i.Proof, i.Proved, i.Expires, code, i.Sent, i.Created); err != nil {
			return err
		}
	}
	return nil
}
