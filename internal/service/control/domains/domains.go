// Package domains shows and plans domains: that they come and go, what is chosen for them, and what follows for their
// mail and their zones.
package domains

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/advise"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/delegations"
	"postroad/internal/service/control/exchangers"
	"postroad/internal/service/control/inspect"
	"postroad/internal/service/control/ownership"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/reading"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/signing"
	"postroad/internal/service/control/words"
	"postroad/internal/service/control/zones"
)

// Store keeps what was found of domains.
type Store interface {
	// Findings lists what is wrong, of one domain or of all (empty).
	Findings(ctx context.Context, scope account.Scope, domain string) ([]finding.Finding, error)
	// LargestTTL is how long others may remember a domain's MX and NS records, as far as that was seen; 0 when nothing was.
	LargestTTL(ctx context.Context, scope account.Scope, domain string, at time.Time) (time.Duration, error)
}

// Ways holds the way that mail is to go against what is known of it.
type Ways interface {
	// Check refuses, or warns in p, where a domain's mail would go to nobody or in a circle; old is nil for a new domain.
	Check(ctx context.Context, actor rights.Actor, st *rights.State, p *plan.Plan, old, d *directory.Domain) error
	// Loops refuses a plan that would have mail go in a circle from one of the addresses.
	Loops(actor rights.Actor, st *rights.State, p *plan.Plan, changed ...smtp.Address) error
}

// Access is what domains are shown and planned with.
type Access struct {
	Store      Store
	Ours       *settings.Installation
	Explainer  *inspect.Explainer
	Exchangers *exchangers.Access
	Ownership  *ownership.Access
	Delegated  *delegations.Access
	Hosted     *zones.Access
	Zones      *zones.Answers
	Keys       signing.Keys
	Signs      bool // zones are signed here
	Reading    *reading.Access
	Ways       Ways
	Addresses  Addresses // nil: names of gateways are not looked up
	// Hosting refuses that a zone gets its home here; old is nil for a new domain.
	Hosting func(ctx context.Context, old, d *directory.Domain) error
	// Clients has a plan write into a domain's zone what mail programs look for; old is nil for a new domain.
	Clients func(ctx context.Context, p *plan.Plan, old, d *directory.Domain) error
	NewID   func() string
	Support string // where people ask; empty: nowhere
	Log     *slog.Logger
}

func now() time.Time { return time.Now().UTC() }

// Settings of a domain in the words of package settings.
type (
	// DomainSettings are what can be chosen for a domain.
	DomainSettings = settings.Domain
	// DomainInfo is a domain as listings show it.
	DomainInfo = settings.Info
)

// Spec is a wanted domain.
type Spec struct {
	Name    string // as people write it
	Account string // id or name; empty: the operator's for the operator, else the actor's own
	DomainSettings
}

// DomainDetail is everything about one domain.
type DomainDetail struct {
	DomainInfo
	exchangers.Follows

	Why       string `json:"why" doc:"Why the effective mode is what it is"`
	Machine   string `json:"machine,omitempty" doc:"Which machine gets the domain's mail now, as public DNS tells senders"`
	Mailboxes int    `json:"mailboxes"`
	Addresses int    `json:"addresses" doc:"Aliases, forwards, groups and catch-all"`
	// Delegation is how far the zone is handed to our name servers; nil for a zone that is not hosted here.
	Delegation *delegations.DomainDelegation `json:"delegation,omitempty" doc:"For a zone hosted here: whether the world is led to it"`
	Findings   []FindingInfo                 `json:"findings"`
	Support    *inspect.Support              `json:"support,omitempty"`
}

// FindingInfo is a finding as listings show it.
type FindingInfo struct {
	Name     finding.Name `json:"name"`
	Domain   string       `json:"domain"`
	Sentence string       `json:"sentence"`
	Evidence string       `json:"evidence"`
	Since    time.Time    `json:"since"`
}

// Info is a domain as listings show it now.
func Info(d *directory.Domain) DomainInfo { return settings.Show(d, now()) }

// Filter narrows a listing of domains; the zero value is all of them.
type Filter struct {
	Arrangement string // FULL, EMAIL, PARTIAL or none
	Leaving     bool   // only those in their leaving window, with those that were removed
}

// List lists the domains in scope by name.
func (a *Access) List(actor rights.Actor, st *rights.State, f Filter) ([]DomainInfo, error) {
	arrangements := []string{"", settings.Full, settings.Email, settings.Partial, settings.NoArrangement}
	if !slices.Contains(arrangements, f.Arrangement) {
		return nil, words.Invalid("The arrangement is "+words.Quote(f.Arrangement)+".", "FULL, EMAIL, PARTIAL or none")
	}
	out := []DomainInfo{}
	for d := range st.Directory.Domains() {
		if !actor.Scope.Has(d.Account) {
			continue
		}
		info := Info(d)
		if (f.Arrangement == "" || info.Arrangement == f.Arrangement) && (!f.Leaving || info.LeavingUntil != nil) {
			out = append(out, info)
		}
	}
	if f.Leaving {
		out = append(out, departed(actor, st)...)
	}
	slices.SortFunc(out, func(a, b DomainInfo) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// Show shows one domain with its findings.
func (a *Access) Show(ctx context.Context, actor rights.Actor, st *rights.State, name string) (DomainDetail, error) {
	d, err := actor.Domain(st, name)
	if err != nil {
		return DomainDetail{}, err
	}
	reach := a.Explainer.Reach(ctx, st.Directory, d)
	out := DomainDetail{DomainInfo: Info(d), Why: settings.Why(d), Machine: reach.Sentence(d.Name)}
	if !d.Proved {
		out.Why = "Ownership of the domain is not shown: nothing is delivered or relayed for it here."
	}
	for range st.Directory.Mailboxes(d.Name) {
		out.Mailboxes++
	}
	for range st.Directory.Rules(d.Name) {
		out.Addresses++
	}
	if out.Follows, err = a.Exchangers.Follows(ctx, st, d); err != nil {
		return DomainDetail{}, err
	}
	if out.Findings, err = a.Findings(ctx, actor, st, d.Name); err != nil {
		return DomainDetail{}, err
	}
	out.Delegation = a.Delegated.Show(ctx, st, d)
	out.Support = a.Ask(st, &out, nil)
	return out, nil
}

// Findings lists what is wrong, of one domain or of all in scope (empty).
func (a *Access) Findings(ctx context.Context, actor rights.Actor, st *rights.State, domain string) ([]FindingInfo, error) {
	if domain != "" {
		d, err := actor.Domain(st, domain)
		if err != nil {
			return nil, err
		}
		domain = d.Name
	}
	found, err := a.Store.Findings(ctx, actor.Scope, domain)
	if err != nil {
		return nil, err
	}
	out := make([]FindingInfo, 0, len(found))
	for _, f := range found {
		out = append(out, FindingInfo{Name: f.Name, Domain: f.Domain, Sentence: f.Name.Sentence(), Evidence: f.Evidence, Since: f.Since})
	}
	return out, nil
}

// Ask makes the link and the text by which support is asked about a domain; advice may be nil.
func (a *Access) Ask(st *rights.State, d *DomainDetail, advice *inspect.Advice) *inspect.Support {
	c := advise.Case{
		Domain: d.Name, Account: st.Accounts[d.Account].Name, Server: a.Ours.Hostname, At: now(), Mode: d.Mode, Effective: d.EffectiveMode, Why: d.Why, Machine: d.Machine,
		Arrangement: d.Arrangement, Zone: d.Zone, NextHops: d.NextHops, Mailboxes: d.Mailboxes, Addresses: d.Addresses,
	}
	for _, f := range d.Findings {
		c.Findings = append(c.Findings, string(f.Name)+" since "+f.Since.UTC().Format("2006-01-02 15:04 UTC")+": "+f.Evidence)
	}
	if advice != nil {
		c.Proposed, c.Command, c.Reasons = advice.Mode, advice.Command, advice.Reasons
	}
	return &inspect.Support{Link: c.Link(a.Support), Text: c.Text()}
}
