package api

import (
	"context"
	"net/http"

	"postroad/internal/service/control"
)

// ExchangerTyped is an exchanger as people type it.
type ExchangerTyped struct {
	Host       string `json:"host" doc:"Name of the server that takes the mail; one without a dot is completed by the zone's name"`
	Preference *int   `json:"preference,omitempty" doc:"0 to 65535, the lower one is tried first; 10 when absent, in a list ten behind the one before"`
}

func (t ExchangerTyped) typed() control.ExchangerTyped { return control.ExchangerTyped(t) }

type mxAdd struct {
	How
	DomainPath
	Body ExchangerTyped
}

type mxEdit struct {
	How
	DomainPath
	Host string `path:"host"`
	Body struct {
		Preference *int   `json:"preference,omitempty" doc:"0 to 65535; as it is when absent"`
		To         string `json:"to,omitempty" doc:"Another host; the same when absent"`
	}
}

type mxRemove struct {
	How
	DomainPath
	Host string `path:"host"`
}

type mxReplace struct {
	How
	DomainPath
	Body struct {
		Exchangers []ExchangerTyped `json:"exchangers" maxItems:"50" nullable:"false" doc:"All of them; none says that the domain takes no mail (null MX)"`
	}
}

// asking is how a change of exchangers is asked for: whoever confirms has seen the plan.
func (h How) asking() control.ExchangerAsking { return control.ExchangerAsking{Confirmed: h.Confirm} }

func (a *api) registerExchangers() {
	const path = "/domains/{domain}/exchangers"
	showing(a, "mx-list", path, "Show the exchangers of a domain, or what to enter where its zone is", func(ctx context.Context, actor control.Actor, in *DomainPath) (control.ExchangerListing, error) {
		return a.control.MX(ctx, actor, in.Domain)
	})
	changing(a, "mx-add", http.MethodPost, path, "Add an exchanger", func(ctx context.Context, actor control.Actor, in *mxAdd) (control.Plan, error) {
		return a.control.PlanMXAdd(ctx, actor, in.Domain, in.Body.typed(), in.asking())
	})
	changing(a, "mx-edit", http.MethodPatch, path+"/{host}", "Change the preference or the host of an exchanger", func(ctx context.Context, actor control.Actor, in *mxEdit) (control.Plan, error) {
		return a.control.PlanMXEdit(ctx, actor, in.Domain, in.Host, control.ExchangerTyped{Host: in.Body.To, Preference: in.Body.Preference}, in.asking())
	})
	changing(a, "mx-remove", http.MethodDelete, path+"/{host}", "Remove an exchanger", func(ctx context.Context, actor control.Actor, in *mxRemove) (control.Plan, error) {
		return a.control.PlanMXRemove(ctx, actor, in.Domain, in.Host, in.asking())
	})
	changing(a, "mx-replace", http.MethodPut, path, "Replace all exchangers in one step", func(ctx context.Context, actor control.Actor, in *mxReplace) (control.Plan, error) {
		list := make([]control.ExchangerTyped, len(in.Body.Exchangers))
		for i, x := range in.Body.Exchangers {
			list[i] = x.typed()
		}
		return a.control.PlanMXReplace(ctx, actor, in.Domain, list, in.asking())
	})
}

type exchangerSetAdd struct {
	How
	Body struct {
		Name       string           `json:"name" doc:"Lower-case letters, digits and hyphens"`
		Account    string           `json:"account,omitempty" doc:"Id or name; the caller's own when absent"`
		Exchangers []ExchangerTyped `json:"exchangers" minItems:"1" maxItems:"50" nullable:"false"`
		Gateways   *[]string        `json:"gateways,omitempty" doc:"Networks that its exchangers deliver from, and that alone may deliver then; absent: anybody may"`
		SPF        *string          `json:"spf,omitempty" doc:"SPF record; none for none; absent: one that passes the exchangers and this installation"`
	}
}

type exchangerSetSet struct {
	How
	Name string `path:"name" doc:"Name or id"`
	Body struct {
		Account    string            `json:"account,omitempty" doc:"Id or name; the caller's own when absent"`
		Exchangers *[]ExchangerTyped `json:"exchangers,omitempty" minItems:"1" maxItems:"50"`
		Gateways   *[]string         `json:"gateways,omitempty"`
		SPF        *string           `json:"spf,omitempty"`
	}
}

type setRemove struct {
	How
	Name    string `path:"name" doc:"Name or id"`
	Account string `query:"account" doc:"Id or name; the caller's own when absent"`
}

type nameServerSetAdd struct {
	How
	Body struct {
		Name    string   `json:"name" doc:"Lower-case letters, digits and hyphens"`
		Account string   `json:"account,omitempty" doc:"Id or name; the caller's own when absent"`
		Hosts   []string `json:"hosts" minItems:"1" maxItems:"13" nullable:"false"`
	}
}

type nameServerSetSet struct {
	How
	Name string `path:"name" doc:"Name or id"`
	Body struct {
		Account string   `json:"account,omitempty" doc:"Id or name; the caller's own when absent"`
		Hosts   []string `json:"hosts" minItems:"1" maxItems:"13" nullable:"false"`
	}
}

// typed gives a list as control reads it; nil stays nil.
func typed(list *[]ExchangerTyped) *[]control.ExchangerTyped {
	if list == nil {
		return nil
	}
	out := make([]control.ExchangerTyped, len(*list))
	for i, x := range *list {
		out[i] = x.typed()
	}
	return &out
}

func (a *api) registerSets() {
	const sets, servers = "/exchanger-sets", "/nameserver-sets"
	listing(a, "exchanger-set-list", sets, "List exchanger sets", func(_ context.Context, actor control.Actor, _ *struct{}) ([]control.ExchangerSet, error) {
		return a.control.ExchangerSets(actor), nil
	})
	changing(a, "exchanger-set-add", http.MethodPost, sets, "Add an exchanger set", func(_ context.Context, actor control.Actor, in *exchangerSetAdd) (control.Plan, error) {
		b := &in.Body
		return a.control.PlanExchangerSetAdd(actor, control.ExchangerSetSpec{Name: b.Name, Account: b.Account, Exchangers: typed(&b.Exchangers), Gateways: b.Gateways, SPF: b.SPF})
	})
	changing(a, "exchanger-set-set", http.MethodPatch, sets+"/{name}", "Change an exchanger set, and all domains that follow it", func(ctx context.Context, actor control.Actor, in *exchangerSetSet) (control.Plan, error) {
		b := &in.Body
		return a.control.PlanExchangerSetSet(ctx, actor, control.ExchangerSetSpec{Name: in.Name, Account: b.Account, Exchangers: typed(b.Exchangers), Gateways: b.Gateways, SPF: b.SPF})
	})
	changing(a, "exchanger-set-remove", http.MethodDelete, sets+"/{name}", "Remove an exchanger set that no domain follows", func(_ context.Context, actor control.Actor, in *setRemove) (control.Plan, error) {
		return a.control.PlanExchangerSetRemove(actor, in.Name, in.Account)
	})
	listing(a, "nameserver-set-list", servers, "List name-server sets", func(_ context.Context, actor control.Actor, _ *struct{}) ([]control.NameServerSet, error) {
		return a.control.NameServerSets(actor), nil
	})
	changing(a, "nameserver-set-add", http.MethodPost, servers, "Add a name-server set", func(_ context.Context, actor control.Actor, in *nameServerSetAdd) (control.Plan, error) {
		return a.control.PlanNameServerSetAdd(actor, control.NameServerSetSpec(in.Body))
	})
	changing(a, "nameserver-set-set", http.MethodPatch, servers+"/{name}", "Change a name-server set, and all zones that follow it", func(ctx context.Context, actor control.Actor, in *nameServerSetSet) (control.Plan, error) {
		return a.control.PlanNameServerSetSet(ctx, actor, control.NameServerSetSpec{Name: in.Name, Account: in.Body.Account, Hosts: in.Body.Hosts})
	})
	changing(a, "nameserver-set-remove", http.MethodDelete, servers+"/{name}", "Remove a name-server set that no domain follows", func(_ context.Context, actor control.Actor, in *setRemove) (control.Plan, error) {
		return a.control.PlanNameServerSetRemove(actor, in.Name, in.Account)
	})
}
