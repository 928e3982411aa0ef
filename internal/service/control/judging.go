package control

import (
	"context"

	"postroad/internal/service/control/domains"
)

type (
	// ForwarderInfo is a trusted forwarder as listings show it.
	ForwarderInfo = domains.ForwarderInfo
	// GatewayInfo is a gateway as listings show it.
	GatewayInfo = domains.GatewayInfo
	// GatewayReport tells whether a domain's mail comes through its gateways.
	GatewayReport = domains.GatewayReport
)

// Gateways lists the gateways of a domain.
func (s *Service) Gateways(actor Actor, domain string) ([]GatewayInfo, error) {
	return s.domains.Gateways(actor, s.current.Load(), domain)
}

// GatewayReport tells whether a domain's mail comes through its gateways.
func (s *Service) GatewayReport(ctx context.Context, actor Actor, domain string) (GatewayReport, error) {
	return s.domains.GatewayReport(ctx, actor, s.current.Load(), domain)
}

// PlanGatewayAdd plans that a server may deliver for a domain.
func (s *Service) PlanGatewayAdd(ctx context.Context, actor Actor, domain, gateway string) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) {
		return s.domains.PlanGatewayAdd(ctx, actor, st, domain, gateway)
	})
}

// PlanGatewayRemove plans that a server may deliver for a domain no more.
func (s *Service) PlanGatewayRemove(ctx context.Context, actor Actor, domain, gateway string) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) {
		return s.domains.PlanGatewayRemove(ctx, actor, st, domain, gateway)
	})
}

// Forwarders lists the trusted forwarders of a domain.
func (s *Service) Forwarders(actor Actor, domain string) ([]ForwarderInfo, error) {
	return s.domains.Forwarders(actor, s.current.Load(), domain)
}

// PlanForwarderAdd plans that a domain trusts a server to forward to it.
func (s *Service) PlanForwarderAdd(ctx context.Context, actor Actor, domain, forwarder string) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) {
		return s.domains.PlanForwarderAdd(ctx, actor, st, domain, forwarder)
	})
}

// PlanForwarderRemove plans that a domain no longer trusts a server to forward to it.
func (s *Service) PlanForwarderRemove(ctx context.Context, actor Actor, domain, forwarder string) (Plan, error) {
	return s.weighedPlan(ctx, actor, func(st *state) (Plan, error) {
		return s.domains.PlanForwarderRemove(ctx, actor, st, domain, forwarder)
	})
}
