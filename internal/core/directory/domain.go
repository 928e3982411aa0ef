package directory

import (
	"net/netip"
	"time"

	"postroad/internal/core/account"
)

// Mode is a domain's routing mode.
type Mode string

// The routing modes.
const (
	ModeAuto   Mode = "auto"   // one of local, backup and remote, as public DNS says
	ModeLocal  Mode = "local"  // mail is delivered here
	ModeSplit  Mode = "split"  // some mailboxes are here; mail for other recipients goes to the domain's real server
	ModeBackup Mode = "backup" // mail is held here for the domain's real server
	ModeRelay  Mode = "relay"  // mail is handed to an explicit list of hosts
	ModeRemote Mode = "remote" // the domain's mail is none of ours; our own users' mail to it leaves
)

// ZoneHosting says who answers for the domain's zone.
type ZoneHosting string

// The kinds of zone hosting.
const (
	ZoneHosted   ZoneHosting = "hosted"
	ZoneExternal ZoneHosting = "external"
)

// RecipientPolicy says how recipients that are not known here are judged in the modes split, backup and relay.
type RecipientPolicy string

// The recipient policies.
const (
	RecipientsProbe  RecipientPolicy = "probe"  // the real server is asked; the default
	RecipientsList   RecipientPolicy = "list"   // a list that was uploaded or synchronised tells
	RecipientsAccept RecipientPolicy = "accept" // every recipient is taken
)

// UnreachablePolicy says what becomes of a recipient about whom the real server cannot be asked and nothing is known.
type UnreachablePolicy string

// The policies. The zero value is queue for mode backup, else defer.
const (
	UnreachableQueue UnreachablePolicy = "queue" // taken and queued
	UnreachableDefer UnreachablePolicy = "450"   // refused for now, so that the sender keeps it
)

// Leaving is the window in which mail for a domain is still taken and handed on after it has left, so that senders who
// remember old DNS records lose nothing. The zero value is none.
type Leaving struct {
	Until time.Time
	From  Mode // the effective mode before
}

// LeavingFor is how long mail from strangers is still taken for a domain that has left, by the TTL of its old records.
func LeavingFor(ttl time.Duration) time.Duration { return max(48*time.Hour, ttl) }

// How ownership of a domain was shown.
const (
	ProofOperator   = "operator"   // by the operator's word, which nobody looks at again
	ProofTXT        = "txt"        // by a TXT record
	ProofDelegation = "delegation" // by its delegation to name servers of its account's own
)

// Windows of a proof that is lost: every name server of the zone has said that it is not there any more.
const (
	ProofGrace  = 7 * 24 * time.Hour // in which all is as before
	ProofNotice = 7 * 24 * time.Hour // after it, in which senders are told to try again while public DNS still names us
)

// Proof is how ownership of a domain was shown, and whether it still is. The zero value is: never shown.
type Proof struct {
	Lost time.Time // when it was first found to be gone; zero while it stands
	By   string    // ProofOperator, ProofTXT or ProofDelegation; kept when the proof is lost
	At   time.Time // when it was seen last
	NS   string    // the name servers of the zone at that time, sorted, joined by a space
	// TXTOnly: a delegation to our name servers shows nothing, since it may be older than the domain here.
	TXTOnly bool
}

// Ends is when the domain becomes inert for a proof that is lost; zero while it stands.
func (p *Proof) Ends() time.Time {
	if p.Lost.IsZero() {
		return time.Time{}
	}
	return p.Lost.Add(ProofGrace)
}

// Told is until when senders are told to try again after that; zero while the proof stands.
func (p *Proof) Told() time.Time {
	if p.Lost.IsZero() {
		return time.Time{}
	}
	return p.Lost.Add(ProofGrace + ProofNotice)
}

// Domain is a mail domain. What every decision reads of it comes first, so that it lies together.
type Domain struct {
	Name     string // A-label, lower case
	Account  account.ID
	Mode     Mode           // as chosen
	Proved   bool           // ownership shown; an unproved domain is inert
	Dual     bool           // mode local: a copy of each message goes to exchangers better than ours too
	in       *entry         // where a Snapshot has it; of a copy, what it was copied from
	Gateways []netip.Prefix // the only ones who may deliver from outside; empty: anybody
	Proof    Proof          // how ownership was shown; a proof that is lost ends Proved after a while

	ID          string // random, never reused
	ModeSince   time.Time
	Auto        Mode // mode auto: what public DNS said last; empty until it has said anything
	AutoSince   time.Time
	Zone        ZoneHosting
	NextHops    []NextHop // mode relay, and where given split, backup and remote: tried in this order instead of MX
	Recipients  RecipientPolicy
	Unreachable UnreachablePolicy
	Onboarding  time.Time // until then an unknown recipient is refused for now only
	Leaving     Leaving
	Hold        time.Duration // how long mail for it is kept in the queue; 0 for the installation's
	Created     time.Time
	// ExchangerSet and NameServerSet are the ids of the sets that it follows; empty: none. They say what MX records, SPF and
	// Gateways are, and what the NS records of its zone.
	ExchangerSet, NameServerSet string
	Judging                     Judging     // how mail from strangers is judged
	Forwarders                  []Forwarder // the customer's own servers that forward to us
	Primary                     string      // where its users have their mail, an A-label; empty for what follows from Name

	hops string // text of NextHops, made once by a Snapshot
}

// Effective is the mode by which the domain's mail is routed: the chosen one, and for auto the one that public DNS
// last said, local until it has said anything.
func (d *Domain) Effective() Mode {
	switch {
	case d.Mode != ModeAuto:
		return d.Mode
	case d.Auto == "":
		return ModeLocal
	}
	return d.Auto
}

// Keeps reports whether mail for mailboxes of the domain is delivered into them.
func (d *Domain) Keeps() bool { return d.Effective() == ModeLocal || d.Effective() == ModeSplit }

// Queues reports whether recipients of whom nothing can be learned are taken and queued.
func (d *Domain) Queues() bool {
	return d.Unreachable == UnreachableQueue || d.Unreachable == "" && d.Effective() == ModeBackup
}

// Verification is how recipients that are not known here are judged.
func (d *Domain) Verification() RecipientPolicy {
	if d.Recipients == "" {
		return RecipientsProbe
	}
	return d.Recipients
}

// Admits reports whether a client may deliver mail for the domain from outside.
func (d *Domain) Admits(client netip.Addr) bool {
	for _, p := range d.Gateways {
		if p.Contains(client.Unmap()) {
			return true
		}
	}
	return len(d.Gateways) == 0
}
