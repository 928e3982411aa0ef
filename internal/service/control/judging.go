package control

import (
	"context"

	"postroad/internal/service/control/domains"
)

// ForwarderInfo is a trusted forwarder as listings show it.
type ForwarderInfo = domains.ForwarderInfo

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
