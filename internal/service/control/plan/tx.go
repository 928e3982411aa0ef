package plan

import (
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/publish"
	"postroad/internal/core/sending"
	"postroad/internal/core/transfer"
	"postroad/internal/core/zone"
)

// Tx is one change: what is written, what is removed, and what is said of it in the audit log.
type Tx struct {
	PutAccounts  []account.Account
	PutDomains   []directory.Domain
	PutMailboxes []directory.Mailbox
	PutVerifiers map[string]string // mailbox id → what is stored of its password
	PutRules     []directory.Rule
	PutOutbounds []directory.Outbound
	PutTokens    []Token
	PutLists     []RecipientList // each takes the place of the one before
	// PutZones take the place of those before them. In a plan the serial of each is that of the zone before, 0 for a new one;
	// when the plan is applied it is given the next one, or that of its SOA record if this is further on.
	PutZones        []zone.Zone
	PutDeparted     []directory.Departed
	PutSets         []zone.ExchangerSet
	PutServers      []zone.NameServerSet
	PutTransfers    transfer.Settings  // each row of its lists takes the place of the one before
	PutProviders    []publish.Provider // each takes the place of the one before
	PutDKIM         []dkimkey.Domain   // each takes the place of the one before
	PutFindings     []finding.Finding  // of domains in scope, after all else is written
	DropFindings    []finding.Finding  // by domain and name; before PutFindings
	PutIdentities   []directory.Identity
	PutSenders      []sending.Rule // each takes the place of the one before; an empty one is removed
	Remove          []Removal
	Entries         []Entry
	PutCertificates []cert.Name // names that are to have certificates; each takes the place of the one before
}

// Removal names something to remove by kind and id. A domain takes the rows of its mailboxes, rules and zone with it.
type Removal struct {
	Kind Kind
	ID   string
}

// Kind is a kind of configured thing, in the words of commands and audit entries.
type Kind string

// The kinds.
const (
	KindAccount     Kind = "account"
	KindDomain      Kind = "domain"
	KindMailbox     Kind = "mailbox"
	KindRule        Kind = "rule"
	KindOutbound    Kind = "outbound"
	KindToken       Kind = "token"
	KindRecipients  Kind = "recipients" // of a domain, by whose name it is removed
	KindMX          Kind = "mx"         // the exchangers of a name; only in plans and audit entries
	KindSet         Kind = "exchanger-set"
	KindServers     Kind = "nameserver-set"
	KindTSIGKey     Kind = "tsig-key"
	KindTransfer    Kind = "transfer"  // a peer that may have a zone, or is told of its changes
	KindSecondary   Kind = "secondary" // by the domain's name
	KindCatalog     Kind = "catalog"   // by its name
	KindDeparted    Kind = "departed"  // a domain that was removed and is remembered for a while
	KindZone        Kind = "zone"      // by the domain's name
	KindDNSSEC      Kind = "dnssec"    // of a zone, by the domain's name: whether and how it is signed
	KindZoneKeys    Kind = "zone-key"  // only in audit entries: the steps of a zone's keys, by the domain's name
	KindRecord      Kind = "record"    // only in plans and audit entries: what was changed in a zone
	KindProvider    Kind = "provider"  // how the zone of a domain is written to that others answer for, by the domain's name
	KindIdentity    Kind = "identity"  // an address elsewhere as which a mailbox's login may send
	KindSending     Kind = "sending"   // what was decided of a sender; nothing is removed by it
	KindDKIM        Kind = "dkim"      // how a domain's mail is signed, by the domain's name
	KindPublish     Kind = "publish"   // only in plans and audit entries: what was written there
	KindPrimary     Kind = "primary"   // only in plans and audit entries: what was sent to a domain's primary
	KindQueue       Kind = "queue"     // only in plans and audit entries: what was done to queued mail
	KindCertificate Kind = "cert"      // of a name, by which it is removed
)

// RecipientList names the recipients of a domain whose mailboxes are elsewhere.
type RecipientList struct {
	Domain  string
	Account account.ID
	Source  string    // where it comes from: "upload"
	Learned time.Time // when it was true
	Locals  []string  // local parts in lower case and in order; an empty one stands for every address
	facts.ListSource
}

// Token is the right to use the API from afar.
type Token struct {
	ID      string
	Account account.ID // what it may touch; the operator's may touch everything
	Name    string     // shown to people
	Hash    []byte     // SHA-256 of the secret; never leaves the store in listings
	Created time.Time
}

// Entry is one line of the audit log. It is never changed or removed.
type Entry struct {
	ID      int64 // ascending, given by the store
	At      time.Time
	Actor   string // who: "operator", a token's name, a login
	Account account.ID
	Domain  string // empty when the change concerns none
	Action  string // command words: "domain add", "mailbox set"
	Subject string // what was changed: an address, a name
	Before  string // JSON of the thing before; empty when it was made
	After   string // JSON of the thing after; empty when it was removed
	// Overridden is the JSON list of the warnings that whoever made the change confirmed; empty when there was none.
	Overridden string
}
