// Package directory holds accounts' domains, mailboxes and addresses, and leads from an address to its destinations.
//
// A Snapshot is immutable: a change makes a new one that shares all but what changed, so that receive, queue
// and explain each decide by one consistent state. Keys are A-labels in lower case and local parts in lower
// case (a host treats its own local parts without regard to case, RFC 5321 §2.4).
package directory

import (
	"crypto/sha256"
	"encoding/base32"
	"net/netip"
	"strconv"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/proto/idna"
)

// HostPort is a host name or address literal and a TCP port.
type HostPort struct {
	Host string `json:"host"`
	Port uint16 `json:"port"`
}

// NextHop is where a domain's mail is handed on to: a host name or address literal with a TCP port, or a unix socket.
type NextHop struct {
	Host     string `json:"host"`               // of a unix socket its absolute path
	Port     uint16 `json:"port"`               // 0 for a unix socket
	LMTP     bool   `json:"lmtp,omitempty"`     // it speaks LMTP (RFC 2033) in place of SMTP; all hops of a list do, or none
	Operator bool   `json:"operator,omitempty"` // the operator named it, who may name what is not public; again all or none
}

// OperatorMark ends the text of next hops that the operator named, so that nobody else's mail shares a lane with
// theirs.
const OperatorMark = "!"

// HopList is the text of the next hops, as HopList makes it.
func (d *Domain) HopList() string {
	if d.hops != "" || len(d.NextHops) == 0 {
		return d.hops
	}
	return HopList(d.NextHops)
}

// HopList is the text of a list of next hops: "host:port,host:port", or the path of a unix socket; OperatorMark ends
// it when the operator named all of them.
func HopList(list []NextHop) string {
	var b strings.Builder
	operator := len(list) > 0
	for i, h := range list {
		operator = operator && h.Operator
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(h.Host)
		if h.Port == 0 {
			continue
		}
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(int(h.Port)))
	}
	if operator {
		b.WriteString(OperatorMark)
	}
	return b.String()
}

// Mailbox is where messages are read.
type Mailbox struct {
	ID      string // random, never reused
	Account account.ID
	Domain  string // domain name
	Local   string // lower case
	Quota   int64  // octets; 0 without limit

	address string // made once by a Snapshot
}

func (m *Mailbox) key() string { return m.Local }

// settle has the mailbox's texts lie in one piece.
func (m *Mailbox) settle() {
	m.address = m.Local + "@" + m.Domain
	m.Local, m.Domain = m.address[:len(m.Local)], m.address[len(m.Local)+1:]
}

// Address is the mailbox's address.
func (m *Mailbox) Address() string {
	if m.address != "" {
		return m.address
	}
	return m.Local + "@" + m.Domain
}

// Token is the local part of the mailbox's routing address where its plain form would be too long for one.
func (m *Mailbox) Token() string {
	sum := sha256.Sum256([]byte("routing address of " + m.ID))
	return "r-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10]))
}

// long reports whether the mailbox's plain routing address has no room in a local part (RFC 5321 §4.5.3.1.1).
func (m *Mailbox) long() bool { return len(m.Local)+1+len(m.Domain) > 64 }

// RuleKind tells what an address that is no mailbox stands for.
type RuleKind string

// The kinds of rule.
const (
	RuleAlias    RuleKind = "alias"     // another name of one or more local addresses
	RuleForward  RuleKind = "forward"   // sent on to addresses anywhere
	RuleGroup    RuleKind = "group"     // several addresses, here or anywhere
	RuleCatchAll RuleKind = "catch-all" // every address of the domain that is nothing else
)

// Rule leads from an address to others.
type Rule struct {
	ID      string // random, never reused
	Account account.ID
	Domain  string // domain name
	Local   string // lower case; empty for a catch-all
	Kind    RuleKind
	Targets []string // full addresses, in the order given
	Keep    bool     // forward only: the mailbox of the same address gets a copy too
	Archive bool     // forward only: what it sends on is an archive copy, of which the sender is never told anything
}

func (r *Rule) key() string { return r.Local }

// Address is the rule's address; "@domain" for a catch-all.
func (r *Rule) Address() string { return r.Local + "@" + r.Domain }

// Outbound is the way by which mail of our own users to foreign domains leaves: through a smart host, from addresses of
// this machine, or both.
type Outbound struct {
	ID      string
	Account account.ID
	Domain  string // sender's domain; empty for the whole installation, and with an Identity
	// Identity has the route be for what the account's logins send as addresses elsewhere that were shown to be theirs: one
	// folded address, or the domain of all that have none of their own. It always has a smart host.
	Identity string
	Hop      HostPort // smart host; zero without one
	Source   Source   // zero: the system chooses
	Operator bool     // the operator set it, who may name what is not public
	TLS      TLSDemand
	User     string // AUTH user; empty without AUTH
	Password string // only ever sent over verified TLS; empty with a User: it could not be opened
	Sealed   string // the password as it is stored, in rows of the store alone
}

// SealedFor is what the password of an outbound route is sealed for.
func (o *Outbound) SealedFor() string { return "outbound " + o.ID }

// place is what there is one route for at most.
func (o *Outbound) place() string {
	if o.Identity != "" {
		return relayPlace(o.Account, o.Identity)
	}
	return o.Domain
}

// relayPlace is the place of a route for identities. No domain's name has a space in it.
func relayPlace(owner account.ID, identity string) string { return string(owner) + " " + identity }

// Source is the local addresses from which mail leaves, one of each family at most. Without any the system chooses; with
// one the hosts of the other family are not dialled.
type Source struct {
	V4, V6         netip.Addr // not valid: none
	HeloV4, HeloV6 string     // the name in EHLO from there, an A-label; empty: the installation's
}

// IsZero reports whether no address is chosen.
func (s Source) IsZero() bool { return !s.V4.IsValid() && !s.V6.IsValid() }

// For is the address from which a host is dialled; it is not valid when no address of the host's family is chosen.
func (s Source) For(host netip.Addr) netip.Addr {
	if host.Unmap().Is4() {
		return s.V4
	}
	return s.V6
}

// Helo is the name in EHLO to a host; empty where none is chosen for the address from which it is dialled.
func (s Source) Helo(host netip.Addr) string {
	if host.Unmap().Is4() {
		return s.HeloV4
	}
	return s.HeloV6
}

// String is the addresses with a comma between, each with an equals sign and the name in EHLO where one is chosen; empty
// without any.
func (s Source) String() string {
	var parts []string
	for _, from := range []struct {
		addr netip.Addr
		helo string
	}{{s.V4, s.HeloV4}, {s.V6, s.HeloV6}} {
		switch {
		case !from.addr.IsValid():
		case from.helo == "":
			parts = append(parts, from.addr.String())
		default:
			parts = append(parts, from.addr.String()+"="+from.helo)
		}
	}
	return strings.Join(parts, ",")
}

// ParseSource reads what String makes, with the families in either order. A name has two labels or more.
func ParseSource(text string) (Source, bool) {
	var s Source
	if text == "" {
		return s, true
	}
	for part := range strings.SplitSeq(text, ",") {
		addr, name, named := strings.Cut(strings.TrimSpace(part), "=")
		a, err := netip.ParseAddr(addr)
		a = a.Unmap()
		to, helo := &s.V6, &s.HeloV6
		if a.Is4() {
			to, helo = &s.V4, &s.HeloV4
		}
		if err != nil || a.Zone() != "" || to.IsValid() {
			return Source{}, false
		}
		*to = a
		if !named {
			continue
		}
		if *helo, err = idna.ToASCII(name); err != nil || !strings.Contains(*helo, ".") {
			return Source{}, false
		}
	}
	return s, true
}

// TLSDemand says what TLS a smart host must offer.
type TLSDemand string

// The demands.
const (
	TLSOpportunistic TLSDemand = "opportunistic" // TLS where it is offered, with any certificate (RFC 7435)
	TLSVerified      TLSDemand = "verified"      // nothing is sent but under TLS with a certificate that is verified
)

// Verified reports whether nothing may be sent but under verified TLS: on demand, and always with a login.
func (o *Outbound) Verified() bool { return o.TLS == TLSVerified || o.User != "" }

// Smart reports whether mail leaves through a smart host.
func (o *Outbound) Smart() bool { return o.Hop.Host != "" }

// over is the way of a sender's domain that leaves open what that of the installation says.
func (o Outbound) over(all *Outbound) Outbound {
	if !o.Smart() {
		o.Hop, o.Operator, o.TLS, o.User, o.Password = all.Hop, all.Operator, all.TLS, all.User, all.Password
	}
	if o.Source.IsZero() {
		o.Source = all.Source
	}
	return o
}

// FoldLocal is a local part in the form that is compared: lower case.
func FoldLocal(local string) string { return strings.ToLower(local) }

// Base is a local part without its plus-suffix ("ann+news" is "ann"); the same text when it has none.
func Base(local string) string {
	if i := strings.IndexByte(local, '+'); i > 0 {
		return local[:i]
	}
	return local
}
