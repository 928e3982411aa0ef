package forwarding

import (
	"maps"
	"math/bits"
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
	seen map[string]record
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

// remembered is of how many messages of a forward it is known what becomes of them elsewhere.
const remembered = 64

// record is what was seen of the last messages of a forward, the newest in the lowest bit.
type record struct {
	n       int // how many
	fragile uint64
}

// Note remembers of a message of a forward whether it is one that the next server will hardly believe: its author's
// domain stands behind it by SPF alone, and asks to have such mail refused.
func (s *Service) Note(forward string, fragile bool) {
	f := &s.fuse
	f.mu.Lock()
	defer f.mu.Unlock()
	r, known := f.seen[forward]
	if !known && len(f.seen) >= maxForwards {
		return
	}
	r.n = min(r.n+1, remembered)
	r.fragile <<= 1
	if fragile {
		r.fragile |= 1
	}
	f.seen[forward] = r
}

// Health tells of the last messages of a forward how many there were, 64 at most, and how many of them the next server
// will hardly believe. It is what this node has seen since its start.
func (s *Service) Health(forward string) (fragile, of int) {
	s.fuse.mu.Lock()
	defer s.fuse.mu.Unlock()
	r := s.fuse.seen[forward]
	return bits.OnesCount64(r.fragile), r.n
}
