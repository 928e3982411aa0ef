package directory

import (
	"hash/maphash"
	"iter"
	"maps"
)

// table is an immutable map in buckets, so that a change copies one bucket and not everything.
type table[V any] struct {
	buckets []map[string]V
	seed    maphash.Seed
	n       int
}

const (
	tableBuckets   = 256
	tableThreshold = 1000 // entries up to which one bucket is enough
)

func newTable[V any](size int) *table[V] {
	n := 1
	if size > tableThreshold {
		n = tableBuckets
	}
	return &table[V]{buckets: make([]map[string]V, n), seed: maphash.MakeSeed()}
}

func (t *table[V]) bucket(key string) int {
	if len(t.buckets) == 1 {
		return 0
	}
	return int(maphash.String(t.seed, key) % uint64(len(t.buckets)))
}

func (t *table[V]) get(key string) (V, bool) {
	var zero V
	if t == nil {
		return zero, false
	}
	v, ok := t.buckets[t.bucket(key)][key]
	return v, ok
}

// fill adds an entry in place; only for a table that nobody else has seen.
func (t *table[V]) fill(key string, v V) {
	b := t.bucket(key)
	if t.buckets[b] == nil {
		t.buckets[b] = make(map[string]V)
	}
	if _, ok := t.buckets[b][key]; !ok {
		t.n++
	}
	t.buckets[b][key] = v
}

// with gives a table that differs in the given entries: put replaces or adds, drop removes.
func (t *table[V]) with(put map[string]V, drop []string) *table[V] {
	size := len(put)
	if t != nil {
		size += t.n
	}
	if t == nil || (len(t.buckets) == 1 && size > tableThreshold) {
		fresh := newTable[V](size)
		for k, v := range t.all() {
			fresh.fill(k, v)
		}
		t = fresh
	}
	next := &table[V]{buckets: append([]map[string]V(nil), t.buckets...), seed: t.seed, n: t.n}
	own := make([]bool, len(next.buckets))
	edit := func(key string) map[string]V {
		b := next.bucket(key)
		if !own[b] {
			own[b] = true
			if next.buckets[b] = maps.Clone(next.buckets[b]); next.buckets[b] == nil {
				next.buckets[b] = make(map[string]V)
			}
		}
		return next.buckets[b]
	}
	for _, k := range drop {
		m := edit(k)
		if _, ok := m[k]; ok {
			delete(m, k)
			next.n--
		}
	}
	for k, v := range put {
		m := edit(k)
		if _, ok := m[k]; !ok {
			next.n++
		}
		m[k] = v
	}
	return next
}

func (t *table[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		if t == nil {
			return
		}
		for _, m := range t.buckets {
			for k, v := range m {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}
