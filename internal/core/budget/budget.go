// Package budget counts octets of memory against one limit, so that many small buffers cannot become too much.
package budget

import "sync/atomic"

// Budget is a limit and what is used of it. Its methods may be called at once; a nil Budget has no limit.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// New makes a budget of limit octets; 0 and less mean no limit.
func New(limit int64) *Budget {
	return &Budget{limit: limit}
}

// Take uses n octets, which the caller gives back; false when they are not there, and then nothing is used.
func (b *Budget) Take(n int64) bool {
	if b == nil {
		return true
	}
	if used := b.used.Add(n); b.limit > 0 && used > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// Force uses n octets that cannot be done without, even beyond the limit.
func (b *Budget) Force(n int64) {
	if b != nil {
		b.used.Add(n)
	}
}

// Give gives n octets back.
func (b *Budget) Give(n int64) { b.Force(-n) }

// Used is how many octets are in use.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// Short reports whether less than a quarter is left: what can go to a file should.
func (b *Budget) Short() bool {
	return b != nil && b.limit > 0 && b.used.Load() > b.limit-b.limit/4
}

// Spent reports whether nothing is left: what has not begun yet has to wait.
func (b *Budget) Spent() bool {
	return b != nil && b.limit > 0 && b.used.Load() >= b.limit
}
