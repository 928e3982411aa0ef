package control

import (
	"postroad/internal/core/account"
	"postroad/internal/core/directory"
)

// Actor is who asks. The zero value may do nothing.
type Actor struct {
	Name     string // in the audit log: "operator", a token's name
	Scope    account.Scope
	Operator bool // may do what concerns the installation and all accounts
}

// Operator is the actor behind the socket of the data folder.
func Operator() Actor { return Actor{Name: "operator", Scope: account.System(), Operator: true} }

// Customer is an actor that may touch one account only.
func Customer(name string, id account.ID) Actor {
	return Actor{Name: name, Scope: account.Of(id)}
}

// System is the program itself: what it does at the first start and for a demonstration.
func System() Actor { return Actor{Name: "system", Scope: account.System(), Operator: true} }

// All rights are decided in this file.

// mustOwn refuses an account's things as if they did not exist.
func (a Actor) mustOwn(id account.ID, kind Kind, subject string) error {
	if a.Scope.Has(id) {
		return nil
	}
	return missing("There is no " + string(kind) + " " + subject + ".")
}

// mustOperate refuses what only the operator may do.
func (a Actor) mustOperate(what string) error {
	if a.Operator {
		return nil
	}
	return denied("Only the operator may " + what + ".")
}

// account resolves the account a new thing shall belong to, given by id or name, or not at all: the operator's
// for the operator, else the only one in scope.
func (a Actor) account(st *state, ref string) (account.ID, error) {
	if ref == "" {
		if a.Operator {
			return account.Operator, nil
		}
		if own := a.Scope.Accounts(); len(own) == 1 {
			return own[0], nil
		}
		return "", invalid("The account is not given.", "name it with --account")
	}
	if found, ok := findAccount(st, ref); ok && a.Scope.Has(found.ID) {
		return found.ID, nil
	}
	return "", missing("There is no account " + quote(ref) + ".")
}

func findAccount(st *state, ref string) (account.Account, bool) {
	if found, ok := st.accounts[account.ID(ref)]; ok {
		return found, true
	}
	for _, c := range st.accounts {
		if c.Name == ref {
			return c, true
		}
	}
	return account.Account{}, false
}

// domain finds a domain in the actor's scope by a name as people write it.
func (a Actor) domain(st *state, name string) (*directory.Domain, error) {
	ascii, err := domainName(name)
	if err != nil {
		return nil, err
	}
	d, ok := st.snapshot.Domain(ascii)
	if !ok {
		return nil, missing("There is no domain " + show(ascii) + ".")
	}
	if err := a.mustOwn(d.Account, KindDomain, show(ascii)); err != nil {
		return nil, err
	}
	return d, nil
}

// mailbox finds a mailbox in the actor's scope.
func (a Actor) mailbox(st *state, address string) (*directory.Mailbox, error) {
	at, err := ownAddress(address)
	if err != nil {
		return nil, err
	}
	m, ok := st.snapshot.Mailbox(at.Domain, at.Local)
	if !ok {
		return nil, missing("There is no mailbox " + at.String() + ".")
	}
	if err := a.mustOwn(m.Account, KindMailbox, at.String()); err != nil {
		return nil, err
	}
	return m, nil
}
