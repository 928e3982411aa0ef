package forwarding

import (
	"maps"
	"sync"
	"time"
)

// maxForwards bounds of how many forwards the pace is remembered.
const maxForwards = 10_000

// fuse keeps the pace of forwards: so many messages in an hour, at once if need be; what is over is given a time later, so
// that it leaves at that pace.
type fuse struct {
	mu sync.Mutex
	// next is for each forward when a message would leave if all left evenly; an hour ahead of now the hour's share is used.
	next map[string]time.Time
}

// Pace counts a message of a forward, and gives when it may leave; false when that is at once.
func (s *Service) Pace(forward string, now time.Time) (time.Time, bool) {
	f := &s.fuse
	f.mu.Lock()
	defer f.mu.Unlock()
	at, known := f.next[forward]
	if at.Before(now) {
		at = now
	}
	if !known && len(f.next) >= maxForwards {
		maps.DeleteFunc(f.next, func(_ string, t time.Time) bool { return t.Before(now) })
		if len(f.next) >= maxForwards {
			return time.Time{}, false // nothing is known of it, and nothing waits for want of memory
		}
	}
	f.next[forward] = at.Add(time.Hour / time.Duration(s.o.PerHour))
	leave := at.Add(-time.Hour + time.Hour/time.Duration(s.o.PerHour))
	return leave, leave.After(now)
}

// PerHour is how many messages a forward may send to other servers in an hour.
func (s *Service) PerHour() int { return s.o.PerHour }
