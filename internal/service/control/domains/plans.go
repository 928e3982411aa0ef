package domains

import (
	"cmp"
	"context"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/delegations"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
)

// New makes a domain with settings, or refuses it.
func (a *Access) New(actor rights.Actor, st *rights.State, name string, owner account.ID, set DomainSettings) (directory.Domain, error) {
	if err := a.Ours.Free(actor, st.Directory, name, owner); err != nil {
		return directory.Domain{}, err
	}
	d := settings.New(a.NewID(), owner, name, now())
	if err := settings.Primary(actor, st.Directory, &d, set); err != nil {
		return directory.Domain{}, err
	}
	return d, a.Ours.Settle(actor, &d, set, now())
}

// PlanAdd plans a new domain. Without the operator's word it is inert until its ownership is shown.
func (a *Access) PlanAdd(ctx context.Context, actor rights.Actor, st *rights.State, spec Spec) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	name, err := words.DomainName(spec.Name)
	if err != nil {
		return plan.Plan{}, err
	}
	owner, err := actor.Account(st, spec.Account)
	if err != nil {
		return plan.Plan{}, err
	}
	d, err := a.New(actor, st, name, owner, spec.DomainSettings)
	if err != nil {
		return plan.Plan{}, err
	}
	if err := a.Exchangers.Choose(ctx, st, nil, &d, spec.DomainSettings); err != nil {
		return plan.Plan{}, err
	}
	says, err := a.Ownership.Claim(ctx, actor, st, &d)
	if err != nil {
		return plan.Plan{}, err
	}
	forgetDeparted(&p, actor, st, &d)
	p.Tx.PutDomains = []directory.Domain{d}
	p.Delta.PutDomains = p.Tx.PutDomains
	p.Record(plan.Change{Kind: plan.KindDomain, Verb: plan.VerbAdd, Subject: name, Domain: name, Account: owner, After: Info(&d)})
	p.Say("Adds the domain %s: %s.", words.Show(name), settings.Describe(&d))
	bare := settings.New(d.ID, d.Account, d.Name, d.Created)
	p.Sentences = slices.Concat(p.Sentences, settings.Changed(&bare, &d), says)
	if rule, paused := st.Directory.DomainPausedFor(owner, name); paused {
		p.Say("%s", rule.StillPaused())
	}
	if err := a.Zones.Host(ctx, st, &p, nil, &d); err != nil {
		return plan.Plan{}, err
	}
	if err := a.Exchangers.Publish(ctx, actor, st, &p, nil, &d); err != nil {
		return plan.Plan{}, err
	}
	if err := a.Clients(ctx, &p, nil, &d); err != nil {
		return plan.Plan{}, err
	}
	if err := a.Ways.Check(ctx, actor, st, &p, nil, &d); err != nil {
		return plan.Plan{}, err
	}
	return p, nil
}

// PlanSet plans other settings for a domain.
func (a *Access) PlanSet(ctx context.Context, actor rights.Actor, st *rights.State, name string, set DomainSettings) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	old, err := actor.Domain(st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	d := *old
	d.NextHops = slices.Clone(old.NextHops)
	if err := a.Ours.Settle(actor, &d, set, now()); err != nil {
		return plan.Plan{}, err
	}
	if err := settings.Primary(actor, st.Directory, &d, set); err != nil {
		return plan.Plan{}, err
	}
	if err := a.Exchangers.Choose(ctx, st, old, &d, set); err != nil {
		return plan.Plan{}, err
	}
	if settings.Same(old, &d) {
		return p, nil
	}
	a.Ownership.Pending(ctx, st, old, &d)
	return a.Changed(ctx, actor, st, p, old, &d)
}

// Changed plans that a domain becomes another one, and what follows for its mail and its zone.
func (a *Access) Changed(ctx context.Context, actor rights.Actor, st *rights.State, p plan.Plan, old, domain *directory.Domain) (plan.Plan, error) {
	d := *domain
	sayRoute(&p, st, old, &d)
	a.window(ctx, st, &p, old, &d)
	forgetDeparted(&p, actor, st, &d)
	before, after := Info(old), Info(&d)
	p.Tx.PutDomains = []directory.Domain{d}
	p.Delta.PutDomains = p.Tx.PutDomains
	p.Record(plan.Change{Kind: plan.KindDomain, Verb: plan.VerbSet, Subject: d.Name, Domain: d.Name, Account: d.Account, Before: before, After: after})
	if d.Keeps() && d.Effective() != old.Effective() {
		var all []smtp.Address
		for r := range st.Directory.Rules(d.Name) {
			all = append(all, smtp.Address{Local: r.Local, Domain: r.Domain})
		}
		if err := a.Ways.Loops(actor, st, &p, all...); err != nil {
			return plan.Plan{}, err
		}
	}
	p.Sentences = append(p.Sentences, settings.Changed(old, &d)...)
	if old.Zone == directory.ZoneHosted && d.Zone != directory.ZoneHosted {
		p.Tx.DropFindings = append(p.Tx.DropFindings, delegations.Of(d.Name)...)
	}
	if err := a.Hosting(ctx, old, &d); err != nil {
		return plan.Plan{}, err
	}
	if err := a.Zones.Host(ctx, st, &p, old, &d); err != nil {
		return plan.Plan{}, err
	}
	if err := a.Exchangers.Publish(ctx, actor, st, &p, old, &d); err != nil {
		return plan.Plan{}, err
	}
	if err := a.Clients(ctx, &p, old, &d); err != nil {
		return plan.Plan{}, err
	}
	if err := a.Ways.Check(ctx, actor, st, &p, old, &d); err != nil {
		return plan.Plan{}, err
	}
	return p, nil
}

// sayRoute tells what becomes of a domain's mail when its settings change, and asks when its route is altered.
func sayRoute(p *plan.Plan, st *rights.State, old, d *directory.Domain) {
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
	if old.Keeps() && !d.Keeps() {
		n := int64(0)
		for range st.Directory.Mailboxes(d.Name) {
			n++
		}
		if n > 0 {
			p.Warn("No mail comes any more for %s here; what they hold stays.", words.Plural(n, "mailbox", "mailboxes"))
		}
	}
}

// PlanRemove plans the end of a domain with everything in it.
func (a *Access) PlanRemove(ctx context.Context, actor rights.Actor, st *rights.State, name string) (plan.Plan, error) {
	p := plan.New(st.Directory.Version(), actor)
	d, err := actor.Domain(st, name)
	if err != nil {
		return plan.Plan{}, err
	}
	gone := undo.RemovedDomain{Info: Info(d), Mailboxes: []undo.Mailbox{}, Rules: []undo.Rule{}}
	for m := range st.Directory.Mailboxes(d.Name) {
		gone.Mailboxes = append(gone.Mailboxes, undo.ShowMailbox(m))
		p.Unboxed = append(p.Unboxed, m.ID)
	}
	for r := range st.Directory.Rules(d.Name) {
		gone.Rules = append(gone.Rules, undo.ShowRule(r))
	}
	slices.SortFunc(gone.Mailboxes, func(a, b undo.Mailbox) int { return cmp.Compare(a.Address, b.Address) })
	slices.SortFunc(gone.Rules, func(a, b undo.Rule) int { return cmp.Compare(a.Address, b.Address) })
	p.Remove(plan.KindDomain, d.ID)
	p.Delta.RemoveDomains = []string{d.Name}
	if o, ok := undo.FindOutbound(st.Directory, d.Name); ok {
		info := undo.ShowOutbound(o)
		gone.Outbound = &info
	}
	content, err := a.Hosted.Removed(ctx, actor, d)
	if err != nil {
		return plan.Plan{}, err
	}
	gone.Content = (*undo.Zone)(content)
	p.Record(plan.Change{Kind: plan.KindDomain, Verb: plan.VerbRemove, Subject: d.Name, Domain: d.Name, Account: d.Account, Before: gone})
	p.Say("Removes the domain %s.", words.Show(d.Name))
	if n := len(gone.Rules); n > 0 {
		p.Say("%s go with it.", words.Plural(int64(n), "alias, forward, group or catch-all", "aliases, forwards, groups and catch-alls"))
	}
	if len(p.Unboxed) > 0 {
		held, err := a.Reading.Held(ctx, actor, p.Unboxed)
		if err != nil {
			return plan.Plan{}, err
		}
		p.Warn("%s with %s go with it and cannot be brought back.", words.Plural(int64(len(p.Unboxed)), "mailbox", "mailboxes"), words.Plural(held.Messages, "message", "messages"))
	}
	if d.Zone == directory.ZoneHosted {
		p.Warn("Its zone goes with it: our name servers no longer answer for %s.", words.Show(d.Name))
	}
	a.depart(ctx, st, &p, d)
	for _, out := range st.Directory.Outbounds() {
		if out.Domain == d.Name {
			p.Remove(plan.KindOutbound, out.ID)
			p.Delta.RemoveOutbounds = append(p.Delta.RemoveOutbounds, out.ID)
			info := undo.ShowOutbound(out)
			p.Say("Its outbound route %s goes with it.", info.Way())
		}
	}
	return p, nil
}
