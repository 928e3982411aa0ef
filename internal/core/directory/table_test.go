package directory

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

// thing is what the tables of these tests hold.
type thing struct {
	name string
	of   int
}

func (t *thing) key() string { return t.name }

// TestATableIsAMap holds tables of all sizes against maps, through changes that add, replace and remove, and shows that what
// was before stays as it was.
func TestATableIsAMap(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for _, size := range []int{0, 1, 2, 3, 7, 12, 13, 100, tableThreshold, tableThreshold + 1, 5000} {
		want := map[string]*thing{}
		filled := newTable[*thing](size / 2) // it grows
		for i := range size {
			v := &thing{fmt.Sprint("name", r.IntN(size)), i}
			filled.fill(v)
			want[v.name] = v
		}
		table := filled
		check(t, size, table, want)
		for change := range 30 {
			before, was := table, maps.Clone(want)
			put, drop := map[string]*thing{}, []string{}
			for range r.IntN(1 + 2*change) {
				name := fmt.Sprint("name", r.IntN(size+50))
				if r.IntN(2) == 0 {
					drop = append(drop, name)
					delete(want, name)
				}
			}
			for range r.IntN(3 + 2*change) {
				v := &thing{fmt.Sprint("name", r.IntN(size+50)), change}
				put[v.name], want[v.name] = v, v
			}
			table = before.with(put, drop)
			check(t, size, table, want)
			check(t, size, before, was)
		}
	}
	var none *table[*thing]
	check(t, -1, none, nil)
	one := none.with(map[string]*thing{"a": {name: "a"}}, []string{"b"})
	if v, ok := one.get("a"); !ok || v.name != "a" || one.n != 1 {
		t.Errorf("made of nothing: %v %v", v, ok)
	}
}

func check(t *testing.T, size int, table *table[*thing], want map[string]*thing) {
	t.Helper()
	seen := 0
	for k, v := range table.all() {
		if seen++; want[k] != v {
			t.Fatalf("size %d: %s is %v, want %v", size, k, v, want[k])
		}
	}
	if seen != len(want) || table != nil && table.n != len(want) {
		t.Fatalf("size %d: %d things, counted %d, want %d", size, seen, table.n, len(want))
	}
	for i := range max(0, size) + 60 {
		name := fmt.Sprint("name", i)
		if v, ok := table.get(name); v != want[name] || ok != (want[name] != nil) {
			t.Fatalf("size %d: %s gives %v %v, want %v", size, name, v, ok, want[name])
		}
	}
}

// TestNamesOfACopyAreFound: whoever has changed a copy of a domain still finds what is in it, and never what was.
func TestNamesOfACopyAreFound(t *testing.T) {
	t.Parallel()
	d := Domain{ID: "d", Name: "d.example"}
	first := NewSnapshot(1, []Domain{d}, []Mailbox{{ID: "a", Domain: "d.example", Local: "ann"}}, nil, nil)
	second := first.With(Delta{Version: 2, RemoveMailboxes: []string{"ann@d.example"}, PutMailboxes: []Mailbox{{ID: "b", Domain: "d.example", Local: "bob"}}, PutRules: []Rule{{ID: "r", Domain: "d.example", Local: "bob", Kind: RuleForward}}})
	old, _ := first.Domain("d.example")
	now, _ := second.Domain("d.example")
	copied := *now
	for _, at := range []struct {
		name     string
		snap     *Snapshot
		domain   *Domain
		ann, bob bool
	}{
		{"the first", first, old, true, false}, {"the second", second, now, false, true}, {"a copy", second, &copied, false, true}, {"no snapshot's", second, &d, false, true},
	} {
		_, ann := at.snap.Named(at.domain, "ann")
		rule, bob := at.snap.Named(at.domain, "bob")
		if (ann != nil) != at.ann || (bob != nil) != at.bob || (rule != nil) != at.bob {
			t.Errorf("%s: ann %v, bob %v %v", at.name, ann, bob, rule)
		}
	}
	if rule, box := second.Named(&Domain{Name: "gone.example"}, "ann"); rule != nil || box != nil {
		t.Errorf("of no domain: %v %v", rule, box)
	}
}
