package tuning

import "testing"

func TestGarbageIsBoundedByWhatLives(t *testing.T) {
	for live, want := range map[uint64]int{0: 300, 10 << 20: 300, 42 << 20: 300, 64 << 20: 200, 128 << 20: 100, 256 << 20: 50, 1 << 30: 40, 1 << 50: 40} {
		if got := garbagePercent(live); got != want {
			t.Errorf("beside %d MiB: %d %%, want %d", live>>20, got, want)
		}
	}
}
