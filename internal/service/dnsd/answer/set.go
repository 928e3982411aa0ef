package answer

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"postroad/internal/proto/dns"
)

// Set is all zones that are answered for. Reading takes no lock: a slot of a shard's table is filled in place, and a
// table that gets too small, or loses a zone, is replaced as a whole.
type Set struct {
	shards    [64]shard
	zones     atomic.Int64
	maxLabels atomic.Int32
}

type shard struct {
	mu    sync.Mutex // of those who write
	table atomic.Pointer[table]
}

type table struct {
	slots []slot // a power of two, a third of them free
	used  int
}

type slot struct {
	hash uint64 // written before zone
	zone atomic.Pointer[Zone]
}

// Put publishes a zone: the next question finds it, in the place of the one of its name.
func (s *Set) Put(z *Zone) {
	for {
		n := s.maxLabels.Load()
		if n >= int32(z.labels) || s.maxLabels.CompareAndSwap(n, int32(z.labels)) {
			break
		}
	}
	sh := s.shard(z.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.table.Load()
	if t != nil {
		if sl := t.slot(z.hash, z.apex()); sl != nil {
			if old := sl.zone.Load(); old != nil {
				z.counters = old.counters
				sl.zone.Store(z)
				return
			}
		}
	}
	if t == nil || (t.used+1)*3 > len(t.slots)*2 {
		t = t.copied(nil)
		sh.table.Store(t)
	}
	sl := t.slot(z.hash, z.apex())
	sl.hash = z.hash
	sl.zone.Store(z)
	t.used++
	s.zones.Add(1)
}

// Remove takes the zone of an absolute name away. It reports whether there was one.
func (s *Set) Remove(name string) bool {
	apex, err := dns.AppendName(nil, name)
	if err != nil {
		return false
	}
	lower(apex)
	hash := maphash.Bytes(seed, apex)
	sh := s.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.table.Load()
	z := t.look(hash, apex)
	if z == nil {
		return false
	}
	sh.table.Store(t.copied(z))
	s.zones.Add(-1)
	return true
}

// Zone gives the zone of an absolute name, nil for none.
func (s *Set) Zone(name string) *Zone {
	var wire [256]byte
	apex, err := dns.AppendName(wire[:0], name)
	if err != nil {
		return nil
	}
	lower(apex)
	return s.look(maphash.Bytes(seed, apex), apex)
}

// Len is the number of zones.
func (s *Set) Len() int { return int(s.zones.Load()) }

func (s *Set) shard(hash uint64) *shard { return &s.shards[hash>>58] }

func (s *Set) look(hash uint64, apex []byte) *Zone {
	return s.shard(hash).table.Load().look(hash, apex)
}

func (t *table) look(hash uint64, apex []byte) *Zone {
	if t == nil {
		return nil
	}
	return t.slot(hash, apex).zone.Load()
}

// slot gives the slot of a zone, or the free one where it would stand.
func (t *table) slot(hash uint64, apex []byte) *slot {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		sl := &t.slots[i]
		z := sl.zone.Load()
		if z == nil || sl.hash == hash && bytes.Equal(z.apex(), apex) {
			return sl
		}
	}
}

// copied gives the table with room for more, without one of its zones.
func (t *table) copied(without *Zone) *table {
	n := &table{}
	size := 8
	if t != nil {
		n.used = t.used
		if without != nil {
			n.used--
		}
		for (n.used+1)*2 > size {
			size *= 2
		}
	}
	n.slots = make([]slot, size)
	if t == nil {
		return n
	}
	for i := range t.slots {
		if z := t.slots[i].zone.Load(); z != nil && z != without {
			sl := n.slot(z.hash, z.apex())
			sl.hash = z.hash
			sl.zone.Store(z)
		}
	}
	return n
}
