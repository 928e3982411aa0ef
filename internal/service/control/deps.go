package control

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/service/control/boxes"
)

// Store keeps what people configure. Every method that changes anything belongs to one Tx.
type Store interface {
	// Load reads everything in scope, as one consistent state.
	Load(ctx context.Context, scope account.Scope) (State, error)
	// Update applies changes and their audit entries in one durable transaction if the version is still the
	// one given, and gives the new one; ErrVersion when somebody was faster, ErrExists when a name is taken. What was
	// found about the way to a domain's server is forgotten when its mode or its next hops change.
	Update(ctx context.Context, scope account.Scope, version int64, tx Tx) (int64, error)
	// Audit lists entries, newest first, of one domain or of all (empty), before the given id (0: from the newest).
	Audit(ctx context.Context, scope account.Scope, domain string, before int64, limit int) ([]Entry, error)
	// Verifier gives a mailbox's SCRAM verifier and id by address; ErrNotFound.
	Verifier(ctx context.Context, scope account.Scope, address string) (mailbox, verifier string, err error)
	// Tokens, findings and the installation's own memory.
	Facts
}

// Facts are the parts of the store that are no configuration.
type Facts interface {
	// Token gives the token with this hash; ErrNotFound when there is none or it is revoked.
	Token(ctx context.Context, scope account.Scope, hash []byte) (Token, error)
	// Tokens lists tokens without their hashes.
	Tokens(ctx context.Context, scope account.Scope) ([]Token, error)
	// Findings lists what is wrong, of one domain or of all (empty).
	Findings(ctx context.Context, scope account.Scope, domain string) ([]finding.Finding, error)
	// Find records a finding (keeping Since when it is there already), or forgets it when gone is true.
	Find(ctx context.Context, scope account.Scope, f finding.Finding, gone bool) error
	// Recipients gives a domain's list of recipients; ErrNotFound when there is none.
	Recipients(ctx context.Context, scope account.Scope, domain string) (RecipientList, error)
	// Setting reads one value of the installation ("" when unset); SetSetting writes it.
	Setting(ctx context.Context, scope account.Scope, name string) (string, error)
	SetSetting(ctx context.Context, scope account.Scope, name, value string) error
}

// State is everything that people configured.
type State struct {
	Version   int64 // grows with every change
	Accounts  []account.Account
	Domains   []directory.Domain
	Mailboxes []directory.Mailbox
	Rules     []directory.Rule
	Outbounds []directory.Outbound
	Departed  []directory.Departed // domains that were removed and are remembered for a while
}

// Tx is one change: what is written, what is removed, and what is said of it in the audit log.
type Tx struct {
	PutAccounts  []account.Account
	PutDomains   []directory.Domain
	PutMailboxes []directory.Mailbox
	PutVerifiers map[string]string // mailbox id → SCRAM verifier text
	PutRules     []directory.Rule
	PutOutbounds []directory.Outbound
	PutTokens    []Token
	PutLists     []RecipientList // each takes the place of the one before
	PutDeparted  []directory.Departed
	PutFindings  []finding.Finding // of domains in scope, after all else is written
	DropFindings []finding.Finding // by domain and name; before PutFindings
	Remove       []Removal
	Entries      []Entry
}

// Removal names something to remove by kind and id. A domain takes its mailboxes' and rules' rows with it.
type Removal struct {
	Kind Kind
	ID   string
}

// Kind is a kind of configured thing, in the words of commands and audit entries.
type Kind string

// The kinds.
const (
	KindAccount    Kind = "account"
	KindDomain     Kind = "domain"
	KindMailbox    Kind = "mailbox"
	KindRule       Kind = "rule"
	KindOutbound   Kind = "outbound"
	KindToken      Kind = "token"
	KindRecipients Kind = "recipients" // of a domain, by whose name it is removed
	KindDeparted   Kind = "departed"   // a domain that was removed and is remembered for a while
	KindQueue      Kind = "queue"      // only in plans and audit entries: what was done to queued mail
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

// Boxes is what this service needs of the mailbox store.
type Boxes = boxes.Boxes
