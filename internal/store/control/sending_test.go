package control_test

import (
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/sending"
)

func TestTalliesAreAddedUp(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		count := func(owner account.ID, hour, hours, day, days int64) sending.Count {
			return sending.Count{
				Key: sending.Key{Kind: sending.Domain, ID: "d.example"}, Account: owner, Tally: sending.Tally{Hour: hour, HourCount: hours, Day: day, DayCount: days},
			}
		}
		other := sending.Count{Key: sending.Key{Kind: sending.Login, ID: "d.example"}, Account: "a", Tally: sending.Tally{Hour: 1, HourCount: 1, Day: 1, DayCount: 1}}
		add := func(c, want sending.Count) {
			t.Helper()
			got, err := w.AddTallies(t.Context(), system, []sending.Count{c}, 0)
			must(t, err)
			same(t, "now", []sending.Count{want}, got)
		}
		_, err := w.AddTallies(t.Context(), system, []sending.Count{other}, 0)
		must(t, err)
		add(count("a", 100, 2, 4, 5), count("a", 100, 2, 4, 5))
		add(count("a", 100, 3, 4, 3), count("a", 100, 5, 4, 8))
		add(count("a", 101, 1, 4, 1), count("a", 101, 1, 4, 9))
		add(count("a", 100, 7, 4, 7), count("a", 101, 1, 4, 16)) // told late by a slow node
		add(count("b", 120, 1, 5, 1), count("b", 120, 1, 5, 1))
		list, err := w.Tallies(t.Context(), account.Of("a"), 0)
		must(t, err)
		same(t, "of the account before", []sending.Count{other}, list)
		got, err := w.AddTallies(t.Context(), system, nil, 3)
		must(t, err)
		list, err = w.Tallies(t.Context(), system, 0)
		must(t, err)
		same(t, "left", []sending.Count{count("b", 120, 1, 5, 1)}, append(list, got...))
		if list, err = w.Tallies(t.Context(), system, 6); err != nil || len(list) != 0 {
			t.Errorf("of later days: %+v, %v", list, err)
		}
	})
}
