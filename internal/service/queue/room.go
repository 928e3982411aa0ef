package queue

import (
	"sync/atomic"
	"time"
)

// Disk tells how much space is left where queue and mailboxes lie.
type Disk interface {
	Free() (uint64, error) // octets
}

// room remembers the free space for a moment, so that not every MAIL asks the file system.
type room struct {
	disk    Disk
	reserve int64
	asked   atomic.Int64 // nanoseconds since 1970
	free    atomic.Int64 // octets beyond the reserve at that time
}

const roomFresh = 250 * time.Millisecond

// Room is nil while a message of the given size fits in above the reserve; else ErrFull. The reserve is there so
// that what is queued can still be delivered and deleted.
func (s *Service) Room(size int64) error {
	r := &s.room
	if r.disk == nil {
		return nil
	}
	now := time.Now().UnixNano()
	if asked := r.asked.Load(); now-asked > int64(roomFresh) && r.asked.CompareAndSwap(asked, now) {
		if free, err := r.disk.Free(); err == nil {
			r.free.Store(int64(min(free, 1<<62)) - r.reserve) //nolint:gosec // bounded above
		}
	}
	if r.free.Load() < max(size, 0) {
		return ErrFull
	}
	return nil
}
