package domains

import (
	"context"

	"postroad/internal/core/directory"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/zone"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/exchangers"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/signing"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
	"postroad/internal/service/control/zones"
)

// PlanRestore plans a domain that was removed, with its mailboxes, empty, and its rules. Of a proof nothing comes
// back but by the operator.
func (a *Access) PlanRestore(ctx context.Context, actor rights.Actor, st *rights.State, gone *undo.RemovedDomain) (plan.Plan, error) {
	bare := settings.Show(&directory.Domain{Name: gone.Name, Account: gone.Account, Mode: directory.ModeLocal, Zone: directory.ZoneExternal}, now())
	set := settings.Back(&bare, &gone.Info, now())
	exchangers.Again(st, &gone.Info, &set)
	if !actor.Operator {
		set.Proved = nil
	}
	p, err := a.PlanAdd(ctx, actor, st, Spec{Name: gone.Name, Account: string(gone.Account), DomainSettings: set})
	if err != nil {
		return plan.Plan{}, err
	}
	p.Warnings, p.AlteredRoutes = nil, nil // weighed again with all that is in it
	d := &p.Tx.PutDomains[0]
	p.Tx.PutMailboxes, p.Tx.PutRules = gone.Contents(d, a.NewID)
	p.Delta.PutMailboxes, p.Delta.PutRules = p.Tx.PutMailboxes, p.Tx.PutRules
	if gone.Content != nil {
		z, err := (*zones.Content)(gone.Content).Restored(d)
		if err != nil {
			return plan.Plan{}, err
		}
		p.Say("Also brings back its zone, with %s.", words.Plural(int64(len(z.Records)), "record", "records"))
		if err := a.resign(ctx, actor, &p, &z, gone.Content.Signing); err != nil {
			return plan.Plan{}, err
		}
		p.Tx.PutZones = []zone.Zone{z}
	}
	if n := len(gone.Mailboxes); n > 0 {
		p.Say("Also brings back %s, empty: messages and passwords do not come back.", words.Plural(int64(n), "mailbox", "mailboxes"))
	}
	if n := len(gone.Rules); n > 0 {
		p.Say("Also brings back %s.", words.Plural(int64(n), "alias, forward, group or catch-all", "aliases, forwards, groups and catch-alls"))
	}
	if gone.Outbound != nil {
		p.Say("Its outbound route %s does not come back.", gone.Outbound.Way())
	}
	p.Changes[0].After = undo.RemovedDomain{Info: Info(d), Mailboxes: gone.Mailboxes, Rules: gone.Rules}
	var all []smtp.Address
	for i := range p.Tx.PutRules {
		all = append(all, smtp.Address{Local: p.Tx.PutRules[i].Local, Domain: d.Name})
	}
	if err := a.Ways.Loops(actor, st, &p, all...); err != nil {
		return plan.Plan{}, err
	}
	return p, nil
}

// resign has a zone that comes back signed with the keys that it had, where they are still kept.
func (a *Access) resign(ctx context.Context, actor rights.Actor, p *plan.Plan, z *zone.Zone, was *dnssec.Signing) error {
	if was == nil {
		return nil
	}
	kept, err := signing.Kept(ctx, a.Keys, actor.Scope, z.Domain, was)
	if err != nil {
		return err
	}
	if !kept || !a.Signs {
		p.Say("It was signed, and its keys are no longer kept: it comes back unsigned. Sign it anew with dnssec on.")
		return nil
	}
	z.Signing = signing.Resumed(was)
	p.Say("It is signed again, with the keys that it had.")
	return nil
}
