package dkim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postroad/internal/proto/idna"
	"postroad/internal/proto/message"
)

// Algorithm is how a hash is signed.
type Algorithm string

// The algorithms.
const (
	RSA     Algorithm = "rsa-sha256"     // RFC 6376 §3.3.2
	Ed25519 Algorithm = "ed25519-sha256" // RFC 8463
	// rsaSHA1 is refused (RFC 8301).
	rsaSHA1 Algorithm = "rsa-sha1"
)

// keyType is the word of k= in a key record for an algorithm.
func (a Algorithm) keyType() string {
	if a == Ed25519 {
		return "ed25519"
	}
	return "rsa"
}

// Errors of signatures that can be read and are not accepted all the same.
var (
	// ErrWeak: nobody may take such a signature for proof.
	ErrWeak = errors.New("too weak")
	// ErrUnfit: something that has to be there is not, or contradicts the rest.
	ErrUnfit = errors.New("unfit")
)

// Signature is a signature field: what DKIM-Signature, ARC-Message-Signature and ARC-Seal have in common.
type Signature struct {
	// Field is the field as it stands in the message.
	Field message.Field
	Tags  Tags
	// Algorithm is the value of a=.
	Algorithm Algorithm
	// Domain and Selector are the values of d= and s=, in lower case, as A-labels.
	Domain, Selector string
	// Value is the signature itself, of b=.
	Value []byte
	// Time is when it was made, of t=; may be zero.
	Time time.Time
}

// KeyName is where the key is published in DNS (RFC 6376 §3.6.2.1).
func (s *Signature) KeyName() string { return KeyName(s.Selector, s.Domain) }

// KeyName is where a domain publishes the key of a selector.
func KeyName(selector, domain string) string { return selector + "._domainkey." + domain }

// ParseSignature reads a signature field. The error is [ErrSyntax], or [ErrWeak] for SHA-1; what could be read is given
// in both cases.
func ParseSignature(field message.Field) (*Signature, error) {
	s := &Signature{Field: field}
	var err error
	if s.Tags, err = ParseTags(field.Text()); err != nil {
		return s, err
	}
	name := func(tag string) string {
		value, missing := s.Tags.Need(tag)
		if err = errors.Join(err, missing); missing != nil {
			return ""
		}
		ascii, bad := idna.ToASCIIService(value)
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("%w: %s=%s is no name of DNS", ErrSyntax, tag, cut(value)))
		}
		return ascii
	}
	s.Domain, s.Selector = name("d"), name("s")
	if len(s.KeyName()) > idna.MaxName {
		err = errors.Join(err, fmt.Errorf("%w: s= and d= are too long together", ErrSyntax))
	}
	algorithm, missing := s.Tags.Need("a")
	s.Algorithm = Algorithm(algorithm)
	var bad [2]error
	s.Value, bad[0] = s.Tags.Base64("b")
	s.Time, bad[1] = s.Tags.Time("t")
	if err = errors.Join(err, missing, bad[0], bad[1]); err != nil {
		return s, first(err)
	}
	switch s.Algorithm {
	case RSA, Ed25519:
		return s, nil
	case rsaSHA1:
		return s, fmt.Errorf("%w: it is made with SHA-1, which anybody can forge (RFC 8301)", ErrWeak)
	}
	return s, fmt.Errorf("%w: a=%s is not known", ErrSyntax, cut(algorithm))
}

// first is the first of joined errors: one sentence is enough for people.
func first(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return first(joined.Unwrap()[0])
	}
	return err
}

// Coverage is what a signature of a message covers, and how.
type Coverage struct {
	Header, Body Canonicalization
	// Names are the fields that are signed, in lower case, of h=.
	Names []string
	// BodyHash is the value of bh=.
	BodyHash []byte
}

// Coverage reads what the signature covers. The error is [ErrSyntax], or [ErrWeak] for l=.
func (s *Signature) Coverage() (Coverage, error) {
	var c Coverage
	var err error
	c.Header, c.Body = Simple, Simple
	if value, ok := s.Tags.Get("c"); ok {
		if c.Header, c.Body, err = ParseCanonicalization(value); err != nil {
			return c, err
		}
	}
	if c.BodyHash, err = s.Tags.Base64("bh"); err != nil {
		return c, err
	}
	names, ok := s.Tags.Get("h")
	if !ok {
		return c, fmt.Errorf("%w: h= is missing", ErrSyntax)
	}
	c.Names = List(strings.ToLower(names))
	if methods, ok := s.Tags.Get("q"); ok && !slices.Contains(List(methods), "dns/txt") {
		return c, fmt.Errorf("%w: q=%s is not known", ErrSyntax, cut(methods))
	}
	if _, ok := s.Tags.Get("l"); ok {
		return c, fmt.Errorf("%w: l= leaves the end of the body unsigned, where anybody can add what he likes", ErrWeak)
	}
	return c, nil
}
