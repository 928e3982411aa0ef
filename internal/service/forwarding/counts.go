package forwarding

import (
	"cmp"
	"context"
	"log/slog"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/obs"
)

const (
	// maxForwards bounds of how many forwards the pace is remembered at a time.
	maxForwards = 10_000
	// maxBringers bounds how many clients of domains are counted.
	maxBringers = 10_000
	// patternAt is of how many messages, by one client for one domain, a pattern is made.
	patternAt = 5
	// Remembered is of how many messages of a forward it is known what becomes of them elsewhere.
	Remembered = 64

	flushEvery = 2 * time.Second
	flushTime  = 30 * time.Second // the longest wait for the store
	keptTime   = 30 * 24 * time.Hour
)

// Sent is what was seen of the mail that a forward sends to other servers.
type Sent struct {
	Forward string // its address
	Account account.ID
	Last    Record
	Leaves  time.Time // when the next message would leave if all did evenly
	At      time.Time // of the last message
}

// Use is what a forward has sent lately, as it is added to what there is of it. It uses Share of an hour, from a time on at
// the earliest; its Leaves means nothing.
type Use struct {
	Sent

	From  time.Time
	Share time.Duration
}

// Record is what was seen of the last messages of a forward, Remembered at most, the newest in the lowest bit.
type Record struct {
	N       int // how many
	Fragile uint64
}

// Then gives the record with later messages.
func (r Record) Then(later Record) Record {
	return Record{N: min(r.N+later.N, Remembered), Fragile: r.Fragile<<later.N | later.Fragile}
}

// Brought is how many messages for a domain a client brought that would be believed only where it had them from.
type Brought struct {
	Domain, Client string
	Account        account.ID // the domain's
	Messages       int
	At             time.Time // of the last one
}

// Counts are of forwards and of clients.
type Counts struct {
	Sent    []Sent
	Brought []Brought
}

// Added is what is added to counts.
type Added struct {
	Uses    []Use
	Brought []Brought
	Gone    []Brought // clients that are to be forgotten
}

type bringer struct{ domain, client string }

// counts are what is counted here and in the store.
type counts struct {
	flushing sync.Mutex // one after the other

	mu       sync.Mutex
	pace     map[string]time.Time // by forward: when the next message would leave; an hour ahead of now the hour's share is used
	unsaved  map[string]Use
	bringers map[bringer]*pattern
	gone     []Brought // bringers to be forgotten in the store, too
	failing  bool
}

// pattern is what one client brought for one domain.
type pattern struct {
	Brought
	unsaved int // of Messages, those of this node that are not in the store
	told    int // what Messages were when somebody was told
}

func newCounts() counts {
	return counts{pace: map[string]time.Time{}, unsaved: map[string]Use{}, bringers: map[bringer]*pattern{}}
}

// Start reads what was counted before, and writes what is counted every two seconds from then on.
func (s *Service) Start(ctx context.Context) error {
	now := time.Now()
	list, err := s.o.Store.ForwardCounts(ctx, account.System(), now, now.Add(-keptTime), maxBringers)
	if err != nil {
		return err
	}
	for i := range list.Sent {
		s.c.pace[list.Sent[i].Forward] = list.Sent[i].Leaves
	}
	for _, b := range list.Brought {
		s.c.bringers[bringer{b.Domain, b.Client}] = &pattern{Brought: b, told: b.Messages}
	}
	go s.run()
	return nil
}

// Stop writes what is not written yet, and ends.
func (s *Service) Stop(ctx context.Context) {
	close(s.stop)
	<-s.done
	_ = s.flush(ctx)
}

func (s *Service) run() {
	defer close(s.done)
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			ctx, cancel := context.WithTimeout(context.Background(), flushTime)
			_ = s.flush(ctx)
			cancel()
		}
	}
}

// Pace counts a message of a forward, an address of a domain of owner's, and gives when it may leave; false when that is at
// once. Of a forward that another node has sent for, this one knows two seconds later.
func (s *Service) Pace(owner account.ID, forward string, now time.Time) (time.Time, bool) {
	c := &s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	at, known := c.pace[forward]
	if at.Before(now) {
		at = now
	}
	if !known && len(c.pace) >= maxForwards {
		return time.Time{}, false // nothing is known of it, and nothing waits for want of memory
	}
	share := time.Hour / time.Duration(s.o.PerHour)
	c.pace[forward] = at.Add(share)
	u := c.add(owner, forward, now)
	if u.Share == 0 {
		u.From = now
	}
	u.Share += share
	c.unsaved[forward] = u
	leave := at.Add(-time.Hour + share)
	return leave, leave.After(now)
}

// add gives what is not written of a forward. The caller has the lock, and puts it back.
func (c *counts) add(owner account.ID, forward string, now time.Time) Use {
	u := c.unsaved[forward]
	if u.Account != owner {
		u = Use{Sent: Sent{Forward: forward, Account: owner}}
	}
	u.At = now
	return u
}

// PerHour is how many messages a forward may send to other servers in an hour.
func (s *Service) PerHour() int { return s.o.PerHour }

// Note remembers of a message of a forward, an address of a domain of owner's, whether it is one that the next server will
// hardly believe: its author's domain stands behind it by SPF alone, and asks to have such mail refused.
func (s *Service) Note(owner account.ID, forward string, fragile bool) {
	c := &s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.unsaved[forward]; !known && len(c.unsaved) >= maxForwards {
		return
	}
	one := Record{N: 1}
	if fragile {
		one.Fragile = 1
	}
	u := c.add(owner, forward, time.Now())
	u.Last = u.Last.Then(one)
	c.unsaved[forward] = u
}

// Health tells of the last messages of a forward of owner's how many there were, Remembered at most, and how many of them
// the next server will hardly believe: of all nodes, as far as they have written it.
func (s *Service) Health(ctx context.Context, owner account.ID, forward string) (fragile, of int, err error) {
	if err := s.flush(ctx); err != nil {
		return 0, 0, err
	}
	last, err := s.o.Store.ForwardRecord(ctx, account.Of(owner), forward)
	return bits.OnesCount64(last.Fragile), last.N, err
}

// Brought counts a message for a domain of owner's that is not believed from the client who brought it, and would be from
// where that one had it. It gives how many there were; tell is true where somebody should know, of every five of them.
func (s *Service) Brought(owner account.ID, domain, client string) (messages int, tell bool) {
	c := &s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	key := bringer{domain, client}
	p := c.bringers[key]
	if p == nil {
		if len(c.bringers) >= maxBringers {
			c.drop()
		}
		p = &pattern{Brought: Brought{Domain: domain, Client: client}}
		c.bringers[key] = p
	}
	p.Account, p.At = owner, time.Now()
	p.Messages++
	p.unsaved++
	if p.Messages/patternAt == p.told/patternAt {
		return p.Messages, false
	}
	p.told = p.Messages
	return p.Messages, true
}

// drop forgets a client of whom nothing was heard for longer than of others, by a look at a few.
func (c *counts) drop() {
	var oldest *pattern
	looked := 0
	for _, p := range c.bringers {
		if oldest == nil || p.At.Before(oldest.At) {
			oldest = p
		}
		if looked++; looked == 16 {
			break
		}
	}
	delete(c.bringers, bringer{oldest.Domain, oldest.Client})
	if oldest.unsaved < oldest.Messages {
		c.gone = append(c.gone, oldest.Brought)
	}
}

// flush writes what is not written, and learns what other nodes have written of the same forwards and clients.
func (s *Service) flush(ctx context.Context) error {
	c := &s.c
	c.flushing.Lock()
	defer c.flushing.Unlock()
	now := time.Now()
	added := c.take(now)
	if len(added.Uses)+len(added.Brought)+len(added.Gone) == 0 {
		return nil
	}
	all, err := s.o.Store.AddForwardCounts(ctx, account.System(), added, now.Add(-keptTime))
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.putBack(added)
		if !c.failing {
			s.o.Log.ErrorContext(ctx, "what is forwarded is not counted in the store", slog.Any(obs.KeyError, err))
		}
		c.failing = true
		return err
	}
	c.failing = false
	for i := range all.Sent {
		sent := &all.Sent[i]
		leaves := sent.Leaves
		if u := c.unsaved[sent.Forward]; u.Share > 0 {
			if leaves.Before(u.From) {
				leaves = u.From
			}
			leaves = leaves.Add(u.Share)
		}
		c.pace[sent.Forward] = leaves
	}
	for _, b := range all.Brought {
		if p := c.bringers[bringer{b.Domain, b.Client}]; p != nil {
			p.Messages = b.Messages + p.unsaved
		}
	}
	return nil
}

// take takes what is not written yet, and forgets what is of no use any more.
func (c *counts) take(now time.Time) (added Added) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range c.unsaved {
		added.Uses = append(added.Uses, u)
	}
	clear(c.unsaved)
	for forward, next := range c.pace {
		if next.Before(now) {
			delete(c.pace, forward)
		}
	}
	for key, p := range c.bringers {
		switch {
		case p.unsaved > 0:
			b := p.Brought
			b.Messages = p.unsaved
			added.Brought = append(added.Brought, b)
			p.unsaved = 0
		case now.Sub(p.At) > keptTime:
			delete(c.bringers, key)
		}
	}
	added.Gone, c.gone = c.gone, nil
	// In one order on all nodes, so that none waits for a row of another that waits for one of its own.
	slices.SortFunc(added.Uses, func(a, b Use) int { return strings.Compare(a.Forward, b.Forward) })
	slices.SortFunc(added.Brought, func(a, b Brought) int {
		return cmp.Or(strings.Compare(a.Domain, b.Domain), strings.Compare(a.Client, b.Client))
	})
	return added
}

// putBack has what could not be written written the next time. The caller has the lock.
func (c *counts) putBack(added Added) {
	for _, before := range added.Uses {
		u, later := c.unsaved[before.Forward]
		switch {
		case !later:
			u = before
		case u.Account == before.Account:
			u.Last = before.Last.Then(u.Last)
			if before.Share > 0 {
				u.From = before.From
			}
			u.Share += before.Share
		}
		c.unsaved[before.Forward] = u
	}
	for _, b := range added.Brought {
		if p := c.bringers[bringer{b.Domain, b.Client}]; p != nil {
			p.unsaved += b.Messages
		}
	}
	c.gone = append(added.Gone, c.gone...)
}
