package control_test

import (
	"strings"
	"testing"

	"postroad/internal/core/directory"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// FuzzNames gives every text that a person writes to every plan that reads it: what is taken has no control, no
// space and no second meaning in it.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"a.example", "A@ann.example", "[::1]:25", "127.0.0.1:25", "bücher.example.", "x\r\n@ann.example", "a%b@ann.example", "0x7f.1:25", "@ann.example"} {
		f.Add(s)
	}
	svc := control.New(controltest.Options(controltest.NewMemory()))
	if err := svc.Start(f.Context()); err != nil {
		f.Fatal(err)
	}
	p, err := svc.PlanDomainAdd(f.Context(), control.Operator(), control.DomainSpec{Name: "ann.example"})
	if err == nil {
		_, err = svc.Apply(f.Context(), control.Operator(), p)
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		plans := map[string]func() (control.Plan, error){
			"domain": func() (control.Plan, error) {
				return svc.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: s})
			},
			"mailbox": func() (control.Plan, error) {
				return svc.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: s})
			},
			"next hop": func() (control.Plan, error) {
				return svc.PlanOutboundSet(t.Context(), control.Operator(), control.OutboundSpec{Hop: s})
			},
			"alias": func() (control.Plan, error) {
				return svc.PlanRuleAdd(control.Operator(), control.RuleSpec{Kind: directory.RuleForward, Address: s, Targets: []string{"x@away.example"}})
			},
		}
		for what, plan := range plans {
			p, err := plan()
			if err != nil {
				continue
			}
			for _, c := range p.Changes {
				if strings.ContainsAny(c.Subject, "\r\n\x00\t <>,;\"\\#/") || c.Subject != strings.ToLower(c.Subject) {
					t.Errorf("%s %q became %q", what, s, c.Subject)
				}
			}
		}
	})
}
