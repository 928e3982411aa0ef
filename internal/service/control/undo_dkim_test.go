package control_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/dkimkey"
	"postroad/internal/service/control"
)

// secrets are the private parts of a domain's keys that are there, by selector.
func (w *signed) secrets(domain string) map[string]string {
	out := map[string]string{}
	for _, k := range w.m.Keys[domain].Keys {
		out[k.Selector] = string(k.Sealed)
	}
	return out
}

// published lists the selectors of a domain whose records are in its zone, and no others.
func (w *signed) published(t *testing.T) string {
	t.Helper()
	var out []string
	for _, r := range w.m.Hosted["ann.example"].Records {
		if selector, _, ok := strings.Cut(r.Name, "._domainkey.ann.example."); ok {
			out = append(out, selector)
		}
	}
	slices.Sort(out)
	var want []string
	for _, k := range w.m.Keys["ann.example"].Keys {
		want = append(want, k.Selector)
	}
	slices.Sort(want)
	if !slices.Equal(out, want) {
		t.Errorf("the zone has the records of %v, the keys are %v", out, want)
	}
	return strings.Join(out, " ")
}

func TestChangesOfSigningAreTakenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newSigned(t)
		ctx, op := t.Context(), control.Operator()
		states := func(why, want string) {
			t.Helper()
			w.published(t)
			if got := w.states("ann.example"); got != want {
				t.Errorf("%s: %s, want %s", why, got, want)
			}
		}
		w.on("ann.example")
		w.stays("dkim add", "keys would be made again by themselves")
		w.seen("ann.example")
		w.stays("dkim set", "goes its way")
		before := w.secrets("ann.example")

		// A rotation that has begun.
		w.ok(w.PlanDKIMRotate(ctx, op, "ann.example"))
		four := w.secrets("ann.example")
		w.back(w.ann, "dkim set")
		states("a rotation undone", "rsa active, ed25519 active")
		w.back(w.ann, "dkim set")
		states("and done again", "rsa active, ed25519 active, rsa published, ed25519 published")
		for selector, sealed := range w.secrets("ann.example") {
			if four[selector] != sealed || sealed == "" {
				t.Errorf("the key %s is another one", selector)
			}
		}
		w.back(w.ann, "dkim set")

		// Signing switched off, and on again with what there was; and back, as often as somebody likes.
		w.ok(w.PlanDKIMOff(ctx, op, "ann.example"))
		states("off", "rsa retired, ed25519 retired")
		for _, k := range w.m.Keys["ann.example"].Keys {
			if k.Sealed != nil {
				t.Errorf("the retired key %s has its private part", k.Selector)
			}
		}
		for range 2 {
			w.back(w.ann, "dkim set")
			states("off undone", "rsa active, ed25519 active")
			if got := w.secrets("ann.example"); len(got) != 2 || w.m.Keys["ann.example"].Off {
				t.Errorf("%+v", w.m.Keys["ann.example"])
			} else {
				for selector, sealed := range got {
					if before[selector] != sealed {
						t.Errorf("the key %s is another one", selector)
					}
				}
			}
			w.back(w.ann, "dkim set")
			states("off again", "rsa retired, ed25519 retired")
		}
		w.back(w.ann, "dkim set")

		// One algorithm the fewer, and another age.
		w.ok(w.PlanDKIMOn(ctx, op, "ann.example", control.DKIMSpec{Algorithms: "rsa", Rotate: new(60)}))
		states("narrowed", "rsa active, ed25519 retired")
		w.back(w.ann, "dkim set")
		states("narrowed undone", "rsa active, ed25519 active")
		if d := w.m.Keys["ann.example"]; d.Rotate != 0 || len(d.Algorithms) != 2 {
			t.Errorf("%+v", d)
		}

		// A key that was removed signs when the world has its record again.
		k := w.key("ann.example", dkimkey.RSA)
		w.ok(w.PlanDKIMRemove(ctx, op, "ann.example", k.Selector))
		states("removed", "ed25519 active")
		w.dns.set(k.Owner("ann.example"))
		w.back(w.ann, "dkim remove")
		states("removal undone", "rsa published, ed25519 active")
		w.check("ann.example", false)
		states("nobody sees it", "rsa published, ed25519 active")
		w.seen("ann.example")
		states("seen", "rsa active, ed25519 active")

		// What has changed since, and what is forgotten.
		w.ok(w.PlanDKIMOn(ctx, op, "ann.example", control.DKIMSpec{Rotate: new(400)}))
		w.ok(w.PlanDKIMOff(ctx, op, "ann.example"))
		entries, err := w.Audit(ctx, op, "ann.example", 0, 2)
		if err != nil || entries[1].CanUndo || !entries[0].CanUndo {
			t.Errorf("%+v %v", entries, err)
		}
		if _, err := w.PlanUndo(ctx, w.bob, entries[0].ID); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("by another account: %v", err)
		}
		time.Sleep(11 * 24 * time.Hour)
		w.check("ann.example", false)
		w.back(w.ann, "dkim set")
		states("off undone after 11 days", "rsa active, ed25519 active")
		w.ok(w.PlanDKIMOff(ctx, op, "ann.example"))
		time.Sleep(31 * 24 * time.Hour)
		w.stays("dkim set", "is forgotten")
		w.check("ann.example", false)
		w.check("ann.example", false)
		if d := w.m.Keys["ann.example"]; len(d.Kept) != 0 || len(d.Keys) != 0 {
			t.Errorf("it is kept: %+v", d)
		}
	})
}

func TestWhatARotationHasReplacedStaysForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newSigned(t)
		w.ok(w.PlanDKIMOn(t.Context(), control.Operator(), "ann.example", control.DKIMSpec{Algorithms: "ed25519", Rotate: new(30)}))
		w.seen("ann.example")
		w.ok(w.PlanDKIMRotate(t.Context(), control.Operator(), "ann.example"))
		begun := w.last("dkim set")
		w.seen("ann.example")
		time.Sleep(time.Hour)
		w.check("ann.example", false)
		if got := w.states("ann.example"); got != "ed25519 retired, ed25519 active" || len(w.m.Keys["ann.example"].Kept) != 0 {
			t.Fatalf("%s, kept %+v", got, w.m.Keys["ann.example"].Kept)
		}
		w.stays("dkim set", "forgotten")
		if _, err := w.PlanUndo(t.Context(), w.ann, begun.ID); err == nil || !strings.Contains(err.Error(), "has changed since") {
			t.Errorf("its beginning: %v", err)
		}
		// What is replaced by its age would be replaced again.
		time.Sleep(30 * 24 * time.Hour)
		w.check("ann.example", false)
		w.check("ann.example", false)
		if got := w.states("ann.example"); got != "ed25519 active, ed25519 published" {
			t.Fatalf("%s", got)
		}
		w.stays("dkim set", "replaced again by themselves")
	})
}

func TestTheFirstKeysOfADomainAreTakenBackWhereNobodySends(t *testing.T) {
	t.Parallel()
	w := newSigned(t)
	w.on("bob.example")
	made := w.secrets("bob.example")
	w.back(w.bob, "dkim add")
	if len(w.m.Keys["bob.example"].Keys) != 0 {
		t.Errorf("%+v", w.m.Keys["bob.example"])
	}
	w.back(w.bob, "dkim set")
	for selector, sealed := range w.secrets("bob.example") {
		if made[selector] != sealed || sealed == "" {
			t.Errorf("the key %s is another one", selector)
		}
	}
	w.ok(w.PlanDKIMOff(t.Context(), control.Operator(), "bob.example"))
	w.back(w.bob, "dkim set")
	if got := w.states("bob.example"); got != "rsa published, ed25519 published" {
		t.Errorf("keys that waited: %s", got)
	}
}

func TestChangesOfIdentitiesAreTakenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, l, _ := newIdentities(t)
		ctx, op, yes := t.Context(), control.Operator(), true
		const box, far = "box@ann.example", "ann@far.example"
		sends := func(why string, want bool) {
			t.Helper()
			if w.sendsAs(far) != want {
				t.Errorf("%s: it sends: %v", why, !want)
			}
		}
		w.ok(w.PlanIdentityAdd(ctx, op, box, far))
		w.back(w.ann, "identity add")
		if len(w.m.Identities) != 0 {
			t.Errorf("%+v", w.m.Identities)
		}
		w.stays("identity remove", "does not hold any more")
		if _, err := w.PlanIdentityConfirm(ctx, w.ann, box, far, l.code()); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("the code is good: %v", err)
		}
		time.Sleep(11 * time.Minute)
		w.confirmed(l, box, far)
		sends("confirmed", true)
		// A proof is taken back, and not that in turn.
		w.back(w.ann, "identity set")
		sends("a proof taken back", false)
		w.stays("identity set", "shown again")
		time.Sleep(11 * time.Minute)
		w.confirmed(l, box, far)
		until := func() time.Time {
			for _, i := range w.m.Identities {
				return i.Expires
			}
			return time.Time{}
		}
		first := until()
		// One that was removed comes back as it was, by whoever removed it or the operator.
		w.by(w.ann, planOf(t)(w.PlanIdentityRemove(ctx, w.ann, box, far)), nil)
		sends("removed", false)
		time.Sleep(time.Hour)
		w.back(w.ann, "identity remove")
		sends("brought back", true)
		if !until().Equal(first) {
			t.Errorf("it holds until %v, and held until %v", until(), first)
		}
		w.ok(w.PlanIdentityRemove(ctx, op, box, far))
		if _, err := w.PlanUndo(ctx, w.ann, w.last("identity remove").ID); err == nil || !strings.Contains(err.Error(), "the operator removed it") {
			t.Errorf("by the account: %v", err)
		}
		w.back(op, "identity remove")
		sends("brought back by the operator", true)
		// A renewal that waits is called off.
		time.Sleep(340 * 24 * time.Hour)
		w.ok(w.PlanIdentityAdd(ctx, op, box, far))
		w.back(w.ann, "identity set")
		if _, err := w.PlanIdentityConfirm(ctx, w.ann, box, far, l.code()); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("the code is good: %v", err)
		}
		sends("while it holds", true)
		w.by(w.ann, planOf(t)(w.PlanIdentityRemove(ctx, w.ann, box, far)), nil)
		time.Sleep(26 * 24 * time.Hour)
		w.stays("identity remove", "does not hold any more")
		// Nobody gets what another account has by now, or what another mailbox of the name had.
		w.confirmed(l, box, "x@late.example")
		w.by(w.ann, planOf(t)(w.PlanIdentityRemove(ctx, w.ann, box, "x@late.example")), nil)
		w.ok(w.PlanDomainAdd(ctx, op, control.DomainSpec{Name: "late.example", Account: "bob", DomainSettings: control.DomainSettings{Proved: &yes}}))
		w.stays("identity remove", "does not hold any more")
		w.confirmed(l, box, "y@far.example")
		w.by(w.ann, planOf(t)(w.PlanIdentityRemove(ctx, w.ann, box, "y@far.example")), nil)
		w.ok(w.PlanMailboxRemove(ctx, op, box))
		w.stays("identity remove", "is gone")
		w.box(box)
		w.stays("identity remove", "is another one by now")
		// What needs no code is there and gone at will.
		w.ok(w.PlanDomainAdd(ctx, op, control.DomainSpec{Name: "own.example", Account: "ann", DomainSettings: control.DomainSettings{Proved: &yes}}))
		w.by(w.ann, planOf(t)(w.PlanIdentityAdd(ctx, w.ann, box, "z@own.example")), nil)
		for range 2 {
			w.back(w.ann, "identity add")
			w.back(w.ann, "identity remove")
		}
		if !w.sendsAs("z@own.example") {
			t.Error("it does not send as its own domain's")
		}
	})
}
