package control_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/primary"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// beside is a world in which ann has crm.acme.example with some mailboxes; acme.example is elsewhere.
func beside(t *testing.T, boxes ...string) *world {
	t.Helper()
	w := newWorld(t)
	yes := true
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "crm.acme.example", Account: "ann", DomainSettings: control.DomainSettings{Proved: &yes}}))
	for _, local := range boxes {
		w.box(local + "@crm.acme.example")
	}
	return w
}

// probes sends probes for ann.
func (w *world) probes(addresses ...string) (sent int64) {
	w.t.Helper()
	p, err := w.PlanPrimaryProbe(w.t.Context(), w.ann, "crm.acme.example", addresses, 0)
	return w.by(w.ann, p, err).Rows
}

// states are those of ann's forwards.
func (w *world) states() map[string]string {
	w.t.Helper()
	info, err := w.Primary(w.t.Context(), w.ann, "crm.acme.example")
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range info.Forwards {
		local, _, _ := strings.Cut(f.Address, "@")
		out[local] = f.State + " " + f.Detail
	}
	return out
}

// judged has everything judged and looked at, as time does.
func (w *world) judged() {
	w.t.Helper()
	if err := errors.Join(w.JudgeProbes(w.t.Context()), w.LookAtForwards(w.t.Context())); err != nil {
		w.t.Fatal(err)
	}
}

// found are the names of what is wrong with ann's domain.
func (w *world) found() (names []finding.Name) {
	for _, f := range w.m.Found {
		if f.Domain == "crm.acme.example" {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return names
}

// returned gives a probe that was sent, as it comes back.
func (w *world) returned(n int, recipient string) *primary.Return {
	w.t.Helper()
	header, body, _ := message.SplitHeader([]byte(w.m.Outgoing[n]))
	token, ok := primary.Mark(header)
	if !ok {
		w.t.Fatalf("no probe: %s", w.m.Outgoing[n])
	}
	h := dkim.NewBody(dkim.Relaxed)
	_, _ = h.Write(body)
	sum, err := h.Sum(dkim.Relaxed)
	if err != nil {
		w.t.Fatal(err)
	}
	return &primary.Return{Token: token, Account: w.annID, Recipient: recipient, Destination: recipient, Client: "mx.acme.example", Header: header, Body: body, Sum: sum}
}

func TestAPrimaryThatPutsAProbeOffIsGivenTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := beside(t, "ann")
		if n := w.probes(); n != 1 || len(w.m.Queued) != 1 {
			t.Fatalf("%d sent, %+v", n, w.m.Queued)
		}
		row := &w.m.Queued[0].Rows[0]
		if m := w.m.Queued[0].Message; m.Sender != "" || m.Account != w.annID || !row.Rewritten || !strings.HasPrefix(row.Sender, "postmaster+prfwd-") || row.ReportTo(&m) != "" || row.Lane != "remote/acme.example" {
			t.Errorf("%+v %+v", m, row)
		}
		row.State, row.LastReply, row.LastHost = mail.StateDeferred, "451 4.7.1 greylisted", "mx.acme.example"
		time.Sleep(time.Hour)
		w.judged()
		if got := w.states()["ann"]; got != "sent " {
			t.Errorf("after an hour: %s", got)
		}
		w.m.Queued = nil // it was taken
		w.judged()
		time.Sleep(10 * time.Minute)
		w.judged()
		if got := w.states()["ann"]; got != "sent " {
			t.Errorf("ten minutes after it was taken: %s", got)
		}
		time.Sleep(6 * time.Minute)
		w.judged()
		if got := w.states()["ann"]; !strings.HasPrefix(got, "missing The server for ann@acme.example took the probe, and it has not come back within 15m") {
			t.Errorf("a quarter of an hour after it was taken: %s", got)
		}
		if got := w.found(); fmt.Sprint(got) != "[FORWARD_MISSING]" {
			t.Errorf("found: %v", got)
		}
		// The next one is never taken.
		w.probes()
		if got := w.states()["ann"]; got != "sent The server for ann@acme.example took the probe, and it has not come back within 15m0s." {
			t.Errorf("under way again: %s", got)
		}
		w.m.Queued[0].Rows[0].LastReply = "451 4.4.1 connection refused"
		time.Sleep(4*time.Hour + time.Minute)
		w.judged()
		if got := w.states()["ann"]; got != "missing The probe to ann@acme.example could not be handed over: this server: 451 4.4.1 connection refused" || len(w.m.Queued) != 0 {
			t.Errorf("after four hours: %s, %+v", got, w.m.Queued)
		}
		since := w.m.Probed["ann@crm.acme.example"].Since
		// It works at last: the finding goes.
		w.probes()
		if taken, err := w.ProbeBack(t.Context(), w.returned(2, "ann@crm.acme.example")); !taken || err != nil {
			t.Errorf("%v, %v", taken, err)
		}
		if got := w.states()["ann"]; got != "intact " || len(w.found()) != 0 || since.IsZero() {
			t.Errorf("%s, found %v", got, w.found())
		}
	})
}

func TestProbesAreLimitedForEachAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var boxes []string
		for i := range 120 {
			boxes = append(boxes, fmt.Sprintf("u%03d", i))
		}
		w := beside(t, boxes...)
		p, err := w.PlanPrimaryProbe(t.Context(), w.ann, "crm.acme.example", nil, 0)
		if err != nil || len(p.Sentences) != 2 || !strings.Contains(p.Sentences[1], "20 addresses are left out for now") {
			t.Fatalf("%v, %v", p.Sentences, err)
		}
		// Two plans of one moment do not send more than one.
		one, err := w.PlanPrimaryProbe(t.Context(), w.ann, "crm.acme.example", []string{"u119@crm.acme.example"}, 0)
		w.by(w.ann, one, err)
		refused(t, "probed in the last ten minutes", func() error {
			_, err := w.Apply(t.Context(), w.ann, one)
			return err
		})
		w.m.Probed, w.m.Queued = map[string]primary.Probe{}, nil
		if n := w.by(w.ann, p, nil).Rows; n != 100 {
			t.Errorf("%d sent", n)
		}
		if _, err := w.Apply(t.Context(), w.ann, p); err == nil || len(w.m.Queued) != 100 {
			t.Errorf("%v, %d queued", err, len(w.m.Queued))
		}
		refused(t, "100 addresses in the last ten minutes", func() error {
			_, err := w.PlanPrimaryProbe(t.Context(), w.ann, "crm.acme.example", nil, 0)
			return err
		})
		refused(t, "probed in the last ten minutes", func() error {
			_, err := w.PlanPrimaryProbe(t.Context(), w.ann, "crm.acme.example", []string{"u000@acme.example"}, 0)
			return err
		})
		time.Sleep(11 * time.Minute)
		w.m.Queued = nil
		if n := w.probes(); n != 20 {
			t.Errorf("then %d are sent", n)
		}
	})
}

// refused wants a refusal with some words.
func refused(t *testing.T, words string, do func() error) {
	t.Helper()
	err := do()
	var r *control.RefusedError
	if !errors.As(err, &r) || !strings.Contains(r.Sentence+" "+r.Hint, words) {
		t.Errorf("%v, want %q", err, words)
	}
}

// broken is an outbox that takes nothing.
type broken struct{}

func (broken) NewID(at time.Time) mail.ID { return mail.NewID(at, 0, 1, 1) }

func (broken) Accept(context.Context, account.Scope, mail.Stored) error {
	return errors.New("the disk is full")
}

func TestAProbeThatWasNeverQueuedTellsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := controltest.NewMemory()
		o := controltest.Options(m)
		o.Probes.Outbox = broken{}
		w := openWorld(t, m, o)
		yes := true
		w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "crm.acme.example", Account: "ann", DomainSettings: control.DomainSettings{Proved: &yes}}))
		w.box("ann@crm.acme.example")
		p, err := w.PlanPrimaryProbe(t.Context(), w.ann, "crm.acme.example", nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Apply(t.Context(), w.ann, p); err == nil {
			t.Error("it was applied")
		}
		if got := w.states()["ann"]; got != "sent " {
			t.Errorf("at once: %s", got)
		}
		time.Sleep(2 * time.Minute)
		w.judged()
		if got := w.states()["ann"]; got != "unprobed " || len(w.found()) != 0 {
			t.Errorf("then: %s, found %v", got, w.found())
		}
	})
}

func TestWhatWasFoundOfAnotherPrimaryIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := beside(t, "ann", "bob")
		w.probes()
		w.m.Queued = nil
		w.judged()
		time.Sleep(20 * time.Minute)
		w.judged()
		if got := w.found(); fmt.Sprint(got) != "[FORWARD_MISSING]" {
			t.Fatalf("found: %v", got)
		}
		for _, f := range w.m.Found {
			if f.Name == finding.ForwardMissing && (!strings.HasPrefix(f.Evidence, "ann@acme.example → ann@crm.acme.example, probed 2000-01-01 00:20 UTC: ") || !strings.Contains(f.Evidence, "1 other address")) {
				t.Errorf("%s", f.Evidence)
			}
		}
		w.ok(w.PlanMailboxRemove(t.Context(), control.Operator(), "bob@crm.acme.example"))
		other := "acme.test"
		refused(t, "ask the operator", func() error {
			_, err := w.PlanDomainSet(t.Context(), w.ann, "crm.acme.example", control.DomainSettings{Primary: &other})
			return err
		})
		p, err := w.PlanDomainSet(t.Context(), control.Operator(), "crm.acme.example", control.DomainSettings{Primary: &other})
		if w.ok(p, err); !slices.ContainsFunc(p.Sentences, func(s string) bool { return strings.Contains(s, "have their mail at acme.test") }) {
			t.Errorf("%v", p.Sentences)
		}
		if got := w.states(); got["ann"] != "unprobed " {
			t.Errorf("%v", got)
		}
		w.judged()
		if len(w.found()) != 0 || len(w.m.Probed) != 0 {
			t.Errorf("found %v, known %v", w.found(), w.m.Probed)
		}
		// What was sent to the former one and comes back late is no mail of anybody, and tells nothing.
		if taken, err := w.ProbeBack(t.Context(), w.returned(0, "ann@crm.acme.example")); !taken || err != nil {
			t.Errorf("%v, %v", taken, err)
		}
		back := w.returned(0, "ann@crm.acme.example")
		back.Account = w.bobID
		if taken, err := w.ProbeBack(t.Context(), back); taken || err != nil {
			t.Errorf("for another account: %v, %v", taken, err)
		}
	})
}

func TestProbesGoToPrimariesElsewhereOnly(t *testing.T) {
	t.Parallel()
	w := beside(t, "ann")
	yes, split := true, "split"
	probe := func(actor control.Actor, domain string) func() error {
		return func() error {
			_, err := w.PlanPrimaryProbe(t.Context(), actor, domain, nil, 0)
			return err
		}
	}
	refused(t, "has no mailboxes", probe(w.ann, "ann.example"))
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "acme.example", Account: "ann", DomainSettings: control.DomainSettings{Proved: &yes}}))
	refused(t, "is delivered here", probe(w.ann, "crm.acme.example"))
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "bobs.test", Account: "bob", DomainSettings: control.DomainSettings{Proved: &yes}}))
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "crm.bobs.test", Account: "ann", DomainSettings: control.DomainSettings{Proved: &yes}}))
	w.box("x@crm.bobs.test")
	refused(t, "another account's here", probe(w.ann, "crm.bobs.test"))
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "sub.inert.example", Account: "ann"}))
	refused(t, "ownership", probe(w.ann, "sub.inert.example"))
	if err := probe(w.bob, "crm.acme.example")(); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("by another account: %v", err)
	}
	// A domain some of whose mailboxes are here: past them, to its real server.
	hop := []string{"mail.half.example:25"}
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "half.example", Account: "ann", DomainSettings: control.DomainSettings{Proved: &yes, Mode: &split, NextHops: &hop}}))
	w.box("eve@half.example")
	p, err := w.PlanPrimaryProbe(t.Context(), w.ann, "half.example", nil, 0)
	w.by(w.ann, p, err)
	if row := w.m.Queued[0].Rows[0]; row.Lane != "relay/mail.half.example:25!" || row.Destination != "eve@half.example" || row.Mailbox != "" || !row.Copy {
		t.Errorf("%+v", row)
	}
	back := w.returned(0, "eve=half.example@in.mx.host.example")
	back.Destination = "eve@half.example"
	if taken, err := w.ProbeBack(t.Context(), back); !taken || err != nil || w.m.Probed["eve@half.example"].Verdict != primary.Intact {
		t.Errorf("%v, %v, %+v", taken, err, w.m.Probed)
	}
}
