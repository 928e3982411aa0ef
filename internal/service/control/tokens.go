package control

import (
	"context"

	"postroad/internal/core/account"
	"postroad/internal/service/control/tokens"
	"postroad/internal/service/control/undo"
)

// SecretPrefix begins the secret of every token, so that one that leaked is recognised.
const SecretPrefix = tokens.SecretPrefix

// TokenInfo is a token as listings show it.
type TokenInfo = undo.Token

// Tokens lists the tokens in scope, oldest first.
func (s *Service) Tokens(ctx context.Context, actor Actor) ([]TokenInfo, error) {
	return tokens.List(ctx, actor, s.o.Store)
}

// PlanTokenAdd plans a token for an account, given by id or name; Apply tells its secret. One of the operator's
// account may do everything.
func (s *Service) PlanTokenAdd(actor Actor, name, ref string) (Plan, error) {
	return tokens.PlanAdd(actor, s.current.Load(), newID(), name, ref, now())
}

// PlanTokenRemove plans the end of a token, given by its id.
func (s *Service) PlanTokenRemove(ctx context.Context, actor Actor, id string) (Plan, error) {
	return tokens.PlanRemove(ctx, actor, s.current.Load(), s.o.Store, id)
}

// settingFirstToken remembers that the operator's first token was made and shown.
const settingFirstToken = "first_token_made"

// FirstToken makes the operator's token at the first start of an installation and gives its secret, to be shown once.
// Later it gives an empty text.
func (s *Service) FirstToken(ctx context.Context) (string, error) {
	made, err := s.o.Store.Setting(ctx, account.System(), settingFirstToken)
	if err != nil || made != "" {
		return "", err
	}
	applied, err := s.Make(ctx, System(), func() (Plan, error) {
		all, err := s.o.Store.Tokens(ctx, account.System())
		if err != nil || len(all) > 0 { // another node may have made it just now
			return Plan{Actor: System().Name}, err
		}
		return s.PlanTokenAdd(System(), "first start", string(account.Operator))
	})
	if err != nil {
		return "", err
	}
	return applied.Secret, s.o.Store.SetSetting(ctx, account.System(), settingFirstToken, "yes")
}
