package deliver

import (
	"context"
	"net"
	"net/netip"

	"postroad/internal/core/account"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/mailbox"
	"postroad/internal/core/routing"
)

// Mailboxes is where the local agent puts mail.
type Mailboxes interface {
	// Deliver appends messages to INBOXes, durably; result i belongs to item i.
	Deliver(ctx context.Context, scope account.Scope, items []mailbox.Item) []error
	// Settled forgets deliveries that the queue has recorded as done.
	Settled(ctx context.Context, scope account.Scope, items []mailbox.DeliveredID) error
	// Temporary reports whether an error of Deliver may go away by itself.
	Temporary(err error) bool
}

// QuotaTeller is what Mailboxes may be besides. Without it a mailbox that is full is trouble like any other, and
// the sender is not told the cause.
type QuotaTeller interface {
	// Full reports whether an error of Deliver says that the mailbox's quota is used up.
	Full(err error) bool
}

// Resolver looks up exchangers and addresses.
type Resolver interface {
	// MX gives the exchangers of a domain, an A-label.
	MX(ctx context.Context, name string) facts.MXAnswer
	// Addrs gives the addresses of a host; the slice belongs to the caller.
	Addrs(ctx context.Context, host string) facts.AddrAnswer
}

// Dialer opens connections. It gets addresses that the guard has allowed, never names.
type Dialer interface {
	// DialContext is as net.Dialer has it; network is "tcp", or "unix" with a path.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Directory gives the view that tells our domains from foreign ones, and outbound routes.
type Directory interface {
	// View is the state of this moment.
	View() routing.View
}

// Findings keeps what is wrong with domains of this installation.
type Findings interface {
	// Find records a finding, or forgets it when gone is true; one that stands keeps its Since. Forgetting what is not
	// there is no error.
	Find(ctx context.Context, f finding.Finding, gone bool) error
}

// Self tells whether an address is ours.
type Self interface {
	// Answers reports whether mail for this address comes back to us, on whatever port strangers use.
	Answers(addr netip.Addr) bool
	// Listens reports whether one of our own SMTP listeners has exactly this address and port.
	Listens(addr netip.AddrPort) bool
}
