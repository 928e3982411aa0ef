package control

import (
	"context"
	"fmt"

	"postroad/internal/core/account"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	settingSQL    sqldb.Stmt = `SELECT value FROM setting WHERE name = $1 AND @scope(account_id)`
	putSettingSQL sqldb.Stmt = `INSERT INTO setting (name, account_id, value) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE @scope(setting.account_id)`
)

// Setting implements control.Facts. Without the operator's account in scope every setting is unset.
func (s *Store) Setting(ctx context.Context, scope account.Scope, name string) (string, error) {
	var value string
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		value = ""
		_, err := tx.Row([]any{&value}, settingSQL, name)
		return err
	})
	return value, refusal(err)
}

// SetSetting implements control.Facts; control.ErrDenied without the operator's account in scope.
func (s *Store) SetSetting(ctx context.Context, scope account.Scope, name, value string) error {
	if !scope.Has(account.Operator) {
		return fmt.Errorf("%w: settings are the operator's", control.ErrDenied)
	}
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		return tx.Post(putSettingSQL, name, account.Operator, value)
	}))
}
