package transfers

import (
	"context"
	"net"
	"net/netip"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
)

// Store keeps what is configured and what was fetched.
type Store interface {
	// Transfers gives what is configured in scope.
	Transfers(ctx context.Context, scope account.Scope) (transfer.Settings, error)
	// Zone reads one zone that has its home here.
	Zone(ctx context.Context, scope account.Scope, domain string) (zone.Zone, error)
	// Journal gives what led to such a zone's present version, the oldest change first.
	Journal(ctx context.Context, scope account.Scope, domain string) ([]transfer.Step, error)
	// Copy gives what was fetched last of a zone that has its home elsewhere.
	Copy(ctx context.Context, scope account.Scope, domain string) (transfer.Copy, error)
	// CopySerials gives the serials of what was fetched, by domains.
	CopySerials(ctx context.Context, scope account.Scope) (map[string]uint32, error)
	// KeepCopy keeps what was fetched durably, or without records only when it was found to be true still. It keeps
	// nothing, with an error, when the domain is no longer a secondary of that primary.
	KeepCopy(ctx context.Context, scope account.Scope, of transfer.Secondary, c transfer.Copy) error
	// Find records what is wrong with a domain, or forgets it when gone is true.
	Find(ctx context.Context, scope account.Scope, f finding.Finding, gone bool) error
}

// Names answers for zones in DNS.
type Names interface {
	// Prepare makes the answers of a zone; publish puts them in force. An error refuses the zone and says why.
	Prepare(z *zone.Zone) (publish func(), err error)
	// Withdraw ends the answers of a zone, if there are any.
	Withdraw(domain string)
	// Expire has everything about a zone answered with SERVFAIL from now on, until it is published or withdrawn.
	Expire(domain string)
}

// Domains tells of a domain whether its ownership is shown, and whether it is there at all.
type Domains interface {
	Proved(domain string) (proved, there bool)
}

// Box opens the secrets of keys.
type Box interface {
	Open(sealed []byte, what string) ([]byte, error)
}

// Dialer opens connections to other name servers, network "tcp" or "udp".
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Packet is a message that is to be answered. It is good until Serve returns.
type Packet struct {
	Data   []byte // at least a header and a question
	Client netip.AddrPort
	TCP    bool
	// Plain gives the answer to a question as anybody would get it, nil where none is due.
	Plain func(question []byte) []byte
	// Send sends one message of the answer; over TCP there may be several.
	Send func(message []byte) error
}
