package sqldb

import (
	"errors"
	"fmt"
	"sync"

	"postroad/internal/core/account"
)

// session is one connection to an engine. It is used by one goroutine at a time.
type session interface {
	// begin starts a transaction, for reading or for writing.
	begin(write bool) error
	// end finishes it: COMMIT, or ROLLBACK.
	end(commit bool) error
	// keep makes the engine itself keep to a scope from here on, where it can.
	keep(scope account.Scope, list []string) error
	// post runs a statement whose result nobody asks for; its error may come with a later call.
	post(q *query, args []any, list []string) error
	// exec runs a statement and gives the number of rows that it changed.
	exec(q *query, args []any, list []string) (int64, error)
	// rows runs a statement and gives its rows.
	rows(q *query, args []any, list []string) (cursor, error)
	// state says how the connection is: fine, transaction aborted, or lost.
	state() sessionState
}

type sessionState uint8

const (
	sessionFine    sessionState = iota
	sessionAborted              // the transaction can only be rolled back
	sessionLost                 // the connection is gone
)

// cursor goes through rows.
type cursor interface {
	next() (bool, error)
	scan(dest []any) error
	close() error
}

// Tx is a transaction, or a job's part in one. It is used by one goroutine and must not be kept.
type Tx struct {
	db    *DB
	s     session
	scope account.Scope
	list  []string // accounts in scope
	wrote bool
}

// Engine is the kind of database, for the few statements that need two bodies.
func (t *Tx) Engine() Engine { return t.db.engine }

// Scope is what the transaction may touch.
func (t *Tx) Scope() account.Scope { return t.scope }

// Post runs a statement whose result nobody asks for. On PostgreSQL it travels with the next statement that is
// asked for its result, or with the end of the group, and its error comes there.
func (t *Tx) Post(stmt Stmt, args ...any) error {
	q, err := t.query(stmt)
	if err != nil {
		return err
	}
	return storageError(t.s.post(q, args, t.list))
}

// Exec runs a statement and gives the number of rows that it changed.
func (t *Tx) Exec(stmt Stmt, args ...any) (int64, error) {
	q, err := t.query(stmt)
	if err != nil {
		return 0, err
	}
	n, err := t.s.exec(q, args, t.list)
	return n, storageError(err)
}

// Query runs a statement and gives its rows, which the caller must close before the transaction ends.
func (t *Tx) Query(stmt Stmt, args ...any) (*Rows, error) {
	q, err := t.query(stmt)
	if err != nil {
		return nil, err
	}
	c, err := t.s.rows(q, args, t.list)
	if err != nil {
		return nil, storageError(err)
	}
	return &Rows{c: c}, nil
}

// Row runs a statement and puts its first row into dest; false when there is none.
func (t *Tx) Row(dest []any, stmt Stmt, args ...any) (bool, error) {
	rows, err := t.Query(stmt, args...)
	if err != nil {
		return false, err
	}
	found := rows.Next()
	if found {
		if err := rows.Scan(dest...); err != nil {
			return false, errors.Join(err, rows.Close())
		}
	}
	for rows.Next() { // a statement that changes rows is run to its end
	}
	return found, rows.Close()
}

// Texts gives the one column that a statement selects, a text, of all its rows.
func (t *Tx) Texts(stmt Stmt, args ...any) ([]string, error) {
	rows, err := t.Query(stmt, args...)
	if err != nil {
		return nil, err
	}
	var list []string
	for rows.Next() {
		var v string
		if rows.Scan(&v) != nil {
			break // Close gives the error
		}
		list = append(list, v)
	}
	return list, rows.Close()
}

// System runs fn with the whole system in scope: for what a change must look after beyond its caller's rows.
func (t *Tx) System(fn func() error) error {
	if t.scope.IsSystem() {
		return fn()
	}
	scope, list := t.scope, t.list
	if err := t.enter(account.System()); err != nil {
		return err
	}
	err := fn()
	t.scope, t.list = scope, list
	return errors.Join(err, storageError(t.s.keep(scope, list)))
}

// Prepare has the engine compile a statement without running it, so that tests can try every statement of a store on
// both engines. After an error on PostgreSQL the transaction can only end.
func (t *Tx) Prepare(stmt Stmt) error {
	q, err := t.query(stmt)
	if err != nil {
		return err
	}
	p, ok := t.s.(interface{ prepare(q *query) error })
	if !ok {
		return nil
	}
	return storageError(p.prepare(q))
}

func (t *Tx) enter(scope account.Scope) error {
	list, err := accounts(scope)
	if err != nil {
		return err
	}
	t.scope, t.list = scope, list
	return storageError(t.s.keep(scope, list))
}

func (t *Tx) query(stmt Stmt) (*query, error) {
	q, err := t.db.texts.get(t.db.engine, stmt, !t.scope.IsSystem())
	if err != nil {
		return nil, err
	}
	t.wrote = t.wrote || q.writes
	return q, nil
}

// Rows goes through a statement's rows.
type Rows struct {
	c      cursor
	err    error
	closed bool
}

// Next moves to the next row; false at the end and after an error, which Close gives.
func (r *Rows) Next() bool {
	if r.closed || r.err != nil {
		return false
	}
	more, err := r.c.next()
	r.err = storageError(err)
	return more && err == nil
}

// Scan copies the row's columns: into pointers to strings, integers, bool, []byte and time.Time.
func (r *Rows) Scan(dest ...any) error {
	if err := r.c.scan(dest); err != nil {
		r.err = fmt.Errorf("%w: reading a row: %w", ErrStorage, err)
		return r.err
	}
	return nil
}

// Close frees the statement and gives the first error of Next, Scan or Close. It may be called twice.
func (r *Rows) Close() error {
	if r.closed {
		return r.err
	}
	r.closed = true
	if err := r.c.close(); r.err == nil {
		r.err = storageError(err)
	}
	return r.err
}

// texts keeps every statement's spelling.
type texts struct {
	mu     sync.RWMutex
	system map[Stmt]*query
	scoped map[Stmt]*query
}

func (t *texts) get(engine Engine, stmt Stmt, scoped bool) (*query, error) {
	t.mu.RLock()
	q := t.known(scoped)[stmt]
	t.mu.RUnlock()
	if q != nil {
		return q, nil
	}
	q, err := expand(engine, stmt, scoped)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.known(scoped)[stmt]; old != nil {
		return old, nil
	}
	t.known(scoped)[stmt] = q
	return q, nil
}

func (t *texts) known(scoped bool) map[Stmt]*query {
	if scoped {
		return t.scoped
	}
	return t.system
}
