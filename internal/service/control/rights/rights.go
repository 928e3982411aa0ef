// Package rights says who asks and what they may touch: it finds what an actor names, or refuses as if there were no
// such thing. Every subject of control asks it.
//
// # Failure
//
// What is refused comes as a *words.RefusedError. A thing out of the actor's scope is words.ErrNotFound, never
// words.ErrDenied, so that nobody learns what others have.
package rights

import (
	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/zone"
	"postroad/internal/service/control/words"
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

// State is one consistent view of the configuration, in which actors find what they name.
type State struct {
	Directory *directory.Snapshot
	Accounts  map[account.ID]account.Account
	Sets      zone.Sets // that domains follow
}

// MustOwn refuses an account's things as if they did not exist. The thing is named in command words: "domain".
func (a Actor) MustOwn(id account.ID, thing, subject string) error {
	if a.Scope.Has(id) {
		return nil
	}
	return words.Missing("There is no " + thing + " " + subject + ".")
}

// MustOperate refuses what only the operator may do.
func (a Actor) MustOperate(what string) error {
	if a.Operator {
		return nil
	}
	return words.Denied("Only the operator may " + what + ".")
}

// Account resolves the account a new thing shall belong to, given by id or name, or not at all: the operator's
// for the operator, else the only one in scope.
func (a Actor) Account(st *State, ref string) (account.ID, error) {
	if ref == "" {
		if a.Operator {
			return account.Operator, nil
		}
		if own := a.Scope.Accounts(); len(own) == 1 {
			return own[0], nil
		}
		return "", words.Invalid("The account is not given.", "name it with --account")
	}
	if found, ok := st.Account(ref); ok && a.Scope.Has(found.ID) {
		return found.ID, nil
	}
	return "", words.Missing("There is no account " + words.Quote(ref) + ".")
}

// Account finds an account by its id or its name, in any scope.
func (st *State) Account(ref string) (account.Account, bool) {
	if found, ok := st.Accounts[account.ID(ref)]; ok {
		return found, true
	}
	for _, c := range st.Accounts {
		if c.Name == ref {
			return c, true
		}
	}
	return account.Account{}, false
}

// Domain finds a domain in the actor's scope by a name as people write it.
func (a Actor) Domain(st *State, name string) (*directory.Domain, error) {
	ascii, err := words.DomainName(name)
	if err != nil {
		return nil, err
	}
	d, ok := st.Directory.Domain(ascii)
	if !ok {
		return nil, words.MissingDomain(ascii)
	}
	if err := a.MustOwn(d.Account, "domain", words.Show(ascii)); err != nil {
		return nil, err
	}
	return d, nil
}

// Mailbox finds a mailbox in the actor's scope.
func (a Actor) Mailbox(st *State, address string) (*directory.Mailbox, error) {
	at, err := OwnAddress(address)
	if err != nil {
		return nil, err
	}
	m, ok := st.Directory.Mailbox(at.Domain, at.Local)
	if !ok {
		return nil, words.Missing("There is no mailbox " + at.String() + ".")
	}
	if err := a.MustOwn(m.Account, "mailbox", at.String()); err != nil {
		return nil, err
	}
	return m, nil
}

// Home is the account under which the actor's own doings are recorded.
func (a Actor) Home() account.ID {
	if own := a.Scope.Accounts(); len(own) > 0 {
		return own[0]
	}
	return account.Operator
}
