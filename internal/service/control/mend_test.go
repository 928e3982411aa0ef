package control_test

import (
	"errors"
	"testing"

	"postroad/internal/core/mailbox"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

func restart(t *testing.T, m *controltest.Memory) *control.Service {
	t.Helper()
	s := control.New(controltest.Options(m))
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStartMakesMailboxesThatACrashLeftUnmade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.m.FailCreate = errors.New("crash")
	w.box("a@ann.example")
	if len(w.m.Boxes) != 0 {
		t.Fatal("made")
	}
	w.m.FailCreate = nil
	restart(t, w.m)
	if len(w.m.Boxes) != 1 {
		t.Error("the mailbox is configured and was not made at the start")
	}
}

func TestTheNextChangeMakesWhatCouldNotBeMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.m.FailCreate = errors.New("disk is full")
	w.box("a@ann.example")
	w.m.FailCreate = nil
	w.box("b@ann.example")
	if len(w.m.Boxes) != 2 {
		t.Errorf("%d mailboxes made", len(w.m.Boxes))
	}
}

func TestStartFinishesARemovalThatHadBegun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.box("a@ann.example")
	w.box("b@ann.example")
	w.m.FailRemove = errors.New("crash")
	w.ok(w.PlanMailboxRemove(t.Context(), control.Operator(), "a@ann.example"))
	if len(w.m.Boxes) != 2 || len(w.m.Mailboxes) != 1 {
		t.Fatalf("%d boxes, %d configured", len(w.m.Boxes), len(w.m.Mailboxes))
	}
	w.m.FailRemove = nil
	restart(t, w.m)
	if len(w.m.Boxes) != 1 {
		t.Error("the removed mailbox is still there")
	}
}

func TestStartLeavesAMailboxWhoseRemovalWasNotCommitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.box("a@ann.example")
	p, err := w.PlanDomainRemove(t.Context(), control.Operator(), "ann.example")
	if err != nil {
		t.Fatal(err)
	}
	w.m.FailUpdate = errors.New("crash before the commit")
	if _, err := w.Apply(t.Context(), control.Operator(), p); err == nil {
		t.Fatal("applied")
	}
	w.m.FailUpdate = nil
	restart(t, w.m)
	if len(w.m.Boxes) != 1 {
		t.Error("a mailbox that is still configured lost its messages")
	}
}

func TestStartLeavesMailboxesThatNobodyConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.m.Boxes["of an old copy"] = mailbox.Mailbox{ID: "of an old copy", Account: w.annID}
	restart(t, w.m)
	if len(w.m.Boxes) != 1 {
		t.Error("restoring an old configuration cost somebody their mail")
	}
}

func TestStartCorrectsQuotas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.box("a@ann.example")
	w.m.FailCreate = errors.New("crash")
	w.ok(w.PlanMailboxSet(control.Operator(), "a@ann.example", control.MailboxSettings{Quota: new(int64(1000))}))
	w.m.FailCreate = nil
	restart(t, w.m)
	for _, b := range w.m.Boxes {
		if b.Quota != 1000 {
			t.Errorf("quota %d", b.Quota)
		}
	}
}

func TestStartMakesTheOperatorsAccount(t *testing.T) {
	t.Parallel()
	m := controltest.NewMemory()
	s := restart(t, m)
	if list := s.Accounts(control.Operator()); len(list) != 1 || list[0].ID != "operator" {
		t.Errorf("%+v", list)
	}
	restart(t, m)
	if len(m.Accounts) != 1 {
		t.Error("made twice")
	}
}

func TestFirstTokenIsShownOnce(t *testing.T) {
	t.Parallel()
	m := controltest.NewMemory()
	s := restart(t, m)
	secret, err := s.FirstToken(t.Context())
	if err != nil || len(secret) != 55 {
		t.Fatalf("%q %v", secret, err)
	}
	if again, err := s.FirstToken(t.Context()); err != nil || again != "" {
		t.Errorf("%q %v", again, err)
	}
	tokens, err := s.Tokens(t.Context(), control.Operator())
	if err != nil || len(tokens) != 1 {
		t.Fatal(tokens, err)
	}
	p, err := s.PlanTokenRemove(t.Context(), control.Operator(), tokens[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), control.Operator(), p); err != nil {
		t.Fatal(err)
	}
	if again, err := restart(t, m).FirstToken(t.Context()); err != nil || again != "" {
		t.Errorf("a removed first token came back: %q %v", again, err)
	}
}
