package directory

import (
	"hash/maphash"
	"iter"
	"math/bits"
)

// named is what a table holds: a pointer to a thing that knows its own key, which never changes while the table has it.
type named interface {
	comparable
	key() string
}

// table is an immutable hash table. It lies in one piece, or in shards when it is large, so that a change copies one shard
// and not everything. Of what is looked up one slot is read, and the thing itself: at the design size each further
// place in memory would cost as much as all the rest of a decision.
type table[V named] struct {
	slots  []slot[V]   // of a small table
	shards [][]slot[V] // of a large one, by the low bits of the hash; nil for a small one
	n      int
	used   []int // of a large one that is being filled: things in each shard
}

// slot is a place for one thing: open addressing, linear probing, at most three quarters full.
type slot[V named] struct {
	hash uint64
	v    V // zero for an empty slot
}

const (
	tableShards    = 256
	shardBits      = 8
	tableThreshold = 1000 // entries up to which one piece is enough
)

// seed keeps strangers from choosing names that collide.
var seed = maphash.MakeSeed()

func hashOf(key string) uint64 { return maphash.String(seed, key) }

// room is how many slots n things need: one always stays empty, so that a search ends.
func room(n int) int {
	if n == 0 {
		return 0
	}
	return 1 << bits.Len(uint(n+n/3)) //nolint:gosec // a count
}

func newTable[V named](size int) *table[V] {
	t := &table[V]{}
	if size <= tableThreshold {
		t.slots = make([]slot[V], room(size))
		return t
	}
	t.shards, t.used = make([][]slot[V], tableShards), make([]int, tableShards)
	for i := range t.shards {
		t.shards[i] = make([]slot[V], room(size/tableShards))
	}
	return t
}

// find gives the place of a key in a piece: where it is, or where it would be put; -1 in an empty piece.
func find[V named](piece []slot[V], h uint64, key string) (int, bool) {
	if len(piece) == 0 {
		return -1, false
	}
	var none V
	mask := uint64(len(piece) - 1)
	for i := h >> shardBits & mask; ; i = (i + 1) & mask {
		switch s := &piece[i]; {
		case s.v == none:
			return int(i), false //nolint:gosec // an index
		case s.hash == h && s.v.key() == key:
			return int(i), true //nolint:gosec // an index
		}
	}
}

func (t *table[V]) get(key string) (V, bool) {
	if t == nil || t.n == 0 {
		var none V
		return none, false
	}
	return t.hashed(hashOf(key), key)
}

// hashed is get for a key whose hash is known.
func (t *table[V]) hashed(h uint64, key string) (V, bool) {
	var none V
	if t == nil || t.n == 0 {
		return none, false
	}
	piece := t.slots
	if t.shards != nil {
		piece = t.shards[h%tableShards]
	}
	if i, ok := find(piece, h, key); ok {
		return piece[i].v, true
	}
	return none, false
}

// fill adds a thing in place; only for a table that nobody else has seen.
func (t *table[V]) fill(v V) {
	key := v.key()
	h := hashOf(key)
	piece, used := &t.slots, t.n
	if t.shards != nil {
		piece, used = &t.shards[h%tableShards], t.used[h%tableShards]
	}
	i, there := find(*piece, h, key)
	if there {
		(*piece)[i].v = v
		return
	}
	if room(used+1) > len(*piece) {
		*piece = grown(*piece)
		i, _ = find(*piece, h, key)
	}
	(*piece)[i] = slot[V]{h, v}
	t.n++
	if t.shards != nil {
		t.used[h%tableShards]++
	}
}

// grown is a piece with twice the room.
func grown[V named](piece []slot[V]) []slot[V] {
	var none V
	out := make([]slot[V], max(2, 2*len(piece)))
	for _, s := range piece {
		if s.v != none {
			place(out, s)
		}
	}
	return out
}

// place puts a slot into a piece that has room and does not have it.
func place[V named](piece []slot[V], s slot[V]) {
	var none V
	mask := uint64(len(piece) - 1)
	i := s.hash >> shardBits & mask
	for piece[i].v != none {
		i = (i + 1) & mask
	}
	piece[i] = s
}

// with gives a table that differs in the given entries: put replaces or adds, drop removes.
func (t *table[V]) with(put map[string]V, drop []string) *table[V] {
	size := len(put)
	if t != nil {
		size += t.n
	}
	if t == nil || t.shards == nil && size > tableThreshold {
		fresh := newTable[V](size)
		for _, v := range t.all() {
			fresh.fill(v)
		}
		t = fresh
	}
	next := &table[V]{slots: t.slots, shards: append([][]slot[V](nil), t.shards...), n: t.n}
	edits := map[uint64]*pieceEdit[V]{}
	at := func(key string) (*pieceEdit[V], uint64) {
		h := hashOf(key)
		k := uint64(0)
		if t.shards != nil {
			k = h % tableShards
		}
		e := edits[k]
		if e == nil {
			e = &pieceEdit[V]{gone: map[string]bool{}}
			edits[k] = e
		}
		return e, h
	}
	for _, key := range drop {
		e, _ := at(key)
		e.gone[key] = true
	}
	for key, v := range put {
		e, h := at(key)
		e.gone[key] = true
		e.put = append(e.put, slot[V]{h, v})
	}
	for k, e := range edits {
		piece := &next.slots
		if next.shards != nil {
			piece = &next.shards[k]
		}
		before := *piece
		var left int
		*piece, left = e.apply(before)
		next.n += left
	}
	return next
}

// pieceEdit is what changes in one piece.
type pieceEdit[V named] struct {
	gone map[string]bool // removed, or replaced
	put  []slot[V]
}

// apply gives the new piece, and by how many things it is larger.
func (e *pieceEdit[V]) apply(piece []slot[V]) (next []slot[V], more int) {
	var none V
	kept := make([]slot[V], 0, len(piece)+len(e.put))
	was := 0
	for _, s := range piece {
		if s.v == none {
			continue
		}
		if was++; !e.gone[s.v.key()] {
			kept = append(kept, s)
		}
	}
	kept = append(kept, e.put...)
	next = make([]slot[V], room(len(kept)))
	for _, s := range kept {
		place(next, s)
	}
	return next, len(kept) - was
}

func (t *table[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		if t == nil {
			return
		}
		if !each(t.slots, yield) {
			return
		}
		for _, piece := range t.shards {
			if !each(piece, yield) {
				return
			}
		}
	}
}

func each[V named](piece []slot[V], yield func(string, V) bool) bool {
	var none V
	for i := range piece {
		if v := piece[i].v; v != none && !yield(v.key(), v) {
			return false
		}
	}
	return true
}
