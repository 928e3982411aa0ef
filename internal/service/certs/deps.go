package certs

import (
	"context"
	"errors"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
)

// ErrMissing says that there is no such thing in the store.
var ErrMissing = errors.New("there is no such thing in the store")

// Store keeps which names are to have certificates, how far each has come, and what belongs to them.
type Store interface {
	// Certificates lists the names in scope with their status, by name.
	Certificates(ctx context.Context, scope account.Scope) ([]cert.Certificate, error)
	// NoteCertificate records how far a name has come; of one that is gone nothing.
	NoteCertificate(ctx context.Context, scope account.Scope, name string, s cert.Status) error
	// AdviseCertificate records when the authority would like a name's certificate to be renewed, if it is still the one that
	// holds until notAfter.
	AdviseCertificate(ctx context.Context, scope account.Scope, name string, notAfter time.Time, a cert.Advice) error
	Vault
}

// Vault keeps small secrets of the installation, already sealed, and which node does what.
type Vault interface {
	// Asset gives what is kept under a key; ErrMissing.
	Asset(ctx context.Context, scope account.Scope, key string) (Asset, error)
	// Assets lists what is kept under keys that begin with a text, without values, by key.
	Assets(ctx context.Context, scope account.Scope, prefix string) ([]Asset, error)
	// ChangeAssets drops what is kept under keys that are among drop or below one of them, then keeps what is in put, in one
	// durable transaction.
	ChangeAssets(ctx context.Context, scope account.Scope, put []Asset, drop []string) error
	// Lease has a holder do something alone until a time, or for longer; false when somebody else has leased it, whose time is
	// not over.
	Lease(ctx context.Context, scope account.Scope, name, holder string, now, until time.Time) (bool, error)
	// EndLease ends it, if it is the holder's.
	EndLease(ctx context.Context, scope account.Scope, name, holder string) error
}

// Asset is something that the vault keeps.
type Asset struct {
	Key      string // parts joined by slashes
	Value    []byte
	Modified time.Time
}

// Box seals what is kept.
type Box interface {
	Seal(plain []byte, what string) []byte
	Open(sealed []byte, what string) ([]byte, error)
}

// World is what DNS says.
type World interface {
	Addrs(ctx context.Context, host string) facts.AddrAnswer
	Recursive(ctx context.Context, name string, kind dns.Type) facts.Answer
	Delegation(ctx context.Context, name string) facts.Delegation
	Everywhere(ctx context.Context, servers []facts.NameServer, name string, kind dns.Type) []facts.Answer
	Flush(name string)
}

// Configuration is what people have configured, and what the program changes of it by itself.
type Configuration interface {
	Directory() *directory.Snapshot
	// KeepCertificates adds names and drops others.
	KeepCertificates(ctx context.Context, put []cert.Name, drop []string) error
	// PutText adds a TXT record to the zone of a domain that is hosted here, and DropText takes it away again; the owner is a
	// name without last dot. A record that is there already, or gone, is no error.
	PutText(ctx context.Context, domain, owner, text string) error
	DropText(ctx context.Context, domain, owner, text string) error
}

// Findings is where it is kept what is wrong.
type Findings interface {
	// Findings lists those of one domain, or of all (empty).
	Findings(ctx context.Context, domain string) ([]finding.Finding, error)
	// Find records a finding, or forgets it when gone is true.
	Find(ctx context.Context, f finding.Finding, gone bool) error
}
