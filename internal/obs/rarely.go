package obs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// rarelyEvery is the least time between two lines of one Rarely.
const rarelyEvery = 5 * time.Second

// Rarely tells of what may go wrong many times a second: the first time at once, then at most every five seconds with how
// often it was since. The zero value is ready; its methods may be called by several goroutines.
type Rarely struct {
	mu    sync.Mutex
	last  time.Time
	since int64 // times since the last line, not told
}

// Warn writes a line, or counts what it would have said.
func (r *Rarely) Warn(ctx context.Context, log *slog.Logger, message string, args ...any) {
	now := time.Now()
	r.mu.Lock()
	if !r.last.IsZero() && now.Sub(r.last) < rarelyEvery {
		r.since++
		r.mu.Unlock()
		return
	}
	times := r.since + 1
	r.last, r.since = now, 0
	r.mu.Unlock()
	log.WarnContext(ctx, message, append(args, slog.Int64(KeyCount, times))...)
}
