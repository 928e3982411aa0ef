package receive

import (
	"testing"
	"time"
)

// TestWhatIsFoundAgainIsCounted: one record in a while, which says how often it was in between.
func TestWhatIsFoundAgainIsCounted(t *testing.T) {
	t.Parallel()
	var r recent
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for i, step := range []struct {
		what  string
		after time.Duration
		first bool
		more  int
	}{
		{"a", 0, true, 0},
		{"a", time.Second, false, 1},
		{"b", time.Second, true, 0},
		{"a", foundAgain - time.Second, false, 2},
		{"a", foundAgain, true, 2},
		{"a", foundAgain + time.Second, false, 1},
	} {
		if more, first := r.first(step.what, at.Add(step.after)); first != step.first || more != step.more {
			t.Errorf("step %d: first %v, %d more", i, first, more)
		}
	}
}
