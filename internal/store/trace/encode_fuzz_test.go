package trace

import (
	"reflect"
	"strconv"
	"testing"

	"postroad/internal/core/trace"
)

// Whatever lies in the database is read or refused; what is read is written and read back the same.
func FuzzSteps(f *testing.F) {
	r := trace.Row{ID: "x", Sender: "ann@far.example", Recipient: "bob@red.example"}
	r.Steps = []trace.Step{{Kind: trace.Refused, Recipient: "bob@red.example", Reply: "550 5.1.1 no", Size: 5, Targets: []trace.Target{{Address: "x", Lane: "local/0"}}}}
	f.Add(new(writer).row(&r))
	f.Add([]byte{})
	f.Add([]byte{form, 1, 0, 0, fieldReply, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		got := r
		var err error
		if got.Steps, err = decode(&got, in); err != nil {
			return
		}
		again := got
		if again.Steps, err = decode(&again, new(writer).row(&got)); err != nil {
			t.Fatal(err)
		}
		if len(in) <= maxText && len(again.Steps) != len(got.Steps) {
			t.Fatalf("%d steps became %d", len(got.Steps), len(again.Steps))
		}
		if len(in) <= maxText && len(got.Steps) > 0 && !reflect.DeepEqual(got.Steps[0].Targets, again.Steps[0].Targets) {
			t.Fatalf("%+v became %+v", got.Steps[0], again.Steps[0])
		}
	})
}

// TestWordsAreNotInTheWayOfARowsOwnTexts: a word that comes to the end of the list moves no number that is stored.
func TestWordsAreNotInTheWayOfARowsOwnTexts(t *testing.T) {
	t.Parallel()
	var b book
	b.open(&trace.Row{Sender: "a@far.example", Recipient: "b@here.example"})
	b.add("own")
	for text, want := range map[string]int{"a@far.example": 0, "here.example": 6, "own": 8, words[0]: 1, words[len(words)-1]: 2*len(words) - 1} {
		n, ok := b.number(text)
		if back, there := b.text(uint64(n)); !ok || !there || n != want || back != text { //nolint:gosec // not negative
			t.Errorf("%q is number %d, which is %q; want %d", text, n, back, want)
		}
	}
	for _, n := range []uint64{10, uint64(2*len(words) + 1), 1<<64 - 1, 1<<64 - 2} {
		if text, there := b.text(n); there {
			t.Errorf("number %d is %q", n, text)
		}
	}
}

// TestManyTexts: however many texts a row has, the first number of each counts, and the next row begins anew.
func TestManyTexts(t *testing.T) {
	t.Parallel()
	var b book
	for range 2 {
		b.open(&trace.Row{Sender: "a@far.example", Recipient: "b@here.example"})
		for i := range 3 * few {
			b.add("text " + strconv.Itoa(i/2))
			if n, ok := b.number("text " + strconv.Itoa(i/2)); !ok || n != 2*(4+i/2*2) {
				t.Fatalf("text %d is number %d", i/2, n)
			}
			if _, ok := b.number("text " + strconv.Itoa(i/2+1)); ok {
				t.Fatalf("text %d has a number", i/2+1)
			}
		}
	}
}
