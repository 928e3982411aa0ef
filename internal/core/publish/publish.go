// Package publish is the right to write into a zone that others answer for.
package publish

import (
	"errors"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/proto/dns"
)

// ErrChanged says that records are not as they were when a change of them was planned: nothing was written.
var ErrChanged = errors.New("the records have changed since")

// Provider is where the zone of a domain is, and how it is written to. It belongs to the domain's account.
type Provider struct {
	Domain    string
	Account   account.ID
	Kind      string // rfc2136, or the name of a service
	Zone      string // the zone there, without the last dot: the domain's own, or one above
	Server    string // rfc2136: host:port of the primary; else the base URL of the service's interface, empty for its own
	Key       string // rfc2136: name of the TSIG key, with the last dot
	Algorithm dns.MAC
	Sealed    []byte // the key's secret, or a token, sealed for SealedFor
	Operator  bool   // the operator named it, and may name what is not public
	Created   time.Time
}

// SealedFor is what the secret of a domain's provider is sealed for.
func SealedFor(domain string) string { return "dns-provider " + domain }

// Access is a provider with its secret open.
type Access struct {
	Provider
	Secret []byte
}

// Set names an RRset.
type Set struct {
	Name string // absolute
	Type dns.Type
}
