package access

import (
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"postroad/internal/core/reach"
)

// How wrong passwords are paid for. What is counted is a score per client address, per login and per pair of both;
// the highest delay of those that apply is waited for before the password is looked at.
const (
	freeFailures = 2                // so many are answered at once: people mistype
	maxDelay     = 30 * time.Second // of one answer
	decayTime    = time.Minute      // in which a failure is forgotten
	refuseScore  = 50               // from which on nothing is looked at for an address or a pair
	maxScore     = 60               // so that what is over is forgotten in an hour
	repeatScore  = 4                // how far the same wrong password, said again, raises a score
	freeParallel = 10               // logins at once that are not counted as guesses, without a failure before

	maxTallies = 16_384 // of each kind
	maxKnown   = 65_536
)

// penalties remembers who guessed passwords. No login is ever closed for everybody: an address from which it has
// succeeded once pays for what went wrong between the two of them and for nothing else.
type penalties struct {
	mu        sync.Mutex
	addresses *lru[netip.Addr, tally]
	logins    *lru[string, tally]
	pairs     *lru[pair, tally]
	known     *lru[pair, struct{}] // where a login has succeeded; failures cannot push anything out of it
}

// pair is a login tried from an address.
type pair struct {
	addr  netip.Addr
	login string
}

// tally is one score.
type tally struct {
	score float64
	at    time.Time // for when the score stands
	busy  int       // attempts that have no result yet
	wrong []uint64  // marks of the last wrong passwords; of pairs only
}

// attempt is one password that is being looked at.
type attempt struct {
	pair  pair
	known bool
	mark  uint64
	delay time.Duration
}

func newPenalties() *penalties {
	return &penalties{
		addresses: newLRU[netip.Addr, tally](maxTallies), logins: newLRU[string, tally](maxTallies),
		pairs: newLRU[pair, tally](maxTallies), known: newLRU[pair, struct{}](maxKnown),
	}
}

// begin notes that a password will be looked at after the attempt's delay; each begin with ok has its end. ok is
// false when there were too many failures: nothing is to be looked at then. mark stands for login and password,
// 0 when the password is not to be seen.
func (p *penalties) begin(now time.Time, client netip.Addr, login string, mark uint64) (a attempt, ok bool) {
	a.pair, a.mark = pair{penaltyKey(client), login}, mark
	p.mu.Lock()
	defer p.mu.Unlock()
	a.known = p.known.find(a.pair) != nil
	both := p.pairs.entry(a.pair)
	guesses := both.guesses(now)
	ok = guesses < refuseScore
	if !a.known {
		address := p.addresses.entry(a.pair.addr).guesses(now)
		ok = ok && address < refuseScore
		guesses = max(guesses, address, p.logins.entry(login).guesses(now))
	}
	if !ok {
		return a, false
	}
	a.delay = delayAfter(guesses)
	for _, t := range p.tallies(a) {
		t.busy++
	}
	return a, true
}

// tallies are those that an attempt is counted in.
func (p *penalties) tallies(a attempt) []*tally {
	if a.known {
		return []*tally{p.pairs.entry(a.pair)}
	}
	return []*tally{p.pairs.entry(a.pair), p.addresses.entry(a.pair.addr), p.logins.entry(a.pair.login)}
}

// result is how an attempt ended.
type result uint8

const (
	undecided result = iota // the password was not looked at, or nobody could tell
	wrong
	right
)

// end notes an attempt's result.
func (p *penalties) end(now time.Time, a attempt, r result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	both := p.pairs.entry(a.pair)
	again := a.mark != 0 && slices.Contains(both.wrong, a.mark)
	for _, t := range p.tallies(a) {
		t.busy = max(0, t.busy-1)
		if r == wrong {
			t.fail(now, again)
		}
	}
	switch r {
	case undecided:
	case wrong:
		if a.mark != 0 && !again {
			both.remember(a.mark)
		}
	case right:
		both.score, both.wrong = 0, nil
		p.known.entry(a.pair)
		if both.busy == 0 {
			p.pairs.forget(a.pair)
		}
	}
}

// decay forgets what is old.
func (t *tally) decay(now time.Time) {
	if gone := now.Sub(t.at); gone > 0 {
		t.score = max(0, t.score-float64(gone)/float64(decayTime))
		t.at = now
	}
}

// guesses is the score as whole failures, with what is under way: a burst of guesses is not cheaper than a row.
func (t *tally) guesses(now time.Time) int {
	t.decay(now)
	n := int(math.Ceil(t.score))
	if n == 0 {
		return max(0, t.busy-freeParallel)
	}
	return n + t.busy
}

// fail counts a wrong password. One that is only said again is a device with an old password, not a guess.
func (t *tally) fail(now time.Time, again bool) {
	t.decay(now)
	limit := float64(maxScore)
	if again {
		limit = repeatScore
	}
	if t.score < limit {
		t.score = min(t.score+1, limit)
	}
}

// remember keeps the mark of a wrong password, of the last eight.
func (t *tally) remember(mark uint64) {
	if len(t.wrong) >= 8 {
		t.wrong = slices.Delete(t.wrong, 0, 1)
	}
	t.wrong = append(t.wrong, mark)
}

// delayAfter is how long the answer after n failures takes: 0, 0, 1 s, 2 s, 4 s, …
func delayAfter(n int) time.Duration {
	if n < freeFailures {
		return 0
	}
	return min(maxDelay, time.Second<<min(n-freeFailures, 10))
}

// penaltyKey is what stands for a client, however its address is written.
func penaltyKey(a netip.Addr) netip.Addr {
	return reach.Customer(a.Unmap().WithZone(""))
}
