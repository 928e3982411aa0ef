package control

import (
	"context"
	"fmt"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/service/control"
	"postroad/internal/store/sqldb"
)

const (
	settingSQL    sqldb.Stmt = `SELECT value FROM setting WHERE name = $1 AND @scope(account_id)`
	putSettingSQL sqldb.Stmt = `INSERT INTO setting (name, account_id, value) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE @scope(setting.account_id)`
	firstSettingSQL sqldb.Stmt = `INSERT INTO setting (name, account_id, value) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET value = CASE WHEN setting.value = '' THEN excluded.value ELSE setting.value END
		WHERE @scope(setting.account_id) RETURNING value`

	leaseSQL sqldb.Stmt = `INSERT INTO lease (name, account_id, holder, until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
		WHERE (lease.holder = excluded.holder OR lease.until <= $5) AND @scope(lease.account_id) RETURNING holder`
	endLeaseSQL sqldb.Stmt = `DELETE FROM lease WHERE name = $1 AND holder = $2 AND @scope(account_id)`
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

// FirstSetting gives the value of a setting, which is the one given where it had none: of several nodes that do so at once, all
// get the same. control.ErrDenied without the operator's account in scope.
func (s *Store) FirstSetting(ctx context.Context, scope account.Scope, name, value string) (string, error) {
	if !scope.Has(account.Operator) {
		return "", fmt.Errorf("%w: settings are the operator's", control.ErrDenied)
	}
	var got string
	err := s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		_, err := tx.Row([]any{&got}, firstSettingSQL, name, account.Operator, value)
		return err
	})
	return got, refusal(err)
}

// Lease has a holder do something for the installation until a moment, and reports whether it may: nobody else has leased it
// beyond now. A holder that leases it again goes on. control.ErrDenied without the operator's account in scope.
func (s *Store) Lease(ctx context.Context, scope account.Scope, name, holder string, now, until time.Time) (bool, error) {
	if !scope.Has(account.Operator) {
		return false, fmt.Errorf("%w: what is done for the installation is the operator's", control.ErrDenied)
	}
	var mine bool
	err := s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		var by string
		var err error
		mine, err = tx.Row([]any{&by}, leaseSQL, name, account.Operator, holder, sqldb.Micros(until), sqldb.Micros(now))
		return err
	})
	return mine && err == nil, refusal(err)
}

// EndLease ends what a holder has leased; that of another one goes on. control.ErrDenied without the operator's account in scope.
func (s *Store) EndLease(ctx context.Context, scope account.Scope, name, holder string) error {
	if !scope.Has(account.Operator) {
		return fmt.Errorf("%w: what is done for the installation is the operator's", control.ErrDenied)
	}
	return refusal(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error { return tx.Post(endLeaseSQL, name, holder) }))
}
