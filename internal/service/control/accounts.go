package control

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/service/control/told"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// AccountInfo is an account as listings show it.
type AccountInfo = undo.Account

func accountInfo(st *state, a account.Account) AccountInfo {
	info := AccountInfo{ID: a.ID, Name: a.Name, Notices: a.Notices}
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
			out = append(out, AccountInfo{ID: a.ID, Name: a.Name, Domains: counts[a.ID], Notices: a.Notices})
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

// AccountSettings are what can be chosen for an account; nil leaves it as it is.
type AccountSettings struct {
	Name    *string   // operator only
	Notices *[]string // addresses that are told of what happens to its domains' mail; none, or "none": no address is set
}

// PlanAccountSet plans another name for an account, and who is told of what happens to its domains' mail.
func (s *Service) PlanAccountSet(actor Actor, ref string, set AccountSettings) (Plan, error) {
	st, p := s.plan(actor)
	a, ok := st.Account(ref)
	if !ok || !actor.Scope.Has(a.ID) {
		return Plan{}, words.Missing("There is no account " + words.Quote(ref) + ".")
	}
	next := a
	if set.Name != nil {
		if err := actor.MustOperate("rename accounts"); err != nil {
			return Plan{}, err
		}
		if next.Name = *set.Name; next.Name != a.Name {
			if err := freeAccountName(st, next.Name); err != nil {
				return Plan{}, err
			}
			p.Say("Renames the account %s to %s.", a.Name, next.Name)
		}
	}
	if set.Notices != nil {
		var err error
		if next.Notices, err = told.Addresses(*set.Notices); err != nil {
			return Plan{}, err
		}
		switch {
		case slices.Equal(next.Notices, a.Notices):
		case len(next.Notices) > 0:
			p.Say("Notices for the account %s go to %s.", next.Name, strings.Join(next.Notices, ", "))
		case a.ID == account.Operator:
			p.Say("Notices for the operator go to postmaster@%s.", s.o.Hostname)
		default:
			p.Say("Notices for the account %s go to the postmaster of the domain concerned, where that is somebody's address here.", next.Name)
		}
	}
	if next.Name == a.Name && slices.Equal(next.Notices, a.Notices) {
		return p, nil
	}
	p.Tx.PutAccounts = []account.Account{next}
	p.Record(Change{Kind: KindAccount, Verb: VerbSet, Subject: next.Name, Account: a.ID, Before: accountInfo(st, a), After: accountInfo(st, next)})
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
