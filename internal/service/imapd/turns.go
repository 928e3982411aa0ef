package imapd

import (
	"context"
	"sync"
)

// turns lets few work at a time, and one of each name: those of one name wait for one another first, so that a name with
// many waits no less than one with few. Who comes first goes first.
type turns struct {
	slots chan struct{}

	mu    sync.Mutex
	names map[string]*queue
}

// queue is those of one name.
type queue struct {
	turn  chan struct{} // holds a token while one of them has the turn
	users int
}

func newTurns(n int) *turns {
	return &turns{slots: make(chan struct{}, n), names: map[string]*queue{}}
}

// take waits for a turn, which release ends, or for the end of ctx.
func (t *turns) take(ctx context.Context, name string) (release func(), err error) {
	q := t.enter(name)
	select {
	case q.turn <- struct{}{}:
	case <-ctx.Done():
		t.leave(name, q)
		return nil, ctx.Err()
	}
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		<-q.turn
		t.leave(name, q)
		return nil, ctx.Err()
	}
	return func() {
		<-t.slots
		<-q.turn
		t.leave(name, q)
	}, nil
}

func (t *turns) enter(name string) *queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.names[name]
	if q == nil {
		q = &queue{turn: make(chan struct{}, 1)}
		t.names[name] = q
	}
	q.users++
	return q
}

func (t *turns) leave(name string, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(t.names, name)
	}
}
