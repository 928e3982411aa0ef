package control

import (
	"cmp"
	"context"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// AccountInfo is an account as listings show it.
type AccountInfo = undo.Account

func accountInfo(st *state, a account.Account) AccountInfo {
	info := AccountInfo{ID: a.ID, Name: a.Name}
	for d := range st.Directory.Domains() {
		if d.Account == a.ID {
			info.Domains++
		}
	}
	return info
}

// Accounts lists the accounts in scope by name.
func (s *Service) Accounts(actor Actor) []AccountInfo {
	st := s.current.Load()
	counts := map[account.ID]int{}
	for d := range st.Directory.Domains() {
		counts[d.Account]++
	}
	out := []AccountInfo{}
	for _, a := range st.Accounts {
		if actor.Scope.Has(a.ID) {
			out = append(out, AccountInfo{ID: a.ID, Name: a.Name, Domains: counts[a.ID]})
		}
	}
	slices.SortFunc(out, func(a, b AccountInfo) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out
}

// PlanAccountAdd plans a new account. Operator only.
func (s *Service) PlanAccountAdd(actor Actor, name string) (Plan, error) {
	st, p := s.plan(actor)
	if err := actor.MustOperate("add accounts"); err != nil {
		return Plan{}, err
	}
	if err := freeAccountName(st, name); err != nil {
		return Plan{}, err
	}
	a := account.Account{ID: account.ID(newID()), Name: name}
	p.Tx.PutAccounts = []account.Account{a}
	p.Record(Change{Kind: KindAccount, Verb: VerbAdd, Subject: name, Account: a.ID, After: AccountInfo{ID: a.ID, Name: name}})
	p.Say("Adds the account %s.", name)
	return p, nil
}

func freeAccountName(st *state, name string) error {
	if err := words.PersonName("account", name); err != nil {
		return err
	}
	if _, taken := st.Account(name); taken {
		return words.Exists("There is an account "+words.Quote(name)+" already.", "")
	}
	return nil
}

// PlanAccountSet plans another name for an account. Operator only.
func (s *Service) PlanAccountSet(actor Actor, ref, name string) (Plan, error) {
	st, p := s.plan(actor)
	a, err := managedAccount(actor, st, ref, "rename accounts")
	if err != nil {
		return Plan{}, err
	}
	if name == a.Name {
		return p, nil
	}
	if err := freeAccountName(st, name); err != nil {
		return Plan{}, err
	}
	before := accountInfo(st, a)
	after := before
	after.Name = name
	p.Tx.PutAccounts = []account.Account{{ID: a.ID, Name: name}}
	p.Record(Change{Kind: KindAccount, Verb: VerbSet, Subject: name, Account: a.ID, Before: before, After: after})
	p.Say("Renames the account %s to %s.", a.Name, name)
	return p, nil
}

// managedAccount finds an account and checks that the actor may manage accounts.
func managedAccount(actor Actor, st *state, ref, what string) (account.Account, error) {
	a, ok := st.Account(ref)
	if !ok || !actor.Scope.Has(a.ID) {
		return account.Account{}, words.Missing("There is no account " + words.Quote(ref) + ".")
	}
	return a, actor.MustOperate(what)
}

// PlanAccountRemove plans the end of an account and its tokens; its domains must be gone. Operator only.
func (s *Service) PlanAccountRemove(ctx context.Context, actor Actor, ref string) (Plan, error) {
	st, p := s.plan(actor)
	a, err := managedAccount(actor, st, ref, "remove accounts")
	if err != nil {
		return Plan{}, err
	}
	if a.ID == account.Operator {
		return Plan{}, words.Denied("The operator's account stays.")
	}
	info := accountInfo(st, a)
	if info.Domains > 0 {
		return Plan{}, &RefusedError{
			Err: ErrInUse, Sentence: "The account " + a.Name + " has " + words.Plural(int64(info.Domains), "domain", "domains") + ".", Hint: "remove them first",
		}
	}
	tokens, err := s.o.Store.Tokens(ctx, account.Of(a.ID))
	if err != nil {
		return Plan{}, err
	}
	p.Remove(KindAccount, string(a.ID))
	for _, t := range tokens {
		p.Remove(KindToken, t.ID)
	}
	p.Record(Change{Kind: KindAccount, Verb: VerbRemove, Subject: a.Name, Account: a.ID, Before: info})
	p.Say("Removes the account %s and %s.", a.Name, words.Plural(int64(len(tokens)), "token", "tokens"))
	return p, nil
}
