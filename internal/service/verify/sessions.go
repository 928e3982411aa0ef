package verify

import (
	"context"
	"time"
)

// session takes a session with a host: one that waits, a new one, or one that others give back. Each costs a token of
// the server's. The error is errLimited when there is too much to ask, else why the host cannot be reached, now or a moment
// ago. Who had to wait has time left for the question itself: a server that is asked too much is not out of reach.
func (p *prober) session(ctx context.Context, h Host) (*session, error) {
	patience := ctx
	if by, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		patience, cancel = context.WithDeadline(ctx, by.Add(-openTime))
		defer cancel()
	}
	p.mu.Lock()
	v := p.server(h.Address())
	if err := p.token(patience, v); err != nil {
		p.mu.Unlock()
		return nil, err
	}
	for {
		if s := v.take(h.Key()); s != nil {
			p.mu.Unlock()
			return s, nil
		}
		if time.Now().Before(v.until) {
			down := v.down
			p.mu.Unlock()
			return nil, down
		}
		if v.open < sessionsPerServer {
			break
		}
		if len(v.waiting) > 0 { // of another key: it makes room
			s := v.waiting[0]
			v.remove(s)
			p.endLater(s)
		}
		freed := v.freed
		p.mu.Unlock()
		select {
		case <-freed:
		case <-patience.Done():
		}
		if patience.Err() != nil {
			return nil, errLimited
		}
		p.mu.Lock()
	}
	v.open++
	p.mu.Unlock()
	open, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	opened, err := h.Open(open)
	if err != nil {
		p.mu.Lock()
		v.down, v.until = err, time.Now().Add(silenceTime)
		p.mu.Unlock()
		p.free(v)
		return nil, err
	}
	return &session{Session: opened, key: h.Key(), server: v}, nil
}

// server finds what is known of an address. p.mu is held.
func (p *prober) server(address string) *server {
	v, ok := p.servers[address]
	if !ok {
		if len(p.servers) >= maxServers {
			for a, old := range p.servers {
				if old.open == 0 {
					delete(p.servers, a)
				}
			}
		}
		v = &server{tokens: questionsAtOnce, at: time.Now(), freed: make(chan struct{})}
		p.servers[address] = v
	}
	return v
}

// token takes a token, and waits for it. p.mu is held, and given up meanwhile.
func (p *prober) token(ctx context.Context, v *server) error {
	now := time.Now()
	v.tokens = min(questionsAtOnce, v.tokens+now.Sub(v.at).Seconds()*questionsPerSec)
	v.at = now
	v.tokens--
	if v.tokens >= 0 {
		return nil
	}
	wait := time.Duration(-v.tokens / questionsPerSec * float64(time.Second))
	if by, ok := ctx.Deadline(); ok && now.Add(wait).After(by) {
		v.tokens++
		return errLimited
	}
	p.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	var err error
	select {
	case <-timer.C:
	case <-ctx.Done():
		err = errLimited
	}
	p.mu.Lock()
	return err
}

// take gives a session with the key that waits; nil for none.
func (v *server) take(key string) *session {
	for _, s := range v.waiting {
		if s.key == key {
			v.remove(s)
			s.used = true
			return s
		}
	}
	return nil
}

// remove takes a session out of those that wait; false when somebody else was faster.
func (v *server) remove(s *session) bool {
	for i := range v.waiting {
		if v.waiting[i] == s {
			s.timer.Stop()
			v.waiting = append(v.waiting[:i:i], v.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// put lets a session wait for more questions, or ends it when it has had enough.
func (p *prober) put(s *session) {
	if s.asked >= questionsPerSess || s.refusals >= refusalsPerSess {
		p.end(s)
		return
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.end(s)
		return
	}
	defer p.mu.Unlock()
	s.timer = time.AfterFunc(sessionIdle, func() {
		p.mu.Lock()
		waits := s.server.remove(s)
		if waits {
			p.endLater(s)
		}
		p.mu.Unlock()
	})
	s.server.waiting = append(s.server.waiting, s)
	s.server.signal()
}

// end ends a session that nobody else has.
func (p *prober) end(s *session) {
	s.Close()
	p.free(s.server)
}

// endLater does so without waiting for it. p.mu is held.
func (p *prober) endLater(s *session) { p.ending.Go(func() { p.end(s) }) }

// free makes room for another session.
func (p *prober) free(v *server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v.open--
	v.signal()
}

// signal wakes those that wait for a session. p.mu is held.
func (v *server) signal() {
	close(v.freed)
	v.freed = make(chan struct{})
}

// close ends the sessions that wait, and those that come back later at once.
func (p *prober) close() {
	p.mu.Lock()
	p.closed = true
	for _, v := range p.servers {
		for _, s := range v.waiting {
			s.timer.Stop()
			p.endLater(s)
		}
		v.waiting = nil
	}
	p.mu.Unlock()
	p.ending.Wait()
}
