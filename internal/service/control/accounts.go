package control

import (
	"context"

	"postroad/internal/service/control/accounts"
	"postroad/internal/service/control/undo"
)

// Accounts in the words of package accounts.
type (
	// AccountInfo is an account as listings show it.
	AccountInfo = undo.Account
	// AccountSettings are what can be chosen for an account; nil leaves it as it is.
	AccountSettings = accounts.Settings
)

// Accounts lists the accounts in scope by name.
func (s *Service) Accounts(actor Actor) []AccountInfo { return accounts.List(actor, s.current.Load()) }

// PlanAccountAdd plans a new account. Operator only.
func (s *Service) PlanAccountAdd(actor Actor, name string) (Plan, error) {
	return s.accounts.PlanAdd(actor, s.current.Load(), name)
}

// PlanAccountSet plans another name for an account, and who is told of what happens to its domains' mail.
func (s *Service) PlanAccountSet(actor Actor, ref string, set AccountSettings) (Plan, error) {
	return s.accounts.PlanSet(actor, s.current.Load(), ref, set)
}

// PlanAccountRemove plans the end of an account and its tokens; its domains must be gone. Operator only.
func (s *Service) PlanAccountRemove(ctx context.Context, actor Actor, ref string) (Plan, error) {
	return s.accounts.PlanRemove(ctx, actor, s.current.Load(), ref)
}
