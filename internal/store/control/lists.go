package control

import (
	"context"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/service/control"
	"postroad/internal/service/verify"
	"postroad/internal/store/sqldb"
)

const (
	listSQL sqldb.Stmt = `SELECT account_id, source, learned, url, token, every, by_operator, etag, problem FROM recipient_list
		WHERE domain = $1 AND @scope(account_id)`
	putListSQL sqldb.Stmt = `INSERT INTO recipient_list (domain, account_id, source, learned, url, token, every, by_operator, etag, problem)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (domain) DO UPDATE SET source = excluded.source, learned = excluded.learned, url = excluded.url, token = excluded.token,
		every = excluded.every, by_operator = excluded.by_operator, etag = excluded.etag, problem = excluded.problem WHERE @scope(recipient_list.account_id)`
	syncsSQL sqldb.Stmt = `SELECT domain, learned, url, token, every, by_operator, etag, problem FROM recipient_list
		WHERE url <> '' AND @scope(account_id) ORDER BY domain`
	syncedSQL     sqldb.Stmt = `UPDATE recipient_list SET learned = $3, etag = $4, problem = $5 WHERE domain = $1 AND url = $2 AND token = $6 AND @scope(account_id)`
	listedSQL     sqldb.Stmt = `SELECT local FROM recipient_listed WHERE domain = $1 AND @scope(account_id) ORDER BY local`
	someListedSQL sqldb.Stmt = `SELECT local FROM recipient_listed WHERE domain = $1 AND @in(local, $2) AND @scope(account_id)`
	addListedSQL  sqldb.Stmt = `INSERT INTO recipient_listed (domain, local, account_id) VALUES ($1, $2, $3)`

	removeListedSQL sqldb.Stmt = `DELETE FROM recipient_listed WHERE domain = $1 AND @in(local, $2) AND @scope(account_id)`
	removeListsSQL  sqldb.Stmt = `DELETE FROM recipient_list WHERE @in(domain, $1) AND @scope(account_id)`
	emptyListsSQL   sqldb.Stmt = `DELETE FROM recipient_listed WHERE @in(domain, $1) AND @scope(account_id)`
	moveListSQL     sqldb.Stmt = `UPDATE recipient_list SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`
	moveListedSQL   sqldb.Stmt = `UPDATE recipient_listed SET account_id = $2 WHERE domain = $1 AND @scope(account_id)`
)

// listedAtOnce bounds the addresses that one statement removes.
const listedAtOnce = 1000

// Recipients implements control.Facts.
func (s *Store) Recipients(ctx context.Context, scope account.Scope, domain string) (control.RecipientList, error) {
	var l control.RecipientList
	var every int64
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		l = control.RecipientList{Domain: domain}
		found, err := tx.Row([]any{&l.Account, &l.Source, &l.Learned, &l.URL, &l.Token, &every, &l.Operator, &l.ETag, &l.Problem}, listSQL, domain)
		l.Every = time.Duration(every) * time.Microsecond
		if err == nil && !found {
			return control.ErrNotFound
		}
		if err != nil {
			return err
		}
		l.Locals, err = tx.Texts(listedSQL, domain)
		return err
	})
	if err != nil {
		return control.RecipientList{}, refusal(err)
	}
	return l, nil
}

// Listed implements verify.Store.
func (s *Store) Listed(ctx context.Context, scope account.Scope, domain string, locals []string) (verify.List, error) {
	var l verify.List
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		l = verify.List{}
		var owner account.ID
		var every int64
		var err error
		if l.There, err = tx.Row([]any{&owner, &l.Source, &l.Learned, &l.From.URL, &l.From.Token, &every, &l.From.Operator, &l.From.ETag, &l.From.Problem}, listSQL, domain); err != nil || !l.There {
			return err
		}
		l.From.Every = time.Duration(every) * time.Microsecond
		found, err := tx.Texts(someListedSQL, domain, locals)
		l.Has = len(found) > 0
		return err
	})
	if err != nil {
		return verify.List{}, refusal(err)
	}
	return l, nil
}

// putLists replaces lists as a whole.
func putLists(t *sqldb.Tx, lists []control.RecipientList) error {
	for i := range lists {
		l := &lists[i]
		if err := fillList(t, l.Account, l.Domain, l.Locals); err != nil {
			return err
		}
		err := t.Post(putListSQL, l.Domain, l.Account, l.Source, l.Learned, l.URL, l.Token, l.Every.Microseconds(), l.Operator, l.ETag, l.Problem)
		if err != nil {
			return err
		}
	}
	return nil
}

// fillList writes the addresses of a list; only what differs is written.
func fillList(t *sqldb.Tx, owner account.ID, domain string, locals []string) error {
	old, err := t.Texts(listedSQL, domain)
	if err != nil {
		return err
	}
	wanted := make(map[string]bool, len(locals))
	for _, local := range locals {
		wanted[local] = true
	}
	var goners []string
	for _, local := range old {
		if !wanted[local] {
			goners = append(goners, local)
		}
		delete(wanted, local)
	}
	for part := range slices.Chunk(goners, listedAtOnce) {
		if err := t.Post(removeListedSQL, domain, part); err != nil {
			return err
		}
	}
	for local := range wanted {
		if err := t.Post(addListedSQL, domain, local, owner); err != nil {
			return err
		}
	}
	return nil
}

// Syncs implements verify.Store.
func (s *Store) Syncs(ctx context.Context, scope account.Scope) ([]verify.Sync, error) {
	var out []verify.Sync
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, syncsSQL, nil, func(rows *sqldb.Rows) error {
			var y verify.Sync
			var every int64
			f := &y.From
			err := rows.Scan(&y.Domain, &y.Learned, &f.URL, &f.Token, &every, &f.Operator, &f.ETag, &f.Problem)
			f.Every = time.Duration(every) * time.Microsecond
			out = append(out, y)
			return err
		})
	})
	return out, refusal(err)
}

// Synced implements verify.Store.
func (s *Store) Synced(ctx context.Context, scope account.Scope, y verify.Sync, changed bool, locals []string) error {
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(syncedSQL, y.Domain, y.From.URL, y.Learned, y.From.ETag, y.From.Problem, y.From.Token)
		if err != nil || n == 0 || !changed {
			return err
		}
		var owner account.ID
		if found, err := tx.Row([]any{&owner}, domainOwnerSQL, y.Domain); err != nil || !found {
			return err
		}
		return fillList(tx, owner, y.Domain, locals)
	}))
}

// removeLists removes the lists of domains.
func removeLists(t *sqldb.Tx, domains []string) error {
	if len(domains) == 0 {
		return nil
	}
	if err := t.Post(emptyListsSQL, domains); err != nil {
		return err
	}
	return removeAll(t, control.KindRecipients, removeListsSQL, domains)
}
