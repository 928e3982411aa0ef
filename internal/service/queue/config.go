package queue

import (
	"time"

	"postroad/internal/core/budget"
)

// Config says how long and how often the queue tries. The zero value works.
type Config struct {
	Hold        time.Duration   // how long a message is tried before it is returned; 0: 5 days (RFC 5321 §4.5.4.1 asks for 4 to 5)
	Retry       []time.Duration // waits between attempts; the last one repeats; empty: DefaultRetry
	DelayNotice time.Duration   // after this time the sender is told once that a message is delayed; 0: 4 hours; negative: never
	Hostname    string          // reporting MTA in reports
	Node        string          // name of this node in leases
	Disk        Disk            // where free space is asked for; nil: not asked
	Reserve     int64           // octets of free space under which no new mail is taken (452 4.3.1)
	Memory      *budget.Budget  // the process's memory for mail, of which bodies in memory are a part; nil: no limit
	Findings    Findings        // where it is kept that mail of a domain is held; nil: nowhere
	Signer      Signer          // signs reports; nil: nobody does
	Recorder    Recorder        // is told what becomes of mail; nil: nobody is
	InMemory    int64           // octets of bodies kept in memory for immediate delivery; 0: 64 MiB
}

// DefaultHold is how long a message is tried where it is not configured.
const DefaultHold = 5 * 24 * time.Hour

// DefaultRetry is the schedule of attempts when none is configured. After the last wait it goes on with the same wait.
func DefaultRetry() []time.Duration {
	return []time.Duration{
		time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, time.Hour, 2 * time.Hour, 3 * time.Hour,
	}
}

const (
	grace          = 30 * time.Second // a born-leased row is scheduled after this when nothing was heard of it
	leaseTTL       = 2 * time.Minute
	renewEvery     = leaseTTL / 4
	linger         = 5 * time.Second // an idle lane is kept this long before it is given back
	rescanEvery    = grace           // a held lane looks into the store at least this often
	ageEvery       = time.Minute     // between two ticks of the queue's age, at most
	sweepEvery     = time.Hour
	settleWithin   = 50 * time.Millisecond // durability.md, Settle: at most 100 ms
	settleBatch    = 128
	settleTogether = 3           // so often a lane's outcomes are asked for together; then the store may dislike one of them
	settleBreak    = 8           // failures in a row after which the store is left alone for a moment
	settlePause    = time.Second // that moment
	settleRetry    = 100 * time.Millisecond
	settleRetryMax = 10 * time.Second
	fetchRows      = 200
	batchMax       = 32
	settleTime     = 7 * time.Second  // of the time of Stop: for farewells, for outcomes to be recorded and for lanes to be given back
	lastWord       = 20 * time.Second // given to attempts that wait for a last word when Stop has no end
	deadFor        = 30 * 24 * time.Hour
	maxLanesInHand = 1024
	maxGates       = 100_000
	laneShare      = 4 // the part of the bodies in memory that one lane may take
)

func (c Config) withDefaults() Config {
	if c.Hold <= 0 {
		c.Hold = DefaultHold
	}
	if len(c.Retry) == 0 {
		c.Retry = DefaultRetry()
	}
	if c.DelayNotice == 0 {
		c.DelayNotice = 4 * time.Hour
	}
	if c.InMemory <= 0 {
		c.InMemory = 64 << 20
	}
	if c.Node == "" {
		c.Node = "node"
	}
	return c
}

// tick is the time between two ticks of the queue's age: short enough for the times that are judged by it.
func (c Config) tick() time.Duration {
	t := min(ageEvery, c.Hold/8)
	if c.DelayNotice > 0 {
		t = min(t, c.DelayNotice/8)
	}
	return max(t, 250*time.Millisecond)
}

// wait is the time between the n-th attempt, counted from 1, and the next.
func (c Config) wait(n int) time.Duration {
	return c.Retry[max(0, min(n-1, len(c.Retry)-1))]
}

// workers is how many attempts of one lane run at once.
func workersFor(probing bool) int {
	if probing {
		return 1
	}
	return 4
}
