package control

import (
	"postroad/internal/service/control/mailboxes"
	"postroad/internal/service/control/outbounds"
	"postroad/internal/service/control/undo"
)

// Smart hosts in the words of package outbounds.
type (
	// OutboundSpec is a wanted smart host.
	OutboundSpec = outbounds.Spec
	// OutboundInfo is a smart host as listings show it.
	OutboundInfo = undo.Outbound
)

// Outbounds lists the smart hosts in scope, the installation's first.
func (s *Service) Outbounds(actor Actor) []OutboundInfo { return outbounds.List(actor, s.Directory()) }

// PlanOutboundSet plans the smart host of a sender's domain or of the installation.
func (s *Service) PlanOutboundSet(actor Actor, spec OutboundSpec) (Plan, error) {
	st := s.current.Load()
	access := outbounds.Access{Ours: &s.ours, NewID: newID, Usable: func(p *Secret) error { return mailboxes.Check(Operator(), p, 0) }}
	p, err := access.PlanSet(actor, st, spec)
	return s.weighedIf(actor, st, p, err)
}

// PlanOutboundRemove plans the end of a smart host; mail then leaves by the installation's, or by MX records.
func (s *Service) PlanOutboundRemove(actor Actor, domain string) (Plan, error) {
	st := s.current.Load()
	p, err := outbounds.PlanRemove(actor, st, domain)
	return s.weighedIf(actor, st, p, err)
}
