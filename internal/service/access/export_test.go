package access

import "postroad/internal/proto/sasl"

// SetCheck has passwords checked by another function.
func (l *Logins) SetCheck(check func(v sasl.Verifier, password string) bool) { l.check = check }

// Tallies is how many scores are kept.
func (l *Logins) Tallies() (addresses, logins, pairs, verified int) {
	return l.penalties.addresses.order.Len(), l.penalties.logins.order.Len(), l.penalties.pairs.order.Len(), l.verified.until.order.Len()
}

// Waiting is how many wait for a turn, or have one.
func (l *Logins) Waiting() int {
	l.turns.mu.Lock()
	defer l.turns.mu.Unlock()
	return l.turns.taken + len(l.turns.of) + len(l.turns.byKey) + l.turns.queues[0].Len() + l.turns.queues[1].Len()
}
