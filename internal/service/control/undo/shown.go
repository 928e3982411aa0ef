package undo

import (
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/sending"
	"postroad/internal/service/control/settings"
)

// Mailbox is a mailbox as plans and audit entries show it.
type Mailbox struct {
	Address  string     `json:"address"`
	Account  account.ID `json:"account"`
	Quota    int64      `json:"quota" doc:"Octets; 0 without limit"`
	Password string     `json:"password,omitempty" doc:"\"set\" or \"changed\"; never the password"`
}

// ShowMailbox gives a mailbox as plans show it.
func ShowMailbox(m *directory.Mailbox) Mailbox {
	return Mailbox{Address: m.Address(), Account: m.Account, Quota: m.Quota}
}

// Sender is what was decided of a sender, as plans and audit entries show it.
type Sender struct {
	Kind    sending.Kind   `json:"kind" enum:"login,domain,account"`
	ID      string         `json:"id" doc:"Address of the login, name of the domain, id of the account"`
	Account account.ID     `json:"account"`
	Hour    *int64         `json:"hour,omitempty" doc:"Recipients in an hour that the operator gives it, 0 without limit; absent: what the installation does"`
	Day     *int64         `json:"day,omitempty" doc:"The same in a day of UTC"`
	OwnHour *int64         `json:"own_hour,omitempty" doc:"Recipients in an hour that its account has chosen of that; absent: all"`
	OwnDay  *int64         `json:"own_day,omitempty" doc:"The same in a day of UTC"`
	Paused  *sending.Pause `json:"paused,omitempty" doc:"Why it may send nothing; absent: it may"`
}

// ShowSender gives what was decided of a sender as plans show it.
func ShowSender(r *sending.Rule) Sender {
	return Sender{Kind: r.Kind, ID: r.ID, Account: r.Account, Hour: r.Given.Hour, Day: r.Given.Day, OwnHour: r.Own.Hour, OwnDay: r.Own.Day, Paused: r.Pause}
}

// Rule is what is shown, as it was decided.
func (s *Sender) Rule() sending.Rule {
	return sending.Rule{
		Key:   sending.Key{Account: s.Account, Kind: s.Kind, ID: s.ID},
		Given: sending.Choice{Hour: s.Hour, Day: s.Day}, Own: sending.Choice{Hour: s.OwnHour, Day: s.OwnDay}, Pause: s.Paused,
	}
}

// Rule is an alias, forward, group or catch-all as listings show it.
type Rule struct {
	Address string     `json:"address" doc:"@domain for a catch-all"`
	Kind    string     `json:"kind" enum:"alias,forward,group,catch-all"`
	Targets []string   `json:"targets"`
	Keep    bool       `json:"keep,omitempty" doc:"The mailbox of the same address gets a copy too"`
	Archive bool       `json:"archive,omitempty" doc:"What is sent on is an archive copy, of which its sender is told nothing"`
	Account account.ID `json:"account"`
}

// ShowRule gives a rule as listings show it.
func ShowRule(r *directory.Rule) Rule {
	return Rule{Address: r.Address(), Kind: string(r.Kind), Targets: slices.Clone(r.Targets), Keep: r.Keep, Archive: r.Archive, Account: r.Account}
}

// Outbound is a way out as listings show it.
type Outbound struct {
	Hop      string     `json:"hop,omitempty" doc:"Smart host, host:port; absent without one"`
	Source   string     `json:"source,omitempty" doc:"Local address from which mail leaves, or an IPv4 and an IPv6 address with a comma between, each with =NAME where another name in EHLO is chosen; absent: as the system chooses"`
	Domain   string     `json:"domain,omitempty" doc:"Sender's domain; absent for the whole installation, and with an identity"`
	Identity string     `json:"identity,omitempty" doc:"Address elsewhere as which logins of the account send, or the domain of such addresses"`
	TLS      string     `json:"tls,omitempty" enum:"opportunistic,verified" doc:"verified: nothing is sent but under TLS with a verified certificate; opportunistic: TLS where it is offered; absent without a smart host"`
	User     string     `json:"user,omitempty" doc:"AUTH user; absent without AUTH"`
	Account  account.ID `json:"account"`
}

// Way tells a way out in few words.
func (o *Outbound) Way() string {
	switch {
	case o.Source == "":
		return "through " + o.Hop
	case o.Hop == "":
		return "from " + o.Source
	}
	return "through " + o.Hop + " from " + o.Source
}

// ShowOutbound gives a way out as listings show it.
func ShowOutbound(o directory.Outbound) Outbound {
	info := Outbound{Source: o.Source.String(), Domain: o.Domain, Identity: o.Identity, User: o.User, Account: o.Account}
	if o.Smart() {
		info.Hop, info.TLS = settings.ShowHost(o.Hop), string(directory.TLSOpportunistic)
		if o.Verified() {
			info.TLS = string(directory.TLSVerified)
		}
	}
	return info
}

// FindOutbound finds what is set for a sender's domain, or for the installation (empty).
func FindOutbound(snap *directory.Snapshot, domain string) (directory.Outbound, bool) {
	for _, o := range snap.Outbounds() {
		if o.Domain == domain && o.Identity == "" {
			return o, true
		}
	}
	return directory.Outbound{}, false
}

// Account is an account as listings show it.
type Account struct {
	ID      account.ID `json:"id"`
	Name    string     `json:"name"`
	Domains int        `json:"domains" doc:"Number of its domains"`
	Notices []string   `json:"notices,omitempty" doc:"Addresses that are told of what happens to its domains' mail"`
}

// Token is a token as listings show it.
type Token struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Account account.ID `json:"account"`
	Created time.Time  `json:"created"`
}

// RemovedDomain is what the audit log keeps of a domain that went.
type RemovedDomain struct {
	settings.Info
	Mailboxes []Mailbox `json:"mailboxes"`
	Rules     []Rule    `json:"rules"`
	Outbound  *Outbound `json:"outbound,omitempty"`
	// Content is the zone; absent when there was none.
	Content *Zone `json:"content,omitempty"`
}

// Zone is a zone as the audit log keeps it.
type Zone struct {
	Serial  uint32   `json:"serial"`
	Records []string `json:"records"` // lines of a zone file
	// Signing has the keys of a signed zone, without their private parts.
	Signing *dnssec.Signing `json:"signing,omitempty"`
}

// Contents are the mailboxes, empty, and the rules that were in the domain, for the domain that takes its place.
func (gone *RemovedDomain) Contents(d *directory.Domain, newID func() string) (boxes []directory.Mailbox, rules []directory.Rule) {
	for _, m := range gone.Mailboxes {
		boxes = append(boxes, directory.Mailbox{ID: newID(), Account: d.Account, Domain: d.Name, Local: localOf(m.Address), Quota: m.Quota})
	}
	for _, r := range gone.Rules {
		rules = append(rules, directory.Rule{ID: newID(), Account: d.Account, Domain: d.Name, Local: localOf(r.Address), Kind: directory.RuleKind(r.Kind), Targets: r.Targets, Keep: r.Keep, Archive: r.Archive})
	}
	return boxes, rules
}
