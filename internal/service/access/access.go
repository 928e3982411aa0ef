// Package access tells who a caller is: the operator behind the socket, or the bearer of a token (RFC 6750).
//
// The secret of a token is 260 random bits behind the prefix "pr_"; only its SHA-256 is kept, which is enough for a
// secret that nobody can guess. What an identity may do is decided by service/control.
//
// # Failure
//
// ErrUnknown says that there is no such token; it is the same for one that is malformed, was never made, or was
// revoked. Other errors are the store's and temporary.
package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"postroad/internal/core/account"
)

// ErrUnknown says that a secret belongs to no token.
var ErrUnknown = errors.New("unknown token")

// Identity is who a caller is.
type Identity struct {
	Name     string     // for the audit log
	Account  account.ID // whose things it may touch
	Operator bool       // may touch everything
}

// Socket is the identity of whoever could open the socket in the data folder: the operator.
func Socket() Identity {
	return Identity{Name: "operator", Account: account.Operator, Operator: true}
}

// Service knows the tokens.
type Service struct {
	tokens Tokens
}

// New makes a service over the tokens' store.
func New(tokens Tokens) *Service { return &Service{tokens: tokens} }

// Bounds of a secret's length, so that no long text is hashed.
const (
	minSecret = 20
	maxSecret = 200
)

// Bearer tells who the bearer of a secret is; ErrUnknown.
func (s *Service) Bearer(ctx context.Context, secret string) (Identity, error) {
	if len(secret) < minSecret || len(secret) > maxSecret || !strings.HasPrefix(secret, "pr_") {
		return Identity{}, ErrUnknown
	}
	sum := sha256.Sum256([]byte(secret))
	t, err := s.tokens.Token(ctx, sum[:])
	if err != nil {
		if errors.Is(err, ErrUnknown) {
			return Identity{}, ErrUnknown
		}
		return Identity{}, fmt.Errorf("token: %w", err)
	}
	// The store compares by its own means; what it found is held against the whole hash in constant time.
	if subtle.ConstantTimeCompare(t.Hash, sum[:]) != 1 || t.Account == "" {
		return Identity{}, ErrUnknown
	}
	return Identity{Name: "token " + t.Name, Account: t.Account, Operator: t.Account == account.Operator}, nil
}
