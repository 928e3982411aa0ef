package control_test

import (
	"errors"
	"strings"
	"testing"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/service/control"
)

// circle gives the path of a refusal, "" for a plan that was taken.
func circle(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var r *control.RefusedError
	if !errors.As(err, &r) || r.Finding != finding.AliasLoop || !errors.Is(err, control.ErrInvalid) {
		t.Fatalf("not a loop: %v", err)
	}
	return strings.Join(r.Path, " ")
}

func TestLoopsAreRefusedWithTheirPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.box("box@ann.example")
	w.rule(directory.RuleAlias, "a@ann.example", "b@ann.example")
	w.rule(directory.RuleGroup, "b@ann.example", "box@ann.example", "c@bob.example", "far@away.example")
	for _, tt := range []struct {
		kind    directory.RuleKind
		address string
		targets []string
		keep    bool
		want    string
	}{
		{directory.RuleForward, "c@bob.example", []string{"x@away.example"}, false, ""},
		{directory.RuleForward, "c@bob.example", []string{"a@ann.example"}, false, "c@bob.example a@ann.example b@ann.example c@bob.example"},
		{directory.RuleForward, "c@bob.example", []string{"A+tag@Ann.Example"}, false, "c@bob.example a@ann.example b@ann.example c@bob.example"},
		{directory.RuleForward, "box@ann.example", []string{"box@ann.example"}, true, "box@ann.example box@ann.example"},
		{directory.RuleGroup, "g@ann.example", []string{"box@ann.example", "g@ann.example"}, false, "g@ann.example g@ann.example"},
		{directory.RuleGroup, "g@ann.example", []string{"a@ann.example", "b@ann.example", "box@ann.example"}, false, ""},
		{directory.RuleCatchAll, "ann.example", []string{"nobody@ann.example"}, false, "@ann.example @ann.example"},
		{directory.RuleCatchAll, "ann.example", []string{"box@ann.example"}, false, ""},
		{directory.RuleCatchAll, "bob.example", []string{"a@ann.example"}, false, "@bob.example a@ann.example b@ann.example @bob.example"},
	} {
		spec := control.RuleSpec{Kind: tt.kind, Address: tt.address, Targets: tt.targets, Keep: tt.keep}
		plan := w.PlanRuleAdd
		if tt.kind == directory.RuleCatchAll {
			plan = w.PlanRuleSet
		}
		if _, err := plan(control.Operator(), spec); circle(t, err) != tt.want {
			t.Errorf("%s %s → %v: %q, want %q", tt.kind, tt.address, tt.targets, circle(t, err), tt.want)
		}
	}
}

func TestRemovingMayUncoverALoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.box("x@ann.example")
	w.ok(w.PlanRuleSet(control.Operator(), control.RuleSpec{Kind: directory.RuleCatchAll, Address: "ann.example", Targets: []string{"x@ann.example"}}))
	_, err := w.PlanMailboxRemove(t.Context(), control.Operator(), "x@ann.example")
	if got := circle(t, err); got != "@ann.example @ann.example" {
		t.Errorf("%q", got)
	}
	w.rule(directory.RuleAlias, "y@ann.example", "postmaster@ann.example")
	if _, err := w.PlanRuleRemove(control.Operator(), directory.RuleAlias, "y@ann.example"); err != nil {
		t.Errorf("postmaster leads nowhere that could come back: %v", err)
	}
}

func TestAModeThatWakesALoopIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok(w.PlanDomainSet(t.Context(), control.Operator(), "bob.example", control.DomainSettings{Mode: new("remote")}))
	w.rule(directory.RuleForward, "a@bob.example", "b@ann.example")
	w.rule(directory.RuleForward, "b@ann.example", "a@bob.example")
	_, err := w.PlanDomainSet(t.Context(), control.Operator(), "bob.example", control.DomainSettings{Mode: new("local")})
	if got := circle(t, err); got != "a@bob.example b@ann.example a@bob.example" {
		t.Errorf("%q", got)
	}
}

func TestALoopThroughOthersShowsNothingOfThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rule(directory.RuleAlias, "open@bob.example", "hidden@bob.example")
	w.rule(directory.RuleForward, "hidden@bob.example", "mine@ann.example")
	_, err := w.PlanRuleAdd(w.ann, control.RuleSpec{Kind: directory.RuleForward, Address: "mine@ann.example", Targets: []string{"open@bob.example"}})
	if got := circle(t, err); got == "" || strings.Contains(err.Error(), "bob.example") {
		t.Errorf("%q %v", got, err)
	}
}

func TestRulesOfASplitDomainAreWalked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, op := t.Context(), control.Operator()
	w.ok(w.PlanDomainSet(ctx, op, "bob.example", control.DomainSettings{Mode: new("split"), NextHops: &[]string{"mail.corp.example"}}))
	w.rule(directory.RuleForward, "a@bob.example", "b@ann.example")
	_, err := w.PlanRuleAdd(op, control.RuleSpec{Kind: directory.RuleForward, Address: "b@ann.example", Targets: []string{"a@bob.example"}})
	if got := circle(t, err); got != "b@ann.example a@bob.example b@ann.example" {
		t.Errorf("%q", got)
	}
	// A catch-all counts for nothing in a split domain: what is not known here goes to the real server.
	w.ok(w.PlanRuleSet(op, control.RuleSpec{Kind: directory.RuleCatchAll, Address: "bob.example", Targets: []string{"b@ann.example"}}))
	if _, err := w.PlanRuleAdd(op, control.RuleSpec{Kind: directory.RuleForward, Address: "b@ann.example", Targets: []string{"else@bob.example"}}); err != nil {
		t.Errorf("a way through a catch-all that counts for nothing: %v", err)
	}
}

func TestAForwardIntoWhatComesBackIsRefused(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]finding.Name{"split": finding.SplitLoop, "backup": finding.RouteLoopSelf} {
		w := newAskingWorld(t, map[string]facts.MXAnswer{"bob.example": mxs(0, "own.bob.example"), "ann.example": mxs(0, "own.ann.example")})
		ctx, op := t.Context(), control.Operator()
		w.box("here@bob.example")
		w.ok(w.PlanDomainSet(ctx, op, "bob.example", control.DomainSettings{Mode: &mode}))
		forward := func(to string) error {
			_, err := w.PlanRuleAdd(op, control.RuleSpec{Kind: directory.RuleForward, Address: "a@ann.example", Targets: []string{to}})
			return err
		}
		var refused *control.RefusedError
		if err := forward("gone@bob.example"); !errors.As(err, &refused) || refused.Finding != want || strings.Join(refused.Path, " ") != "a@ann.example gone@bob.example own.bob.example gone@bob.example" {
			t.Errorf("%s: %v", mode, err)
		}
		if err := forward("here@bob.example"); (err == nil) != (mode == "split") {
			t.Errorf("%s, to a mailbox here: %v", mode, err)
		}
		if err := forward("x@far.example"); err != nil {
			t.Errorf("%s, elsewhere: %v", mode, err)
		}
	}
}

func TestANextHopWhoseNameLeadsToOurselvesIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for hop, loops := range map[string]bool{"own.corp.example": true, "mail.corp.example": false, "own.corp.example:2525": false} {
		for _, mode := range []string{"relay", "split"} {
			set := control.DomainSettings{Mode: &mode, NextHops: &[]string{hop}}
			p, err := w.PlanDomainSet(t.Context(), control.Operator(), "ann.example", set)
			if err != nil || loops != (len(p.Overrides) == 1 && p.Overrides[0].Finding == finding.RouteLoopSelf && strings.Contains(p.Overrides[0].Evidence, "ann.example → own.corp.example:25 → this installation")) {
				t.Errorf("%s to %s: %+v %v", mode, hop, p.Overrides, err)
			}
			var refused *control.RefusedError
			if _, err := w.PlanDomainSet(t.Context(), w.ann, "ann.example", set); loops != (errors.As(err, &refused) && refused.Finding == finding.RouteLoopSelf) {
				t.Errorf("%s to %s by a customer: %v", mode, hop, err)
			}
		}
	}
	_, err := w.PlanDomainSet(t.Context(), control.Operator(), "ann.example", control.DomainSettings{Mode: new("split"), NextHops: &[]string{"in.mx.host.example"}})
	var refused *control.RefusedError
	if !errors.As(err, &refused) || refused.Finding != finding.RouteLoopSelf {
		t.Errorf("the domain of routing addresses as next hop: %v", err)
	}
}
