package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/account"
)

// oneSetting is a store of one setting.
type oneSetting struct {
	text   string
	writes int
	fail   error
}

func (o *oneSetting) Setting(context.Context, account.Scope, string) (string, error) {
	return o.text, o.fail
}

func (o *oneSetting) SetSetting(_ context.Context, _ account.Scope, _, value string) error {
	if o.fail == nil {
		o.text, o.writes = value, o.writes+1
	}
	return o.fail
}

func TestNodesLearnTheNamesOfEachOther(t *testing.T) {
	t.Parallel()
	shared := &oneSetting{}
	one, two := newNodes("mx1.host.example", shared), newNodes("mx2.host.example", shared)
	meet := func(list ...*nodes) {
		t.Helper()
		for _, n := range list {
			if err := n.meet(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	knows := func(n *nodes, want ...string) {
		t.Helper()
		if got := slices.Sorted(slices.Values(n.names())); !slices.Equal(got, want) {
			t.Errorf("%s knows %v", n.own, got)
		}
	}
	knows(one, "mx1.host.example")
	meet(one, two)
	knows(one, "mx1.host.example")
	knows(two, "mx1.host.example", "mx2.host.example")
	meet(one)
	knows(one, "mx1.host.example", "mx2.host.example")
	// A node that wrote at the same time has not seen the others; nothing is forgotten for that.
	shared.text = "mx3.host.example"
	meet(one, two)
	knows(two, "mx1.host.example", "mx2.host.example", "mx3.host.example")
	writes := shared.writes
	meet(one, two)
	if shared.writes != writes {
		t.Error("they write what is there")
	}
	shared.fail = errors.New("no store")
	if err := one.meet(t.Context()); !errors.Is(err, shared.fail) {
		t.Errorf("without a store: %v", err)
	}
	knows(one, "mx1.host.example", "mx2.host.example", "mx3.host.example")
	// Names of long ago go, and a live node's own comes back at its next look.
	shared.fail, shared.text = nil, "mx1.host.example"
	for n := range maxNodeNames - 1 {
		shared.text += fmt.Sprintf(" old%d.host.example", n)
	}
	meet(two, one)
	for _, n := range []*nodes{one, two} {
		if got := n.names(); len(got) != maxNodeNames || !slices.Contains(got, n.own) {
			t.Errorf("of many %s knows %d: %v", n.own, len(got), got)
		}
	}
	if !strings.HasSuffix(shared.text, " old62.host.example mx2.host.example mx1.host.example") || strings.Contains(shared.text, "old0.") {
		t.Errorf("written is %s", shared.text)
	}
	writes = shared.writes
	meet(one, two, one)
	if shared.writes != writes {
		t.Error("they write for ever")
	}
}
