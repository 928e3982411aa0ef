// Package transfer says who exchanges whole zones with us: keys, peers that may have a zone or are told of its changes,
// primaries of zones that we serve as a secondary, and catalogs (RFC 5936, RFC 1995, RFC 1996, RFC 8945, RFC 9432).
package transfer

import (
	"net/netip"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/proto/dns"
)

// Key is a TSIG key (RFC 8945). Its name is unique in the installation: it is all that a message says of it.
type Key struct {
	ID        string
	Account   account.ID
	Name      string // in lower case, without the last dot
	Algorithm dns.MAC
	Sealed    []byte // the secret, sealed for SealedFor
	Created   time.Time
}

// SealedFor is what the secret of the key with the name is sealed for.
func SealedFor(name string) string { return "tsig-key " + name }

// Peer is somebody who may have a zone, or a server that is told when it changes. Each row is one of both.
type Peer struct {
	ID       string
	Account  account.ID
	Zone     string         // a domain, or a catalog and every zone in it
	Key      string         // name of the key that it must sign with, or that we sign with; empty for none
	Networks []netip.Prefix // where it asks from; empty: from anywhere, under the key
	Notify   netip.AddrPort // the server that is told; then it may nothing
	Operator bool           // set by the operator: an address that is none of the public Internet is dialled too
}

// Tells reports whether the peer is a server that is told of changes.
func (p *Peer) Tells() bool { return p.Notify.IsValid() }

// Admits reports whether the peer is somebody who asks from the address under the key (empty for none), so that it may
// have the zone. One without a key and without networks admits nobody.
func (p *Peer) Admits(client netip.Addr, key string) bool {
	if p.Tells() || p.Key == "" && len(p.Networks) == 0 || p.Key != "" && p.Key != key {
		return false
	}
	client = client.Unmap()
	return len(p.Networks) == 0 || slices.ContainsFunc(p.Networks, func(n netip.Prefix) bool { return n.Contains(client) })
}

// Secondary is a domain whose zone has its home at another server, the primary: we fetch it and answer for it.
type Secondary struct {
	Domain   string
	Account  account.ID
	Primary  netip.AddrPort
	Key      string // name of the key to ask with, and to be told with; empty for none
	Operator bool   // set by the operator: an address that is none of the public Internet is dialled too
}

// Catalog is a zone that lists others, so that secondaries take them up by themselves (RFC 9432).
type Catalog struct {
	Name    string // in lower case, without the last dot
	Account account.ID
	Every   bool // it lists the zones of all accounts, not only those of its own
}

// Settings are all of these, as people configured them.
type Settings struct {
	Keys        []Key
	Peers       []Peer
	Secondaries []Secondary
	Catalogs    []Catalog
}

// Copy is what is known of the zone of a Secondary.
type Copy struct {
	Refreshed time.Time // when the primary last said that this is its content; the zero value: never
	// Content has the records in Records, those that signing makes in Signatures, each in the order of dns.Compare.
	Serial              uint32
	Records, Signatures []dns.Record
}

// Step is one entry of the journal of a zone: what led from a version to the next, signatures included, the SOA records
// first.
type Step struct {
	From, To uint32
	dns.Difference
}

// Chain gives the steps that lead from one version to another; nil when there are none.
func Chain(journal []Step, from, to uint32) []Step {
	for i := range journal {
		if journal[i].From != from {
			continue
		}
		at := from
		for n, s := range journal[i:] {
			if s.From != at {
				break
			}
			if at = s.To; at == to {
				return journal[i : i+n+1]
			}
		}
	}
	return nil
}
