package dnssec

import (
	"testing"
	"time"
)

func TestAClockThatJumpsIsNotFollowed(t *testing.T) {
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct {
		name  string
		jump  time.Duration // of the system's clock, an hour after the start
		after time.Duration // which has passed since
		want  time.Duration // by which the time told differs from what has passed
	}{
		{"goes on", 0, 40 * day, 0},
		{"half an hour ahead", 30 * time.Minute, time.Minute, 30 * time.Minute},
		{"half an hour behind", -30 * time.Minute, time.Minute, -30 * time.Minute},
		{"ten years ahead", 3653 * day, 30 * day, 0},
		{"ten years behind", -3653 * day, 30 * day, 0},
		{"two hours behind", -2 * time.Hour, 30 * day, 0},
		{"slept, just woken", 3 * day, time.Hour, 0},
		{"slept, awake for a day", 3 * day, day, 3 * day},
	} {
		clock := NewClock(time.Time{}, begin)
		passed := time.Duration(0)
		jump := time.Duration(0)
		var now time.Time
		for ; passed <= time.Hour+c.after; passed += time.Minute {
			if passed > time.Hour {
				jump = c.jump
			}
			now = clock.Now(begin.Add(passed+jump), passed)
		}
		passed -= time.Minute
		if got := now.Sub(begin.Add(passed)); got != c.want {
			t.Errorf("%s: the time told is off by %v, want %v", c.name, got, c.want)
		}
		if off := clock.Off(); (off != 0) != (c.want != c.jump) || off != 0 && off != c.jump {
			t.Errorf("%s: said to be off by %v", c.name, off)
		}
	}
}

func TestAFrozenClockIsNotFollowed(t *testing.T) {
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	clock := NewClock(time.Time{}, begin)
	for passed := time.Duration(0); passed <= 100*time.Hour; passed += 10 * time.Minute {
		now := clock.Now(begin, passed)
		if passed > 2*time.Hour && !now.Equal(begin.Add(passed)) {
			t.Fatalf("after %v it is %v", passed, now)
		}
		if behind := begin.Add(passed).Sub(now); behind > tolerated {
			t.Fatalf("after %v the time told is %v behind", passed, behind)
		}
	}
	if clock.Off() == 0 {
		t.Error("it is not said to be off")
	}
}

func TestAtAStartTheClockIsHeldAgainstWhatIsKnown(t *testing.T) {
	last := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for ahead, believed := range map[time.Duration]bool{
		time.Minute: true, 0: true, -time.Minute: true, -2 * time.Hour: false, 300 * 24 * time.Hour: true, 4000 * 24 * time.Hour: false,
	} {
		clock := NewClock(last, last.Add(ahead))
		now := clock.Now(last.Add(ahead), time.Second)
		if got := now.Equal(last.Add(ahead)); got != believed {
			t.Errorf("a clock %v ahead of the last signing is believed: %v (it is %v)", ahead, got, now)
		}
	}
	clock := NewClock(last, last.Add(-48*time.Hour))
	clock.Now(last.Add(-48*time.Hour), 0)
	clock.Believe(last.Add(-48*time.Hour), 0)
	if now := clock.Now(last.Add(-48*time.Hour), time.Second); !now.Equal(last.Add(-48*time.Hour)) || clock.Off() != 0 {
		t.Errorf("what the operator says is not followed: %v", now)
	}
}
