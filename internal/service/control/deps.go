package control

import (
	"context"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/sending"
	"postroad/internal/core/zone"
	"postroad/internal/service/control/boxes"
	"postroad/internal/service/control/dkim"
	"postroad/internal/service/control/transfers"
	"postroad/internal/service/control/zones"
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
	// Verifier gives a mailbox's id and what is stored of its password by address; ErrNotFound.
	Verifier(ctx context.Context, scope account.Scope, address string) (mailbox, verifier string, err error)
	// Zones, and what stands in them.
	Published
	// Tokens, findings and the installation's own memory.
	Facts
	// What the program remembers.
	Memory
}

// Published is what is kept of what the world is told in DNS.
type Published interface {
	zones.Store
	// Who gets zones, and whose zones are fetched.
	transfers.Store
	// The keys by which mail is signed.
	dkim.Store
}

// Names answers for zones in DNS.
type Names = zones.Names

// Signer signs zones.
type Signer = zones.Signer

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
	Sets      []zone.ExchangerSet  // that domains follow
	Servers   []zone.NameServerSet

	Identities []directory.Identity
	Senders    []sending.Rule // what was decided of senders
}

// Boxes is what this service needs of the mailbox store.
type Boxes = boxes.Boxes
