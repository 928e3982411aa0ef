package control

import (
	"postroad/internal/core/directory"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control/rules"
)

// Aliases, forwards, groups and catch-alls in the words of package rules.
type (
	// RuleSpec is a wanted alias, forward, group or catch-all.
	RuleSpec = rules.Spec
	// RuleInfo is an alias, forward, group or catch-all as listings show it.
	RuleInfo = rules.Info
)

// Rules lists rules of one kind, of one domain or of all in scope (empty), by address.
func (s *Service) Rules(actor Actor, kind directory.RuleKind, domain string) ([]RuleInfo, error) {
	return rules.List(actor, s.current.Load(), kind, domain)
}

// PlanRuleAdd plans a new alias, forward or group. An address that stands for something already is refused.
func (s *Service) PlanRuleAdd(actor Actor, spec RuleSpec) (Plan, error) {
	st := s.current.Load()
	p, at, err := rules.PlanAdd(actor, st, newID, spec)
	return s.straight(actor, st, p, at, err)
}

// PlanRuleSet plans other targets for an alias, forward or group that exists; a catch-all is made when there is none.
func (s *Service) PlanRuleSet(actor Actor, spec RuleSpec) (Plan, error) {
	st := s.current.Load()
	p, at, err := rules.PlanSet(actor, st, newID, spec)
	return s.straight(actor, st, p, at, err)
}

// PlanRuleRemove plans the end of an alias, forward, group or catch-all.
func (s *Service) PlanRuleRemove(actor Actor, kind directory.RuleKind, address string) (Plan, error) {
	st := s.current.Load()
	p, at, err := rules.PlanRemove(actor, st, kind, address)
	return s.straight(actor, st, p, at, err)
}

// straight gives a plan that changes what an address stands for, weighed; one that would have mail go in a circle is
// refused.
func (s *Service) straight(actor Actor, st *state, p Plan, at smtp.Address, err error) (Plan, error) {
	if err != nil || p.Empty() {
		return p, err
	}
	if err := s.ways.Loops(actor, st, &p, at); err != nil {
		return Plan{}, err
	}
	return s.weighed(actor, st, p)
}
