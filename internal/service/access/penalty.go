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
	goodForOne   = 8                // logins that succeed from an address for one more failure of others there that costs nothing,
	maxGood      = 20 * goodForOne  // of so many at most: where many people are, some mistype

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
	good  int       // logins that have begun to succeed; of addresses only
	wrong []uint64  // marks of the last wrong passwords; of pairs only
}

func newPenalties() *penalties {
	return &penalties{
		addresses: newLRU[netip.Addr, tally](maxTallies), logins: newLRU[string, tally](maxTallies),
		pairs: newLRU[pair, tally](maxTallies), known: newLRU[pair, struct{}](maxKnown),
	}
}

// owes is how long after its coming the answer to an attempt is due, by all failures up to now, and whether the pair is
// known. ok is false when there were too many: nothing is to be looked at then. Attempts that have no result yet count for
// nothing, so that an office may log in at once: whoever looks at one asks again then, and looks at few of a client at a time.
func (p *penalties) owes(now time.Time, at pair) (delay time.Duration, known, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known = p.known.find(at) != nil
	guesses := p.pairs.find(at).guesses(now)
	ok = guesses < refuseScore
	if !known {
		address := p.addresses.find(at.addr).guesses(now)
		ok = ok && address < refuseScore
		guesses = max(guesses, address, p.logins.find(at.login).guesses(now))
	}
	return delayAfter(guesses), known, ok
}

// result is how an attempt ended.
type result uint8

const (
	undecided result = iota // the password was not looked at, or nobody could tell
	wrong
	right
)

// note notes an attempt's result. mark stands for login and password, 0 when the password is not to be seen.
func (p *penalties) note(now time.Time, at pair, mark uint64, r result) {
	if r == undecided {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.known.find(at) != nil
	if r == right {
		p.pairs.forget(at)
		p.known.entry(at)
		if !known {
			address := p.addresses.entry(at.addr)
			address.good = min(address.good+1, maxGood)
		}
		return
	}
	both := p.pairs.entry(at)
	again := mark != 0 && slices.Contains(both.wrong, mark)
	both.fail(now, again)
	if !known {
		p.addresses.entry(at.addr).fail(now, again)
		p.logins.entry(at.login).fail(now, again)
	}
	if mark != 0 && !again {
		both.remember(mark)
	}
}

// decay forgets what is old.
func (t *tally) decay(now time.Time) {
	if gone := now.Sub(t.at); gone > 0 {
		t.score = max(0, t.score-float64(gone)/float64(decayTime))
		t.at = now
	}
}

// guesses is the score as whole failures. A nil tally has none.
func (t *tally) guesses(now time.Time) int {
	if t == nil {
		return 0
	}
	t.decay(now)
	return max(0, int(math.Ceil(t.score))-t.good/goodForOne)
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

// pairOf is a login tried by a client, however its address is written.
func pairOf(client netip.Addr, login string) pair {
	return pair{reach.Customer(client.Unmap().WithZone("")), login}
}
