package queue

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
	"postroad/internal/store/sqldb"
)

// pgNow is the database's clock in microseconds.
const pgNow = `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

const (
	releaseAllPG sqldb.Stmt = `UPDATE lane SET holder = '', token = 0, expires = 0 WHERE holder <> ''`

	releaseNodePG sqldb.Stmt = `UPDATE lane SET holder = '', token = 0, expires = 0 WHERE holder = $1`

	// A lane whose holder let its lease run out is due, whatever it was scheduled for.
	leaseLanesPG sqldb.Stmt = `WITH due AS (SELECT name FROM lane
		WHERE expires <= ` + pgNow + ` AND (next_attempt BETWEEN 1 AND $1 OR holder <> '')
		ORDER BY next_attempt LIMIT $2 FOR UPDATE SKIP LOCKED)
		UPDATE lane SET holder = $3, token = nextval('lane_token'), expires = ` + pgNow + ` + $4
		FROM due WHERE lane.name = due.name
		RETURNING lane.name, next_attempt, failures, reason, host, token`

	claimLanePG sqldb.Stmt = `INSERT INTO lane (name, next_attempt, failures, reason, host, holder, token, expires)
		VALUES ($1, 0, 0, '', '', $2, nextval('lane_token'), ` + pgNow + ` + $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = excluded.token, expires = excluded.expires
		WHERE lane.expires <= ` + pgNow + `
		RETURNING name, next_attempt, failures, reason, host, token`

	renewLanePG sqldb.Stmt = `UPDATE lane SET expires = ` + pgNow + ` + $3 WHERE name = $1 AND token = $2 AND holder <> ''`

	nextLanePG sqldb.Stmt = `SELECT next_attempt FROM lane WHERE next_attempt > 0 AND holder = '' ORDER BY next_attempt LIMIT 1`

	nextExpiryPG sqldb.Stmt = `SELECT expires FROM lane WHERE holder <> '' ORDER BY expires LIMIT 1`
)

func (s *Store) openPG(ctx context.Context, node string, only bool) error {
	return storageError(s.db.Write(ctx, account.System(), func(tx *sqldb.Tx) error {
		if only {
			return tx.Post(releaseAllPG)
		}
		return tx.Post(releaseNodePG, node)
	}))
}

func (s *Store) leasePG(ctx context.Context, node string, now time.Time, limit int, ttl time.Duration) ([]queue.Held, error) {
	var held []queue.Held
	err := s.db.Write(ctx, account.System(), func(tx *sqldb.Tx) error {
		held = held[:0]
		rows, err := tx.Query(leaseLanesPG, sqldb.Micros(now), limit, node, ttl.Microseconds())
		if err != nil {
			return err
		}
		for rows.Next() {
			var h queue.Held
			if rows.Scan(append(laneFields(&h.State), &h.Token.Value)...) != nil {
				break // Close gives the error
			}
			h.Token.Lane = h.State.Lane
			held = append(held, h)
		}
		return rows.Close()
	})
	return held, storageError(err)
}

func (s *Store) claimPG(ctx context.Context, node string, lane mail.Lane, ttl time.Duration) (held queue.Held, ok bool, err error) {
	err = s.db.Write(ctx, account.System(), func(tx *sqldb.Tx) error {
		held = queue.Held{}
		var err error
		ok, err = tx.Row(append(laneFields(&held.State), &held.Token.Value), claimLanePG, string(lane), node, ttl.Microseconds())
		held.Token.Lane = held.State.Lane
		return err
	})
	if err != nil {
		return queue.Held{}, false, storageError(err)
	}
	ungate(&held.State, time.Now())
	return held, ok, nil
}

func (s *Store) renewPG(ctx context.Context, token queue.Token, ttl time.Duration) error {
	return storageError(s.db.Write(ctx, account.System(), func(tx *sqldb.Tx) error {
		n, err := tx.Exec(renewLanePG, string(token.Lane), token.Value, ttl.Microseconds())
		if err == nil && n == 0 {
			return queue.ErrStaleLease
		}
		return err
	}))
}

func nextDuePG(tx *sqldb.Tx, next *time.Time) error {
	for _, stmt := range []sqldb.Stmt{nextLanePG, nextExpiryPG} {
		var at time.Time
		found, err := tx.Row([]any{&at}, stmt)
		if err != nil {
			return err
		}
		if found && (next.IsZero() || at.Before(*next)) {
			*next = at
		}
	}
	return nil
}
