package obs

import (
	"io"
	"sync"
	"time"
)

// Buffered gathers log lines and writes them together, so that a busy server does not make a system call a line.
// What a crash takes with it is at most flushEvery of lines; mail never waits for its log.
type Buffered struct {
	to    io.Writer
	mu    sync.Mutex
	lines []byte
	timer *time.Timer
}

const (
	flushEvery = 100 * time.Millisecond
	flushSize  = 64 << 10 // octets
)

// NewBuffered makes a buffer before a writer. Close writes the rest.
func NewBuffered(to io.Writer) *Buffered { return &Buffered{to: to} }

// Write takes one line. It never fails: a log that cannot be written stops nothing.
func (b *Buffered) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line...)
	switch {
	case len(b.lines) >= flushSize:
		b.flush()
	case b.timer == nil:
		b.timer = time.AfterFunc(flushEvery, func() { _ = b.Close() })
	}
	return len(line), nil
}

// Close writes what has been gathered. The buffer may be used further.
func (b *Buffered) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
	return nil
}

// flush writes the lines; b.mu is held.
func (b *Buffered) flush() {
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
	if len(b.lines) > 0 {
		_, _ = b.to.Write(b.lines)
		b.lines = b.lines[:0]
	}
}
