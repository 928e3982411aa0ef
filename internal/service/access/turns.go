package access

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
	"time"
)

// turns lets so many passwords be looked at at a time, and so many of one customer. Who waits gets a turn before others
// where the login is known to succeed from there; then customers take turns, so that many of one keep nobody else waiting.
type turns struct {
	most, each int

	mu     sync.Mutex
	taken  int
	of     map[netip.Addr]int
	queues [2]*list.List // of *queue, the next one first: those of known logins, and all others
	byKey  map[queueKey]*list.Element
}

type queueKey struct {
	customer netip.Addr
	known    bool
}

// queue is what of one customer waits, in the order in which it came. It is listed while it holds anybody.
type queue struct {
	queueKey
	waiting list.List // of chan struct{}, which is closed when its turn has come
}

func newTurns(most, each int) *turns {
	return &turns{most: most, each: each, of: map[netip.Addr]int{}, queues: [2]*list.List{list.New(), list.New()}, byKey: map[queueKey]*list.Element{}}
}

// take waits for a turn, which is given back with done; errBusy when it has not come within limit.
func (t *turns) take(ctx context.Context, customer netip.Addr, known bool, limit time.Duration) (done func(), err error) {
	t.mu.Lock()
	q := t.queue(queueKey{customer, known})
	turn := make(chan struct{})
	place := q.waiting.PushBack(turn)
	t.next()
	t.mu.Unlock()
	done = func() { t.give(customer) }
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-turn:
		return done, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-turn: // at the same moment
		return done, nil
	default:
	}
	q.waiting.Remove(place)
	t.drop(q)
	if err = ctx.Err(); err == nil {
		err = errBusy
	}
	return nil, err
}

// give gives a turn back.
func (t *turns) give(customer netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken--
	if t.of[customer]--; t.of[customer] <= 0 {
		delete(t.of, customer)
	}
	t.next()
}

// next gives the turns that are free to who waits. The caller has the lock, here and below.
func (t *turns) next() {
	for _, queues := range t.queues {
		for e := queues.Front(); e != nil && t.taken < t.most; {
			q, _ := e.Value.(*queue)
			if t.of[q.customer] >= t.each {
				e = e.Next() // there are no more of these than turns
				continue
			}
			turn, _ := q.waiting.Remove(q.waiting.Front()).(chan struct{})
			t.taken++
			t.of[q.customer]++
			close(turn)
			queues.MoveToBack(e)
			t.drop(q)
			e = queues.Front()
		}
	}
}

// queue gives the queue of a key.
func (t *turns) queue(key queueKey) *queue {
	e, ok := t.byKey[key]
	if !ok {
		queues := t.queues[1]
		if key.known {
			queues = t.queues[0]
		}
		e = queues.PushBack(&queue{queueKey: key})
		t.byKey[key] = e
	}
	q, _ := e.Value.(*queue)
	return q
}

// drop forgets a queue in which nobody waits.
func (t *turns) drop(q *queue) {
	e, ok := t.byKey[q.queueKey]
	if !ok || e.Value != any(q) || q.waiting.Len() > 0 {
		return
	}
	delete(t.byKey, q.queueKey)
	for _, queues := range t.queues {
		queues.Remove(e)
	}
}
