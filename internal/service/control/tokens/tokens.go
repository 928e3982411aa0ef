// Package tokens is the right to use the API from afar, as actors see, give and take it.
//
// # Failure
//
// A secret is told once and kept nowhere: one that was lost is replaced, never shown again.
package tokens

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
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

// Store keeps tokens.
type Store interface {
	// Tokens lists tokens without their hashes.
	Tokens(ctx context.Context, scope account.Scope) ([]plan.Token, error)
}

// info is a token as listings show it.
func info(t plan.Token) undo.Token {
	return undo.Token{ID: t.ID, Name: t.Name, Account: t.Account, Created: t.Created}
}

// List lists the tokens in scope, oldest first.
func List(ctx context.Context, actor rights.Actor, store Store) ([]undo.Token, error) {
	tokens, err := store.Tokens(ctx, actor.Scope)
	if err != nil {
		return nil, err
	}
	out := make([]undo.Token, 0, len(tokens))
	for _, t := range tokens {
		out = append(out, info(t))
	}
	slices.SortFunc(out, func(a, b undo.Token) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// PlanAdd plans a token for an account, given by id or name; Apply tells its secret. One of the operator's
// account may do everything.
func PlanAdd(actor rights.Actor, st *rights.State, id, name, ref string, now time.Time) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	if err := words.PersonName("token", name); err != nil {
		return plan.Plan{}, err
	}
	owner, err := actor.Account(st, ref)
	if err != nil {
		return plan.Plan{}, err
	}
	if owner == account.Operator {
		if err := actor.MustOperate("make a token that may do everything"); err != nil {
			return plan.Plan{}, err
		}
	}
	t := plan.Token{ID: id, Account: owner, Name: name, Created: now}
	p.Secret, t.Hash = newSecret()
	p.Tx.PutTokens = []plan.Token{t}
	p.Record(plan.Change{Kind: plan.KindToken, Verb: plan.VerbAdd, Subject: name, Account: owner, After: info(t)})
	if owner == account.Operator {
		p.Say("Adds the token %s, which may do everything.", name)
	} else {
		p.Say("Adds the token %s for the account %s.", name, st.Accounts[owner].Name)
	}
	return p, nil
}

// PlanRemove plans the end of a token, given by its id.
func PlanRemove(ctx context.Context, actor rights.Actor, st *rights.State, store Store, id string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	tokens, err := store.Tokens(ctx, actor.Scope)
	if err != nil {
		return plan.Plan{}, err
	}
	i := slices.IndexFunc(tokens, func(t plan.Token) bool { return t.ID == id })
	if i < 0 {
		return plan.Plan{}, words.Missing("There is no token " + words.Quote(id) + ".")
	}
	t := tokens[i]
	p.Remove(plan.KindToken, t.ID)
	p.Record(plan.Change{Kind: plan.KindToken, Verb: plan.VerbRemove, Subject: t.Name, Account: t.Account, Before: info(t)})
	p.Say("Removes the token %s; whoever uses it is locked out.", t.Name)
	return p, nil
}
