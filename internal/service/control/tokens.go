package control

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// SecretPrefix begins the secret of every token, so that one that leaked is recognised.
const SecretPrefix = "pr_"

// newSecret makes the secret of a token, 260 random bits, and its SHA-256, which is all that is kept.
func newSecret() (secret string, hash []byte) {
	secret = SecretPrefix + strings.ToLower(rand.Text()+rand.Text())
	sum := sha256.Sum256([]byte(secret))
	return secret, sum[:]
}

// TokenInfo is a token as listings show it.
type TokenInfo = undo.Token

func tokenInfo(t Token) TokenInfo {
	return TokenInfo{ID: t.ID, Name: t.Name, Account: t.Account, Created: t.Created}
}

// Tokens lists the tokens in scope, oldest first.
func (s *Service) Tokens(ctx context.Context, actor Actor) ([]TokenInfo, error) {
	tokens, err := s.o.Store.Tokens(ctx, actor.Scope)
	if err != nil {
		return nil, err
	}
	out := make([]TokenInfo, 0, len(tokens))
	for _, t := range tokens {
		out = append(out, tokenInfo(t))
	}
	slices.SortFunc(out, func(a, b TokenInfo) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// PlanTokenAdd plans a token for an account, given by id or name; Apply tells its secret. One of the operator's
// account may do everything.
func (s *Service) PlanTokenAdd(actor Actor, name, ref string) (Plan, error) {
	st, p := s.plan(actor)
	if err := words.PersonName("token", name); err != nil {
		return Plan{}, err
	}
	owner, err := actor.Account(st, ref)
	if err != nil {
		return Plan{}, err
	}
	if owner == account.Operator {
		if err := actor.MustOperate("make a token that may do everything"); err != nil {
			return Plan{}, err
		}
	}
	t := Token{ID: newID(), Account: owner, Name: name, Created: now()}
	p.Secret, t.Hash = newSecret()
	p.Tx.PutTokens = []Token{t}
	p.Record(Change{Kind: KindToken, Verb: VerbAdd, Subject: name, Account: owner, After: tokenInfo(t)})
	if owner == account.Operator {
		p.Say("Adds the token %s, which may do everything.", name)
	} else {
		p.Say("Adds the token %s for the account %s.", name, st.Accounts[owner].Name)
	}
	return p, nil
}

// PlanTokenRemove plans the end of a token, given by its id.
func (s *Service) PlanTokenRemove(ctx context.Context, actor Actor, id string) (Plan, error) {
	_, p := s.plan(actor)
	tokens, err := s.o.Store.Tokens(ctx, actor.Scope)
	if err != nil {
		return Plan{}, err
	}
	i := slices.IndexFunc(tokens, func(t Token) bool { return t.ID == id })
	if i < 0 {
		return Plan{}, words.Missing("There is no token " + words.Quote(id) + ".")
	}
	t := tokens[i]
	p.Remove(KindToken, t.ID)
	p.Record(Change{Kind: KindToken, Verb: VerbRemove, Subject: t.Name, Account: t.Account, Before: tokenInfo(t)})
	p.Say("Removes the token %s; whoever uses it is locked out.", t.Name)
	return p, nil
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
	tokens, err := s.o.Store.Tokens(ctx, account.System())
	if err != nil {
		return "", err
	}
	secret := ""
	if len(tokens) == 0 {
		p, err := s.PlanTokenAdd(System(), "first start", string(account.Operator))
		if err != nil {
			return "", err
		}
		applied, err := s.Apply(ctx, System(), p)
		if err != nil {
			return "", err
		}
		secret = applied.Secret
	}
	return secret, s.o.Store.SetSetting(ctx, account.System(), settingFirstToken, "yes")
}
