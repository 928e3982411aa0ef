package control_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/finding"
	"postroad/internal/core/sending"
	"postroad/internal/service/control"
)

// pausedBy is who has paused a mailbox; empty: nobody.
func (w *world) pausedBy(local string) sending.Pauser {
	w.t.Helper()
	r, paused := w.Directory().PausedFor(w.annID, local+"@ann.example")
	if !paused {
		return ""
	}
	return r.Pause.By
}

func (w *world) undo(actor control.Actor) error {
	w.t.Helper()
	list, err := w.Audit(w.t.Context(), actor, "ann.example", 0, 1)
	if err != nil || len(list) != 1 {
		w.t.Fatal(list, err)
	}
	p, err := w.PlanUndo(w.t.Context(), actor, list[0].ID)
	if err == nil {
		_, err = w.Apply(w.t.Context(), actor, p)
	}
	return err
}

func TestALoginIsPausedAndResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.box("a@ann.example")
	w.rerouted()
	p, err := w.PlanMailboxPause(w.ann, "a@ann.example", "on leave")
	w.by(w.ann, p, err)
	if w.pausedBy("a") != sending.ByOwner || !p.Asks {
		t.Errorf("paused by %q, asks %v", w.pausedBy("a"), p.Asks)
	}
	if got := w.rerouted(); len(got) != 1 || got[0].Login != "a@ann.example" || got[0].SentBy != w.annID {
		t.Errorf("the queue was told %+v", got)
	}
	if p, err = w.PlanMailboxPause(w.ann, "a@ann.example", "on leave"); err != nil || !p.Empty() {
		t.Errorf("again: %+v, %v", p, err)
	}
	if err := w.undo(w.ann); err != nil || w.pausedBy("a") != "" {
		t.Errorf("undone: %q, %v", w.pausedBy("a"), err)
	}
	if err := w.undo(w.ann); err != nil || w.pausedBy("a") != sending.ByOwner {
		t.Errorf("the undoing undone: %q, %v", w.pausedBy("a"), err)
	}
	w.ok(w.PlanMailboxPause(control.Operator(), "a@ann.example", "abuse"))
	if _, err := w.PlanMailboxResume(w.ann, "a@ann.example"); !errors.Is(err, control.ErrDenied) {
		t.Errorf("the owner resumes what the operator has paused: %v", err)
	}
	if err := w.undo(w.ann); !errors.Is(err, control.ErrDenied) {
		t.Errorf("the owner undoes what the operator has done: %v", err)
	}
	if p, err := w.PlanMailboxPause(w.ann, "a@ann.example", "mine"); !errors.Is(err, control.ErrDenied) {
		t.Errorf("the owner takes it over: %+v, %v", p, err)
	}
	w.ok(w.PlanMailboxRemove(t.Context(), control.Operator(), "a@ann.example"))
	if err := w.undo(control.Operator()); err != nil || w.pausedBy("a") != sending.ByOperator {
		t.Errorf("it came back: %q, %v", w.pausedBy("a"), err)
	}
	w.ok(w.PlanMailboxResume(control.Operator(), "a@ann.example"))
	if w.pausedBy("a") != "" {
		t.Errorf("resumed: %q", w.pausedBy("a"))
	}
	for _, reason := range []string{"two\nlines", strings.Repeat("x", 201), "\xff"} {
		if _, err := w.PlanMailboxPause(w.ann, "a@ann.example", reason); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%q: %v", reason, err)
		}
	}
}

func TestThePauseOfTheProgramIsAFindingUntilItIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, address := range []string{"a@ann.example", "b@ann.example"} {
		w.box(address)
		if err := w.PauseLogin(t.Context(), w.annID, address, "5 recipients over its limit"); err != nil {
			t.Fatal(err)
		}
	}
	found := func(want string) {
		t.Helper()
		list, err := w.m.Findings(t.Context(), w.ann.Scope, "ann.example")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(f finding.Finding) bool { return f.Name == finding.SendingPaused })
		if i < 0 && want != "" || i >= 0 && list[i].Evidence != want {
			t.Errorf("%+v, not %q", list, want)
		}
	}
	found("a@ann.example: 5 recipients over its limit; b@ann.example: 5 recipients over its limit")
	entries, err := w.Audit(t.Context(), w.ann, "ann.example", 0, 1)
	if err != nil || entries[0].Actor != "sending" {
		t.Errorf("audit: %+v, %v", entries, err)
	}
	before := w.Version()
	if err := w.PauseLogin(t.Context(), w.annID, "a@ann.example", "again"); err != nil || w.Version() != before {
		t.Errorf("again: %v", err)
	}
	if err := w.PauseLogin(t.Context(), w.annID, "gone@ann.example", "x"); err != nil {
		t.Errorf("gone: %v", err)
	}
	p, err := w.PlanMailboxResume(w.ann, "a@ann.example")
	w.by(w.ann, p, err)
	found("b@ann.example: 5 recipients over its limit")
	w.ok(w.PlanMailboxRemove(t.Context(), control.Operator(), "b@ann.example"))
	found("b@ann.example: 5 recipients over its limit")
	w.ok(w.PlanMailboxResume(control.Operator(), "b@ann.example"))
	found("")
}
