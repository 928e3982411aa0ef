package queue

import (
	"cmp"
	"context"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
)

// Mail for a domain of this installation that waits for the domain's own server is to leave soon after that is back, and
// not at the end of a back-off. So while such a lane is down the server is looked at often, without any mail.
const (
	probeEvery  = 2 * time.Second // between two looks at one lane
	probeTick   = time.Second
	probesATick = 50              // over all lanes
	probesOpen  = 200             // at once
	futileMost  = 7               // doublings of probeEvery for a server that answers and takes no mail
	futileFor   = 2 * time.Minute // a lane that has not been down for so long is no longer remembered
)

// watched is a lane that is looked at.
type watched struct {
	next    time.Time // not looked at before
	seen    time.Time // when it was down last
	futile  int       // how often it went down again although the server had answered
	running bool
}

// watcher looks at lanes that are down. Its fields belong to its goroutine but where they say otherwise.
type watcher struct {
	s       *Service
	version int64
	onward  map[mail.Lane]struct{} // of which domains of this installation wait for their servers
	lanes   map[mail.Lane]*watched
	results chan result
	open    int
}

type result struct {
	lane mail.Lane
	back bool
}

// watch looks at lanes that are down until the service ends.
func (s *Service) watch() {
	w := &watcher{s: s, version: -1, lanes: map[mail.Lane]*watched{}, results: make(chan result, probesOpen)}
	tick := time.NewTicker(probeTick)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case r := <-w.results:
			w.took(r)
		case now := <-tick.C:
			w.look(now)
		}
	}
}

// look begins to look at the lanes whose time has come, those that have waited longest first.
func (w *watcher) look(now time.Time) {
	down := w.s.down(now)
	if len(down) == 0 && len(w.lanes) == 0 {
		return
	}
	w.learn(now)
	var due []mail.Lane
	for _, name := range down {
		if _, ours := w.onward[name]; !ours {
			continue
		}
		l := w.lanes[name]
		if l == nil {
			l = &watched{next: now.Add(probeEvery)}
			w.lanes[name] = l
		}
		if l.seen = now; !l.running && !now.Before(l.next) {
			due = append(due, name)
		}
	}
	for name, l := range w.lanes {
		if now.Sub(l.seen) > futileFor && !l.running {
			delete(w.lanes, name)
		}
	}
	slices.SortFunc(due, func(a, b mail.Lane) int {
		return cmp.Or(w.lanes[a].next.Compare(w.lanes[b].next), cmp.Compare(a, b))
	})
	for _, name := range due[:min(len(due), probesATick, probesOpen-w.open)] {
		w.probe(name, now)
	}
}

// learn finds out which lanes are of domains whose mail is handed on, when the directory has changed or time passed.
func (w *watcher) learn(now time.Time) {
	snap := w.s.dir.View().Directory
	if snap.Version() == w.version {
		return
	}
	w.version, w.onward = snap.Version(), map[mail.Lane]struct{}{}
	for d := range snap.Domains() {
		if lane, ok := routing.HandedOn(d, now); ok {
			w.onward[lane] = struct{}{}
		}
	}
}

// probe looks at one lane.
func (w *watcher) probe(name mail.Lane, now time.Time) {
	prober, ok := w.s.agents[name.Transport()].(Prober)
	if !ok {
		return
	}
	l := w.lanes[name]
	l.running, l.next = true, now.Add(probeEvery)
	w.open++
	w.s.running.Go(func() {
		err := prober.Probe(w.s.ctx, name)
		w.results <- result{lane: name, back: err == nil}
	})
}

// took notes what was seen. A server that answers has its lane tried; one that answers and takes no mail is looked at
// less and less often.
func (w *watcher) took(r result) {
	w.open--
	l := w.lanes[r.lane]
	l.running = false
	if !r.back {
		l.futile = 0
		return
	}
	l.next = time.Now().Add(probeEvery << min(l.futile, futileMost))
	l.futile++
	if w.s.ctx.Err() == nil {
		w.s.revive(w.s.ctx, r.lane)
	}
}

// down lists the lanes that back off.
func (s *Service) down(now time.Time) []mail.Lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []mail.Lane
	for name, l := range s.active {
		if l.failures > 0 && now.Before(l.until) {
			out = append(out, name)
		}
	}
	for name, g := range s.gates {
		if now.Before(g.until) && s.active[name] == nil {
			out = append(out, name)
		}
	}
	return out
}

// Failing lists the lanes that could not be reached the last time.
func (s *Service) Failing() []mail.Lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []mail.Lane
	for name, l := range s.active {
		if l.failures > 0 {
			out = append(out, name)
		}
	}
	for name := range s.gates {
		if s.active[name] == nil {
			out = append(out, name)
		}
	}
	return out
}

// revive has a lane tried at once with all that lies in it, the oldest mail first.
func (s *Service) revive(ctx context.Context, name mail.Lane) {
	if err := s.lanes.Hasten(ctx, name, time.Now()); err != nil {
		if ctx.Err() == nil {
			s.log.ErrorContext(ctx, "lane not made due", "lane", string(name), "error", err)
		}
		return
	}
	s.kick([]mail.Lane{name})
}

// Turn tells how much mail for a domain waits in a lane, and has it tried at once.
func (s *Service) Turn(ctx context.Context, lane mail.Lane, domain string) (int64, error) {
	s.settler.flush()
	w, err := s.lanes.Waiting(ctx, account.System(), lane, domain)
	if err != nil || w.Recipients == 0 {
		return 0, err
	}
	s.revive(ctx, lane)
	return w.Recipients, nil
}

// Waiting tells how much mail for a domain lies in a lane, in scope, and how the lane stands.
func (s *Service) Waiting(ctx context.Context, scope account.Scope, lane mail.Lane, domain string) (mail.Waiting, error) {
	s.settler.flush()
	w, err := s.lanes.Waiting(ctx, scope, lane, domain)
	if err != nil || w.Recipients == 0 {
		return w, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.active[lane]; l != nil && l.failures > 0 { // the store hears of it when the lane is given back
		w.Failures, w.Reason, w.Host, w.Next = l.failures, l.reason, l.host, l.until
	}
	return w, nil
}
