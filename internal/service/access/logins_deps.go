package access

import (
	"context"
	"errors"

	"postroad/internal/core/account"
	"postroad/internal/core/routing"
)

// ErrNoMailbox says that no mailbox has an address, or that it has no password.
var ErrNoMailbox = errors.New("no mailbox of this address")

// Verifiers is what logins need of the store.
type Verifiers interface {
	// Verifier gives the id and the stored form of the password (RFC 5803) of the mailbox with an address;
	// ErrNoMailbox when there is none. Any other error is temporary.
	Verifier(ctx context.Context, scope account.Scope, address string) (mailbox, verifier string, err error)
}

// VerifiersFunc is a function that does for Verifiers.
type VerifiersFunc func(ctx context.Context, scope account.Scope, address string) (mailbox, verifier string, err error)

// Verifier calls the function.
func (f VerifiersFunc) Verifier(ctx context.Context, scope account.Scope, address string) (mailbox, verifier string, err error) {
	return f(ctx, scope, address)
}

// Directory gives the view that says which domains are proved and whose a mailbox is.
type Directory interface {
	View() routing.View
}
