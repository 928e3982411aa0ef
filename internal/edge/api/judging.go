package api

import (
	"context"
	"net/http"

	"postroad/internal/service/control"
)

type forwarderAdd struct {
	How
	DomainPath
	Body struct {
		Forwarder string `json:"forwarder" doc:"Name of a host, address or network: mail.acme.com, 192.0.2.25, 192.0.2.0/28"`
	}
}

type forwarderRemove struct {
	How
	DomainPath
	Forwarder string `query:"forwarder" required:"true" doc:"As it is listed"`
}

func (a *api) registerJudging() {
	const forwarders = "/domains/{domain}/forwarders"
	listing(a, "forwarder-list", forwarders, "List the servers that a domain trusts to forward to it", func(_ context.Context, actor control.Actor, in *DomainPath) ([]control.ForwarderInfo, error) {
		return a.control.Forwarders(actor, in.Domain)
	})
	changing(a, "forwarder-add", http.MethodPost, forwarders, "Have a domain trust a server to forward to it", func(ctx context.Context, actor control.Actor, in *forwarderAdd) (control.Plan, error) {
		return a.control.PlanForwarderAdd(ctx, actor, in.Domain, in.Body.Forwarder)
	})
	changing(a, "forwarder-remove", http.MethodDelete, forwarders, "Have a domain trust a server no longer", func(ctx context.Context, actor control.Actor, in *forwarderRemove) (control.Plan, error) {
		return a.control.PlanForwarderRemove(ctx, actor, in.Domain, in.Forwarder)
	})
}
