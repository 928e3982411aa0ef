// Package queue keeps accepted mail until each recipient has found its end: delivered, reported or dead.
//
// A message is durable before Accept returns. It is then delivered at once from memory ("born leased"); the
// store is read again only for what did not end that way. Destinations are lanes: limits, back-off and
// leases belong to the lane, so that a dead destination costs one probe per interval and not one per message.
//
// # Failure
//
// A store that fails refuses new mail with a temporary error and leaves queued mail where it is. A crash may
// repeat a delivery whose outcome was not yet recorded; it never loses one.
package queue

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/obs"
)

// Service is the queue of one node.
type Service struct {
	cfg     Config
	spool   Spool
	lanes   Lanes
	inspect Inspect
	agents  map[mail.Transport]Agent
	dir     Directory
	log     *slog.Logger
	epoch   uint32
	age     atomic.Int64 // queue age in seconds
	memory  atomic.Int64 // octets of bodies in memory
	m       *obs.Metrics

	mu     sync.Mutex
	active map[mail.Lane]*lane
	gates  map[mail.Lane]gate // lanes given back that are backing off

	paused   map[mail.Sent]struct{} // logins for whose pause mail was held here
	arriving map[mail.ID]struct{}   // stored by now or soon, and not in the hands of their lanes yet
	stopped  bool
	running  sync.WaitGroup
	wake     chan struct{}
	ctx      context.Context // life of the workers, from Start to Stop
	cancel   context.CancelCauseFunc
	settler  settler
	room     room
}

// gate is what is remembered of a lane that is not in hand: not before until.
type gate struct {
	until time.Time
}

// New makes a queue. agents has one agent per transport that rows may name.
func New(cfg Config, spool Spool, lanes Lanes, inspect Inspect, agents map[mail.Transport]Agent, dir Directory, metrics *obs.Metrics, log *slog.Logger) *Service {
	if metrics == nil {
		metrics = obs.NewMetrics()
	}
	var b [4]byte
	_, _ = rand.Read(b[:])
	s := &Service{
		cfg: cfg.withDefaults(), spool: spool, lanes: lanes, inspect: inspect, agents: agents, dir: dir, m: metrics, log: log,
		epoch:  binary.BigEndian.Uint32(b[:]) & 0xffffff,
		active: map[mail.Lane]*lane{}, gates: map[mail.Lane]gate{}, arriving: map[mail.ID]struct{}{}, paused: map[mail.Sent]struct{}{}, wake: make(chan struct{}, 1),
	}
	s.settler.init(s)
	s.room.disk, s.room.reserve = cfg.Disk, cfg.Reserve
	s.room.free.Store(math.MaxInt64)
	return s
}

// Start makes due what an earlier run left and begins to deliver. only says that no other node shares the store.
func (s *Service) Start(ctx context.Context, only bool) error {
	if err := s.lanes.Open(ctx, s.cfg.Node, only); err != nil {
		return fmt.Errorf("open the queue: %w", err)
	}
	age, err := s.spool.Age(ctx, 0)
	if err != nil {
		return fmt.Errorf("read the queue's age: %w", err)
	}
	s.age.Store(age)
	s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if err := s.remember(ctx); err != nil {
		return err
	}
	s.running.Go(s.schedule)
	for _, agent := range s.agents {
		if _, ok := agent.(Prober); ok {
			s.running.Go(s.watch)
			break
		}
	}
	s.settler.ended.Go(s.settler.run)
	return nil
}

// remember closes the gates of lanes that were backing off when the program ended.
func (s *Service) remember(ctx context.Context) error {
	list, err := s.lanes.Down(ctx, time.Now(), maxGates)
	if err != nil {
		return fmt.Errorf("read which destinations are down: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		s.gates[list[i].Lane] = gate{until: list[i].Next}
	}
	return nil
}

// Stop ends attempts, records their outcomes and gives the lanes back; after ctx ends it does not wait longer. Attempts
// that wait for a last word have nearly all of ctx's time for that.
func (s *Service) Stop(ctx context.Context) {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	ending := &mail.Ending{By: time.Now().Add(lastWord)}
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		ending.By = end.Add(-min(settleTime, left/2))
	}
	s.cancel(ending)
	done := make(chan struct{})
	go func() {
		s.running.Wait() // the last attempts bring outcomes
		s.settler.stop()
		s.settler.ended.Wait()
		s.closing()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// NewID gives a fresh queue id.
func (s *Service) NewID(at time.Time) mail.ID {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return mail.NewID(at, 0, s.epoch, binary.BigEndian.Uint64(b[:]))
}

// Accept makes a message durable and begins to deliver it. When it returns nil the message may be acknowledged;
// any error is temporary and means that it may not.
func (s *Service) Accept(ctx context.Context, scope account.Scope, st mail.Stored) error {
	for i := range st.Rows {
		if len(st.Rows[i].Head) > mail.MaxHead {
			return ErrHead
		}
	}
	now := time.Now()
	s.prepare(&st, now)
	if err := s.spool.Accept(ctx, scope, []mail.Stored{st}); err != nil {
		s.forget(st)
		return err
	}
	s.born(st)
	return nil
}

// prepare gives rows their time, state and ages: leased when this node delivers them at once; those that come
// quarantined stay so. Until born or forget is
// called nobody takes them from the store, whatever makes them due there.
func (s *Service) prepare(st *mail.Stored, now time.Time) {
	s.mu.Lock()
	s.arriving[st.Message.ID] = struct{}{}
	s.mu.Unlock()
	age := s.age.Load()
	st.Message.Rows = len(st.Rows)
	for i := range st.Rows {
		r := &st.Rows[i]
		r.Row = mail.Row{ID: st.Message.ID, N: i}
		r.BornAge = age
		if r.ExpireAge == 0 {
			r.ExpireAge = age + int64(s.holdOf(r)/time.Second)
		}
		r.CheckAge = r.ExpireAge
		if s.cfg.DelayNotice > 0 {
			r.CheckAge = min(r.ExpireAge, age+int64(s.cfg.DelayNotice/time.Second))
		}
		if r.State == mail.StateQuarantined {
			r.Next = now
			continue // until somebody lets it go
		}
		r.State = mail.StateWaiting
		if r.Next.After(now) {
			continue // it is taken, and not to be sent yet
		}
		r.Next = now
		if s.open(r.Lane, now) && s.reserve(st.Content, r) {
			r.State, r.Next = mail.StateLeased, now.Add(min(grace, s.cfg.wait(1)))
		}
	}
}

// holdOf is how long a row is kept: as long as its destination's domain says, if it is one of this installation.
// A panic in finding that out costs nothing: the installation's time holds.
func (s *Service) holdOf(r *mail.Recipient) (hold time.Duration) {
	defer func() {
		if p := recover(); p != nil {
			hold = s.cfg.Hold
		}
	}()
	d, ours := s.dir.View().Directory.Domain(r.Destination[strings.LastIndexByte(r.Destination, '@')+1:])
	if ours && d.Proved && d.Hold > 0 {
		return d.Hold
	}
	return s.cfg.Hold
}

// reserve takes a row's share of the memory for bodies; a body counts once per row, which errs on the safe side.
func (s *Service) reserve(c mail.Content, r *mail.Recipient) bool {
	n := inMemory(c, r)
	if s.memory.Add(n) <= s.cfg.InMemory && s.cfg.Memory.Take(n) {
		return true
	}
	s.memory.Add(-n)
	return false
}

// inMemory is what a row costs in memory with its content, in octets.
func inMemory(c mail.Content, r *mail.Recipient) int64 { return int64(len(c.Inline)+len(r.Head)) + 512 }

// load counts what a row read from the store takes: it is needed, whatever there is.
func (s *Service) load(c mail.Content, r *mail.Recipient) {
	s.memory.Add(inMemory(c, r))
	s.cfg.Memory.Force(inMemory(c, r))
}

// free undoes reserve and load.
func (s *Service) free(c mail.Content, r *mail.Recipient) {
	s.memory.Add(-inMemory(c, r))
	s.cfg.Memory.Give(inMemory(c, r))
}

// arrived ends what prepare began.
func (s *Service) arrived(id mail.ID) {
	s.mu.Lock()
	delete(s.arriving, id)
	s.mu.Unlock()
}

// forget undoes prepare for a message that was not stored.
func (s *Service) forget(st mail.Stored) {
	s.arrived(st.Message.ID)
	for i := range st.Rows {
		if st.Rows[i].State == mail.StateLeased {
			s.free(st.Content, &st.Rows[i])
		}
	}
}

// born hands a durable message to its lanes.
func (s *Service) born(st mail.Stored) {
	defer s.arrived(st.Message.ID)
	if len(st.Rows) == 1 {
		s.deliverOrWait(st.Rows[0].Lane, mail.Delivery{Message: st.Message, Recipients: st.Rows, Content: st.Content})
		return
	}
	byLane := map[mail.Lane][]mail.Recipient{}
	var order []mail.Lane
	for _, r := range st.Rows {
		if _, ok := byLane[r.Lane]; !ok {
			order = append(order, r.Lane)
		}
		byLane[r.Lane] = append(byLane[r.Lane], r)
	}
	for _, l := range order {
		s.deliverOrWait(l, mail.Delivery{Message: st.Message, Recipients: byLane[l], Content: st.Content})
	}
}

// deliverOrWait pushes the leased rows of a delivery into their lane; waiting ones are left to the store.
func (s *Service) deliverOrWait(l mail.Lane, d mail.Delivery) {
	leased, waiting := d.Recipients[:0:0], false
	for i := range d.Recipients {
		switch r := &d.Recipients[i]; r.State { //nolint:exhaustive // the states of new rows
		case mail.StateLeased:
			leased = append(leased, *r)
		case mail.StateWaiting:
			waiting = true
			s.recordWaiting(d.Message, r)
		}
	}
	if len(leased) == 0 && !waiting {
		return
	}
	d.Recipients = leased
	s.push(l, d, waiting)
}

// Kick makes lanes try at once, whatever their back-off; the rows themselves must be due. All lanes with rows
// are tried when none is named.
func (s *Service) kick(lanes []mail.Lane) {
	s.mu.Lock()
	for _, l := range lanes {
		delete(s.gates, l)
		if a := s.active[l]; a != nil {
			a.until, a.eager = time.Time{}, !a.claimed || a.leaving
			a.kicks++
			a.afresh = true
			a.more()
			s.staff(a)
		}
	}
	s.mu.Unlock()
	s.poke()
}

// poke wakes the schedule.
func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
