// Package seal encrypts small secrets for a store, so that whoever has a copy of the database has none of the keys in it.
//
// # Failure
//
// What was changed, cut, sealed under another secret or for something else does not open.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrSealed says that something does not open.
var ErrSealed = errors.New("does not open under the secret of this installation")

// SecretSize is how many octets a secret has at least.
const SecretSize = 32

// v1 begins what is sealed by AES-256-GCM with a nonce by chance.
const v1 = 1

// Box seals and opens under one secret. It is safe for concurrent use.
type Box struct {
	aead cipher.AEAD
	root []byte // what is derived comes from it
}

// New makes the box of a secret, which stands outside the store.
func New(secret []byte) (*Box, error) {
	if len(secret) < SecretSize {
		return nil, fmt.Errorf("a secret of %d octets is too short: %d at least", len(secret), SecretSize)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "postroad seal", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	root, err := hkdf.Key(sha256.New, secret, nil, "postroad derive", 32)
	if err != nil {
		return nil, err
	}
	return &Box{aead, root}, nil
}

// Derive gives a secret for one purpose alone, such as "srs NAME": always the same one, from which neither the secret of
// the installation nor that of another purpose can be learned.
func (b *Box) Derive(what string) []byte {
	key, err := hkdf.Expand(sha256.New, b.root, what, SecretSize)
	if err != nil {
		panic(err) // it fails for lengths over 8,160 alone
	}
	return key
}

// Seal encrypts. What it is for is bound to it: it opens for the same words only, such as "tsig-key NAME".
func (b *Box) Seal(plain []byte, what string) []byte {
	return b.aead.Seal([]byte{v1}, nil, plain, []byte(what))
}

// Open decrypts what Seal has made for the same words.
func (b *Box) Open(sealed []byte, what string) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != v1 {
		return nil, ErrSealed
	}
	plain, err := b.aead.Open(nil, nil, sealed[1:], []byte(what))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}
