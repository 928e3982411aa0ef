package control

import (
	"context"

	"postroad/internal/core/directory"
	"postroad/internal/service/control/dkim"
	"postroad/internal/service/control/domains"
	"postroad/internal/service/control/exchangers"
	"postroad/internal/service/control/identities"
	"postroad/internal/service/control/sendings"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/signing"
	"postroad/internal/service/control/transfers"
	"postroad/internal/service/control/undo"
	"postroad/internal/service/control/words"
	"postroad/internal/service/control/zones"
)

func undoing(st *state, e *Entry) (undo.Step, error) {
	return undo.Judge(st, &undo.Change{Action: e.Action, Subject: e.Subject, Domain: e.Domain, Account: e.Account, Before: e.Before, After: e.After}, now())
}

// PlanUndo plans to restore what was before a change, by the id of its audit entry. It is refused when what the
// change made has changed since, when what it would need is gone, or when what was before is not kept.
func (s *Service) PlanUndo(ctx context.Context, actor Actor, id int64) (Plan, error) {
	list, err := s.o.Store.Audit(ctx, actor.Scope, "", id+1, 1)
	if err != nil {
		return Plan{}, err
	}
	if len(list) == 0 || list[0].ID != id {
		return Plan{}, words.Missing("There is no such change.")
	}
	if zones.Undoable(list[0].Action) {
		return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.hosted.PlanUndo(ctx, actor, st, &list[0]) })
	}
	if signing.Undoable(list[0].Action) {
		return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.signing.PlanUndo(ctx, actor, st, &list[0]) })
	}
	if transfers.Undoable(list[0].Action) {
		return s.Transfers().PlanUndo(ctx, actor, &list[0])
	}
	if dkim.Undoable(list[0].Action) {
		return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.dkim.PlanUndo(ctx, actor, st, &list[0]) })
	}
	if identities.Undoable(list[0].Action) {
		return identities.PlanUndo(actor, s.current.Load(), &list[0], newID)
	}
	step, err := undoing(s.current.Load(), &list[0])
	if err != nil {
		return Plan{}, err
	}
	if step.Do == undo.Unpublish {
		return s.publishing.PlanBack(ctx, actor, s.current.Load(), &list[0])
	}
	p, err := s.undo(ctx, actor, &step)
	if err != nil {
		return Plan{}, err
	}
	if step.Says != "" {
		p.Say("%s", step.Says)
	}
	p.Asks = p.Asks || !p.Empty()
	return p, nil
}

// undo plans one step back.
func (s *Service) undo(ctx context.Context, actor Actor, step *undo.Step) (Plan, error) {
	switch step.Do {
	case undo.AddAccount:
		return s.accounts.PlanRestore(actor, s.current.Load(), step.Account)
	case undo.SetAccount:
		was := AccountSettings{Notices: &step.Account.Notices}
		if st := s.current.Load(); st.Accounts[step.Account.ID].Name != step.Account.Name {
			was.Name = &step.Account.Name
		}
		return s.PlanAccountSet(actor, step.Subject, was)
	case undo.RemoveAccount:
		return s.PlanAccountRemove(ctx, actor, step.Subject)
	case undo.RestoreDomain:
		return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) { return s.domains.PlanRestore(ctx, actor, st, step.Removed) })
	case undo.SetDomain:
		p, err := s.PlanDomainSet(ctx, actor, step.Subject, step.Settings)
		if err == nil && len(p.Tx.PutDomains) > 0 {
			if made := domains.Info(&p.Tx.PutDomains[0]); !settings.Alike(&made, step.Domain, now()) {
				err = undo.Inexact()
			}
		}
		return p, err
	case undo.RemoveDomain:
		return s.PlanDomainRemove(ctx, actor, step.Subject)
	case undo.AddMailbox:
		return s.PlanMailboxAdd(actor, MailboxSpec{Address: step.Subject, Quota: step.Mailbox.Quota})
	case undo.SetMailbox:
		return s.PlanMailboxSet(actor, step.Subject, MailboxSettings{Quota: &step.Mailbox.Quota})
	case undo.RemoveMailbox:
		return s.PlanMailboxRemove(ctx, actor, step.Subject)
	case undo.AddRule:
		return s.PlanRuleAdd(actor, ruleSpec(step.Rule))
	case undo.SetRule:
		return s.PlanRuleSet(actor, ruleSpec(step.Rule))
	case undo.RemoveRule:
		return s.PlanRuleRemove(actor, directory.RuleKind(step.Rule.Kind), step.Subject)
	case undo.SetOutbound:
		return s.PlanOutboundSet(ctx, actor, OutboundSpec{Hop: step.Outbound.Hop, Source: step.Source, Domain: step.Subject, TLS: step.Outbound.TLS})
	case undo.RemoveOutbound:
		return s.PlanOutboundRemove(actor, step.Subject, step.Keep)
	case undo.SetRelay:
		o := step.Outbound
		return s.PlanOutboundSet(ctx, actor, OutboundSpec{Hop: o.Hop, Identity: o.Identity, Account: string(o.Account), TLS: o.TLS})
	case undo.RemoveRelay:
		return s.PlanRelayRemove(actor, step.Outbound.Identity, string(step.Outbound.Account))
	case undo.RemoveProvider:
		return s.PlanProviderRemove(ctx, actor, step.Subject)
	case undo.AddCertificate:
		return s.PlanCertificateAdd(ctx, actor, step.Subject, "")
	case undo.RemoveCertificate:
		return s.PlanCertificateRemove(ctx, actor, step.Subject)
	case undo.RemoveToken:
		return s.PlanTokenRemove(ctx, actor, step.Subject)
	case undo.SetExchangers:
		st := s.current.Load()
		p, err := s.exchangers.PlanBack(ctx, actor, st, *step.MX, *step.Left)
		return s.weighedIf(actor, st, p, err)
	case undo.AddSet:
		return s.PlanExchangerSetAdd(actor, exchangers.SpecOf(step.Set, step.Subject))
	case undo.SetSet:
		return s.PlanExchangerSetSet(ctx, actor, exchangers.SpecOf(step.Set, step.Subject))
	case undo.RemoveSet:
		return s.PlanExchangerSetRemove(actor, step.Subject, "")
	case undo.AddServers:
		return s.PlanNameServerSetAdd(actor, exchangers.ServersSpecOf(step.Servers, step.Subject))
	case undo.SetServers:
		return s.PlanNameServerSetSet(ctx, actor, exchangers.ServersSpecOf(step.Servers, step.Subject))
	case undo.SetSender:
		return sendings.PlanBack(actor, s.current.Load(), step.Sender)
	case undo.RemoveServers:
		return s.PlanNameServerSetRemove(actor, step.Subject, "")
	}
	return Plan{}, undo.Inexact()
}

func ruleSpec(r *RuleInfo) RuleSpec {
	return RuleSpec{Kind: directory.RuleKind(r.Kind), Address: r.Address, Targets: r.Targets, Keep: r.Keep, Archive: r.Archive}
}
