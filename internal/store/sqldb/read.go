package sqldb

import (
	"context"
	"errors"
	"fmt"

	"postroad/internal/core/account"
)

// readSession is a connection that reads.
type readSession interface {
	session
	close() error
}

// pool is a small number of connections for reading, opened when they are needed beside those that are open.
type pool struct {
	open  func(ctx context.Context) (readSession, error)
	free  chan readSession
	spare chan struct{} // as many as may still be opened
}

func newPool(n int, open func(ctx context.Context) (readSession, error)) *pool {
	p := &pool{open: open, free: make(chan readSession, n), spare: make(chan struct{}, n)}
	for range n {
		p.spare <- struct{}{}
	}
	return p
}

func (p *pool) take(ctx context.Context) (s readSession, used bool, err error) {
	select {
	case s = <-p.free: // one that has its statements and pages is better than a new one
		return s, true, nil
	default:
	}
	select {
	case s = <-p.free:
		return s, true, nil
	case <-p.spare:
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	s, err = p.open(ctx)
	if err != nil {
		p.spare <- struct{}{}
		return nil, false, fmt.Errorf("%w: %w", ErrStorage, err)
	}
	return s, false, nil
}

func (p *pool) give(s readSession) {
	if s.state() == sessionLost {
		_ = s.close() // it is lost already
		p.spare <- struct{}{}
		return
	}
	p.free <- s
}

// close waits for every connection to come back and ends it.
func (p *pool) close() error {
	var errs []error
	for range cap(p.free) {
		select {
		case s := <-p.free:
			errs = append(errs, s.close())
		case <-p.spare:
		}
	}
	return errors.Join(errs...)
}

// Read runs fn in a transaction that sees one consistent state and cannot write. fn may be run again on another
// connection when the first one turns out to be lost: it sets its results anew each time.
func (d *DB) Read(ctx context.Context, scope account.Scope, fn func(tx *Tx) error) error {
	if d.closing.Load() {
		return fmt.Errorf("%w: %w", ErrStorage, ErrClosed)
	}
	for {
		s, used, err := d.readers.take(ctx)
		if err != nil {
			return err
		}
		err = d.read(s, scope, fn)
		lost := s.state() == sessionLost
		d.readers.give(s)
		if lost && used && ctx.Err() == nil {
			continue
		}
		return err
	}
}

func (d *DB) read(s readSession, scope account.Scope, fn func(tx *Tx) error) error {
	if err := s.begin(false); err != nil {
		return storageError(err)
	}
	t := &Tx{db: d, s: s}
	err := t.enter(scope)
	if err == nil {
		err = fn(t)
	}
	return errors.Join(err, storageError(s.end(false)))
}
