package deliver

import (
	"context"
	"errors"
	"sync"
	"time"

	"postroad/internal/core/mail"
)

// idlePool keeps connections that wait for more mail of their lane. Who takes a connection out of it owns it.
type idlePool struct {
	end    func(*connection) // ends a connection that nobody came for
	mu     sync.Mutex
	lanes  map[mail.Lane][]*waiting
	closed bool
}

type waiting struct {
	c     *connection
	timer *time.Timer
}

func (p *idlePool) init(end func(*connection)) { p.end, p.lanes = end, map[mail.Lane][]*waiting{} }

// take gives the connection of a lane that was used last among those that fit, nil when there is none.
func (p *idlePool) take(lane mail.Lane, fits func(*connection) bool) *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.lanes[lane]
	for i := len(list) - 1; i >= 0; i-- {
		if fits(list[i].c) {
			return p.remove(lane, list[i])
		}
	}
	return nil
}

// put lets a connection wait for more mail, or ends it when enough are waiting.
func (p *idlePool) put(lane mail.Lane, c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.lanes[lane]) >= idlePerLane {
		go p.end(c)
		return
	}
	w := &waiting{c: c}
	w.timer = time.AfterFunc(idleTimeout, func() {
		p.mu.Lock()
		c := p.remove(lane, w)
		p.mu.Unlock()
		if c != nil {
			p.end(c)
		}
	})
	p.lanes[lane] = append(p.lanes[lane], w)
}

// remove takes a connection out, nil when somebody else was faster. p.mu is held.
func (p *idlePool) remove(lane mail.Lane, w *waiting) *connection {
	list := p.lanes[lane]
	for i := range list {
		if list[i] != w {
			continue
		}
		w.timer.Stop()
		if list = append(list[:i:i], list[i+1:]...); len(list) > 0 {
			p.lanes[lane] = list
		} else {
			delete(p.lanes, lane)
		}
		return w.c
	}
	return nil
}

// evict ends one waiting connection to an address, so that somebody else may have its place.
func (p *idlePool) evict(addr place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for lane, list := range p.lanes {
		for _, w := range list {
			if w.c.addr == addr {
				go p.end(p.remove(lane, w))
				return
			}
		}
	}
}

// close ends all connections that are waiting, and those that come later at once.
func (p *idlePool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, list := range p.lanes {
		for _, w := range list {
			w.timer.Stop()
			go p.end(w.c)
		}
	}
	clear(p.lanes)
}

// hosts counts connections per remote address, over all lanes, and remembers which addresses failed lately.
type hosts struct {
	mu     sync.Mutex
	limit  int
	open   map[place]int
	wanted map[place]int // who wait for a place
	freed  chan struct{} // closed and replaced whenever a place becomes free
	failed map[place]time.Time
}

var errHostBusy = errors.New("as many connections as one host gets are open")

func (h *hosts) init(limit int) {
	h.limit, h.freed = limit, make(chan struct{})
	h.open, h.wanted, h.failed = map[place]int{}, map[place]int{}, map[place]time.Time{}
}

// acquire takes a place, waiting a while for one; makeRoom ends a connection that only waits for mail.
func (h *hosts) acquire(ctx context.Context, addr place, makeRoom func()) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[addr] >= h.limit {
		if err := h.await(ctx, addr, makeRoom); err != nil {
			return err
		}
	}
	h.open[addr]++
	return nil
}

// await waits until a place is free. h.mu is held, and given up meanwhile.
func (h *hosts) await(ctx context.Context, addr place, makeRoom func()) error {
	timer := time.NewTimer(hostWait)
	defer timer.Stop()
	h.wanted[addr]++
	defer func() {
		if h.wanted[addr]--; h.wanted[addr] == 0 {
			delete(h.wanted, addr)
		}
	}()
	for h.open[addr] >= h.limit {
		freed := h.freed
		h.mu.Unlock()
		makeRoom()
		var err error
		select {
		case <-freed:
		case <-timer.C:
			err = errHostBusy
		case <-ctx.Done():
			err = ctx.Err()
		}
		h.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// crowded reports whether somebody waits for a place.
func (h *hosts) crowded(addr place) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wanted[addr] > 0
}

func (h *hosts) release(addr place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[addr]--; h.open[addr] <= 0 {
		delete(h.open, addr)
	}
	close(h.freed)
	h.freed = make(chan struct{})
}

// drain waits until no connection is open, but not for ever.
func (h *hosts) drain() {
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	for {
		h.mu.Lock()
		open, freed := len(h.open), h.freed
		h.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-freed:
		case <-timer.C:
			return
		}
	}
}

// note remembers whether an address could be used.
func (h *hosts) note(addr place, usable bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if usable {
		delete(h.failed, addr)
		return
	}
	if len(h.failed) >= maxFailed {
		clear(h.failed) // nothing but an order of equals is lost
	}
	h.failed[addr] = time.Now()
}

// failing reports whether an address could not be used a moment ago.
func (h *hosts) failing(addr place) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, ok := h.failed[addr]
	if ok && time.Since(at) >= failedTime {
		delete(h.failed, addr)
		return false
	}
	return ok
}
