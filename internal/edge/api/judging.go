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

type gatewayAdd struct {
	How
	DomainPath
	Body struct {
		Gateway string `json:"gateway" doc:"Address, network, or a host, whose addresses are looked up once: 192.0.2.25, 192.0.2.0/28, filter.example.net"`
	}
}

type gatewayRemove struct {
	How
	DomainPath
	Gateway string `query:"gateway" required:"true" doc:"As it is listed"`
}

func (a *api) registerJudging() {
	const gateways = "/domains/{domain}/gateways"
	listing(a, "gateway-list", gateways, "List the gateways of a domain", func(_ context.Context, actor control.Actor, in *DomainPath) ([]control.GatewayInfo, error) {
		return a.control.Gateways(actor, in.Domain)
	})
	changing(a, "gateway-add", http.MethodPost, gateways, "Have a domain take mail from a filter, and from nobody else outside", func(ctx context.Context, actor control.Actor, in *gatewayAdd) (control.Plan, error) {
		return a.control.PlanGatewayAdd(ctx, actor, in.Domain, in.Body.Gateway)
	})
	changing(a, "gateway-remove", http.MethodDelete, gateways, "Have a domain take mail from a filter no longer", func(ctx context.Context, actor control.Actor, in *gatewayRemove) (control.Plan, error) {
		return a.control.PlanGatewayRemove(ctx, actor, in.Domain, in.Gateway)
	})
	showing(a, "gateway-show", gateways+"/report", "Tell whether a domain's mail comes through its gateways", func(ctx context.Context, actor control.Actor, in *DomainPath) (control.GatewayReport, error) {
		return a.control.GatewayReport(ctx, actor, in.Domain)
	})
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
