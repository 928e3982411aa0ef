package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	allMailboxesSQL  sqldb.Stmt = `SELECT id, domain, local, quota FROM mailbox WHERE @scope(account_id)`
	mailboxOwnersSQL sqldb.Stmt = `SELECT id, account_id FROM mailbox WHERE @in(id, $1) AND @scope(account_id)`
	addMailboxSQL    sqldb.Stmt = `INSERT INTO mailbox (id, account_id, domain, local, quota) VALUES ($1, $2, $3, $4, $5)`
	setMailboxSQL    sqldb.Stmt = `UPDATE mailbox SET account_id = $2, domain = $3, local = $4, quota = $5 WHERE id = $1 AND @scope(account_id)`

	moveVerifierSQL sqldb.Stmt = `UPDATE verifier SET account_id = $2 WHERE mailbox_id = $1 AND @scope(account_id)`
	putVerifierSQL  sqldb.Stmt = `INSERT INTO verifier (mailbox_id, account_id, verifier) VALUES ($1, $2, $3)
		ON CONFLICT (mailbox_id) DO UPDATE SET verifier = excluded.verifier WHERE @scope(verifier.account_id)`
	verifierSQL sqldb.Stmt = `SELECT mailbox.id, verifier.verifier FROM mailbox JOIN verifier ON verifier.mailbox_id = mailbox.id
		WHERE mailbox.domain = $1 AND mailbox.local = $2 AND @scope(mailbox.account_id)`

	removeVerifiersSQL sqldb.Stmt = `DELETE FROM verifier WHERE @in(mailbox_id, $1) AND @scope(account_id)`
	removeMailboxesSQL sqldb.Stmt = `DELETE FROM mailbox WHERE @in(id, $1) AND @scope(account_id)`
)

func loadMailboxes(t *sqldb.Tx, shared *shared) ([]directory.Mailbox, error) {
	var out pile[directory.Mailbox]
	var m directory.Mailbox
	var domain string
	dest := []any{&m.ID, &domain, &m.Local, &m.Quota}
	err := each(t, allMailboxesSQL, nil, func(rows *sqldb.Rows) error {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		if h, ok := shared.home(domain); ok {
			m.Account, m.Domain = h.account, h.domain
			out.add(m)
		}
		return nil
	})
	return out.list(), err
}

func putMailboxes(t *sqldb.Tx, list []directory.Mailbox) error {
	there, err := owners(t, mailboxOwnersSQL, keys(list, func(m *directory.Mailbox) string { return m.ID }))
	if err != nil {
		return err
	}
	for i := range list {
		m := &list[i]
		stmt := addMailboxSQL
		if owner, old := there[m.ID]; old {
			stmt = setMailboxSQL
			if owner != string(m.Account) {
				if err := t.Post(moveVerifierSQL, m.ID, m.Account); err != nil {
					return err
				}
			}
		}
		if err := t.Post(stmt, m.ID, m.Account, m.Domain, m.Local, m.Quota); err != nil {
			return err
		}
	}
	return nil
}

// putVerifiers writes verifiers of mailboxes, which must be there.
func putVerifiers(t *sqldb.Tx, verifiers map[string]string) error {
	ids := slices.Sorted(maps.Keys(verifiers))
	there, err := owners(t, mailboxOwnersSQL, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		owner, ok := there[id]
		if !ok {
			return fmt.Errorf("%w: there is no mailbox for the verifier", control.ErrNotFound)
		}
		if err := t.Post(putVerifierSQL, id, owner, verifiers[id]); err != nil {
			return err
		}
	}
	return nil
}

func removeMailboxes(t *sqldb.Tx, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := t.Post(removeVerifiersSQL, ids); err != nil {
		return err
	}
	if err := t.Post(removeMailboxIdentitiesSQL, ids); err != nil {
		return err
	}
	return removeAll(t, control.KindMailbox, removeMailboxesSQL, ids)
}

// Verifier implements control.Store. The address is compared as the directory does: in lower case.
func (s *Store) Verifier(ctx context.Context, scope account.Scope, address string) (mailbox, verifier string, err error) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return "", "", control.ErrNotFound
	}
	local, domain := directory.FoldLocal(address[:i]), strings.ToLower(address[i+1:])
	err = s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		found, err := tx.Row([]any{&mailbox, &verifier}, verifierSQL, domain, local)
		if err == nil && !found {
			return control.ErrNotFound
		}
		return err
	})
	if err != nil {
		return "", "", refusal(err)
	}
	return mailbox, verifier, nil
}
