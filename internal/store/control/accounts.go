package control

import (
	"fmt"

	"postroad/internal/core/account"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	allAccountsSQL   sqldb.Stmt = `SELECT account_id, name, notices FROM account WHERE @scope(account_id)`
	accountOwnersSQL sqldb.Stmt = `SELECT account_id, account_id FROM account WHERE @in(account_id, $1) AND @scope(account_id)`
	addAccountSQL    sqldb.Stmt = `INSERT INTO account (account_id, name, notices) VALUES ($1, $2, $3)`
	setAccountSQL    sqldb.Stmt = `UPDATE account SET name = $2, notices = $3 WHERE account_id = $1 AND @scope(account_id)`

	accountInUseSQL           sqldb.Stmt = `SELECT name FROM domain WHERE @in(account_id, $1) AND @scope(account_id) LIMIT 1`
	removeAccountTokensSQL    sqldb.Stmt = `DELETE FROM token WHERE @in(account_id, $1) AND @scope(account_id)`
	removeAccountOutboundsSQL sqldb.Stmt = `DELETE FROM outbound WHERE @in(account_id, $1) AND @scope(account_id)`
	removeAccountTalliesSQL   sqldb.Stmt = `DELETE FROM sent WHERE @in(account_id, $1) AND @scope(account_id)`
	removeAccountForwardsSQL  sqldb.Stmt = `DELETE FROM forwarding WHERE @in(account_id, $1) AND @scope(account_id)`
	removeAccountBroughtSQL   sqldb.Stmt = `DELETE FROM brought WHERE @in(account_id, $1) AND @scope(account_id)`
	removeAccountsSQL         sqldb.Stmt = `DELETE FROM account WHERE @in(account_id, $1) AND @scope(account_id)`
)

func loadAccounts(t *sqldb.Tx) ([]account.Account, error) {
	var out []account.Account
	err := each(t, allAccountsSQL, nil, func(rows *sqldb.Rows) error {
		var a account.Account
		var to string
		err := rows.Scan(&a.ID, &a.Name, &to)
		if err == nil {
			err = readList(to, &a.Notices)
		}
		out = append(out, a)
		return err
	})
	return out, err
}

func putAccounts(t *sqldb.Tx, list []account.Account) error {
	there, err := owners(t, accountOwnersSQL, keys(list, func(a *account.Account) string { return string(a.ID) }))
	if err != nil {
		return err
	}
	for i := range list {
		stmt := addAccountSQL
		if _, old := there[string(list[i].ID)]; old {
			stmt = setAccountSQL
		}
		to, err := listText(list[i].Notices)
		if err != nil {
			return err
		}
		if err := t.Post(stmt, list[i].ID, list[i].Name, to); err != nil {
			return err
		}
	}
	return nil
}

// removeAccounts removes accounts without domains, their tokens, their sets and what they were told. What is remembered of their former domains stays
// until its time is over.
func removeAccounts(t *sqldb.Tx, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	var name string
	used, err := t.Row([]any{&name}, accountInUseSQL, ids)
	if err != nil {
		return err
	}
	if used {
		return fmt.Errorf("%w: the account has the domain %s", control.ErrInUse, name)
	}
	for _, stmt := range []sqldb.Stmt{removeAccountTokensSQL, removeAccountOutboundsSQL, removeAccountKeysSQL, removeAccountPeersSQL, removeAccountCatalogsSQL, removeAccountZoneKeysSQL, removeAccountSetsSQL, removeAccountServerSetsSQL, removeAccountNoticesSQL, removeAccountTalliesSQL, removeAccountForwardsSQL, removeAccountBroughtSQL, removeAccountSendersSQL} {
		if err := t.Post(stmt, ids); err != nil {
			return err
		}
	}
	return removeAll(t, control.KindAccount, removeAccountsSQL, ids)
}
