package imap

import (
	"slices"
	"strings"
	"testing"
)

func TestSets(t *testing.T) {
	for _, c := range []struct {
		text    string
		largest uint32
		want    []Range
		sent    string
	}{
		{"1", 5, []Range{{1, 1}}, "1"},
		{"3:1,2,9,8", 5, []Range{{1, 3}, {8, 9}}, "1:3,8:9"},
		{"*", 5, []Range{{5, 5}}, "*"},
		{"*", 0, nil, "*"},
		{"7:*", 5, []Range{{5, 7}}, "7:*"},
		{"*:2", 5, []Range{{2, 5}}, "2:*"},
		{"2:*,*:9,4", 5, []Range{{2, 9}}, "4,2:*,9:*"},
		{"4294967295,4294967294", 5, []Range{{4294967294, 4294967295}}, "4294967294:4294967295"},
		{"1:4294967295,5:7", 5, []Range{{1, 4294967295}}, "1:4294967295"},
	} {
		got, err := parseOne(t, "COPY "+c.text+" a")
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		set := got.(Copy).Messages
		ranges := set.Ranges(c.largest)
		if !slices.Equal(ranges, c.want) || set.String() != c.sent {
			t.Errorf("%s: got %v, sent as %s", c.text, ranges, set.String())
		}
		for n := uint32(1); n < 12; n++ {
			in := slices.ContainsFunc(c.want, func(r Range) bool { return r.From <= n && n <= r.To })
			if set.Contains(n, c.largest) != in {
				t.Errorf("%s: contains %d: %v", c.text, n, !in)
			}
		}
	}
	if _, err := parseOne(t, "COPY 1"+strings.Repeat(",1", maxRanges)+" a"); err == nil {
		t.Error("a set of too many ranges was taken")
	}
}

func TestSetOf(t *testing.T) {
	set := SetOf(5, 1, 2, 2, 3)
	if set.String() != "1:3,5" || set.Len() != 4 || set.Max() != 5 || !slices.Equal(slices.Collect(set.All()), []uint32{1, 2, 3, 5}) {
		t.Errorf("got %s of %d", set.String(), set.Len())
	}
	if !(Set{}).Empty() || set.Empty() || NewSet(Range{}).Empty() || !NewSet(Range{}).Star() {
		t.Error("emptiness is told wrongly")
	}
}
