package verify

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/facts"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// Resolver looks up exchangers and addresses.
type Resolver interface {
	// MX gives the exchangers of a domain, an A-label.
	MX(ctx context.Context, name string) facts.MXAnswer
	// Addrs gives the addresses of a host.
	Addrs(ctx context.Context, host string) facts.AddrAnswer
}

// Directory gives the domains whose recipients are judged.
type Directory interface {
	// View is the state of this moment.
	View() routing.View
}

// Hosts finds whom to ask about recipients.
type Hosts interface {
	// Hosts gives the hosts at which a lane's mail would be tried now, in order; the error says why there is none.
	Hosts(ctx context.Context, lane mail.Lane) ([]Host, error)
}

// Host is one address of a domain's real server.
type Host interface {
	// Name is for people.
	Name() string
	// Address is what is dialled: hosts with one address are one server.
	Address() string
	// Key tells which hosts can share a session.
	Key() string
	// Open opens a session up to where MAIL can be sent.
	Open(ctx context.Context) (Session, error)
}

// Session is a connection to a host. It is used by one goroutine at a time, which closes it.
type Session interface {
	// Ask asks by MAIL with the null sender and RCPT whether the host takes mail for an address; recipient has code 0
	// when MAIL was refused. An error other than smtp.ErrUnsendable ends the session.
	Ask(ctx context.Context, to string) (sender, recipient smtp.Reply, err error)
	Close()
}

// Answer is what was learned of an address, and from whom: another way may lead to another server.
type Answer struct {
	facts.RecipientAnswer
	Way string // as wayOf gives it
}

// List is what a domain's list of recipients says.
type List struct {
	There   bool // there is one
	Has     bool // it has one of the local parts asked for
	Source  string
	Learned time.Time // when it was true
	From    facts.ListSource
}

// Sync is a list that is fetched from another installation.
type Sync struct {
	Domain  string
	Learned time.Time
	From    facts.ListSource
}

// Store keeps answers over restarts, and lists of recipients.
type Store interface {
	// Listed looks for local parts in the list of a domain.
	Listed(ctx context.Context, scope account.Scope, domain string, locals []string) (List, error)
	// Syncs gives the lists that are fetched.
	Syncs(ctx context.Context, scope account.Scope) ([]Sync, error)
	// Synced writes what came of a fetch, and the addresses when they have changed, unless the list is now fetched from
	// elsewhere or not at all.
	Synced(ctx context.Context, scope account.Scope, y Sync, changed bool, locals []string) error
	// Answer gives the last answer about an address of a domain, the local part in lower case; false when there is none.
	Answer(ctx context.Context, scope account.Scope, domain, local string) (Answer, bool, error)
	// KeepAnswer replaces the answer about an address some time later; nobody waits for it. It is dropped where there is
	// no such domain. done, when not nil, gets what became of it.
	KeepAnswer(scope account.Scope, domain, local string, a Answer, done func(error))
	// ForgetAnswers removes answers that were learned before a time, those that somebody is there and the others, and of
	// each domain and presence all but so many of the latest.
	ForgetAnswers(ctx context.Context, scope account.Scope, present, others time.Time, most int) error
}
