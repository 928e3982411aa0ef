package control

import (
	"context"
	"fmt"
	"strings"

	"postroad/internal/core/account"
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

// Forwards knows what becomes of forwarded mail.
type Forwards interface {
	// Health tells of the last messages of a forward in an account's domain how many there were, and how many of them the next
	// server will hardly believe.
	Health(ctx context.Context, owner account.ID, forward string) (fragile, of int, err error)
}

// ForwardHealth is a forward and how its mail fares.
type ForwardHealth struct {
	RuleInfo

	Seen    int    `json:"seen" doc:"Messages that it sent to other servers lately, the last 64 at most"`
	Fragile int    `json:"fragile" doc:"Those of them behind which the author's domain stands by SPF alone, and asks to have refused or put aside what it does not stand behind"`
	Advice  string `json:"advice" doc:"What that means"`
}

// Forward shows a forward, and how its mail fares.
func (s *Service) Forward(ctx context.Context, actor Actor, address string) (ForwardHealth, error) {
	st := s.current.Load()
	rule, err := rules.Show(actor, st, directory.RuleForward, address)
	if err != nil {
		return ForwardHealth{}, err
	}
	out := ForwardHealth{RuleInfo: rule, Advice: "Nothing has been sent to other servers lately."}
	if d, ok := st.Directory.Domain(rule.Address[strings.LastIndexByte(rule.Address, '@')+1:]); ok && s.o.Forwards != nil {
		if out.Fragile, out.Seen, err = s.o.Forwards.Health(ctx, d.Account, rule.Address); err != nil {
			return ForwardHealth{}, err
		}
	}
	switch {
	case out.Fragile > 0:
		out.Advice = fmt.Sprintf("%d of the last %d messages had senders who are believed by SPF alone and ask for refusal (p=reject or quarantine): other servers will refuse or put aside such mail. A mailbox here gets it all.", out.Fragile, out.Seen)
	case out.Seen > 0:
		out.Advice = fmt.Sprintf("None of the last %d messages had a sender who is believed by SPF alone and asks for refusal.", out.Seen)
	}
	return out, nil
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
