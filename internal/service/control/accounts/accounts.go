// Package accounts shows and plans the customers of an installation.
package accounts

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/told"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// Store keeps the tokens of accounts.
type Store interface {
	// Tokens lists tokens without their hashes.
	Tokens(ctx context.Context, scope account.Scope) ([]plan.Token, error)
}

// Access is what accounts are planned with.
type Access struct {
	Store    Store
	Hostname string // of the installation
	NewID    func() string
}

func show(st *rights.State, a account.Account) undo.Account {
	info := undo.Account{ID: a.ID, Name: a.Name, Notices: a.Notices}
	for d := range st.Directory.Domains() {
		if d.Account == a.ID {
			info.Domains++
		}
	}
	return info
}

// List lists the accounts in scope by name.
func List(actor rights.Actor, st *rights.State) []undo.Account {
	counts := map[account.ID]int{}
	for d := range st.Directory.Domains() {
		counts[d.Account]++
	}
	out := []undo.Account{}
	for _, a := range st.Accounts {
		if actor.Scope.Has(a.ID) {
			out = append(out, undo.Account{ID: a.ID, Name: a.Name, Domains: counts[a.ID], Notices: a.Notices})
		}
	}
	slices.SortFunc(out, func(a, b undo.Account) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out
}

// PlanAdd plans a new account. Operator only.
func (x *Access) PlanAdd(actor rights.Actor, st *rights.State, name string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	if err := actor.MustOperate("add accounts"); err != nil {
		return plan.Plan{}, err
	}
	if err := free(st, name); err != nil {
		return plan.Plan{}, err
	}
	a := account.Account{ID: account.ID(x.NewID()), Name: name}
	p.Tx.PutAccounts = []account.Account{a}
	p.Record(plan.Change{Kind: plan.KindAccount, Verb: plan.VerbAdd, Subject: name, Account: a.ID, After: undo.Account{ID: a.ID, Name: name}})
	p.Say("Adds the account %s.", name)
	return p, nil
}

func free(st *rights.State, name string) error {
	if err := words.PersonName("account", name); err != nil {
		return err
	}
	if _, taken := st.Account(name); taken {
		return words.Exists("There is an account "+words.Quote(name)+" already.", "")
	}
	return nil
}

// Settings are what can be chosen for an account; nil leaves it as it is.
type Settings struct {
	Name    *string   // operator only
	Notices *[]string // addresses that are told of what happens to its domains' mail; none, or "none": no address is set
}

// PlanSet plans another name for an account, and who is told of what happens to its domains' mail.
func (x *Access) PlanSet(actor rights.Actor, st *rights.State, ref string, set Settings) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	a, ok := st.Account(ref)
	if !ok || !actor.Scope.Has(a.ID) {
		return plan.Plan{}, words.Missing("There is no account " + words.Quote(ref) + ".")
	}
	next := a
	if set.Name != nil {
		if err := actor.MustOperate("rename accounts"); err != nil {
			return plan.Plan{}, err
		}
		if next.Name = *set.Name; next.Name != a.Name {
			if err := free(st, next.Name); err != nil {
				return plan.Plan{}, err
			}
			p.Say("Renames the account %s to %s.", a.Name, next.Name)
		}
	}
	if set.Notices != nil {
		var err error
		if next.Notices, err = told.Addresses(*set.Notices); err != nil {
			return plan.Plan{}, err
		}
		switch {
		case slices.Equal(next.Notices, a.Notices):
		case len(next.Notices) > 0:
			p.Say("Notices for the account %s go to %s.", next.Name, strings.Join(next.Notices, ", "))
		case a.ID == account.Operator:
			p.Say("Notices for the operator go to postmaster@%s.", x.Hostname)
		default:
			p.Say("Notices for the account %s go to the postmaster of the domain concerned, where that is somebody's address here.", next.Name)
		}
	}
	if next.Name == a.Name && slices.Equal(next.Notices, a.Notices) {
		return p, nil
	}
	p.Tx.PutAccounts = []account.Account{next}
	p.Record(plan.Change{Kind: plan.KindAccount, Verb: plan.VerbSet, Subject: next.Name, Account: a.ID, Before: show(st, a), After: show(st, next)})
	return p, nil
}

// managed finds an account and checks that the actor may manage accounts.
func managed(actor rights.Actor, st *rights.State, ref, what string) (account.Account, error) {
	a, ok := st.Account(ref)
	if !ok || !actor.Scope.Has(a.ID) {
		return account.Account{}, words.Missing("There is no account " + words.Quote(ref) + ".")
	}
	return a, actor.MustOperate(what)
}

// PlanRemove plans the end of an account and its tokens; its domains must be gone. Operator only.
func (x *Access) PlanRemove(ctx context.Context, actor rights.Actor, st *rights.State, ref string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	a, err := managed(actor, st, ref, "remove accounts")
	if err != nil {
		return plan.Plan{}, err
	}
	if a.ID == account.Operator {
		return plan.Plan{}, words.Denied("The operator's account stays.")
	}
	info := show(st, a)
	if info.Domains > 0 {
		return plan.Plan{}, &words.RefusedError{
			Err: words.ErrInUse, Sentence: "The account " + a.Name + " has " + words.Plural(int64(info.Domains), "domain", "domains") + ".", Hint: "remove them first",
		}
	}
	tokens, err := x.Store.Tokens(ctx, account.Of(a.ID))
	if err != nil {
		return plan.Plan{}, err
	}
	p.Remove(plan.KindAccount, string(a.ID))
	for _, t := range tokens {
		p.Remove(plan.KindToken, t.ID)
	}
	for _, o := range st.Directory.Outbounds() {
		if o.Account == a.ID { // for addresses elsewhere: the others are in domains
			p.Remove(plan.KindOutbound, o.ID)
			p.Delta.RemoveOutbounds = append(p.Delta.RemoveOutbounds, o.ID)
		}
	}
	for r := range st.Directory.SendingRules() {
		if r.Account == a.ID {
			p.Tx.PutSenders = append(p.Tx.PutSenders, sending.Rule{Key: r.Key})
		}
	}
	p.Delta.PutSenders = p.Tx.PutSenders
	p.Record(plan.Change{Kind: plan.KindAccount, Verb: plan.VerbRemove, Subject: a.Name, Account: a.ID, Before: info})
	p.Say("Removes the account %s and %s.", a.Name, words.Plural(int64(len(tokens)), "token", "tokens"))
	if len(p.Tx.PutSenders) > 0 {
		p.Say("Limits and pauses of what its users have sent go with it.")
	}
	return p, nil
}

// PlanRestore plans an account that was removed under its old id, by which the audit log names it.
func (x *Access) PlanRestore(actor rights.Actor, st *rights.State, was *undo.Account) (plan.Plan, error) {
	p, err := x.PlanAdd(actor, st, was.Name)
	if err != nil {
		return plan.Plan{}, err
	}
	p.Tx.PutAccounts = []account.Account{{ID: was.ID, Name: was.Name, Notices: was.Notices}}
	p.Changes[0].Account, p.Changes[0].After = was.ID, undo.Account{ID: was.ID, Name: was.Name, Notices: was.Notices}
	return p, nil
}
