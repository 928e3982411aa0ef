// Package facts is what has been observed of the world: DNS answers with their status, their source and their
// age (RFC 1034, RFC 2308, RFC 7505).
//
// Whoever decides (core/routing, core/finding) takes facts as arguments and never fetches them; whoever fetches
// (service/resolver) never decides. A fact always says where it comes from and when it was learned, so that an
// explanation can show it.
//
// # Failure
//
// A look-up that failed is a fact too: its status is Temporary and its Origin tells what was asked and heard.
// Temporary never means "there is none". The zero Status is no answer at all and equals none of the names.
package facts

import (
	"fmt"
	"net/netip"
	"time"
)

// Status is the outcome of one look-up.
type Status uint8

// The outcomes of a look-up. Only NXDomain and NoData are statements that something does not exist.
const (
	// Found: there are records of the type asked for.
	Found Status = iota + 1
	// NoData: the name exists, but has no record of the type asked for (RFC 2308 §2.2).
	NoData
	// NXDomain: the name does not exist (RFC 2308 §2.1).
	NXDomain
	// Temporary: nothing is known. SERVFAIL, REFUSED, FORMERR, a timeout, a malformed answer, a referral.
	Temporary
)

// String gives the status in the words of logs, traces and explanations.
func (s Status) String() string {
	switch s {
	case Found:
		return "found"
	case NoData:
		return "no data"
	case NXDomain:
		return "no such domain"
	case Temporary:
		return "temporary failure"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// MarshalText makes the status its word in JSON.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Origin says where a fact comes from and how long it may be used.
type Origin struct {
	// Source is who told it: "resolver 127.0.0.1:53", "cache" for an answer kept from before, "literal" for an
	// address written in place of a name, "local" for names that are never asked (RFC 6761).
	Source string
	// At is when it was learned: for a cached answer the time of the question to the server.
	At time.Time
	// TTL is how long from At on it may be used.
	TTL time.Duration
	// Detail says in a few words what was asked and heard: "SERVFAIL from 127.0.0.1:53". It is plain ASCII
	// without control characters, whatever the server sent.
	Detail string
}

// Age is the time since the fact was learned, never negative.
func (o Origin) Age(now time.Time) time.Duration { return max(0, now.Sub(o.At)) }

// Expires is the moment from which the fact may not be used any more.
func (o Origin) Expires() time.Time { return o.At.Add(o.TTL) }

// MX is one exchanger of a domain (RFC 5321 §5.1).
type MX struct {
	// Preference is the rank, 0 to 65535; lower is better.
	Preference uint16
	// Host is the exchanger's name as a lower-case A-label without trailing dot, never empty and never ".". An
	// address in the place of a name is kept as it stands, for diagnosis.
	Host string
}

// MXAnswer is what DNS says about the exchangers of a name.
//
// Found with no Records and Null unset means that MX records exist but none names a usable host: there is no
// implicit exchanger then (RFC 5321 §5.1).
type MXAnswer struct {
	// Name is the domain asked for, lower-case, without trailing dot.
	Name   string
	Status Status
	// Records in the order of the answer. The slice belongs to the caller.
	Records []MX
	// Null: the domain says that it takes no mail, by the single record "0 ." (RFC 7505). Records is empty.
	Null bool
	Origin
}

// AddrAnswer is what DNS says about the addresses of a host, over both families.
type AddrAnswer struct {
	// Name is the host asked for, lower-case, without trailing dot.
	Name string
	// Status is Found if either family has an address; Temporary if none was found and either look-up failed;
	// else NXDomain or NoData.
	Status Status
	// Addrs of both families, IPv6 first within the order of each answer. They are as DNS gives them:
	// private, loopback and IPv4-mapped ones included. The slice belongs to the caller.
	Addrs []netip.Addr
	// Partial: one family has addresses, the look-up of the other failed for now.
	Partial bool
	// Alias: the name is a CNAME; as an exchanger's name that is a fault of the zone (RFC 2181 §10.3).
	Alias bool
	Origin
}

// TXTAnswer is what DNS says about the texts of a name.
type TXTAnswer struct {
	// Name is the name asked for, lower-case, without trailing dot.
	Name   string
	Status Status
	// Records has one element per TXT record, its character-strings joined without space (RFC 7208 §3.3),
	// octet for octet as in DNS. The slice belongs to the caller.
	Records []string
	Origin
}

// NamesAnswer is what DNS says about the names that an address leads to (RFC 1035 §3.5).
type NamesAnswer struct {
	// Addr is the address asked for.
	Addr   netip.Addr
	Status Status
	// Hosts are lower-case, without trailing dot, in the order of the answer. Nothing says that they lead back to the
	// address. The slice belongs to the caller.
	Hosts []string
	Origin
}

// ExchangersAnswer is what DNS says about a domain's exchangers and their addresses.
type ExchangersAnswer struct {
	MX MXAnswer
	// Addrs has the answer for each exchanger, by host; for a domain without MX records that of the domain itself.
	Addrs map[string]AddrAnswer
}

// Presence is what is known of a recipient at its domain's real server.
type Presence uint8

// What may be known of a recipient.
const (
	// Present: the server takes mail for it, or the list has it.
	Present Presence = iota + 1
	// Absent: the server has said that it does not exist, or a list that is up to date does not have it.
	Absent
	// Unreachable: the server cannot be asked just now, and nothing is remembered.
	Unreachable
	// Outdated: only a list that is too old to be believed could tell, and it does not have it.
	Outdated
)

// String gives the presence in the words of explanations.
func (p Presence) String() string {
	switch p {
	case Present:
		return "present"
	case Absent:
		return "absent"
	case Unreachable:
		return "unreachable"
	case Outdated:
		return "outdated"
	}
	return fmt.Sprintf("presence %d", uint8(p))
}

// ListSource is where a list of recipients is fetched from; the zero value is nowhere, for one that was uploaded.
type ListSource struct {
	URL      string        // of another Postroad
	Token    string        // for its API; never shown
	Every    time.Duration // how often
	Operator bool          // the operator named it, who may name what is not public
	ETag     string        // of what was fetched last (RFC 9110 §8.8.3)
	Problem  string        // why it could not be fetched the last time; empty when it could
}

// MaxAge is how old a list of recipients may be to say that somebody does not exist.
func (s *ListSource) MaxAge() time.Duration {
	if s.URL == "" {
		return 7 * 24 * time.Hour
	}
	return max(10*time.Minute, 5*s.Every)
}

// RecipientAnswer is what is known of a recipient of a domain whose mailboxes are elsewhere.
type RecipientAnswer struct {
	Address  string // local part as given, domain as an A-label
	Presence Presence
	// Origin tells who said so and when: "mx.acme.example", "list".
	Origin
}
