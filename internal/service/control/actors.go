package control

import (
	"postroad/internal/core/account"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Actor is who asks. The zero value may do nothing.
type Actor = rights.Actor

// Operator is the actor behind the socket of the data folder.
func Operator() Actor { return rights.Operator() }

// Customer is an actor that may touch one account only.
func Customer(name string, id account.ID) Actor { return rights.Customer(name, id) }

// System is the program itself: what it does at the first start and for a demonstration.
func System() Actor { return rights.System() }

// Secret is a password that somebody chose. It never shows itself.
type Secret = words.Secret

// NewSecret wraps a password.
func NewSecret(text string) *Secret { return words.NewSecret(text) }

// RefusedError is a refusal in words for people.
type RefusedError = words.RefusedError

// Errors of the store and of the service; edges turn them into problems and exit codes.
var (
	// ErrVersion says that somebody changed the configuration since it was read; read again.
	ErrVersion = words.ErrVersion
	// ErrExists says that a name or an address is taken.
	ErrExists = words.ErrExists
	// ErrNotFound says that there is no such thing in scope.
	ErrNotFound = words.ErrNotFound
	// ErrDenied says that the actor may not do this.
	ErrDenied = words.ErrDenied
	// ErrInvalid says that what was asked for makes no sense as it was written.
	ErrInvalid = words.ErrInvalid
	// ErrInUse says that something else must go first.
	ErrInUse = words.ErrInUse
)
