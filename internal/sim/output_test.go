package sim

import (
	"io"
	"testing"
)

func TestOutputTellsWhenWordsWereWritten(t *testing.T) {
	t.Parallel()
	var o Output
	done := func(words string) bool {
		select {
		case <-o.Said(words):
			return true
		default:
			return false
		}
	}
	early := o.Said("is ready")
	for _, text := range []string{"it is", " ready now"} {
		if done("is ready") {
			t.Errorf("said by %q", o.String())
		}
		if n, err := io.WriteString(&o, text); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
	}
	<-early
	if o.String() != "it is ready now" || !done("is ready") || !done("now") || done("never") {
		t.Errorf("not said by %q", o.String())
	}
}
