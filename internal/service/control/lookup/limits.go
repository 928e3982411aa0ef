package lookup

import (
	"sync"
	"time"

	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// Limits of one caller: whoever asks here makes this installation ask others.
const (
	burst     = 20
	refill    = 2 * time.Second // for one look
	atOnce    = 8               // looks of all callers
	remembers = 1000            // callers
)

// limits counts the looks of each caller.
type limits struct {
	mu      sync.Mutex
	running int
	callers map[string]allowance
}

type allowance struct {
	left float64
	at   time.Time
}

// enter lets a look begin, or refuses it. The caller owes a call of release at its end.
func (l *limits) enter(actor rights.Actor, now time.Time) (release func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running >= atOnce {
		return nil, words.Denied("Too many names are being looked up just now: try again in a few seconds.")
	}
	if !actor.Operator {
		if err := l.take(actor.Name, now); err != nil {
			return nil, err
		}
	}
	l.running++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.running--
	}, nil
}

// take uses up one look of a caller. l.mu is held.
func (l *limits) take(name string, now time.Time) error {
	if l.callers == nil || len(l.callers) >= remembers {
		l.callers = map[string]allowance{}
	}
	a, ok := l.callers[name]
	if !ok {
		a = allowance{burst, now}
	}
	a.left = min(burst, a.left+max(0, now.Sub(a.at).Seconds())/refill.Seconds())
	a.at = now
	if a.left < 1 {
		return words.Denied("You have looked up many names just now: try again in a few seconds.")
	}
	a.left--
	l.callers[name] = a
	return nil
}
