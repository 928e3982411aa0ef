// Package spf says whether a host may send mail for a domain, by the domain's own word in DNS (RFC 7208).
//
// [Check] is check_host() of RFC 7208 §4 with everything that it did: which term of which record was looked up, what was
// found and how many look-ups it cost. [Survey] reads a domain's record with all that it includes and counts what it costs
// at worst, whoever sends.
//
// # What is counted
//
// Each of include, a, mx, ptr, exists and redirect is one look-up, and an evaluation may have 10 ([MaxLookups]); the
// domain's own record, exp and the macro p are none. A term is void when what it asks for does not exist: its own question
// has no answer, or none of an exchanger's names has an address of the client's family; 2 are allowed ([MaxVoids]). An mx
// with over 10 exchangers is an error (RFC 7208 §4.6.4); of a client's names the first 10 are looked at.
//
// # Failure
//
// A result is never an error of Go: what went wrong is TempError or PermError, with a sentence in Outcome.Problem.
//
// # Known limits
//
// A mechanism whose name cannot exist (an empty label, one over 63 octets) does not match and is not asked for; RFC 7208
// §4.8 leaves that open.
package spf

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Limits of one evaluation (RFC 7208 §4.6.4).
const (
	MaxLookups = 10 // terms that ask DNS
	MaxVoids   = 2  // terms that ask for what does not exist
	maxHosts   = 10 // exchangers of one mx, names of one client
)

// ErrNotFound is what a Resolver says of names and records that do not exist (NXDOMAIN, or no record of the type).
var ErrNotFound = errors.New("no such record")

// ErrSyntax is wrapped by every complaint about a record.
var ErrSyntax = errors.New("not a valid SPF record")

// Resolver asks DNS. Names are without last dot, in lower case. ErrNotFound says that there is no such record; every other
// error is temporary. Methods may be called at once and end when the context does.
type Resolver interface {
	// TXT gives the texts of a name, the strings of each record joined.
	TXT(ctx context.Context, name string) ([]string, error)
	// Addrs gives the addresses of a name: IPv6 ones when six is true, else IPv4.
	Addrs(ctx context.Context, name string, six bool) ([]netip.Addr, error)
	// MX gives the hosts of a name's exchangers. A null MX is an empty list without an error.
	MX(ctx context.Context, name string) ([]string, error)
	// PTR gives the names that an address leads to.
	PTR(ctx context.Context, addr netip.Addr) ([]string, error)
}

// Result is the outcome of an evaluation (RFC 7208 §2.6), in the word of Authentication-Results (RFC 8601 §2.7.2).
type Result string

// The results.
const (
	None      Result = "none"      // there is no record, or no domain that could have one
	Neutral   Result = "neutral"   // the domain says nothing of this host
	Pass      Result = "pass"      // the host may send
	Fail      Result = "fail"      // the host may not
	SoftFail  Result = "softfail"  // the host probably may not
	TempError Result = "temperror" // DNS could not say for now
	PermError Result = "permerror" // the record cannot be used as it is
)

// Query is what is asked.
type Query struct {
	// Addr is the client's; IPv4-mapped ones count as IPv4.
	Addr netip.Addr
	// Helo is the client's name as it gave it.
	Helo string
	// Sender is the reverse-path without brackets; with an empty one Helo is judged, as postmaster of it (RFC 7208 §2.4).
	Sender string
	// Receiver is this host's name, for the macro r.
	Receiver string
	// At is the time, for the macro t.
	At time.Time
}

// Outcome is a result and how it came.
type Outcome struct {
	Result Result
	// Domain is whose record was asked for, in lower case.
	Domain string
	// Mechanism is the term that matched, as written; empty when none did.
	Mechanism string
	// Explanation is what the domain says to those who fail (RFC 7208 §6.2): printable ASCII, empty without one.
	Explanation string
	// Problem says in one sentence what is wrong; of None, TempError and PermError.
	Problem string
	// Lookups and Voids are what it cost, the term included that was one too many.
	Lookups, Voids int
	// Terms are what was evaluated, in that order.
	Terms []Term
}

// Term is one mechanism or modifier that was evaluated.
type Term struct {
	// Depth is the number of includes and redirects that led here.
	Depth int `json:"depth"`
	// Domain is whose record it stands in; Text is the term as written.
	Domain string `json:"domain"`
	Text   string `json:"text"`
	// Target is the name that was asked for; empty when none was.
	Target string `json:"target,omitempty"`
	// Lookups are those that it cost with all that it led to: 0 or 1, and of include and redirect more.
	Lookups int `json:"lookups"`
	// Void: what it asks for does not exist.
	Void bool `json:"void,omitempty"`
	// Match: it decided the record's result.
	Match bool `json:"match,omitempty"`
	// Found is what DNS said in a few words; of include the result of the included record.
	Found string `json:"found,omitempty"`
}
