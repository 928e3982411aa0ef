package access

import (
	"context"

	"postroad/internal/core/account"
)

// Tokens is what this service needs of the store.
type Tokens interface {
	// Token finds a token by the SHA-256 of its secret; ErrUnknown when there is none.
	Token(ctx context.Context, hash []byte) (Token, error)
}

// Token is a token as it is stored.
type Token struct {
	Name    string
	Account account.ID
	Hash    []byte
}

// TokensFunc is a function that does for Tokens.
type TokensFunc func(ctx context.Context, hash []byte) (Token, error)

// Token calls the function.
func (f TokensFunc) Token(ctx context.Context, hash []byte) (Token, error) { return f(ctx, hash) }
