package sqldb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postroad/internal/core/account"
)

const (
	// lateness is how long a write that nobody waits for may wait for a group to ride in.
	lateness = 100 * time.Millisecond
	// groupLimit is the largest number of jobs in one transaction.
	groupLimit = 512
)

// job is a piece of work for the writer.
type job struct {
	scope account.Scope
	fn    func(*Tx) error
	done  func(error)   // called when nobody waits
	ready chan struct{} // told when the result is there
	err   error
	taken atomic.Bool // by the writer, or by a caller who gave up waiting
	since time.Time   // of a job that nobody waits for
	keys  []string    // of the rows that it holds while it runs; see Config.Hold
}

// writer collects jobs and runs them in groups.
type writer struct {
	db      *DB
	open    func() (writeSession, error)
	session writeSession
	tx      Tx

	mu     sync.Mutex
	queue  []*job
	urgent int // jobs in the queue that somebody waits for
	closed bool
	wake   chan struct{}
	ended  chan struct{}
}

// writeSession is a connection that writes.
type writeSession interface {
	session
	// mend prepares the connection for the next group after what happened to earlier ones.
	mend() error
	// settled is called after each group, when its callers know how it went: time for upkeep.
	settled()
	// broke tells of an error that ended a group, and whether it was the COMMIT's.
	broke(err error, commit bool)
	// close ends the connection.
	close() error
}

// Write runs fn in the next group's transaction and returns when it is durable. The error is fn's own, or one with
// ErrStorage or ErrConflict; then nothing of the job remains.
//
// fn runs on the writer's goroutine, must be quick and may be run more than once: it sets its results anew each time.
// A context that ends while the job waits in the queue withdraws it; later it is run to the end. An fn that returns
// its error before it changed anything costs the group nothing. keys name the rows that Config.Hold is to hold for it.
func (d *DB) Write(ctx context.Context, scope account.Scope, fn func(tx *Tx) error, keys ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{scope: scope, fn: fn, ready: make(chan struct{}, 1), keys: keys}
	if err := d.writer.add(j, true); err != nil {
		return err
	}
	if ctx.Done() == nil {
		<-j.ready
		return j.err
	}
	select {
	case <-j.ready:
		return j.err
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-j.ready
		return j.err
	}
}

// WriteLater runs fn in a group that others cause, or within 100 milliseconds, after the jobs that came before and
// before those that come after it. done, when not nil, gets what Write would have returned; it is called on the
// writer's goroutine and must not wait.
func (d *DB) WriteLater(scope account.Scope, fn func(tx *Tx) error, done func(error), keys ...string) {
	j := &job{scope: scope, fn: fn, done: done, since: time.Now(), keys: keys}
	if err := d.writer.add(j, false); err != nil && done != nil {
		done(err)
	}
}

func (w *writer) add(j *job, urgent bool) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrStorage, ErrClosed)
	}
	w.queue = append(w.queue, j)
	first := len(w.queue) == 1
	if urgent {
		w.urgent++
		first = first || w.urgent == 1
	}
	w.mu.Unlock()
	if first {
		w.signal()
	}
	return nil
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// loop is the writer's goroutine.
func (w *writer) loop() {
	defer close(w.ended)
	var group []*job
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var wait time.Duration
		var closed bool
		group, wait, closed = w.collect(group[:0])
		switch {
		case len(group) > 0:
			w.serve(group)
			clear(group)
		case closed:
			return
		case wait > 0:
			timer.Reset(wait)
			select {
			case <-w.wake:
			case <-timer.C:
			}
		default:
			<-w.wake
		}
	}
}

// collect takes the next group from the queue: none while nobody waits and the oldest job may wait longer.
func (w *writer) collect(group []*job) (_ []*job, wait time.Duration, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return group, 0, w.closed
	}
	if w.urgent == 0 && !w.closed && len(w.queue) < groupLimit {
		if wait := lateness - time.Since(w.queue[0].since); wait > 0 {
			return group, wait, false
		}
	}
	n := min(len(w.queue), groupLimit)
	for _, j := range w.queue[:n] {
		if j.done == nil && j.ready != nil {
			w.urgent--
		}
		if j.taken.CompareAndSwap(false, true) {
			group = append(group, j)
		}
	}
	rest := copy(w.queue, w.queue[n:])
	clear(w.queue[rest:])
	w.queue = w.queue[:rest]
	return group, 0, w.closed
}

// serve runs a group and tells everybody how it went.
func (w *writer) serve(group []*job) {
	if err := w.group(group); err != nil {
		for _, j := range group {
			j.err = err
		}
	}
	for _, j := range group {
		if j.ready != nil {
			j.ready <- struct{}{}
		} else if j.done != nil {
			j.done(j.err)
		}
	}
	if w.session != nil {
		w.session.settled()
	}
}

// errSplit says that a job failed after it had changed something: the group is run again, each job by itself.
var errSplit = errors.New("a job of the group failed")

// group runs jobs in one transaction. An error concerns them all; a job's own error lies in the job.
func (w *writer) group(group []*job) error {
	for try := range 2 {
		if err := w.connect(); err != nil {
			return err
		}
		if err := w.session.mend(); err != nil {
			return storageError(err)
		}
		err, commit := w.attempt(group, false)
		if errors.Is(err, errSplit) {
			err, commit = w.attempt(group, true)
		}
		if err == nil {
			return nil
		}
		err = storageError(err)
		lost := w.session.state() == sessionLost
		w.session.broke(err, commit)
		if !lost {
			return err
		}
		w.drop()
		if commit || try > 0 { // after a COMMIT nobody knows: it is not repeated
			return err
		}
	}
	return nil
}

func (w *writer) connect() error {
	if w.session != nil {
		return nil
	}
	s, err := w.open()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	w.session = s
	return nil
}

func (w *writer) drop() {
	_ = w.session.close() // it is lost already
	w.session = nil
}

// attempt runs the group in one transaction; guarded puts each job behind a savepoint, so that those which fail
// leave nothing behind. commit tells that the error is the COMMIT's.
func (w *writer) attempt(group []*job, guarded bool) (err error, commit bool) { //revive:disable-line:error-return // the pair reads in the order it is judged
	if err := w.session.begin(true); err != nil {
		return err, false
	}
	if err := w.hold(group); err != nil {
		return errors.Join(err, w.session.end(false)), false
	}
	for _, j := range group {
		if err := w.job(j, guarded); err != nil {
			return errors.Join(err, w.session.end(false)), false
		}
	}
	// What was posted and not yet answered shows its errors here, apart from those of the COMMIT.
	if _, err := w.session.exec(flushQuery, nil, nil); err != nil {
		if !guarded && w.session.state() != sessionLost {
			err = errSplit
		}
		return errors.Join(err, w.session.end(false)), false
	}
	if err := w.session.end(true); err != nil {
		return err, true
	}
	return nil, false
}

// hold locks the rows that the jobs of a group name, in one order for all nodes of an installation, so that no two
// groups wait for one another.
func (w *writer) hold(group []*job) error {
	if w.db.hold == "" || w.db.engine != Postgres {
		return nil
	}
	var keys []string
	for _, j := range group {
		keys = append(keys, j.keys...)
	}
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	w.tx = Tx{db: w.db, s: w.session}
	if err := w.tx.enter(account.System()); err != nil {
		return err
	}
	_, err := w.tx.Texts(w.db.hold, slices.Compact(keys))
	return err
}

// flushQuery makes a session answer for everything that was posted; it is no statement.
var flushQuery = &query{}

var (
	savepoint   = &query{text: "SAVEPOINT job"}
	rollbackTo  = &query{text: "ROLLBACK TO SAVEPOINT job"}
	releaseSave = &query{text: "RELEASE SAVEPOINT job"}
)

// job runs one job. An error ends the transaction.
func (w *writer) job(j *job, guarded bool) error {
	t := &w.tx
	*t = Tx{db: w.db, s: w.session}
	if j.err = t.enter(j.scope); j.err != nil {
		if w.session.state() != sessionFine {
			return j.err
		}
		return nil
	}
	if guarded {
		if _, err := w.session.exec(savepoint, nil, nil); err != nil {
			return err
		}
	}
	err := call(j.fn, t)
	if guarded && err == nil {
		_, err = w.session.exec(flushQuery, nil, nil)
		err = storageError(err)
	}
	switch {
	case err == nil && guarded:
		_, err := w.session.exec(releaseSave, nil, nil)
		return err
	case err == nil:
		return nil
	case w.session.state() == sessionLost, fatal(err):
		return err
	case !guarded && (t.wrote || w.session.state() == sessionAborted):
		return errSplit
	}
	j.err = err
	if !guarded {
		return nil
	}
	if _, err := w.session.exec(rollbackTo, nil, nil); err != nil {
		return err
	}
	_, err = w.session.exec(releaseSave, nil, nil)
	return err
}

// fatal tells errors after which SQLite may have rolled the transaction back by itself.
func fatal(err error) bool {
	switch sqliteCode(err) {
	case sqliteFull, sqliteIOErr, sqliteNoMem, sqliteInterrupt, sqliteCantOpen, sqliteProtocol, sqliteReadOnly, sqliteNotADB:
		return true
	}
	return false
}

// call runs a job's function; a panic in it fails the job, not the program.
func call(fn func(*Tx) error, t *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.wrote = true
			err = fmt.Errorf("%w: panic in a job: %v", ErrStorage, p)
		}
	}()
	return fn(t)
}

// close takes no more jobs, runs those that wait and ends the connection.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
	<-w.ended
	if w.session == nil {
		return nil
	}
	return w.session.close()
}
