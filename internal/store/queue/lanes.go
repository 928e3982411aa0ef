package queue

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
	"postroad/internal/store/sqldb"
)

const laneColumns = `name, next_attempt, failures, reason, host`

const (
	laneSQL sqldb.Stmt = `SELECT ` + laneColumns + ` FROM lane WHERE name = $1`

	lanesDueSQL sqldb.Stmt = `SELECT ` + laneColumns + ` FROM lane WHERE next_attempt BETWEEN 1 AND $1 ORDER BY next_attempt LIMIT $2`

	firstRowSQL sqldb.Stmt = `SELECT next_attempt FROM recipient WHERE lane = $1 AND (state = 'waiting' OR state = 'deferred')
		ORDER BY next_attempt LIMIT 1`

	downSQL sqldb.Stmt = `SELECT ` + laneColumns + ` FROM lane WHERE next_attempt > $1 AND failures > 0 ORDER BY next_attempt LIMIT $2`

	// By the time at which its message came a row is due before all that came later.
	hastenSQL sqldb.Stmt = `UPDATE recipient SET state = 'waiting', next_attempt = (SELECT received FROM message WHERE id = message_id)
		WHERE (message_id, n) IN (SELECT message_id, n FROM recipient WHERE lane = $1 AND (state = 'waiting' OR state = 'deferred')
			AND (state = 'deferred' OR next_attempt > $2) ORDER BY next_attempt LIMIT $3)`

	// What was born leased and is in nobody's hands waits for the end of its grace.
	hastenLeasedSQL sqldb.Stmt = `UPDATE recipient SET state = 'waiting', next_attempt = (SELECT received FROM message WHERE id = message_id)
		WHERE state = 'leased' AND lane = $1`

	waitingSQL sqldb.Stmt = `SELECT count(*), coalesce(min(received), 0) FROM recipient JOIN message ON id = message_id
		WHERE lane = $1 AND (state = 'waiting' OR state = 'deferred' OR state = 'leased') AND @scope(recipient.account_id)
		AND lower(substr(destination, length(destination) - length($2) + 1)) = $2`

	putLaneSQL sqldb.Stmt = `INSERT INTO lane (name, next_attempt, failures, reason, host, holder, token, expires)
		VALUES ($1, $2, $3, $4, $5, '', 0, 0)
		ON CONFLICT (name) DO UPDATE SET next_attempt = excluded.next_attempt, failures = excluded.failures,
		reason = excluded.reason, host = excluded.host, holder = '', token = 0, expires = 0`

	deleteLaneSQL sqldb.Stmt = `DELETE FROM lane WHERE name = $1`
)

// Open implements queue.Lanes.
func (s *Store) Open(ctx context.Context, node string, only bool) error {
	if s.leases != nil {
		s.leases.reset()
	} else if err := s.openPG(ctx, node, only); err != nil {
		return err
	}
	if !only {
		return nil
	}
	return s.unleaseUntil(ctx, math.MaxInt64, time.Now())
}

// Lease implements queue.Lanes.
func (s *Store) Lease(ctx context.Context, node string, now time.Time, limit int, ttl time.Duration) ([]queue.Held, error) {
	if err := s.unlease(ctx, now); err != nil {
		return nil, err
	}
	if s.leases == nil {
		return s.leasePG(ctx, node, now, limit, ttl)
	}
	states, err := s.lanesDue(ctx, now, limit+s.leases.count())
	if err != nil {
		return nil, err
	}
	var held []queue.Held
	for _, state := range states {
		if len(held) == limit {
			break
		}
		if token, ok := s.leases.take(state.Lane, ttl); ok {
			held = append(held, queue.Held{Token: token, State: state})
		}
	}
	return held, nil
}

// lanesDue reads the lanes whose time has come, the longest waiting first.
func (s *Store) lanesDue(ctx context.Context, now time.Time, limit int) ([]queue.LaneState, error) {
	return s.laneStates(ctx, lanesDueSQL, now, limit)
}

func (s *Store) laneStates(ctx context.Context, stmt sqldb.Stmt, now time.Time, limit int) ([]queue.LaneState, error) {
	var states []queue.LaneState
	err := s.db.Read(ctx, account.System(), func(tx *sqldb.Tx) error {
		states = states[:0]
		rows, err := tx.Query(stmt, sqldb.Micros(now), limit)
		if err != nil {
			return err
		}
		for rows.Next() {
			var state queue.LaneState
			if rows.Scan(laneFields(&state)...) != nil {
				break // Close gives the error
			}
			states = append(states, state)
		}
		return rows.Close()
	})
	return states, storageError(err)
}

func laneFields(state *queue.LaneState) []any {
	return []any{&state.Lane, &state.Next, &state.Failures, &state.Reason, &state.Host}
}

// Claim implements queue.Lanes. Who holds the lane already does not get it a second time. Only a lane that backs off
// comes with a time that lies ahead.
func (s *Store) Claim(ctx context.Context, node string, lane mail.Lane, ttl time.Duration) (held queue.Held, ok bool, err error) {
	if s.leases == nil {
		return s.claimPG(ctx, node, lane, ttl)
	}
	token, ok := s.leases.take(lane, ttl)
	if !ok {
		return queue.Held{}, false, nil
	}
	held = queue.Held{Token: token, State: queue.LaneState{Lane: lane}}
	err = s.db.Read(ctx, account.System(), func(tx *sqldb.Tx) error {
		_, err := tx.Row(laneFields(&held.State), laneSQL, string(lane))
		return err
	})
	if err != nil {
		s.leases.drop(token)
		return queue.Held{}, false, storageError(err)
	}
	ungate(&held.State, time.Now())
	return held, true, nil
}

// ungate says of a lane that does not back off that it may be tried now: its rows may be due later, others are not.
func ungate(state *queue.LaneState, now time.Time) {
	if state.Failures == 0 && state.Next.After(now) {
		state.Next = now
	}
}

// Renew implements queue.Lanes.
func (s *Store) Renew(ctx context.Context, token queue.Token, ttl time.Duration) error {
	if s.leases == nil {
		return s.renewPG(ctx, token, ttl)
	}
	if !s.leases.renew(token, ttl) {
		return queue.ErrStaleLease
	}
	return nil
}

// Release implements queue.Lanes.
func (s *Store) Release(ctx context.Context, token queue.Token, state queue.LaneState) error {
	if state.Lane == "" {
		state.Lane = token.Lane
	}
	if state.Lane != token.Lane {
		return storageError(fmt.Errorf("the token of lane %s cannot release lane %s", token.Lane, state.Lane))
	}
	if s.leases != nil && state.Next.IsZero() && state.Failures == 0 {
		done, err := s.releaseQuietly(ctx, token)
		if done || err != nil {
			return err
		}
	}
	err := s.db.Write(ctx, account.System(), func(tx *sqldb.Tx) error {
		if err := s.holds(tx, token); err != nil {
			return err
		}
		return putLane(tx, state)
	})
	if err != nil {
		return storageError(err)
	}
	if s.leases != nil {
		s.leases.drop(token)
	}
	return nil
}

// releaseQuietly gives a lane back without a write when nothing is known of it and nothing waits for it.
func (s *Store) releaseQuietly(ctx context.Context, token queue.Token) (bool, error) {
	if !s.leases.holds(token) {
		return false, queue.ErrStaleLease
	}
	known := false
	err := s.db.Read(ctx, account.System(), func(tx *sqldb.Tx) error {
		var state queue.LaneState
		var first time.Time
		var err error
		if known, err = tx.Row(laneFields(&state), laneSQL, string(token.Lane)); err != nil || known {
			return err
		}
		known, err = tx.Row([]any{&first}, firstRowSQL, string(token.Lane))
		return err
	})
	if err != nil || known {
		return false, storageError(err)
	}
	s.leases.drop(token)
	return true, nil
}

// putLane writes what is to be remembered of a lane that nobody holds from now on.
func putLane(tx *sqldb.Tx, state queue.LaneState) error {
	next := sqldb.Micros(state.Next)
	if next == 0 {
		found, err := tx.Row([]any{&next}, firstRowSQL, string(state.Lane))
		if err != nil {
			return err
		}
		if !found {
			return tx.Post(deleteLaneSQL, string(state.Lane))
		}
	}
	return tx.Post(putLaneSQL, string(state.Lane), max(1, next), int64(state.Failures), state.Reason, state.Host)
}

// Hasten implements queue.Lanes.
func (s *Store) Hasten(ctx context.Context, lane mail.Lane, now time.Time) error {
	for {
		var n int64
		err := s.db.Write(ctx, account.System(), func(tx *sqldb.Tx) (err error) {
			if n, err = tx.Exec(hastenSQL, string(lane), sqldb.Micros(now), changeChunk); err != nil {
				return err
			}
			if err := tx.Post(hastenLeasedSQL, string(lane)); err != nil {
				return err
			}
			return tx.Post(openLaneSQL, string(lane), max(1, sqldb.Micros(now)))
		})
		if err != nil || n < changeChunk {
			return storageError(err)
		}
	}
}

// Down implements queue.Lanes.
func (s *Store) Down(ctx context.Context, now time.Time, limit int) ([]queue.LaneState, error) {
	return s.laneStates(ctx, downSQL, now, limit)
}

// Waiting implements queue.Lanes.
func (s *Store) Waiting(ctx context.Context, scope account.Scope, lane mail.Lane, domain string) (mail.Waiting, error) {
	var out mail.Waiting
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		out = mail.Waiting{}
		if _, err := tx.Row([]any{&out.Recipients, &out.Since}, waitingSQL, string(lane), "@"+strings.ToLower(domain)); err != nil || out.Recipients == 0 {
			return err
		}
		var name mail.Lane
		_, err := tx.Row([]any{&name, &out.Next, &out.Failures, &out.Reason, &out.Host}, laneSQL, string(lane))
		return err
	})
	return out, storageError(err)
}

// NextDue implements queue.Lanes.
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	var next time.Time
	err := s.db.Read(ctx, account.System(), func(tx *sqldb.Tx) error {
		next = time.Time{}
		var leased time.Time
		found, err := tx.Row([]any{&leased}, firstLeasedSQL)
		if err != nil {
			return err
		}
		if found {
			next = leased
		}
		if s.leases == nil {
			return nextDuePG(tx, &next)
		}
		return s.nextLane(tx, &next)
	})
	return next, storageError(err)
}

// nextLane finds the earliest lane; one that is held counts from the end of its lease.
func (s *Store) nextLane(tx *sqldb.Tx, next *time.Time) error {
	rows, err := tx.Query(lanesDueSQL, int64(math.MaxInt64), 1+s.leases.count())
	if err != nil {
		return err
	}
	for rows.Next() {
		var state queue.LaneState
		if rows.Scan(laneFields(&state)...) != nil {
			break // Close gives the error
		}
		at, held := s.leases.until(state.Lane)
		if !held || state.Next.After(at) {
			at = state.Next
		}
		if next.IsZero() || at.Before(*next) {
			*next = at
		}
		if !held {
			break
		}
	}
	return rows.Close()
}
