package control_test

import (
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/service/forwarding"
)

// TestForwardsAreCountedByAllNodes adds to one forward and one client as several nodes do.
func TestForwardsAreCountedByAllNodes(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		at := func(minutes int) time.Time { return created.Add(time.Duration(minutes) * time.Minute) }
		sent := func(owner account.ID, n int, fragile uint64, minutes int) forwarding.Sent {
			return forwarding.Sent{Forward: "fan@d.example", Account: owner, Last: forwarding.Record{N: n, Fragile: fragile}, At: at(minutes)}
		}
		add := func(c forwarding.Use, want forwarding.Sent) {
			t.Helper()
			got, err := w.AddForwardCounts(t.Context(), system, forwarding.Added{Uses: []forwarding.Use{c}}, time.Time{})
			must(t, err)
			same(t, "now", []forwarding.Sent{want}, got.Sent)
		}
		with := func(c forwarding.Sent, from, share, leaves int) (forwarding.Use, forwarding.Sent) {
			is := c
			is.Leaves = at(leaves)
			return forwarding.Use{Sent: c, From: at(from), Share: time.Duration(share) * time.Minute}, is
		}
		first, is := with(sent("a", 3, 0b101, 0), 0, 30, 30)
		add(first, is)
		// Another node, at the same time.
		second, _ := with(sent("a", 2, 0b01, 1), 1, 10, 0)
		is = sent("a", 5, 0b10101, 1)
		is.Leaves = at(40)
		add(second, is)
		// What was used is given back in time; a slow node tells of earlier messages late.
		third, _ := with(sent("a", 0, 0, 0), 50, 20, 0)
		is.Leaves = at(70)
		add(third, is)
		// More than are remembered, and as many as the engines move bits at a time at most.
		many, _ := with(sent("a", 64, 1<<63|1<<32|1, 60), 0, 0, 0)
		many.From = time.Time{}
		is = sent("a", 64, 1<<63|1<<32|1, 60)
		is.Leaves = at(70)
		add(many, is)
		add(forwarding.Use{Sent: sent("a", 33, 1<<32, 61)}, forwarding.Sent{Forward: "fan@d.example", Account: "a", Last: forwarding.Record{N: 64, Fragile: 1<<33 | 1<<32}, Leaves: at(70), At: at(61)})
		r, err := w.ForwardRecord(t.Context(), account.Of("a"), "fan@d.example")
		must(t, err)
		same(t, "the record", forwarding.Record{N: 64, Fragile: 1<<33 | 1<<32}, r)

		client := func(owner account.ID, name string, n, minutes int) forwarding.Brought {
			return forwarding.Brought{Domain: "d.example", Client: name, Account: owner, Messages: n, At: at(minutes)}
		}
		bring := func(gone []forwarding.Brought, before time.Time, want []forwarding.Brought, added ...forwarding.Brought) {
			t.Helper()
			got, err := w.AddForwardCounts(t.Context(), system, forwarding.Added{Brought: added, Gone: gone}, before)
			must(t, err)
			same(t, "now", want, got.Brought)
		}
		bring(nil, time.Time{}, []forwarding.Brought{client("a", "192.0.2.1", 3, 0), client("a", "192.0.2.2", 1, 1)}, client("a", "192.0.2.1", 3, 0), client("a", "192.0.2.2", 1, 1))
		bring(nil, time.Time{}, []forwarding.Brought{client("a", "192.0.2.1", 7, 2)}, client("a", "192.0.2.1", 4, 2))
		bring([]forwarding.Brought{client("a", "192.0.2.2", 0, 0)}, time.Time{}, nil)
		list, err := w.ForwardCounts(t.Context(), system, at(69), at(0), 10)
		must(t, err)
		if len(list.Sent) != 1 || len(list.Brought) != 1 {
			t.Errorf("%+v", list)
		}
		list, err = w.ForwardCounts(t.Context(), system, at(70), at(3), 10)
		must(t, err)
		same(t, "those that wait for nothing", forwarding.Counts{}, list)

		// Whoever has the domain next begins anew, and sees nothing of it.
		r, err = w.ForwardRecord(t.Context(), account.Of("b"), "fan@d.example")
		must(t, err)
		same(t, "another account's", forwarding.Record{}, r)
		fresh, is := with(sent("b", 1, 1, 62), 62, 1, 63)
		add(fresh, is)
		bring(nil, time.Time{}, []forwarding.Brought{client("b", "192.0.2.1", 1, 62)}, client("b", "192.0.2.1", 1, 62))
		// In time all is forgotten.
		bring(nil, at(63), nil)
		list, err = w.ForwardCounts(t.Context(), system, time.Time{}, time.Time{}, 10)
		must(t, err)
		same(t, "left", forwarding.Counts{}, list)
	})
}
