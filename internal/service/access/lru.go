package access

import "container/list"

// lru is a map that forgets what was not used for longest. It serves one goroutine at a time.
type lru[K comparable, V any] struct {
	limit int
	order *list.List // of *lruEntry[K, V], used last first
	byKey map[K]*list.Element
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](limit int) *lru[K, V] {
	return &lru[K, V]{limit: limit, order: list.New(), byKey: map[K]*list.Element{}}
}

// find gives a key's value, nil when there is none.
func (l *lru[K, V]) find(key K) *V {
	e, ok := l.byKey[key]
	if !ok {
		return nil
	}
	l.order.MoveToFront(e)
	return &e.Value.(*lruEntry[K, V]).value
}

// entry gives a key's value, made now if there was none.
func (l *lru[K, V]) entry(key K) *V {
	if v := l.find(key); v != nil {
		return v
	}
	for l.order.Len() >= l.limit {
		l.remove(l.order.Back())
	}
	entry := &lruEntry[K, V]{key: key}
	l.byKey[key] = l.order.PushFront(entry)
	return &entry.value
}

// forget drops a key.
func (l *lru[K, V]) forget(key K) {
	if e, ok := l.byKey[key]; ok {
		l.remove(e)
	}
}

func (l *lru[K, V]) remove(e *list.Element) {
	delete(l.byKey, e.Value.(*lruEntry[K, V]).key)
	l.order.Remove(e)
}
