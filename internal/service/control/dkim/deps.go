package dkim

import (
	"context"

	"postroad/internal/core/account"
	"postroad/internal/core/dkimkey"
	"postroad/internal/core/facts"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
)

// Store keeps the keys of domains.
type Store interface {
	// DKIM gives how a domain's mail is signed; words.ErrNotFound where nobody has said it and no keys were made.
	DKIM(ctx context.Context, scope account.Scope, domain string) (dkimkey.Domain, error)
	// DKIMDomains lists all, by domain.
	DKIMDomains(ctx context.Context, scope account.Scope) ([]dkimkey.Domain, error)
}

// Zones is where zones are kept.
type Zones interface {
	// Zone reads one zone; words.ErrNotFound.
	Zone(ctx context.Context, scope account.Scope, domain string) (zone.Zone, error)
}

// Resolver asks public DNS.
type Resolver interface {
	// Recursive asks for records of a type, past any cache of ours.
	Recursive(ctx context.Context, name string, kind dns.Type) facts.Answer
}

// Seal keeps secrets from whoever has a copy of the store.
type Seal interface {
	Seal(plain []byte, what string) []byte
}
