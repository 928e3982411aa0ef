package control

import (
	"postroad/internal/service/control/mailboxes"
	"postroad/internal/service/control/outbounds"
	"postroad/internal/service/control/undo"
)

// Ways out in the words of package outbounds.
type (
	// OutboundSpec is a wanted way out.
	OutboundSpec = outbounds.Spec
	// OutboundInfo is a way out as listings show it.
	OutboundInfo = undo.Outbound
)

// Outbounds lists what is set in scope, the installation's first.
func (s *Service) Outbounds(actor Actor) []OutboundInfo { return outbounds.List(actor, s.Directory()) }

// PlanOutboundSet plans the smart host of a sender's domain or of the installation, the addresses from which its mail leaves,
// or both.
func (s *Service) PlanOutboundSet(actor Actor, spec OutboundSpec) (Plan, error) {
	st := s.current.Load()
	access := outbounds.Access{Ours: &s.ours, NewID: newID, Has: s.machine, Usable: func(p *Secret) error { return mailboxes.Check(Operator(), p, 0) }}
	p, err := access.PlanSet(actor, st, spec)
	return s.weighedIf(actor, st, p, err)
}

// PlanOutboundRemove plans the end of a smart host, with keepSource of that alone; mail then leaves by the installation's
// route, or by MX records.
func (s *Service) PlanOutboundRemove(actor Actor, domain string, keepSource bool) (Plan, error) {
	st := s.current.Load()
	p, err := outbounds.PlanRemove(actor, st, domain, keepSource)
	return s.weighedIf(actor, st, p, err)
}
