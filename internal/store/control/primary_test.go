package control_test

import (
	"errors"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/primary"
	"postroad/internal/service/control"
)

func foreignProbes(w *world, scope account.Scope, bob customer) {
	for _, domain := range []string{"", bob.Domain.Name} {
		list, err := w.ForwardProbes(w.t.Context(), scope, domain)
		must(w.t, err)
		own(w, scope, list)
	}
}

func foreignOpenProbes(w *world, scope account.Scope, _ customer) {
	list, err := w.OpenForwardProbes(w.t.Context(), scope)
	must(w.t, err)
	own(w, scope, list)
}

func own(w *world, scope account.Scope, list []primary.Probe) {
	for _, p := range list {
		if !scope.Has(p.Account) {
			w.t.Errorf("it shows %+v", p)
		}
	}
}

func foreignProbe(w *world, scope account.Scope, bob customer) {
	if p, err := w.ForwardProbe(w.t.Context(), scope, bob.Probe.Serial); !errors.Is(err, control.ErrNotFound) || p.From != "" {
		w.t.Errorf("it shows %+v, %v", p, err)
	}
}

func foreignProbeCount(w *world, scope account.Scope, bob customer) {
	if n, err := w.CountForwardProbes(w.t.Context(), scope, bob.Account.ID, time.Time{}); n != 0 || err != nil {
		w.t.Errorf("it counts %d, %v", n, err)
	}
}

func foreignPutProbes(w *world, scope account.Scope, bob customer) {
	p := bob.Probe
	p.Detail = "made up"
	if err := w.PutForwardProbes(w.t.Context(), scope, []primary.Probe{p}); !errors.Is(err, control.ErrNotFound) {
		w.t.Errorf("it was told %v", err)
	}
	p.Account, p.Domain = "account-ann", "ann.example" // the address is another's all the same
	if err := w.PutForwardProbes(w.t.Context(), scope, []primary.Probe{p}); !errors.Is(err, control.ErrNotFound) {
		w.t.Errorf("it was told %v", err)
	}
}

func foreignSetProbe(w *world, scope account.Scope, bob customer) {
	is := bob.Probe
	is.Detail = "made up"
	if done, err := w.SetForwardProbe(w.t.Context(), scope, bob.Probe, is); done || err != nil {
		w.t.Errorf("it was told %v, %v", done, err)
	}
}

func foreignRemoveProbes(w *world, scope account.Scope, bob customer) {
	must(w.t, w.RemoveForwardProbes(w.t.Context(), scope, []string{bob.Probe.Address}))
}

func TestAProbeIsWrittenOnlyAsItWasRead(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann := w.add(t, "ann")
		was := ann.Probe
		is := was.Judge(primary.Intact, created.Add(2*time.Hour), "", "")
		for _, want := range []bool{true, false} {
			if done, err := w.SetForwardProbe(t.Context(), system, was, is); done != want || err != nil {
				t.Fatalf("%v, %v", done, err)
			}
		}
		got, err := w.ForwardProbe(t.Context(), system, was.Serial)
		must(t, err)
		same(t, "the probe", is, got)
		if list, err := w.OpenForwardProbes(t.Context(), system); len(list) != 0 || err != nil {
			t.Errorf("%+v, %v", list, err)
		}
		for since, want := range map[time.Time]int{created: 0, created.Add(-time.Second): 1} {
			if n, err := w.CountForwardProbes(t.Context(), system, ann.Account.ID, since); n != want || err != nil {
				t.Errorf("%d since %s, %v", n, since, err)
			}
		}
		// Another probe takes its place.
		next := was
		next.Serial, next.Sent = "another", created.Add(time.Hour)
		must(t, w.PutForwardProbes(t.Context(), system, []primary.Probe{next}))
		if _, err := w.ForwardProbe(t.Context(), system, was.Serial); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%v", err)
		}
		// What an account has tried is nothing to the next one.
		bob := w.add(t, "bob")
		moved := ann.Domain
		moved.Account = bob.Account.ID
		w.apply(t, control.Tx{PutDomains: []directory.Domain{moved}})
		w.apply(t, control.Tx{Remove: []control.Removal{{Kind: control.KindDomain, ID: bob.Domain.ID}}})
		list, err := w.ForwardProbes(t.Context(), system, "")
		must(t, err)
		if len(list) != 0 {
			t.Errorf("it is left: %+v", list)
		}
	})
}
