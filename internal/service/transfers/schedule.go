package transfers

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// The kinds of work.
const (
	taskCheck   = "check"   // the primary of a copy is asked
	taskTell    = "tell"    // a server is told of a change
	taskCatalog = "catalog" // a catalog is written anew
)

// task is one piece of work. There is at most one of each at a time.
type task struct{ what, name string }

const atOnce = 16 // pieces of work

// schedule does work when it is due, few pieces at a time, and each of them never twice at once.
type schedule struct {
	do func(ctx context.Context, t task)

	mu     sync.Mutex
	queue  waiting
	tasks  map[task]*entry
	wake   chan struct{}
	places chan struct{}
}

type entry struct {
	task
	at      time.Time
	index   int  // in the queue; -1: not in it
	running bool // then at, if it is set, is when it is done again
}

func newSchedule(do func(context.Context, task)) *schedule {
	return &schedule{do: do, tasks: map[task]*entry{}, wake: make(chan struct{}, 1), places: make(chan struct{}, atOnce)}
}

// set has a task done at a moment, or earlier when it is due earlier already.
func (s *schedule) set(t task, at time.Time) { s.put(t, at, false) }

// put has a task done at a moment; with later not before it, even if it was due earlier.
func (s *schedule) put(t task, at time.Time, later bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.tasks[t]
	if e == nil {
		e = &entry{task: t, index: -1}
		s.tasks[t] = e
	}
	switch {
	case e.running:
		if e.at.IsZero() || later || at.Before(e.at) {
			e.at = at
		}
		return
	case e.index < 0:
		e.at = at
		heap.Push(&s.queue, e)
	case later || at.Before(e.at):
		e.at = at
		heap.Fix(&s.queue, e.index)
	}
	if s.queue[0] == e {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// drop forgets a task; one that is running is not done again.
func (s *schedule) drop(t task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.tasks[t]
	switch {
	case e == nil:
	case e.running:
		e.at = time.Time{}
	default:
		heap.Remove(&s.queue, e.index)
		delete(s.tasks, t)
	}
}

// run works until ctx ends, and waits for what is running then.
func (s *schedule) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		e, wait := s.next(time.Now())
		if e == nil {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			case <-timer.C:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case s.places <- struct{}{}:
		}
		running.Go(func() {
			defer func() { <-s.places }()
			s.do(ctx, e.task)
			s.done(e)
		})
	}
}

// next takes what is due; nil when nothing is, and how long that will be so.
func (s *schedule) next(now time.Time) (*entry, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil, time.Hour
	}
	e := s.queue[0]
	if wait := e.at.Sub(now); wait > 0 {
		return nil, wait
	}
	heap.Pop(&s.queue)
	e.running, e.at = true, time.Time{}
	return e, 0
}

// done puts a task back when it is to be done again.
func (s *schedule) done(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.running = false; e.at.IsZero() {
		delete(s.tasks, e.task)
		return
	}
	heap.Push(&s.queue, e)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// waiting is a heap by time.
type waiting []*entry

// Len implements heap.Interface.
func (w *waiting) Len() int { return len(*w) }

// Less implements heap.Interface.
func (w *waiting) Less(i, j int) bool { return (*w)[i].at.Before((*w)[j].at) }

// Swap implements heap.Interface.
func (w *waiting) Swap(i, j int) {
	list := *w
	list[i], list[j] = list[j], list[i]
	list[i].index, list[j].index = i, j
}

// Push implements heap.Interface.
func (w *waiting) Push(x any) {
	e, _ := x.(*entry)
	e.index = len(*w)
	*w = append(*w, e)
}

// Pop implements heap.Interface.
func (w *waiting) Pop() any {
	last := (*w)[len(*w)-1]
	(*w)[len(*w)-1] = nil
	*w = (*w)[:len(*w)-1]
	last.index = -1
	return last
}
