// Package trace records the life of messages, for the owners of the domains that they concern.
//
// Whoever has something to tell calls Record, which keeps it in memory and returns at once. One goroutine sorts what
// has come by whom it concerns and writes it, at most a second later.
//
// # Failure
//
// Traces give way to mail: where they come faster than they can be written, where the disk has little room, and where
// the store fails, they are dropped and counted. A crash loses what was not written yet, about a second's.
package trace

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"sync"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/trace"
	"postroad/internal/obs"
)

// Config says how long traces are kept. The zero value works.
type Config struct {
	Keep    time.Duration // 0: 30 days
	Disk    Disk          // where free space is asked for; nil: not asked
	Reserve int64         // octets of free space under which nothing is recorded
}

const (
	writeEvery = 500 * time.Millisecond // a step waits no longer for company
	writeAt    = 2048                   // so many are written without waiting
	most       = 16384                  // what comes while so many wait is dropped
	mostAtOnce = 4096                   // rows in one transaction
	sweepEvery = time.Hour
	sweepChunk = 2000

	// Refusals are what strangers can cause at will: they get a share of the buffer, and a rate.
	mostRefusals    = most / 2
	refusalsAtOnce  = 1000
	refusalsASecond = 50
	refusalShard    = 0xff // in ids that are no queue ids
)

// Service records and shows traces.
type Service struct {
	cfg   Config
	store Store
	dir   Directory
	m     *obs.Metrics
	log   *slog.Logger
	epoch uint32

	mu       sync.Mutex
	events   []trace.Event
	tokens   float64   // refusals that may come now
	refilled time.Time // when they were last counted
	stopped  bool

	wake   chan struct{}
	ending chan struct{}
	ended  sync.WaitGroup

	writing  sync.Mutex // held by whoever writes
	splitter trace.Splitter
	spare    []trace.Event
	failing  bool
}

// New makes a service; Start begins to write.
func New(cfg Config, store Store, dir Directory, metrics *obs.Metrics, log *slog.Logger) *Service {
	if metrics == nil {
		metrics = obs.NewMetrics()
	}
	if cfg.Keep <= 0 {
		cfg.Keep = 30 * 24 * time.Hour
	}
	var b [4]byte
	_, _ = rand.Read(b[:])
	return &Service{
		cfg: cfg, store: store, dir: dir, m: metrics, log: log, epoch: binary.BigEndian.Uint32(b[:]) & 0xffffff,
		tokens: refusalsAtOnce, wake: make(chan struct{}, 1), ending: make(chan struct{}),
	}
}

// Start begins to write, and to remove what is too old.
func (s *Service) Start() {
	s.ended.Go(s.write)
	s.ended.Go(s.sweep)
}

// Stop writes what there is and ends; what is recorded later is dropped.
func (s *Service) Stop() {
	s.mu.Lock()
	already := s.stopped
	s.stopped = true
	s.mu.Unlock()
	if !already {
		close(s.ending)
	}
	s.ended.Wait()
	s.flush(context.Background())
}

// Record takes an event. It never waits for anything but a short lock and never fails.
func (s *Service) Record(e trace.Event) {
	e.At = e.At.Truncate(time.Microsecond)
	s.mu.Lock()
	why := s.refuse(&e)
	if why == "" {
		s.events = append(s.events, e)
	}
	n := len(s.events)
	s.mu.Unlock()
	if why != "" {
		s.m.TraceDropped.WithLabelValues(why).Inc()
		return
	}
	if n == 1 || n == writeAt {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// refuse says why an event is dropped; s.mu is held.
func (s *Service) refuse(e *trace.Event) string {
	switch {
	case s.stopped:
		return "stopped"
	case len(s.events) >= most:
		return "busy"
	case e.Kind != trace.Refused || e.From != "":
		return ""
	case len(s.events) >= mostRefusals:
		return "refusals"
	}
	s.tokens = min(refusalsAtOnce, s.tokens+refusalsASecond*e.At.Sub(s.refilled).Seconds())
	s.refilled = e.At
	if s.tokens < 1 {
		return "refusals"
	}
	s.tokens--
	return ""
}

// write writes what has come, at most writeEvery late.
func (s *Service) write() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-s.ending:
			return
		case <-s.wake:
			s.mu.Lock()
			n := len(s.events)
			s.mu.Unlock()
			if n < writeAt {
				timer.Reset(writeEvery)
				continue
			}
		case <-timer.C:
		}
		s.flush(context.Background())
	}
}

// flush writes what has come so far.
func (s *Service) flush(ctx context.Context) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	events := s.events
	s.events = s.spare
	s.mu.Unlock()
	defer func() {
		clear(events)
		s.spare = events[:0]
	}()
	if len(events) == 0 {
		return
	}
	if why := s.unfit(); why != "" {
		s.drop(why, len(events))
		return
	}
	s.splitter.Directory = s.dir.View().Directory
	for i := range events {
		e := &events[i]
		if e.ID == "" {
			e.ID = s.newID(e.At)
		}
		s.splitter.Add(e)
	}
	for rows := s.splitter.Rows(); len(rows) > 0; {
		n := min(len(rows), mostAtOnce)
		err := s.store.Add(ctx, account.System(), rows[:n])
		if err != nil {
			s.drop("store", n)
		}
		if failing := err != nil; failing != s.failing {
			s.failing = failing
			if failing {
				s.log.ErrorContext(ctx, "traces not recorded", "error", err)
			} else {
				s.log.InfoContext(ctx, "traces are recorded again")
			}
		}
		rows = rows[n:]
	}
}

// unfit says why nothing may be written now.
func (s *Service) unfit() string {
	if s.cfg.Disk == nil || s.cfg.Reserve <= 0 {
		return ""
	}
	if free, err := s.cfg.Disk.Free(); err == nil && free < uint64(s.cfg.Reserve) {
		return "space"
	}
	return ""
}

func (s *Service) drop(why string, n int) { s.m.TraceDropped.WithLabelValues(why).Add(float64(n)) }

// newID makes an id for what was refused and never had one.
func (s *Service) newID(at time.Time) mail.ID {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return mail.NewID(at, refusalShard, s.epoch, binary.BigEndian.Uint64(b[:]))
}

// sweep removes what is too old, a little at a time.
func (s *Service) sweep() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		for more := true; more; {
			select {
			case <-s.ending:
				return
			default:
			}
			var err error
			if more, err = s.store.Sweep(ctx, account.System(), time.Now().Add(-s.cfg.Keep), sweepChunk); err != nil {
				s.log.Error("old traces not removed", "error", err)
			}
		}
		select {
		case <-s.ending:
			return
		case <-tick.C:
		}
	}
}

// Show gives the trace of one id as far as the scope may see it; false when it sees nothing of it. What was recorded
// before is in it.
func (s *Service) Show(ctx context.Context, scope account.Scope, id mail.ID) (trace.Trace, bool, error) {
	s.flush(context.WithoutCancel(ctx))
	rows, err := s.store.Get(ctx, scope, id)
	if err != nil || len(rows) == 0 {
		return trace.Trace{}, false, err
	}
	return trace.Join(rows), true, nil
}

// List gives at most limit traces that a filter selects, newest first.
func (s *Service) List(ctx context.Context, scope account.Scope, f trace.Filter, limit int) ([]trace.Trace, error) {
	s.flush(context.WithoutCancel(ctx))
	rows, err := s.store.List(ctx, scope, f, limit)
	if err != nil {
		return nil, err
	}
	var out []trace.Trace
	for i := 0; i < len(rows); {
		end := i + 1
		for end < len(rows) && rows[end].ID == rows[i].ID {
			end++
		}
		out = append(out, trace.Join(rows[i:end]))
		i = end
	}
	return out, nil
}
