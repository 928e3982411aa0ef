package control_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/service/control"
)

// rerouted gives what the queue was told since the last time.
func (w *world) rerouted() []mail.Rerouted {
	list := w.m.Rerouted
	w.m.Rerouted = nil
	return list
}

func TestTheQueueIsToldWhoseMailGoesAnotherWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rerouted()
	relay, accept, yes, no := "relay", "accept", true, false
	hops := []string{"198.51.100.7:25"}
	month, zone := 30*24*time.Hour, "hosted"
	set := func(s control.DomainSettings) func() (control.Plan, error) {
		return func() (control.Plan, error) {
			return w.PlanDomainSet(t.Context(), control.Operator(), "ann.example", s)
		}
	}
	for _, c := range []struct {
		name string
		plan func() (control.Plan, error)
		want []mail.Rerouted
	}{
		{"another mode", set(control.DomainSettings{Mode: &relay, NextHops: &hops, Recipients: &accept}), []mail.Rerouted{{Domain: "ann.example", Moved: true}}},
		{"another next hop", set(control.DomainSettings{NextHops: &[]string{"198.51.100.8:25"}}), []mail.Rerouted{{Domain: "ann.example", Moved: true}}},
		{"nothing of the route", set(control.DomainSettings{Zone: &zone}), nil},
		{"another time to be kept", set(control.DomainSettings{Hold: &month}), []mail.Rerouted{{Domain: "ann.example", Kept: true, Hold: month}}},
		{"inert", set(control.DomainSettings{Proved: &no}), []mail.Rerouted{{Domain: "ann.example", Gone: true}}},
		{"proved", set(control.DomainSettings{Proved: &yes}), []mail.Rerouted{{Domain: "ann.example", Moved: true}}},
		{"removed", func() (control.Plan, error) {
			return w.PlanDomainRemove(t.Context(), control.Operator(), "ann.example")
		}, []mail.Rerouted{{Domain: "ann.example", Gone: true}}},
		{"inert from the start", func() (control.Plan, error) {
			return w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "new.example"})
		}, nil},
		{"inert and removed", func() (control.Plan, error) {
			return w.PlanDomainRemove(t.Context(), control.Operator(), "new.example")
		}, nil},
	} {
		w.ok(c.plan())
		if got := w.rerouted(); !slices.Equal(got, c.want) {
			t.Errorf("%s: the queue was told %+v, want %+v", c.name, got, c.want)
		}
		if left := w.m.Settings["queued_mail_being_rerouted"]; left != "" {
			t.Errorf("%s: remembered %s", c.name, left)
		}
	}
}

func TestStartFinishesWhatTheQueueWasNotTold(t *testing.T) {
	t.Parallel()
	for name, crash := range map[string]func(w *world){
		"before the queue was told": func(w *world) { w.m.FailReroute = errors.New("crash") },
		"before the change":         func(w *world) { w.m.FailUpdate = errors.New("crash") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.rerouted()
			crash(w)
			p, err := w.PlanDomainRemove(t.Context(), control.Operator(), "ann.example")
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Apply(t.Context(), control.Operator(), p)
			stood := w.m.FailUpdate == nil
			if (err == nil) != stood {
				t.Fatal(err)
			}
			w.m.FailUpdate, w.m.FailReroute = nil, nil
			restart(t, w.m)
			want := []mail.Rerouted{{Domain: "ann.example", Gone: stood, Moved: !stood}}
			if got := w.rerouted(); !slices.Equal(got, want) {
				t.Errorf("the queue was told %+v, want %+v", got, want)
			}
			if left := w.m.Settings["queued_mail_being_rerouted"]; left != "" {
				t.Errorf("still remembered: %s", left)
			}
		})
	}
}
