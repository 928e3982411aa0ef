package resolver

import (
	"container/list"
	"slices"
	"sync"
	"time"

	"postroad/internal/core/facts"
)

const (
	cacheEntries = 100_000
	cacheOctets  = 64 << 20
	entryOctets  = 300             // what an entry costs beside its contents
	failureFirst = 5 * time.Second // RFC 9520 §3.2: remembered, longer each time
	failureMax   = 30 * time.Second
	failureAge   = 5 * time.Minute // a failure this long ago does not lengthen the next
)

// result is an outcome with its origin. The slices in it are shared and never written.
type result struct {
	outcome
	origin facts.Origin
}

type entry struct {
	question question
	result
	failures int // in a row, for the length of the next
	octets   int
}

// cache keeps results until they expire, the least recently used go first when it is full.
type cache struct {
	mu         sync.Mutex
	entries    map[question]*list.Element
	recent     *list.List // front: used last
	octets     int
	evicted    uint64
	generation uint64
	maxEntries int
	maxOctets  int
}

func newCache(maxEntries, maxOctets int) *cache {
	return &cache{entries: map[question]*list.Element{}, recent: list.New(), maxEntries: maxEntries, maxOctets: maxOctets}
}

// get gives a result that has not expired at now.
func (c *cache) get(q question, now time.Time) (result, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[q]
	if !ok {
		return result{}, false
	}
	kept := element.Value.(*entry)
	if !now.Before(kept.origin.Expires()) || now.Before(kept.origin.At) {
		return result{}, false
	}
	c.recent.MoveToFront(element)
	return kept.result, true
}

// begin gives the mark that put needs.
func (c *cache) begin() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.generation
}

// put keeps a result, unless something was flushed since begin. It sets the time to live of a failure, and
// returns the result as it is kept.
func (c *cache) put(q question, r result, begun uint64) result {
	c.mu.Lock()
	defer c.mu.Unlock()
	failures := 0
	element, ok := c.entries[q]
	if r.status == facts.Temporary {
		if ok {
			if last := element.Value.(*entry); last.failures > 0 && r.origin.At.Sub(last.origin.Expires()) < failureAge {
				failures = last.failures
			}
		}
		r.origin.TTL = min(failureFirst<<min(failures, 3), failureMax)
		failures++
	}
	if c.generation != begun {
		return r
	}
	if ok {
		c.drop(element)
	}
	kept := &entry{question: q, result: r, failures: failures, octets: weight(q, r)}
	c.entries[q] = c.recent.PushFront(kept)
	c.octets += kept.octets
	for len(c.entries) > c.maxEntries || c.octets > c.maxOctets {
		c.drop(c.recent.Back())
		c.evicted++
	}
	return r
}

// flush forgets questions, and the exchangers' addresses with an MX set. Answers under way are not kept.
func (c *cache) flush(name string, kinds []uint16) []question {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	names := []string{name}
	for _, kind := range kinds {
		if element, ok := c.entries[question{name, kind}]; ok {
			for _, mx := range element.Value.(*entry).mx {
				names = append(names, mx.Host)
			}
		}
	}
	var gone []question
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		for _, kind := range kinds {
			q := question{name, kind}
			gone = append(gone, q)
			if element, ok := c.entries[q]; ok {
				c.drop(element)
			}
		}
	}
	return gone
}

func (c *cache) drop(element *list.Element) {
	gone := c.recent.Remove(element).(*entry)
	delete(c.entries, gone.question)
	c.octets -= gone.octets
}

// size gives the number of entries and how many had to go for others.
func (c *cache) size() (entries int, evicted uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries), c.evicted
}

func weight(q question, r result) int {
	octets := entryOctets + len(q.name) + len(r.origin.Detail) + 24*len(r.addrs)
	for _, mx := range r.mx {
		octets += 32 + len(mx.Host)
	}
	for _, text := range r.txt {
		octets += 16 + len(text)
	}
	for _, host := range r.hosts {
		octets += 16 + len(host)
	}
	return octets
}
