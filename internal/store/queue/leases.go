package queue

import (
	"sync"
	"time"

	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
)

// leases remembers who holds which lane when one process owns the database.
type leases struct {
	now  func() time.Time
	mu   sync.Mutex
	held map[mail.Lane]lease
	last int64 // the last token given; begins at the time of the start, so that it grows over restarts too
}

type lease struct {
	token   int64
	expires time.Time
}

func newLeases(now func() time.Time) *leases {
	return &leases{now: now, held: map[mail.Lane]lease{}, last: now().UnixMicro()}
}

// reset ends all leases.
func (l *leases) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.held)
}

// take holds a lane unless somebody does.
func (l *leases) take(lane mail.Lane, ttl time.Duration) (queue.Token, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if old, ok := l.held[lane]; ok && old.expires.After(now) {
		return queue.Token{}, false
	}
	l.last++
	l.held[lane] = lease{token: l.last, expires: now.Add(ttl)}
	return queue.Token{Lane: lane, Value: l.last}, true
}

// holds tells whether nobody took the lane since the token was given.
func (l *leases) holds(token queue.Token) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[token.Lane].token == token.Value
}

func (l *leases) renew(token queue.Token, ttl time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[token.Lane].token != token.Value {
		return false
	}
	l.held[token.Lane] = lease{token: token.Value, expires: l.now().Add(ttl)}
	return true
}

// drop ends a lease if it is still the token's.
func (l *leases) drop(token queue.Token) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[token.Lane].token == token.Value {
		delete(l.held, token.Lane)
	}
}

// count is the number of lanes in the books, expired ones included.
func (l *leases) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}

// until is when a lane's lease ends; ok is false when nobody holds it.
func (l *leases) until(lane mail.Lane) (expires time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, ok := l.held[lane]
	if !ok || !held.expires.After(l.now()) {
		return time.Time{}, false
	}
	return held.expires, true
}
