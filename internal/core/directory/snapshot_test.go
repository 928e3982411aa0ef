package directory_test

import (
	"fmt"
	"testing"

	"postroad/internal/core/directory"
)

func TestAChangeMakesANewSnapshotAndLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	s1 := directory.NewSnapshot(1,
		[]directory.Domain{{Name: "acme.example", Mode: directory.ModeLocal}, {Name: "other.example"}},
		[]directory.Mailbox{{ID: "m1", Domain: "acme.example", Local: "ann"}, {ID: "m2", Domain: "gone.example", Local: "x"}},
		[]directory.Rule{{ID: "r1", Domain: "acme.example", Local: "", Kind: directory.RuleCatchAll, Targets: []string{"ann@acme.example"}}},
		nil)
	s2 := s1.With(directory.Delta{
		Version:         2,
		PutMailboxes:    []directory.Mailbox{{ID: "m3", Domain: "acme.example", Local: "bob"}},
		RemoveMailboxes: []string{"ann@acme.example"},
		RemoveRules:     []string{"@acme.example"},
		RemoveDomains:   []string{"other.example"},
		PutDomains:      []directory.Domain{{Name: "new.example"}},
		PutOutbounds:    []directory.Outbound{{ID: "o", Hop: directory.HostPort{Host: "smart.example", Port: 587}}},
	})
	for _, c := range []struct {
		s              *directory.Snapshot
		version        int64
		ann, bob, all  bool
		other, newOne  bool
		smart, hasGone bool
	}{
		{s1, 1, true, false, true, true, false, false, false},
		{s2, 2, false, true, false, false, true, true, false},
	} {
		if c.s.Version() != c.version {
			t.Errorf("version %d, want %d", c.s.Version(), c.version)
		}
		for what, got := range map[string][2]bool{
			"ann":   {first(c.s.Mailbox("acme.example", "ann")), c.ann},
			"bob":   {first(c.s.Mailbox("acme.example", "bob")), c.bob},
			"all":   {first(c.s.Rule("acme.example", "")), c.all},
			"other": {first(c.s.Domain("other.example")), c.other},
			"new":   {first(c.s.Domain("new.example")), c.newOne},
			"gone":  {first(c.s.Mailbox("gone.example", "x")), c.hasGone},
			"smart": {first(c.s.Outbound("acme.example")), c.smart},
		} {
			if got[0] != got[1] {
				t.Errorf("version %d: %s is %v, want %v", c.version, what, got[0], got[1])
			}
		}
	}
}

func first[V any](_ V, ok bool) bool { return ok }

func TestALargeDomainKeepsEveryMailboxOverGrowth(t *testing.T) {
	t.Parallel()
	s := directory.NewSnapshot(0, []directory.Domain{{Name: "big.example"}}, nil, nil, nil)
	const n = 2500
	for i := range n {
		s = s.With(directory.Delta{Version: int64(i), PutMailboxes: []directory.Mailbox{{Domain: "big.example", Local: fmt.Sprintf("u%d", i)}}})
	}
	for i := range n {
		if _, ok := s.Mailbox("big.example", fmt.Sprintf("u%d", i)); !ok {
			t.Fatalf("u%d is lost", i)
		}
	}
	seen := 0
	for range s.Mailboxes("big.example") {
		seen++
	}
	if seen != n {
		t.Fatalf("%d mailboxes listed, want %d", seen, n)
	}
}
