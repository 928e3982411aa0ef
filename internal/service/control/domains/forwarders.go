package domains

import (
	"context"
	"slices"

	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
	"postroad/internal/service/control/words"
)

// ForwarderInfo is a trusted forwarder as listings show it.
type ForwarderInfo struct {
	Domain    string `json:"domain"`
	Forwarder string `json:"forwarder" doc:"Name of a host, address or network"`
	// By is how a client is known to be it.
	By string `json:"by" enum:"address,name" doc:"How a client is known to be it: by its address, or by a name that leads to its address and back"`
}

// Forwarders lists the trusted forwarders of a domain.
func (a *Access) Forwarders(actor rights.Actor, st *rights.State, domain string) ([]ForwarderInfo, error) {
	d, err := actor.Domain(st, domain)
	if err != nil {
		return nil, err
	}
	out := make([]ForwarderInfo, 0, len(d.Forwarders))
	for _, f := range d.Forwarders {
		by := "address"
		if f.Name != "" {
			by = "name"
		}
		out = append(out, ForwarderInfo{Domain: d.Name, Forwarder: f.String(), By: by})
	}
	return out, nil
}

// PlanForwarderAdd plans that a domain trusts a server to forward to it.
func (a *Access) PlanForwarderAdd(ctx context.Context, actor rights.Actor, st *rights.State, domain, forwarder string) (plan.Plan, error) {
	d, err := actor.Domain(st, domain)
	if err != nil {
		return plan.Plan{}, err
	}
	f, err := settings.ParseForwarder(forwarder)
	if err != nil {
		return plan.Plan{}, err
	}
	if slices.Contains(d.Forwarders, f) {
		return plan.Plan{}, words.Exists(f.String()+" is a trusted forwarder of "+words.Show(d.Name)+" already.", "")
	}
	list := append(settings.ShowForwarders(d.Forwarders), f.String())
	return a.PlanSet(ctx, actor, st, domain, DomainSettings{Forwarders: &list})
}

// PlanForwarderRemove plans that a domain no longer trusts a server to forward to it.
func (a *Access) PlanForwarderRemove(ctx context.Context, actor rights.Actor, st *rights.State, domain, forwarder string) (plan.Plan, error) {
	d, err := actor.Domain(st, domain)
	if err != nil {
		return plan.Plan{}, err
	}
	f, err := settings.ParseForwarder(forwarder)
	if err != nil {
		return plan.Plan{}, err
	}
	i := slices.Index(d.Forwarders, f)
	if i < 0 {
		return plan.Plan{}, words.Missing(f.String() + " is no trusted forwarder of " + words.Show(d.Name) + ".")
	}
	list := settings.ShowForwarders(slices.Delete(slices.Clone(d.Forwarders), i, i+1))
	return a.PlanSet(ctx, actor, st, domain, DomainSettings{Forwarders: &list})
}
