// Package zone is what we answer for in DNS: a zone's records, the rules that they keep, and the way from one state of a
// zone to the next (RFC 1034, RFC 1035, RFC 2181, RFC 1982).
//
// # Failure
//
// A Zone that comes from here keeps the rules of Check; whoever builds one otherwise asks Check first.
package zone

import (
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/dnssec"
	"postroad/internal/proto/dns"
)

// Zone is the content of one zone. It belongs to the domain of the same name.
type Zone struct {
	Domain  string // A-label, without the last dot
	Account account.ID
	// Serial is the version of the content (RFC 1982); the SOA record has the same number. It never goes back.
	Serial uint32
	// Changed is when the zone got its serial.
	Changed time.Time
	// Records are what people wrote and follow from settings, the SOA record included, DNSSEC's own left out. They are in
	// the order of dns.Compare, without repetition.
	Records []dns.Record
	// Signatures are what signing has added: DNSKEY, RRSIG, NSEC or NSEC3, NSEC3PARAM, CDS and CDNSKEY, in the order of
	// dns.Compare. They are stored with the zone, so that a start makes none. Empty: the zone is not signed.
	Signatures []dns.Record
	// Signing is how the zone is signed and where its keys are in their lives; nil: it is not signed. Whoever changes it
	// changes a clone.
	Signing *dnssec.Signing
	// NewKeys are the private parts of keys that signing has just made. They are written with the zone and never read
	// with it.
	NewKeys []dnssec.SealedKey
	// Pending: the ownership of the domain is not shown. Only SOA and NS of the apex are answered.
	Pending bool
}

// Apex is the zone's name as records have it: with the last dot.
func (z *Zone) Apex() string { return z.Domain + "." }

// Content is everything that is answered of the zone, signatures included, in the order of dns.Compare, as others fetch
// it (RFC 5936 §3).
func (z *Zone) Content() []dns.Record {
	all := slices.Concat(z.Records, z.Signatures)
	slices.SortFunc(all, dns.Compare)
	return all
}
