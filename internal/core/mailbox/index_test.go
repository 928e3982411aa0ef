package mailbox_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"postroad/internal/core/mailbox"
)

// plain is an index as a map.
type plain map[uint32]mailbox.Entry

func (p plain) sorted() []mailbox.Entry {
	list := make([]mailbox.Entry, 0, len(p))
	for _, uid := range slices.Sorted(maps.Keys(p)) {
		list = append(list, p[uid])
	}
	return list
}

// check compares an index with what it should be.
func check(t *testing.T, x *mailbox.Index, want plain) {
	t.Helper()
	list := want.sorted()
	if x.Len() != len(list) {
		t.Fatalf("%d messages instead of %d", x.Len(), len(list))
	}
	n := 0
	for i, e := range x.All() {
		if i != n || e != list[n] || x.At(i) != e {
			t.Fatalf("place %d: %+v, At %+v instead of %+v", i, e, x.At(i), list[n])
		}
		if at, found := x.Find(e.UID); at != i || !found {
			t.Fatalf("UID %d is at %d, %v", e.UID, at, found)
		}
		n++
	}
	if n != len(list) {
		t.Fatalf("All gave %d of %d", n, len(list))
	}
}

func TestAnIndexFollowsChanges(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	next, modseq := uint32(1), int64(1)
	now := plain{}
	for range 3000 {
		now[next] = mailbox.Entry{UID: next, ModSeq: modseq}
		next += 1 + uint32(r.IntN(3)) //nolint:gosec // small
	}
	x := mailbox.NewIndex(mailbox.Folder{}, nil, now.sorted())
	check(t, x, now)
	for round := range 100 {
		old, before := x, maps.Clone(now)
		modseq++
		changed := map[uint32]mailbox.Entry{}
		var gone []uint32
		for range r.IntN(2000) / (1 + round%50) {
			list := uint32(r.IntN(int(next))) //nolint:gosec // small
			if e, ok := now[list]; ok && round%3 > 0 {
				e.Flags, e.ModSeq = mailbox.Flags(r.IntN(32)), modseq //nolint:gosec // small
				now[list], changed[list] = e, e
			} else if ok {
				delete(now, list)
				gone = append(gone, list)
			}
		}
		for range r.IntN(300) {
			changed[next] = mailbox.Entry{UID: next, ModSeq: modseq}
			now[next] = changed[next]
			if r.IntN(20) == 0 { // it came and went between two looks
				delete(now, next)
				gone = append(gone, next)
				if r.IntN(2) == 0 {
					delete(changed, next)
				}
			}
			next++
		}
		slices.Sort(gone)
		x = x.Apply(mailbox.Folder{HighestModSeq: modseq}, nil, plain(changed).sorted(), gone)
		check(t, x, now)
		check(t, old, before)
		compare(t, x.Since(old), before, now)
	}
	if lean := mailbox.NewIndex(mailbox.Folder{}, nil, now.sorted()); x.Octets() > 2*lean.Octets() {
		t.Errorf("%d octets after many changes, %d when it is made anew", x.Octets(), lean.Octets())
	}
}

// compare holds a difference against two states.
func compare(t *testing.T, d mailbox.Difference, before, now plain) {
	t.Helper()
	var gone []uint32
	var changed, fresh []mailbox.Entry
	for _, e := range before.sorted() {
		if _, ok := now[e.UID]; !ok {
			gone = append(gone, e.UID)
		}
	}
	for _, e := range now.sorted() {
		if was, ok := before[e.UID]; !ok {
			fresh = append(fresh, e)
		} else if was != e {
			changed = append(changed, e)
		}
	}
	if !slices.Equal(gone, d.Gone) || !slices.Equal(changed, d.Changed) || !slices.Equal(fresh, d.New) {
		t.Fatalf("gone %d, changed %d, new %d; it should be %d, %d, %d", len(d.Gone), len(d.Changed), len(d.New), len(gone), len(changed), len(fresh))
	}
}

func TestPlacesOfAnIndex(t *testing.T) {
	x := mailbox.NewIndex(mailbox.Folder{}, []string{"a", "", "c"}, []mailbox.Entry{{UID: 3}, {UID: 5, Flags: mailbox.Seen | mailbox.Keyword(2)}, {UID: 9}})
	for uid, want := range map[uint32]int{1: 0, 3: 0, 4: 1, 9: 2, 10: 3} {
		if at, found := x.Find(uid); at != want || found != (uid == 3 || uid == 9) {
			t.Errorf("UID %d is at %d, %v", uid, at, found)
		}
	}
	if names := x.Names(x.At(1).Flags); !slices.Equal(names, []string{`\Seen`, "c"}) {
		t.Error(names)
	}
	var got []uint32
	for _, e := range x.Range(1, 9) {
		got = append(got, e.UID)
	}
	if !slices.Equal(got, []uint32{5, 9}) {
		t.Error(got)
	}
	empty := mailbox.NewIndex(mailbox.Folder{}, nil, nil)
	if at, found := empty.Find(1); at != 0 || found || empty.Len() != 0 {
		t.Error(at, found)
	}
	for i, e := range empty.All() {
		t.Error(i, e)
	}
}

func TestAnIndexAsItWasBefore(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 50 {
		now := plain{}
		next, modseq := uint32(1), int64(1)
		for range r.IntN(2500) {
			next += 1 + uint32(r.IntN(2)) //nolint:gosec // small
			now[next] = mailbox.Entry{UID: next, ModSeq: modseq, Flags: mailbox.Flagged}
		}
		next++
		then := mailbox.Folder{UIDNext: next, HighestModSeq: modseq, Messages: int64(len(now))}
		x := mailbox.NewIndex(then, []string{"old"}, now.sorted())
		want := maps.Clone(now)
		var gone, all []uint32
		var changed []mailbox.Entry
		for _, uid := range slices.Sorted(maps.Keys(now)) {
			switch r.IntN(40) {
			case 0:
				gone, all = append(gone, uid), append(all, uid)
				want[uid] = mailbox.Entry{UID: uid}
			case 1:
				changed = append(changed, mailbox.Entry{UID: uid, ModSeq: modseq + 1})
				want[uid] = mailbox.Entry{UID: uid}
			case 2: // it is removed after the index is made
				all = append(all, uid)
			}
		}
		for range r.IntN(1000) {
			changed = append(changed, mailbox.Entry{UID: next, ModSeq: modseq + 1})
			next++
		}
		all = append(all, next) // it came and went
		later := x.Apply(mailbox.Folder{UIDNext: next + 1, HighestModSeq: modseq + 2}, []string{"new"}, changed, gone)
		old, ok := later.Before(then, []string{"old"}, all)
		if !ok || old.Folder() != then || old.Keywords()[0] != "old" {
			t.Fatalf("%v, %+v, %v", ok, old.Folder(), old.Keywords())
		}
		check(t, old, want)
		if _, ok := later.Before(then, nil, nil); ok && len(gone) > 0 {
			t.Fatal("an index that lacks what was removed is taken for whole")
		}
	}
}
