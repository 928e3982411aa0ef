// Package account names the customers of an installation and the scope of what a caller may touch.
//
// Every row that belongs to somebody carries an account ID; every store method takes a Scope as its
// first argument after the context, so that no statement can forget to ask whose data it reads.
package account

import "slices"

// ID names an account: a random text of 26 characters, never reused. The zero value belongs to nobody.
type ID string

// Operator is the account of whoever runs the installation. It exists from the first start and owns what
// nobody else owns.
const Operator ID = "operator"

// Account is a customer; it owns domains.
type Account struct {
	ID   ID
	Name string // shown to people; unique, 1 to 100 characters
	// Notices are the addresses that are told of what happens to the mail of its domains; see service/notices for who is
	// told without any.
	Notices []string
}

// Scope is the set of accounts that an operation may read and write: a list, or the whole system.
// The zero value allows nothing.
type Scope struct {
	system   bool
	accounts []ID
}

// System is the scope of the program itself and of its operator: every account.
func System() Scope { return Scope{system: true} }

// Of is the scope of the given accounts. Without any it allows nothing.
func Of(ids ...ID) Scope { return Scope{accounts: slices.Clone(ids)} }

// IsSystem reports whether every account is in scope.
func (s Scope) IsSystem() bool { return s.system }

// Accounts lists the accounts in scope; nil when the scope is the system or empty.
func (s Scope) Accounts() []ID { return slices.Clone(s.accounts) }

// Has reports whether the account's rows may be touched.
func (s Scope) Has(id ID) bool { return s.system || slices.Contains(s.accounts, id) }
