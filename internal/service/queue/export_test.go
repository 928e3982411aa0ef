package queue

import "runtime"

// InHand gives the number of lanes in hand and the octets of bodies in memory.
func InHand(s *Service) (lanes int, octets int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.active), s.memory.Load()
}

// Locked reports whether the queue's lock stays held.
func Locked(s *Service) bool {
	for range 100_000 {
		if s.mu.TryLock() {
			s.mu.Unlock()
			return false
		}
		runtime.Gosched()
	}
	return true
}
