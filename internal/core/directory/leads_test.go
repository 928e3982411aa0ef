package directory_test

import (
	"slices"
	"testing"

	"postroad/internal/core/directory"
)

func TestWhatLeadsIntoADomainIsKnownAfterEveryChange(t *testing.T) {
	t.Parallel()
	rule := func(domain, local string, targets ...string) directory.Rule {
		return directory.Rule{ID: local + "@" + domain, Domain: domain, Local: local, Kind: directory.RuleForward, Targets: targets}
	}
	s := directory.NewSnapshot(1, []directory.Domain{{Name: "a.example"}, {Name: "b.example"}, {Name: "c.example"}}, nil,
		[]directory.Rule{rule("a.example", "x", "u@c.example"), rule("b.example", "x", "u@far.example", "v@far.example")}, nil)
	leading := func(to string) []string {
		return slices.Sorted(s.Leading(func(d string) bool { return d == to }))
	}
	check := func(step, to string, want ...string) {
		t.Helper()
		if got := leading(to); !slices.Equal(got, want) {
			t.Errorf("%s: into %s lead %v, want %v", step, to, got, want)
		}
	}
	check("at first", "c.example", "a.example")
	check("at first", "far.example", "b.example")
	s = s.With(directory.Delta{PutRules: []directory.Rule{rule("b.example", "x", "u@c.example", "v@far.example"), rule("c.example", "", "u@c.example")}})
	check("one target moved", "c.example", "a.example", "b.example", "c.example")
	check("one target moved", "far.example", "b.example")
	s = s.With(directory.Delta{RemoveRules: []string{"x@a.example"}, PutRules: []directory.Rule{rule("b.example", "x", "u@c.example")}})
	check("one removed, one changed", "c.example", "b.example", "c.example")
	check("one removed, one changed", "far.example")
	s = s.With(directory.Delta{RemoveRules: []string{"x@b.example", "none@b.example"}, PutRules: []directory.Rule{rule("b.example", "x", "u@far.example")}})
	check("removed and put at once", "c.example", "c.example")
	check("removed and put at once", "far.example", "b.example")
	s = s.With(directory.Delta{RemoveDomains: []string{"b.example"}})
	check("without the domain", "far.example")
}
