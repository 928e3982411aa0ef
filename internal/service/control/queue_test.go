package control_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/service/control"
)

func TestQueueChangesNeedToSayWhich(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	for _, v := range control.QueueVerbs() {
		_, err := w.PlanQueue(t.Context(), control.Operator(), v, control.QueueFilter{})
		if want := v != control.VerbRetry; errors.Is(err, control.ErrInvalid) != want {
			t.Errorf("%s without a filter: %v", v, err)
		}
	}
	if _, err := w.PlanQueue(t.Context(), control.Operator(), "add", control.QueueFilter{To: "x"}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("%v", err)
	}
	for _, id := range []string{"", "x", string(queuedID[:25]) + "1", "01j0000000000000000000000'"} {
		if _, err := w.PlanQueue(t.Context(), control.Operator(), control.VerbDrop, control.QueueFilter{IDs: []string{id}}); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestQueuedContentStandsBelowWhatAllRecipientsHaveAboveIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	rows := &w.m.Queued[0].Rows
	(*rows)[0].Head, (*rows)[0].Rewritten = []byte("X-Own: 1\r\n"), true
	plain := func() string {
		c, err := w.QueueContent(t.Context(), w.ann, string(queuedID))
		if err != nil {
			t.Fatal(err)
		}
		return string(c.Inline)
	}
	bare := strings.TrimPrefix(plain(), "X-Own: 1\r\n")
	if got := plain(); got != "X-Own: 1\r\n"+bare || bare == "" {
		t.Errorf("content %q", got)
	}
	m, err := w.QueueShow(t.Context(), w.ann, string(queuedID))
	if r := m.Recipients[0]; err != nil || r.Head != "X-Own: 1\r\n" || r.Sender == nil || *r.Sender != "" {
		t.Errorf("%+v %v", m, err)
	}
	*rows = append(*rows, (*rows)[0])
	(*rows)[1].N, (*rows)[1].Head = 1, nil
	if got := plain(); got != bare {
		t.Errorf("content %q", got)
	}
}

func TestQueueChangeIsDoneAndRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	f := control.QueueFilter{IDs: []string{string(queuedID)}}
	p, err := w.PlanQueue(t.Context(), w.ann, control.VerbHold, f)
	if a := w.by(w.ann, p, err); a.Rows != 1 || a.Version != w.Version() || a.Version != w.m.Version {
		t.Errorf("%+v", a)
	}
	c, err := w.QueueCount(t.Context(), w.ann, control.QueueFilter{})
	if err != nil || c != (control.QueueCounts{Messages: 1, Recipients: 1, Held: 1}) {
		t.Errorf("%+v %v", c, err)
	}
	e := w.m.Entries[len(w.m.Entries)-1]
	if e.Action != "queue hold" || e.Subject != string(queuedID) || e.Account != w.annID || e.Actor != "token ann" {
		t.Errorf("%+v", e)
	}
	// Somebody changes the configuration between the queue's change and its record.
	p, err = w.PlanQueue(t.Context(), control.Operator(), control.VerbDrop, f)
	w.m.Version += 5
	if a := w.by(control.Operator(), p, err); a.Rows != 1 || len(w.m.Queued) != 0 {
		t.Errorf("%+v", a)
	}
	p, err = w.PlanQueue(t.Context(), control.Operator(), control.VerbDrop, control.QueueFilter{Domain: "away.example", Older: time.Hour})
	if err != nil || !p.Empty() {
		t.Errorf("%+v %v", p, err)
	}
}

func TestQueueListing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	l, err := w.QueueList(t.Context(), control.Operator(), control.QueueFilter{Domain: "AWAY.example."}, "", 10)
	if err != nil || len(l) != 1 || l[0].Recipients[0].Address != "x@away.example" || l[0].Recipients[0].State != string(mail.StateDeferred) || l[0].Root != "" {
		t.Errorf("%+v %v", l, err)
	}
	if l, err = w.QueueList(t.Context(), control.Operator(), control.QueueFilter{}, string(queuedID), 10); err != nil || len(l) != 0 {
		t.Errorf("%+v %v", l, err)
	}
	if _, err := w.QueueList(t.Context(), control.Operator(), control.QueueFilter{Domain: "a b"}, "", 10); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("%v", err)
	}
}
