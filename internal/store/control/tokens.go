package control

import (
	"context"
	"fmt"

	"postroad/internal/core/account"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	tokenSQL    sqldb.Stmt = `SELECT id, account_id, name, hash, created FROM token WHERE hash = $1 AND @scope(account_id)`
	tokensSQL   sqldb.Stmt = `SELECT id, account_id, name, created FROM token WHERE @scope(account_id) ORDER BY created, id`
	addTokenSQL sqldb.Stmt = `INSERT INTO token (id, account_id, name, hash, created) VALUES ($1, $2, $3, $4, $5)`
)

// putTokens adds tokens. A token never changes: one whose id is taken is refused.
func putTokens(t *sqldb.Tx, list []control.Token) error {
	for i := range list {
		if len(list[i].Hash) == 0 {
			return fmt.Errorf("%w: a token without a hash", control.ErrInvalid)
		}
		if err := t.Post(addTokenSQL, list[i].ID, list[i].Account, list[i].Name, list[i].Hash, list[i].Created); err != nil {
			return err
		}
	}
	return nil
}

// Token implements control.Facts.
func (s *Store) Token(ctx context.Context, scope account.Scope, hash []byte) (control.Token, error) {
	var out control.Token
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = control.Token{}
		found, err := tx.Row([]any{&out.ID, &out.Account, &out.Name, &out.Hash, &out.Created}, tokenSQL, hash)
		if err == nil && !found {
			return control.ErrNotFound
		}
		return err
	})
	if err != nil {
		return control.Token{}, refusal(err)
	}
	return out, nil
}

// Tokens implements control.Facts, oldest first.
func (s *Store) Tokens(ctx context.Context, scope account.Scope) ([]control.Token, error) {
	var out []control.Token
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = nil
		return each(tx, tokensSQL, nil, func(rows *sqldb.Rows) error {
			var t control.Token
			err := rows.Scan(&t.ID, &t.Account, &t.Name, &t.Created)
			out = append(out, t)
			return err
		})
	})
	return out, refusal(err)
}
