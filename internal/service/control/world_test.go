package control_test

import (
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// world is a service over memory with two customers.
type world struct {
	*control.Service
	m     *controltest.Memory
	t     *testing.T
	ann   control.Actor // owns ann.example
	bob   control.Actor // owns bob.example
	annID account.ID
	bobID account.ID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	m := controltest.NewMemory()
	return openWorld(t, m, controltest.Options(m))
}

// openWorld is newWorld with other options.
func openWorld(t *testing.T, m *controltest.Memory, o control.Options) *world {
	t.Helper()
	w := &world{Service: control.New(o), m: m, t: t}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ann", "bob"} {
		w.ok(w.PlanAccountAdd(control.Operator(), name))
		yes := true
		w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: name + ".example", Account: name, DomainSettings: control.DomainSettings{Proved: &yes}}))
	}
	for _, a := range w.Accounts(control.Operator()) {
		switch a.Name {
		case "ann":
			w.annID, w.ann = a.ID, control.Customer("token ann", a.ID)
		case "bob":
			w.bobID, w.bob = a.ID, control.Customer("token bob", a.ID)
		}
	}
	return w
}

// ok applies a plan that the operator made.
func (w *world) ok(p control.Plan, err error) control.Applied {
	w.t.Helper()
	return w.by(control.Operator(), p, err)
}

func (w *world) by(actor control.Actor, p control.Plan, err error) control.Applied {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("plan: %v", err)
	}
	a, err := w.Apply(w.t.Context(), actor, p)
	if err != nil {
		w.t.Fatalf("apply: %v", err)
	}
	return a
}

func (w *world) box(address string) {
	w.t.Helper()
	w.ok(w.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: address, Password: control.NewSecret("secret password")}))
}

func (w *world) rule(kind directory.RuleKind, address string, targets ...string) {
	w.t.Helper()
	w.ok(w.PlanRuleAdd(control.Operator(), control.RuleSpec{Kind: kind, Address: address, Targets: targets}))
}
