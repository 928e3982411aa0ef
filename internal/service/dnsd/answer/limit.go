package answer

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync/atomic"
)

// Limiter limits equal answers to one network, so that nobody who forges his address can have it flooded from here. It
// counts per network (IPv4 /24, IPv6 /56) and per what is answered: the RRset, or for what does not exist and for errors
// the zone. Its memory is fixed. It may be used by any goroutine.
type Limiter struct {
	interval uint64 // ticks between answers
	burst    uint64 // ticks that may be used ahead
	key      [2]uint64
	slots    []atomic.Uint64 // mark of the key, then the tick until which its share is used up
}

const (
	tick      = 1000 // nanoseconds
	tickBits  = 40   // of a slot: twelve days, then a share counts as unused
	tickMask  = 1<<tickBits - 1
	ways      = 4 // slots that a key may stand in
	limitSize = 1 << 16
)

// NewLimiter makes a limiter of rate answers a second, of which those of one second may come at once. key should be
// random.
func NewLimiter(rate int, key [2]uint64) *Limiter {
	interval := max(1, uint64(1_000_000_000/tick)/uint64(max(1, rate))) //nolint:gosec // positive
	return &Limiter{interval: interval, burst: 1_000_000_000 / tick, key: key, slots: make([]atomic.Uint64, limitSize)}
}

// Network gives what addresses of one network have in common.
func network(a netip.Addr) uint64 {
	if a.Is4() {
		four := a.As4()
		return uint64(binary.BigEndian.Uint32(four[:]) &^ 0xFF)
	}
	sixteen := a.As16()
	if a.Is4In6() {
		return uint64(binary.BigEndian.Uint32(sixteen[12:]) &^ 0xFF)
	}
	return binary.BigEndian.Uint64(sixteen[:])&^0xFF | 1
}

// allow takes one answer of kind what from a network's share at a time in nanoseconds.
func (l *Limiter) allow(client netip.Addr, what uint64, now int64) bool {
	high, low := bits.Mul64(network(client)^l.key[0], what^l.key[1])
	hash := high ^ low
	hash ^= hash >> 29
	mark := hash &^ tickMask
	at := uint64(now) / tick & tickMask //nolint:gosec // after 1970
	first := int(hash) & (limitSize - 1) &^ (ways - 1)
	var free *atomic.Uint64
	var most uint64
	for i := range ways {
		s := &l.slots[first+i]
		old := s.Load()
		ahead := (old - at) & tickMask
		used := ahead <= l.burst+l.interval
		if used && old&^tickMask == mark {
			return l.take(s, old, mark, at, ahead)
		}
		if !used {
			ahead = 0
		}
		if free == nil || ahead < most {
			free, most = s, ahead
		}
	}
	free.Store(mark | (at+l.interval)&tickMask)
	return true
}

// AllowError is allow for an answer that is nothing but an error.
func (l *Limiter) AllowError(client netip.Addr, code int, now int64) bool {
	return l.allow(client, errorOf(code), now)
}

// errorOf is the kind of the answers with a code: all of them share one.
func errorOf(code int) uint64 { return uint64(code) + 1 } //nolint:gosec // a small number

// take moves a share on; when another was quicker, its answer counts and this one goes too.
func (l *Limiter) take(s *atomic.Uint64, old, mark, at, ahead uint64) bool {
	if ahead+l.interval > l.burst {
		return false
	}
	s.CompareAndSwap(old, mark|(at+ahead+l.interval)&tickMask)
	return true
}
