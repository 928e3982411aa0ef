package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"postroad/internal/core/directory"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

func TestApplyRefusesAPlanOfAnOldVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, err := w.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: "a@ann.example"})
	if err != nil {
		t.Fatal(err)
	}
	w.box("b@ann.example")
	if _, err := w.Apply(t.Context(), control.Operator(), first); !errors.Is(err, control.ErrVersion) {
		t.Fatalf("a stale plan: %v", err)
	}
	if _, ok := w.Directory().Mailbox("ann.example", "a"); ok {
		t.Error("the stale plan was applied")
	}
}

func TestApplyLearnsOfAnotherNodesChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := control.New(controltest.Options(w.m))
	if err := other.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.box("b@ann.example")
	p, err := other.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: "c@ann.example"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Apply(t.Context(), control.Operator(), p); !errors.Is(err, control.ErrVersion) {
		t.Fatalf("the store's version moved and the plan was taken: %v", err)
	}
	if _, ok := other.Directory().Mailbox("ann.example", "b"); !ok {
		t.Error("the other node's change is not seen after the refusal")
	}
}

func TestApplyRefusesSomebodyElsesPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := w.PlanDomainRemove(t.Context(), control.Operator(), "ann.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Apply(t.Context(), w.bob, p); !errors.Is(err, control.ErrDenied) {
		t.Errorf("%v", err)
	}
}

func TestApplyChangesNothingWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := w.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: "a@ann.example"})
	if err != nil {
		t.Fatal(err)
	}
	w.m.FailUpdate = errors.New("disk is full")
	if _, err := w.Apply(t.Context(), control.Operator(), p); !errors.Is(err, w.m.FailUpdate) {
		t.Fatalf("%v", err)
	}
	if _, ok := w.Directory().Mailbox("ann.example", "a"); ok || len(w.m.Boxes) != 0 {
		t.Error("a change that the store refused is seen")
	}
}

func TestApplyIsNotInterruptedOnceBegun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := w.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: "a@ann.example"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.m.BeforeUpdate = cancel
	if _, err := w.Apply(ctx, control.Operator(), p); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.Directory().Mailbox("ann.example", "a"); !ok || len(w.m.Boxes) != 1 {
		t.Error("the change was left half done")
	}
}

func TestEveryChangeLeavesOneEntryWithBeforeAndAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.box("a@ann.example")
	steps := []struct {
		action, subject string
		before, after   bool
		plan            func() (control.Plan, error)
	}{
		{"account add", "carl", false, true, func() (control.Plan, error) { return w.PlanAccountAdd(control.Operator(), "carl") }},
		{"account set", "carla", true, true, func() (control.Plan, error) {
			return w.PlanAccountSet(control.Operator(), "carl", control.AccountSettings{Name: new("carla")})
		}},
		{"account remove", "carla", true, false, func() (control.Plan, error) { return w.PlanAccountRemove(t.Context(), control.Operator(), "carla") }},
		{"domain add", "new.example", false, true, func() (control.Plan, error) {
			return w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "new.example"})
		}},
		{"domain set", "new.example", true, true, func() (control.Plan, error) {
			return w.PlanDomainSet(t.Context(), control.Operator(), "new.example", control.DomainSettings{Mode: new("remote")})
		}},
		{"domain remove", "new.example", true, false, func() (control.Plan, error) {
			return w.PlanDomainRemove(t.Context(), control.Operator(), "new.example")
		}},
		{"mailbox add", "m@ann.example", false, true, func() (control.Plan, error) {
			return w.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: "m@ann.example", Password: control.NewSecret("hunter two")})
		}},
		{"mailbox set", "m@ann.example", true, true, func() (control.Plan, error) {
			return w.PlanMailboxSet(control.Operator(), "m@ann.example", control.MailboxSettings{Password: control.NewSecret("hunter three")})
		}},
		{"mailbox remove", "m@ann.example", true, false, func() (control.Plan, error) {
			return w.PlanMailboxRemove(t.Context(), control.Operator(), "m@ann.example")
		}},
		{"alias add", "al@ann.example", false, true, func() (control.Plan, error) {
			return w.PlanRuleAdd(control.Operator(), control.RuleSpec{Kind: directory.RuleAlias, Address: "al@ann.example", Targets: []string{"a@ann.example"}})
		}},
		{"alias set", "al@ann.example", true, true, func() (control.Plan, error) {
			return w.PlanRuleSet(control.Operator(), control.RuleSpec{Kind: directory.RuleAlias, Address: "al@ann.example", Targets: []string{"postmaster@ann.example"}})
		}},
		{"alias remove", "al@ann.example", true, false, func() (control.Plan, error) {
			return w.PlanRuleRemove(control.Operator(), directory.RuleAlias, "al@ann.example")
		}},
		{"catch-all add", "@ann.example", false, true, func() (control.Plan, error) {
			return w.PlanRuleSet(control.Operator(), control.RuleSpec{Kind: directory.RuleCatchAll, Address: "ann.example", Targets: []string{"a@ann.example"}})
		}},
		{"outbound set", "smart.example:587", false, true, func() (control.Plan, error) {
			return w.PlanOutboundSet(t.Context(), control.Operator(), control.OutboundSpec{Hop: "smart.example:587", User: "u", Password: control.NewSecret("hunter four")})
		}},
		{"outbound remove", "smart.example:587", true, false, func() (control.Plan, error) { return w.PlanOutboundRemove(control.Operator(), "", false) }},
		{"token add", "script", false, true, func() (control.Plan, error) { return w.PlanTokenAdd(control.Operator(), "script", "ann") }},
	}
	for _, s := range steps {
		n := len(w.m.Entries)
		w.ok(s.plan())
		if len(w.m.Entries) != n+1 {
			t.Fatalf("%s left %d entries", s.action, len(w.m.Entries)-n)
		}
		e := w.m.Entries[n]
		if e.Action != s.action || e.Subject != s.subject || e.Actor != "operator" || (e.Before != "") != s.before || (e.After != "") != s.after {
			t.Errorf("%s: %+v", s.action, e)
		}
		for _, text := range []string{e.Before, e.After} {
			if text != "" && !json.Valid([]byte(text)) {
				t.Errorf("%s: %q is no JSON", s.action, text)
			}
			if strings.Contains(text, "hunter") || strings.Contains(text, control.SecretPrefix) {
				t.Errorf("%s: the entry shows a secret: %s", s.action, text)
			}
		}
	}
	list, err := w.Audit(t.Context(), w.bob, "", 0, 100)
	if err != nil || len(list) == 0 {
		t.Fatalf("%v %v", list, err)
	}
	for _, e := range list {
		if e.Account != w.bobID {
			t.Errorf("bob sees %+v", e)
		}
	}
}

func TestAPlanThatChangesNothingWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.m.Version
	p, err := w.PlanDomainSet(t.Context(), control.Operator(), "ann.example", control.DomainSettings{Mode: new("local"), Proved: new(true)})
	if err != nil || !p.Empty() || p.Asks {
		t.Fatalf("%+v %v", p, err)
	}
	if a := w.ok(p, nil); a.Version != before || w.m.Version != before {
		t.Error("the version moved")
	}
}

func TestSecretsDoNotShowThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := control.NewSecret("hunter two")
	text, err := json.Marshal(s)
	if err != nil || strings.Contains(string(text)+s.String()+s.LogValue().String(), "hunter") {
		t.Error("shown")
	}
	p, err := w.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: "a@ann.example", Password: s})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(p); err != nil || strings.Contains(string(text), "hunter") {
		t.Errorf("%s %v", text, err)
	}
}

func TestPasswordsAreHashedOnceHoweverOftenAPlanIsMade(t *testing.T) {
	t.Parallel()
	m := controltest.NewMemory()
	var mu sync.Mutex
	hashed := 0
	o := controltest.Options(m)
	o.Verifier = func(p string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		hashed++
		return "v " + p, nil
	}
	s := control.New(o)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := s.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "x.example"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), control.Operator(), p); err != nil {
		t.Fatal(err)
	}
	specs := make([]control.MailboxSpec, 20)
	for i := range specs {
		specs[i] = control.MailboxSpec{Address: strings.Repeat("u", i+1) + "@x.example", Password: control.NewSecret("bench password")}
	}
	for range 3 {
		if p, err = s.PlanMailboxImport(control.Operator(), specs); err != nil {
			t.Fatal(err)
		}
		m.FailUpdate = errors.New("not now")
		if _, err := s.Apply(t.Context(), control.Operator(), p); err == nil {
			t.Fatal("applied")
		}
	}
	m.FailUpdate = nil
	if _, err := s.Apply(t.Context(), control.Operator(), p); err != nil {
		t.Fatal(err)
	}
	if hashed != 20 || len(m.Verifiers) != 20 || len(m.Boxes) != 20 {
		t.Errorf("hashed %d times, %d verifiers, %d boxes", hashed, len(m.Verifiers), len(m.Boxes))
	}
}

func TestChangesFromManySidesNeverLoseEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for {
				p, err := w.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: strings.Repeat("x", i+1) + "@ann.example"})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err = w.Apply(t.Context(), control.Operator(), p); err == nil {
					return
				}
				if !errors.Is(err, control.ErrVersion) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if len(w.m.Mailboxes) != 16 || len(w.m.Boxes) != 16 {
		t.Errorf("%d mailboxes, %d boxes", len(w.m.Mailboxes), len(w.m.Boxes))
	}
}

func TestTheProgramsOwnChangesMakeWayForOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := control.New(controltest.Options(w.m))
	if err := other.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	names := []string{"one", "two", "three"}
	w.m.BeforeUpdate = func() {
		if len(names) == 0 {
			return
		}
		name := names[0]
		names = names[1:]
		hook := w.m.BeforeUpdate
		w.m.BeforeUpdate = nil
		_, err := other.Make(t.Context(), control.Operator(), func() (control.Plan, error) {
			return other.PlanAccountAdd(control.Operator(), name)
		})
		if w.m.BeforeUpdate = hook; err != nil {
			t.Error(err)
		}
	}
	secret, err := w.FirstToken(t.Context())
	if err != nil || secret == "" || len(names) != 0 {
		t.Fatalf("%q, %v, still to come: %v", secret, err, names)
	}
}
