package control_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/dnssec"
	"postroad/internal/service/control"
)

// last is the newest entry of the audit log with an action.
func (w *world) last(action string) control.EntryInfo {
	w.t.Helper()
	list, err := w.Audit(w.t.Context(), control.Operator(), "", 0, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range list {
		if e.Action == action {
			return e
		}
	}
	w.t.Fatalf("there is no entry %q", action)
	return control.EntryInfo{}
}

// back takes the newest change of a kind back.
func (w *world) back(actor control.Actor, action string) control.Plan {
	w.t.Helper()
	e := w.last(action)
	p, err := w.PlanUndo(w.t.Context(), actor, e.ID)
	if !e.CanUndo || !p.Asks {
		w.t.Errorf("%s: it is not shown as one that can be undone, or does not ask: %+v", action, e)
	}
	w.by(actor, p, err)
	return p
}

// stays wants that the newest change of a kind cannot be taken back.
func (w *world) stays(action, why string) {
	w.t.Helper()
	e := w.last(action)
	if _, err := w.PlanUndo(w.t.Context(), control.Operator(), e.ID); e.CanUndo || err == nil || !strings.Contains(err.Error(), why) {
		w.t.Errorf("%s: %v, %+v", action, err, e)
	}
}

func TestASwitchOfDNSSECIsTakenBackWithItsKeys(t *testing.T) {
	t.Parallel()
	w, above := penWorld(t)
	ctx := t.Context()
	w.ok(hosting(w, "ann.example", "hosted"))
	signing := func() *dnssec.Signing { return w.m.Hosted["ann.example"].Signing }
	on := func(c control.DNSSECChoice) {
		t.Helper()
		p, err := w.PlanDNSSECOn(ctx, w.ann, "ann.example", c)
		w.by(w.ann, p, err)
	}
	off := func(withdraw bool) {
		t.Helper()
		p, err := w.PlanDNSSECOff(ctx, w.ann, "ann.example", withdraw)
		w.by(w.ann, p, err)
	}
	on(control.DNSSECChoice{})
	first := w.last("dnssec add")
	w.back(w.ann, "dnssec add")
	if signing() != nil {
		t.Error("it is still signed")
	}
	w.back(w.ann, "dnssec remove") // that it was taken back
	if s := signing(); s == nil || len(s.Keys) != 1 || s.Keys[0].ID != "key of ann.example" || !s.Resumed {
		t.Fatalf("signed again: %+v", s)
	}
	on(control.DNSSECChoice{Denial: "nsec3"})
	if e, err := w.PlanUndo(ctx, w.ann, first.ID); !errors.Is(err, control.ErrInUse) {
		t.Errorf("what has changed since: %+v, %v", e, err)
	}
	w.back(w.ann, "dnssec set")
	if signing().Denial != dnssec.NSEC {
		t.Error("still NSEC3")
	}
	off(true)
	w.back(w.ann, "dnssec set")
	if signing().Withdrawn {
		t.Error("still withdrawn")
	}
	p, err := w.PlanDNSSECRoll(ctx, w.ann, "ann.example", "")
	w.by(w.ann, p, err)
	w.stays("dnssec set", "a key that takes over goes its way")

	off(false)
	entry := w.last("dnssec remove")
	if _, err := w.PlanUndo(ctx, w.bob, entry.ID); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("somebody else's: %v", err)
	}
	above.SetDS("ann.example", strangeDS)
	if p, err := w.PlanUndo(ctx, w.ann, entry.ID); err != nil || !strings.Contains(strings.Join(p.Warnings, " "), "DNSSEC_DS_STALE") {
		t.Errorf("with the DS of another key: %v, %q", err, p.Warnings)
	}
	unused := w.m.Secrets["key of ann.example"]
	unused.Unused = time.Now().Add(-29*24*time.Hour - time.Minute)
	w.m.Secrets["key of ann.example"] = unused
	w.stays("dnssec remove", "no longer kept")
	delete(w.m.Secrets, "key of ann.example")
	w.stays("dnssec remove", "no longer kept")
	on(control.DNSSECChoice{})
	w.stays("dnssec remove", "has changed since")
}

func TestARemovedDomainComesBackSigned(t *testing.T) {
	t.Parallel()
	w, _ := penWorld(t)
	w.ok(hosting(w, "ann.example", "hosted"))
	w.ok(w.PlanDNSSECOn(t.Context(), control.Operator(), "ann.example", control.DNSSECChoice{Denial: "nsec3"}))
	w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), "ann.example"))
	if p := w.back(control.Operator(), "domain remove"); !strings.Contains(strings.Join(p.Sentences, " "), "signed again, with the keys that it had") {
		t.Errorf("%q", p.Sentences)
	}
	z := w.m.Hosted["ann.example"]
	if z.Signing == nil || z.Signing.Denial != dnssec.NSEC3 || len(z.Signatures) == 0 || z.Signing.Keys[0].ID != "key of ann.example" {
		t.Errorf("%+v", z)
	}
	w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), "ann.example"))
	clear(w.m.Secrets)
	if p := w.back(control.Operator(), "domain remove"); !strings.Contains(strings.Join(p.Sentences, " "), "comes back unsigned") {
		t.Errorf("%q", p.Sentences)
	}
	if z := w.m.Hosted["ann.example"]; z.Signing != nil || len(z.Signatures) > 0 {
		t.Errorf("%+v", z)
	}
}

func TestChangesOfTransfersAreTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, tr := t.Context(), w.Transfers
	state := func() string {
		t.Helper()
		var b strings.Builder
		peers, err := tr().Peers(ctx, control.Operator())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range peers {
			b.WriteString(p.Zone + " " + p.Key + " " + p.Notify + " " + strings.Join(p.From, ",") + "\n")
		}
		keys, _ := tr().Keys(ctx, control.Operator())
		for _, k := range keys {
			b.WriteString("key " + k.Name + "\n")
		}
		seconds, _ := tr().Secondaries(ctx, control.Operator())
		for _, s := range seconds {
			b.WriteString("secondary " + s.Domain + " " + s.Primary + " " + s.Key + "\n")
		}
		catalogs, _ := tr().Catalogs(ctx, control.Operator())
		for _, c := range catalogs {
			b.WriteString("catalog " + c.Name + "\n")
		}
		return b.String()
	}
	for _, c := range []struct {
		action string
		plan   func() (control.Plan, error)
		keep   bool // the change stays, for the next ones
	}{
		{"tsig-key add", func() (control.Plan, error) { return tr().PlanKeyAdd(ctx, w.ann, control.TSIGKeySpec{Name: "k"}) }, true},
		{"transfer add", func() (control.Plan, error) {
			return tr().PlanAllow(ctx, w.ann, control.TransferPeerSpec{Zone: "ann.example", Key: "k"})
		}, true},
		{"transfer add", func() (control.Plan, error) {
			return tr().PlanAllow(ctx, w.ann, control.TransferPeerSpec{Zone: "ann.example", Key: "k", From: []string{"192.0.2.0/24"}})
		}, true},
		{"transfer add", func() (control.Plan, error) {
			return tr().PlanNotify(ctx, w.ann, control.TransferPeerSpec{Zone: "ann.example", Notify: "192.5.6.30", Key: "k"})
		}, true},
		{"transfer remove", func() (control.Plan, error) {
			return tr().PlanDeny(ctx, w.ann, control.TransferPeerSpec{Zone: "ann.example", From: []string{"192.0.2.0/24"}})
		}, false},
		{"transfer remove", func() (control.Plan, error) {
			return tr().PlanDeny(ctx, w.ann, control.TransferPeerSpec{Zone: "ann.example", Notify: "192.5.6.30"})
		}, false},
		{"secondary add", func() (control.Plan, error) {
			return tr().PlanSecondarySet(ctx, w.ann, control.SecondarySpec{Domain: "ann.example", Primary: "192.5.6.30", Key: "k"})
		}, true},
		{"secondary set", func() (control.Plan, error) {
			return tr().PlanSecondarySet(ctx, w.ann, control.SecondarySpec{Domain: "ann.example", Primary: "192.5.6.31"})
		}, false},
		{"secondary remove", func() (control.Plan, error) { return tr().PlanSecondaryRemove(ctx, w.ann, "ann.example") }, false},
		{"catalog add", func() (control.Plan, error) {
			return tr().PlanCatalogOn(ctx, w.ann, control.CatalogSpec{Name: "catalog.ann.example"})
		}, true},
		{"catalog remove", func() (control.Plan, error) { return tr().PlanCatalogOff(ctx, w.ann, "catalog.ann.example") }, false},
	} {
		before := state()
		p, err := c.plan()
		w.by(w.ann, p, err)
		after := state()
		w.back(w.ann, c.action)
		if got := state(); got != before || after == before {
			t.Errorf("%s: before\n%safter it\n%safter it was undone\n%s", c.action, before, after, got)
		}
		if c.keep {
			p, err := c.plan()
			w.by(w.ann, p, err)
		}
	}
	p, err := tr().PlanDeny(ctx, w.ann, control.TransferPeerSpec{Zone: "ann.example"})
	w.by(w.ann, p, err)
	w.stays("transfer add", "has changed since")
	p, err = tr().PlanSecondaryRemove(ctx, w.ann, "ann.example")
	w.by(w.ann, p, err)
	w.stays("secondary add", "has changed since")
	p, err = tr().PlanKeyRemove(ctx, w.ann, "k")
	w.by(w.ann, p, err)
	w.stays("tsig-key remove", "not kept")
	w.stays("tsig-key add", "has changed since")
	// What an address of an operator's may be, nobody else brings back.
	w.ok(tr().PlanSecondarySet(ctx, control.Operator(), control.SecondarySpec{Domain: "ann.example", Primary: "127.0.0.1:5300"}))
	w.ok(tr().PlanSecondaryRemove(ctx, control.Operator(), "ann.example"))
	if _, err := w.PlanUndo(ctx, w.ann, w.last("secondary remove").ID); !errors.Is(err, control.ErrDenied) {
		t.Errorf("a customer names a loopback address: %v", err)
	}
}
