package tuning

import "testing"

func TestGarbageIsBoundedByWhatLives(t *testing.T) {
	for live, want := range map[uint64]int{0: 300, 10 << 20: 300, 42 << 20: 300, 64 << 20: 200, 128 << 20: 100, 256 << 20: 50, 1 << 30: 40, 1 << 50: 40} {
		if got := garbagePercent(live); got != want {
			t.Errorf("beside %d MiB: %d %%, want %d", live>>20, got, want)
		}
	}
}

func TestGarbageIsGivenBackWhenLittleHappens(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		live, made, objects, free uint64
		want                      bool
	}{
		{live: 80 * mib, made: mib, objects: 80 * mib, free: 180 * mib, want: true},
		{live: 80 * mib, made: mib, objects: 180 * mib, free: 0, want: true},
		{live: 80 * mib, made: 100 * mib, objects: 180 * mib, free: 180 * mib, want: false},
		{live: 10 * mib, made: mib, objects: 20 * mib, free: 10 * mib, want: false},
		{live: 2048 * mib, made: mib, objects: 2148 * mib, free: 100 * mib, want: false},
		{live: 80 * mib, made: mib, objects: 70 * mib, free: 0, want: false},
	} {
		if got := idleGarbage(c.live, c.made, c.objects, c.free); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
