package dnssec

import "time"

// How far a clock is believed.
const (
	// tolerated is by how much the system's clock may differ from what has passed since it was believed last. A signature
	// is good under both then.
	tolerated = time.Hour
	// settled is how often the clock is held against itself anew: one that stands still is found out before.
	settled = 24 * time.Hour
	// patience is how long a clock that has jumped ahead must go on as it does to be believed: a machine that slept.
	patience = 6 * time.Hour
	// longestSleep is the longest jump that is believed at all while the program runs.
	longestSleep = 60 * 24 * time.Hour
	// longestStop is the longest time for which the program may not have run.
	longestStop = 400 * 24 * time.Hour
)

// Clock tells the time by which zones are signed: that of the system's clock as long as it goes as time passes. A clock that jumps
// would have the whole zone signed for a time that nobody else lives in. It is not safe for concurrent use.
type Clock struct {
	believed time.Time
	at       time.Duration // passed when believed was set
	off      bool
	offset   time.Duration // of the system's clock, while it is not believed
	since    time.Duration // passed when it began to be off by that
}

// NewClock begins with what the system's clock shows now, and the latest time that is known to have been (zero: none is):
// a clock that is behind it, or a year ahead, is not believed.
func NewClock(last, system time.Time) *Clock {
	c := &Clock{believed: system}
	if ahead := system.Sub(last); !last.IsZero() && (ahead < -tolerated || ahead > longestStop) {
		c.believed = last
	}
	return c
}

// Now gives the time, from what the system's clock shows and the time that has passed since NewClock.
func (c *Clock) Now(system time.Time, passed time.Duration) time.Time {
	now := c.believed.Add(passed - c.at)
	offset := system.Sub(now)
	if offset.Abs() <= tolerated {
		c.off = false
		if passed-c.at >= settled {
			c.Believe(system, passed)
		}
		return system
	}
	if !c.off || (offset-c.offset).Abs() > tolerated {
		c.off, c.offset, c.since = true, offset, passed
	}
	if offset > 0 && offset <= longestSleep && passed-c.since >= patience {
		c.Believe(system, passed)
		return system
	}
	return now
}

// Believe takes the system's clock as right, whatever it has done.
func (c *Clock) Believe(system time.Time, passed time.Duration) {
	c.believed, c.at, c.off = system, passed, false
}

// Off reports by how much the system's clock was off when Now was called last; zero when it is believed.
func (c *Clock) Off() time.Duration {
	if !c.off {
		return 0
	}
	return c.offset
}
