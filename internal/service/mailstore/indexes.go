package mailstore

import (
	"context"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
)

const (
	// indexOctets is the memory of indexes that are kept although no session may have them.
	indexOctets = 32 << 20
	// indexAge is how long an index is kept that nobody asks for.
	indexAge = 10 * time.Minute
)

// place is a folder.
type place struct {
	box    string
	folder int64
}

// indexes keeps the last index of folders, so that sessions share them.
type indexes struct {
	mu      sync.Mutex
	entries map[place]*shared
	octets  int
}

// shared is the last index of a folder.
type shared struct {
	turn   chan struct{} // holds a token while nobody reads the folder
	index  *mailbox.Index
	octets int
	used   time.Time
}

// Index lists a folder as it is now; ErrNoFolder. have, when it is not nil, is an earlier index of it, and is given
// back when nothing has changed.
func (s *Service) Index(ctx context.Context, scope account.Scope, box string, folder int64, have *mailbox.Index) (*mailbox.Index, error) {
	at := place{box, folder}
	e := s.indexes.take(at)
	select {
	case <-e.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { e.turn <- struct{}{} }()
	known := s.indexes.newer(e, have)
	// The store is always asked: it knows whether the folder is in scope.
	index, err := s.store.Index(ctx, scope, box, folder, known)
	if err != nil {
		s.indexes.fail(at, e)
		return nil, err
	}
	s.indexes.put(at, e, index)
	return index, nil
}

// take gives the entry of a folder, a new one where there is none.
func (x *indexes) take(at place) *shared {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.entries[at]
	if e == nil {
		e = &shared{turn: make(chan struct{}, 1)}
		e.turn <- struct{}{}
		x.entries[at] = e
	}
	return e
}

// fail drops an entry that never had an index.
func (x *indexes) fail(at place, e *shared) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e.index == nil && x.entries[at] == e {
		delete(x.entries, at)
	}
}

// newer gives the later one of what is kept and what a session has.
func (x *indexes) newer(e *shared, have *mailbox.Index) *mailbox.Index {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e.index == nil || have != nil && have.Folder().HighestModSeq >= e.index.Folder().HighestModSeq {
		return have
	}
	return e.index
}

// put keeps an index, and drops those that were not asked for longest when there are too many.
func (x *indexes) put(at place, e *shared, index *mailbox.Index) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.entries[at] != e { // it was dropped meanwhile
		return
	}
	x.octets += index.Octets() - e.octets
	e.index, e.octets, e.used = index, index.Octets(), time.Now()
	if x.octets <= indexOctets {
		return
	}
	x.shrink(e)
}

// shrink drops what is old, and then a half of the rest where that is not enough.
func (x *indexes) shrink(keep *shared) {
	now := time.Now()
	for age := indexAge; x.octets > indexOctets && age > time.Millisecond; age /= 2 {
		for at, e := range x.entries {
			if e != keep && now.Sub(e.used) > age {
				x.remove(at)
			}
		}
	}
}

func (x *indexes) remove(at place) {
	x.octets -= x.entries[at].octets
	delete(x.entries, at)
}

// drop forgets a mailbox.
func (x *indexes) drop(box string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for at := range x.entries {
		if at.box == box {
			x.remove(at)
		}
	}
}
