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
				Key: sending.KeyOfDomain(owner, "d.example"), Tally: sending.Tally{Hour: hour, HourCount: hours, Day: day, DayCount: days},
			}
		}
		other := sending.Count{Key: sending.Key{Account: "a", Kind: sending.Login, ID: "d.example"}, Tally: sending.Tally{Hour: 1, HourCount: 1, Day: 1, DayCount: 1}}
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
		add(count("b", 120, 1, 5, 1), count("b", 120, 1, 5, 1))  // another account has the domain now
		list, err := w.Tallies(t.Context(), account.Of("a"), 0)
		must(t, err)
		same(t, "of the account before", []sending.Count{count("a", 101, 1, 4, 16), other}, list)
		list, err = w.TalliesOf(t.Context(), system, []sending.Key{count("b", 0, 0, 0, 0).Key, sending.KeyOfAccount("b")})
		must(t, err)
		same(t, "of one", []sending.Count{count("b", 120, 1, 5, 1)}, list)
		got, err := w.AddTallies(t.Context(), system, nil, 5)
		must(t, err)
		list, err = w.Tallies(t.Context(), system, 0)
		must(t, err)
		same(t, "left", []sending.Count{count("b", 120, 1, 5, 1)}, append(list, got...))
		if list, err = w.Tallies(t.Context(), system, 6); err != nil || len(list) != 0 {
			t.Errorf("of later days: %+v, %v", list, err)
		}
	})
}
