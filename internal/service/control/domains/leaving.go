package domains

import (
	"context"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// lifetime is how long senders may remember what DNS says of a domain now, or has said lately.
func (a *Access) lifetime(ctx context.Context, st *rights.State, d *directory.Domain) time.Duration {
	reach := a.Explainer.Reach(ctx, st.Directory, d)
	largest, err := a.Store.LargestTTL(ctx, account.System(), d.Name, now())
	if err != nil {
		a.Log.ErrorContext(ctx, "largest TTL not read", "domain", d.Name, "error", err)
	}
	return max(largest, reach.Lifetime())
}

// window opens the leaving window of a domain whose mail goes elsewhere from now on, and closes that of one that comes
// back.
func (a *Access) window(ctx context.Context, st *rights.State, p *plan.Plan, old, d *directory.Domain) {
	switch {
	case d.Effective() != directory.ModeRemote:
		d.Leaving = directory.Leaving{}
	case old.Proved && d.Proved && old.Effective() != directory.ModeRemote:
		d.Leaving = directory.Window(now(), old.Effective(), a.lifetime(ctx, st, d))
		p.Say("Mail from strangers who still know the old MX records is handed on until %s.", words.When(d.Leaving.Until))
		p.Warn("After that mail from strangers for %s is refused.", words.Show(d.Name))
	}
}

// depart keeps what is needed of a domain that is removed, so that senders who remember it lose nothing.
func (a *Access) depart(ctx context.Context, st *rights.State, p *plan.Plan, d *directory.Domain) {
	if !d.Proved {
		return
	}
	left, kept := st.Directory.Depart(d, a.NewID(), now(), a.lifetime(ctx, st, d))
	if kept {
		p.Tx.PutDeparted = []directory.Departed{left}
		p.Delta.PutDeparted = p.Tx.PutDeparted
		p.Say("Until %s no other account gets the name without showing its ownership.", words.When(left.Removed.Add(directory.Tombstone)))
	}
	if !kept || !now().Before(left.Leaving.Until) {
		p.Warn("Mail for %s is refused from now on.", words.Show(d.Name))
		return
	}
	p.Say("Mail from strangers who still know the old MX records is handed on until %s.", words.When(left.Leaving.Until))
	p.Warn("After that mail for %s is refused.", words.Show(d.Name))
}

// forgetDeparted forgets a removed domain whose name is in use again.
func forgetDeparted(p *plan.Plan, actor rights.Actor, st *rights.State, d *directory.Domain) {
	left, ok := st.Directory.Departed(d.Name)
	if !ok || !d.Proved {
		return
	}
	p.Delta.RemoveDeparted = append(p.Delta.RemoveDeparted, left.Name)
	if actor.Scope.Has(left.Account) {
		p.Remove(plan.KindDeparted, left.ID)
	}
}

// departed lists the removed domains in scope whose mail is still handed on.
func departed(actor rights.Actor, st *rights.State) []DomainInfo {
	var out []DomainInfo
	for _, left := range st.Directory.AllDeparted() {
		if actor.Scope.Has(left.Account) && now().Before(left.Leaving.Until) {
			info := settings.Show(left.Domain(), now())
			info.Mode = "removed"
			out = append(out, info)
		}
	}
	return out
}

// PlanForget plans that removed domains whose time is over are forgotten.
func PlanForget(actor rights.Actor, st *rights.State) plan.Plan {
	p := plan.New(st.Directory.Version(), actor)
	for _, left := range st.Directory.AllDeparted() {
		if !left.Over(now()) {
			continue
		}
		p.Remove(plan.KindDeparted, left.ID)
		p.Delta.RemoveDeparted = append(p.Delta.RemoveDeparted, left.Name)
		p.Record(plan.Change{Kind: plan.KindDeparted, Verb: plan.VerbRemove, Subject: left.Name, Domain: left.Name, Account: left.Account})
	}
	return p
}

// Stranding finds mailboxes that get no mail because their domain's mail goes elsewhere, in the domains that a plan
// changes: what is found newly or otherwise, and what is so no longer.
func Stranding(p *plan.Plan, st *rights.State) (put, drop []finding.Finding) {
	var touched []string
	for i := range p.Delta.PutDomains {
		touched = append(touched, p.Delta.PutDomains[i].Name)
	}
	for i := range p.Delta.PutMailboxes {
		touched = append(touched, p.Delta.PutMailboxes[i].Domain)
	}
	for _, address := range p.Delta.RemoveMailboxes {
		touched = append(touched, address[strings.LastIndexByte(address, '@')+1:])
	}
	if len(touched) == 0 {
		return nil, nil
	}
	return settings.Stranding(st.Directory, st.Directory.With(p.Delta), touched, now().Truncate(time.Second))
}
