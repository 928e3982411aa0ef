package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/delegations"
	"postroad/internal/service/control/exchangers"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// Settings of a domain in the words of package settings.
type (
	// DomainSettings are what can be chosen for a domain.
	DomainSettings = settings.Domain
	// DomainInfo is a domain as listings show it.
	DomainInfo = settings.Info
)

// DomainSpec is a wanted domain.
type DomainSpec struct {
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
	Delegation *DomainDelegation `json:"delegation,omitempty" doc:"For a zone hosted here: whether the world is led to it"`
	Findings   []FindingInfo     `json:"findings"`
	Support    *Support          `json:"support,omitempty"`
}

// FindingInfo is a finding as listings show it.
type FindingInfo struct {
	Name     finding.Name `json:"name"`
	Domain   string       `json:"domain"`
	Sentence string       `json:"sentence"`
	Evidence string       `json:"evidence"`
	Since    time.Time    `json:"since"`
}

func domainInfo(d *directory.Domain) DomainInfo { return settings.Show(d, now()) }

// DomainFilter narrows a listing of domains; the zero value is all of them.
type DomainFilter struct {
	Arrangement string // FULL, EMAIL, PARTIAL or none
	Leaving     bool   // only those in their leaving window, with those that were removed
}

// Domains lists the domains in scope by name.
func (s *Service) Domains(actor Actor, f DomainFilter) ([]DomainInfo, error) {
	arrangements := []string{"", settings.Full, settings.Email, settings.Partial, settings.NoArrangement}
	if !slices.Contains(arrangements, f.Arrangement) {
		return nil, words.Invalid("The arrangement is "+words.Quote(f.Arrangement)+".", "FULL, EMAIL, PARTIAL or none")
	}
	st, out := s.current.Load(), []DomainInfo{}
	for d := range st.Directory.Domains() {
		if !actor.Scope.Has(d.Account) {
			continue
		}
		info := domainInfo(d)
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

// Domain shows one domain with its findings.
func (s *Service) Domain(ctx context.Context, actor Actor, name string) (DomainDetail, error) {
	st := s.current.Load()
	d, err := actor.Domain(st, name)
	if err != nil {
		return DomainDetail{}, err
	}
	reach := s.explainer.Reach(ctx, st.Directory, d)
	out := DomainDetail{DomainInfo: domainInfo(d), Why: settings.Why(d), Machine: reach.Sentence(d.Name)}
	if !d.Proved {
		out.Why = "Ownership of the domain is not shown: nothing is delivered or relayed for it here."
	}
	for range st.Directory.Mailboxes(d.Name) {
		out.Mailboxes++
	}
	for range st.Directory.Rules(d.Name) {
		out.Addresses++
	}
	if out.Follows, err = s.exchangers.Follows(ctx, st, d); err != nil {
		return DomainDetail{}, err
	}
	if out.Findings, err = s.Findings(ctx, actor, d.Name); err != nil {
		return DomainDetail{}, err
	}
	out.Delegation = s.delegated.Show(ctx, st, d)
	out.Support = s.support(&out, nil)
	return out, nil
}

// Findings lists what is wrong, of one domain or of all in scope (empty).
func (s *Service) Findings(ctx context.Context, actor Actor, domain string) ([]FindingInfo, error) {
	if domain != "" {
		d, err := actor.Domain(s.current.Load(), domain)
		if err != nil {
			return nil, err
		}
		domain = d.Name
	}
	found, err := s.o.Store.Findings(ctx, actor.Scope, domain)
	if err != nil {
		return nil, err
	}
	out := make([]FindingInfo, 0, len(found))
	for _, f := range found {
		out = append(out, FindingInfo{Name: f.Name, Domain: f.Domain, Sentence: f.Name.Sentence(), Evidence: f.Evidence, Since: f.Since})
	}
	return out, nil
}

// newDomain makes a domain with settings, or refuses it.
func (s *Service) newDomain(actor Actor, st *state, name string, owner account.ID, set DomainSettings) (directory.Domain, error) {
	if err := s.ours.Free(actor, st.Directory, name, owner); err != nil {
		return directory.Domain{}, err
	}
	d := settings.New(newID(), owner, name, now())
	return d, s.ours.Settle(actor, &d, set, now())
}

// PlanDomainAdd plans a new domain. Without the operator's word it is inert until its ownership is shown.
func (s *Service) PlanDomainAdd(ctx context.Context, actor Actor, spec DomainSpec) (Plan, error) {
	st, p := s.plan(actor)
	name, err := words.DomainName(spec.Name)
	if err != nil {
		return Plan{}, err
	}
	owner, err := actor.Account(st, spec.Account)
	if err != nil {
		return Plan{}, err
	}
	d, err := s.newDomain(actor, st, name, owner, spec.DomainSettings)
	if err != nil {
		return Plan{}, err
	}
	if err := s.exchangers.Choose(ctx, st, nil, &d, spec.DomainSettings); err != nil {
		return Plan{}, err
	}
	says, err := s.ownership.Claim(ctx, actor, st, &d)
	if err != nil {
		return Plan{}, err
	}
	forgetDeparted(&p, actor, st, &d)
	p.Tx.PutDomains = []directory.Domain{d}
	p.Delta.PutDomains = p.Tx.PutDomains
	p.Record(Change{Kind: KindDomain, Verb: VerbAdd, Subject: name, Domain: name, Account: owner, After: domainInfo(&d)})
	p.Say("Adds the domain %s: %s.", words.Show(name), settings.Describe(&d))
	bare := settings.New(d.ID, d.Account, d.Name, d.Created)
	p.Sentences = slices.Concat(p.Sentences, settings.Changed(&bare, &d), says)
	if err := s.zones.Host(ctx, st, &p, nil, &d); err != nil {
		return Plan{}, err
	}
	if err := s.exchangers.Publish(ctx, actor, st, &p, nil, &d); err != nil {
		return Plan{}, err
	}
	if err := s.checkWay(ctx, actor, st, &p, nil, &d); err != nil {
		return Plan{}, err
	}
	return s.weighed(actor, st, p)
}

// PlanDomainSet plans other settings for a domain.
func (s *Service) PlanDomainSet(ctx context.Context, actor Actor, name string, set DomainSettings) (Plan, error) {
	st, p := s.plan(actor)
	old, err := actor.Domain(st, name)
	if err != nil {
		return Plan{}, err
	}
	d := *old
	d.NextHops = slices.Clone(old.NextHops)
	if err := s.ours.Settle(actor, &d, set, now()); err != nil {
		return Plan{}, err
	}
	if err := s.exchangers.Choose(ctx, st, old, &d, set); err != nil {
		return Plan{}, err
	}
	if settings.Same(old, &d) {
		return p, nil
	}
	s.ownership.Pending(ctx, st, old, &d)
	return s.changed(ctx, actor, st, p, old, &d)
}

// changed plans that a domain becomes another one, and what follows for its mail and its zone.
func (s *Service) changed(ctx context.Context, actor Actor, st *state, p Plan, old, domain *directory.Domain) (Plan, error) {
	d := *domain
	sayRoute(&p, st, old, &d)
	s.window(ctx, st, &p, old, &d)
	forgetDeparted(&p, actor, st, &d)
	before, after := domainInfo(old), domainInfo(&d)
	p.Tx.PutDomains = []directory.Domain{d}
	p.Delta.PutDomains = p.Tx.PutDomains
	p.Record(Change{Kind: KindDomain, Verb: VerbSet, Subject: d.Name, Domain: d.Name, Account: d.Account, Before: before, After: after})
	if settings.Keeps(&d) && d.Effective() != old.Effective() {
		var all []smtp.Address
		for r := range st.Directory.Rules(d.Name) {
			all = append(all, smtp.Address{Local: r.Local, Domain: r.Domain})
		}
		if err := s.checkLoops(actor, st, &p, all...); err != nil {
			return Plan{}, err
		}
	}
	p.Sentences = append(p.Sentences, settings.Changed(old, &d)...)
	if old.Zone == directory.ZoneHosted && d.Zone != directory.ZoneHosted {
		p.Tx.DropFindings = append(p.Tx.DropFindings, delegations.Of(d.Name)...)
	}
	if err := s.Transfers().Hosting(ctx, old, &d); err != nil {
		return Plan{}, err
	}
	if err := s.zones.Host(ctx, st, &p, old, &d); err != nil {
		return Plan{}, err
	}
	if err := s.exchangers.Publish(ctx, actor, st, &p, old, &d); err != nil {
		return Plan{}, err
	}
	if err := s.checkWay(ctx, actor, st, &p, old, &d); err != nil {
		return Plan{}, err
	}
	return s.weighed(actor, st, p)
}

// sayRoute tells what becomes of a domain's mail when its settings change, and asks when its route is altered.
func sayRoute(p *Plan, st *state, old, d *directory.Domain) {
	if !old.Proved && d.Proved {
		p.Say("The domain %s counts as proved from now on: %s.", words.Show(d.Name), settings.Describe(d))
	}
	if old.Proved && !d.Proved {
		p.Warn("Mail for %s is no longer delivered or relayed here: the domain is inert.", words.Show(d.Name))
		return
	}
	if settings.Describe(old) == settings.Describe(d) {
		if !slices.Equal(old.NextHops, d.NextHops) {
			p.Say("The next hops of %s count as named by %s from now on.", words.Show(d.Name), p.Actor)
		}
		return
	}
	if old.Proved {
		p.Asks = true
	}
	p.Say("Mail for %s: %s. Before: %s.", words.Show(d.Name), settings.Describe(d), settings.Describe(old))
	if settings.Keeps(old) && !settings.Keeps(d) {
		n := int64(0)
		for range st.Directory.Mailboxes(d.Name) {
			n++
		}
		if n > 0 {
			p.Warn("No mail comes any more for %s here; what they hold stays.", words.Plural(n, "mailbox", "mailboxes"))
		}
	}
}

// PlanDomainRemove plans the end of a domain with everything in it.
func (s *Service) PlanDomainRemove(ctx context.Context, actor Actor, name string) (Plan, error) {
	st, p := s.plan(actor)
	d, err := actor.Domain(st, name)
	if err != nil {
		return Plan{}, err
	}
	gone := undo.RemovedDomain{Info: domainInfo(d), Mailboxes: []MailboxInfo{}, Rules: []RuleInfo{}}
	for m := range st.Directory.Mailboxes(d.Name) {
		gone.Mailboxes = append(gone.Mailboxes, undo.ShowMailbox(m))
		p.Unboxed = append(p.Unboxed, m.ID)
	}
	for r := range st.Directory.Rules(d.Name) {
		gone.Rules = append(gone.Rules, undo.ShowRule(r))
	}
	slices.SortFunc(gone.Mailboxes, func(a, b MailboxInfo) int { return cmp.Compare(a.Address, b.Address) })
	slices.SortFunc(gone.Rules, func(a, b RuleInfo) int { return cmp.Compare(a.Address, b.Address) })
	p.Remove(KindDomain, d.ID)
	p.Delta.RemoveDomains = []string{d.Name}
	if o, ok := undo.FindOutbound(st.Directory, d.Name); ok {
		info := undo.ShowOutbound(o)
		gone.Outbound = &info
	}
	content, err := s.hosted.Removed(ctx, actor, d)
	if err != nil {
		return Plan{}, err
	}
	gone.Content = (*undo.Zone)(content)
	p.Record(Change{Kind: KindDomain, Verb: VerbRemove, Subject: d.Name, Domain: d.Name, Account: d.Account, Before: gone})
	p.Say("Removes the domain %s.", words.Show(d.Name))
	if n := len(gone.Rules); n > 0 {
		p.Say("%s go with it.", words.Plural(int64(n), "alias, forward, group or catch-all", "aliases, forwards, groups and catch-alls"))
	}
	if len(p.Unboxed) > 0 {
		held, err := s.usage(ctx, actor, p.Unboxed)
		if err != nil {
			return Plan{}, err
		}
		p.Warn("%s with %s go with it and cannot be brought back.", words.Plural(int64(len(p.Unboxed)), "mailbox", "mailboxes"), words.Plural(held.Messages, "message", "messages"))
	}
	if d.Zone == directory.ZoneHosted {
		p.Warn("Its zone goes with it: our name servers no longer answer for %s.", words.Show(d.Name))
	}
	s.depart(ctx, st, &p, d)
	for _, out := range st.Directory.Outbounds() {
		if out.Domain == d.Name {
			p.Remove(KindOutbound, out.ID)
			p.Delta.RemoveOutbounds = append(p.Delta.RemoveOutbounds, out.ID)
			p.Say("Its outbound route %s goes with it.", settings.ShowHost(out.Hop))
		}
	}
	return s.weighed(actor, st, p)
}
