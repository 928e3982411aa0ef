package trace

import (
	"reflect"
	"testing"

	"postroad/internal/core/trace"
)

// Whatever lies in the database is read or refused; what is read is written and read back the same.
func FuzzSteps(f *testing.F) {
	r := trace.Row{ID: "x", Sender: "ann@far.example", Recipient: "bob@red.example"}
	r.Steps = []trace.Step{{Kind: trace.Refused, Recipient: "bob@red.example", Reply: "550 5.1.1 no", Size: 5, Targets: []trace.Target{{Address: "x", Lane: "local/0"}}}}
	f.Add(encode(&r))
	f.Add([]byte{})
	f.Add([]byte{form, 1, 0, 0, fieldReply, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		got := r
		var err error
		if got.Steps, err = decode(&got, in); err != nil {
			return
		}
		again := got
		if again.Steps, err = decode(&again, encode(&got)); err != nil {
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
