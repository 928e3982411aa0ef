package control_test

import (
	"testing"
	"time"

	"postroad/internal/service/control"
)

func TestTheLargestTTLCountsUntilNoCacheCanHaveIt(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		const day = 24 * time.Hour
		for i, step := range []struct {
			after, saw time.Duration // since it was made; 0: nothing is seen
			want       time.Duration
		}{
			{day, 0, 48 * time.Hour},
			{2 * day, time.Hour, 48 * time.Hour},
			{3 * day, 0, 48 * time.Hour},
			{3*day + time.Second, 0, 0}, // two days and one more after it was seen last
			{4 * day, time.Hour, time.Hour},
			{4*day + time.Hour, 4 * day, 4 * day},
			{6 * day, 4*day - time.Hour, 4 * day}, // the same, as a cache shows it
			{11 * day, 0, 4 * day},
		} {
			at := created.Add(step.after)
			if step.saw > 0 {
				must(t, w.SawTTL(t.Context(), system, ann.Domain.Name, step.saw, at))
			}
			if ttl, err := w.LargestTTL(t.Context(), system, ann.Domain.Name, at); err != nil || ttl != step.want {
				t.Errorf("step %d: %v, want %v: %v", i+1, ttl, step.want, err)
			}
		}
		must(t, w.SawTTL(t.Context(), system, "nowhere.example", time.Hour, created))
		if ttl, err := w.LargestTTL(t.Context(), system, "nowhere.example", created); err != nil || ttl != 0 {
			t.Errorf("a domain that is not here: %v, %v", ttl, err)
		}
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindDomain, bob.Domain.ID)}})
		if ttl, err := w.LargestTTL(t.Context(), system, bob.Domain.Name, created); err != nil || ttl != 0 {
			t.Errorf("a domain that is gone: %v, %v", ttl, err)
		}
	})
}
