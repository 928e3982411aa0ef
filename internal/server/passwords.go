package server

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/seal"
	"postroad/internal/proto/sasl"
	"postroad/internal/service/access"
	"postroad/internal/service/control"
)

const (
	// sealedPassword begins what is stored of a password. Without it a verifier lies open, as it was stored before.
	sealedPassword = "sealed:"
	// passwordPurpose is what a sealed verifier is bound to.
	passwordPurpose = "mailbox-password"
)

// passwords writes and reads what is stored of mailboxes' passwords: verifiers (RFC 5802 §3), sealed, so that nobody
// guesses passwords by a copy of the database (docs/durability.md).
type passwords struct{ box *seal.Box }

// verifier makes what is stored of a password.
func (p passwords) verifier(password string) (string, error) {
	salt := make([]byte, sasl.SaltSize)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	v, err := sasl.NewVerifier(password, salt, sasl.DefaultIterations)
	if err != nil {
		return "", err
	}
	return sealedPassword + base64.StdEncoding.EncodeToString(p.box.Seal([]byte(v.String()), passwordPurpose)), nil
}

// open gives the text of the verifier that is stored.
func (p passwords) open(stored string) (string, error) {
	text, sealed := strings.CutPrefix(stored, sealedPassword)
	if !sealed {
		return stored, nil
	}
	octets, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", err
	}
	plain, err := p.box.Open(octets, passwordPurpose)
	return string(plain), err
}

// lookUp has access find verifiers in a store.
func (p passwords) lookUp(in access.Verifiers) access.VerifiersFunc {
	return func(ctx context.Context, scope account.Scope, address string) (string, string, error) {
		box, stored, err := in.Verifier(ctx, scope, address)
		if errors.Is(err, control.ErrNotFound) {
			return "", "", access.ErrNoMailbox
		}
		if err != nil {
			return "", "", err
		}
		text, err := p.open(stored)
		if err != nil {
			return "", "", fmt.Errorf("the password of %s cannot be read: set it again, or bring back %s: %w", address, sealFile, err)
		}
		return box, text, nil
	}
}
