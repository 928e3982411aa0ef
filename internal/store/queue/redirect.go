package queue

import (
	"context"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
	"postroad/internal/store/sqldb"
)

const (
	// A row that is elsewhere by now, kept or gone stays as it is.
	redirectSQL sqldb.Stmt = `UPDATE recipient SET lane = $4, destination = $5, mailbox = $6, account_id = $7, copy = $8, notify = $9,
		orcpt = $10, next_attempt = $11, state = CASE WHEN state = 'leased' THEN 'waiting' ELSE state END
		WHERE message_id = $1 AND n = $2 AND lane = $3 AND (state = 'waiting' OR state = 'leased' OR state = 'deferred') AND @scope(account_id)`

	setAsideSQL sqldb.Stmt = `UPDATE recipient SET state = 'quarantined', last_reply = $3, last_host = $4 WHERE message_id = $1 AND n = $2 AND @scope(account_id)`

	haltSQL sqldb.Stmt = `UPDATE recipient SET state = 'held', last_reply = $4, last_host = ''
		WHERE message_id = $1 AND n = $2 AND lane = $3 AND (state = 'waiting' OR state = 'leased' OR state = 'deferred') AND @scope(account_id)`

	// The next check is the end where a notice is not due any more, or was never to be.
	keepSQL sqldb.Stmt = `UPDATE recipient SET expire_age = born_age + $3,
		check_age = CASE WHEN noticed OR check_age >= expire_age OR check_age > born_age + $3 THEN born_age + $3 ELSE check_age END
		WHERE message_id = $1 AND n = $2 AND born_age >= 0 AND @scope(account_id)`

	// Numbers are never used twice in a message: an outcome of the row that had one may still be on its way.
	numberRowsSQL sqldb.Stmt = `UPDATE message SET recipients = recipients + $2 WHERE id = $1 AND @scope(account_id) RETURNING recipients`
)

// Redirect implements queue.Spool.
func (s *Store) Redirect(ctx context.Context, scope account.Scope, token queue.Token, list []queue.Redirection) error {
	for i := range list {
		for k := range list[i].To {
			if to := list[i].To[k].Account; !scope.IsSystem() && !scope.Has(to) {
				return storageError(outOfScope(to))
			}
		}
	}
	return storageError(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		if err := s.holds(tx, token); err != nil {
			return err
		}
		lanes := schedule{}
		for i := range list {
			if err := redirect(tx, &list[i], &lanes); err != nil {
				return err
			}
		}
		return lanes.write(tx)
	}))
}

// redirect gives one row its new way, or holds it.
func redirect(tx *sqldb.Tx, r *queue.Redirection, lanes *schedule) error {
	id, n := string(r.Row.ID), int64(r.Row.N)
	if len(r.To) == 0 {
		return tx.Post(haltSQL, id, n, string(r.From), r.Reply)
	}
	to := &r.To[0]
	rows, err := tx.Exec(redirectSQL, id, n, string(r.From), string(to.Lane), to.Destination, to.Mailbox, string(to.Account), to.Copy,
		int64(to.Notify), to.ORcpt, sqldb.Micros(to.Next))
	if err != nil || rows == 0 {
		return err
	}
	if to.State == mail.StateQuarantined {
		if err := tx.Post(setAsideSQL, id, n, to.LastReply, to.LastHost); err != nil {
			return err
		}
	} else {
		lanes.add(to.Lane, mail.StateWaiting, to.Next)
	}
	more := r.To[1:]
	if len(more) == 0 {
		return nil
	}
	var given int64
	if found, err := tx.Row([]any{&given}, numberRowsSQL, id, int64(len(more))); err != nil {
		return err
	} else if !found {
		return queue.ErrNoMessage
	}
	for i := range more {
		row := more[i]
		if row.State == mail.StateLeased {
			row.State = mail.StateWaiting
		}
		if err := insertRow(tx, r.Row.ID, given-int64(len(more)-i), &row); err != nil {
			return err
		}
		if row.State != mail.StateQuarantined {
			lanes.add(row.Lane, mail.StateWaiting, row.Next)
		}
	}
	return nil
}

// Keep implements queue.Inspect.
func (s *Store) Keep(ctx context.Context, scope account.Scope, domain string, hold time.Duration) error {
	c := change{
		store: s, filter: mail.Filter{Domain: domain}, seen: map[mail.Lane]bool{},
		states: []mail.State{mail.StateWaiting, mail.StateDeferred, mail.StateLeased},
	}
	for more := true; more; {
		err := s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
			rows, err := c.selected(tx)
			more = len(rows) > 0
			if err != nil || !more {
				return err
			}
			for i := range rows {
				if err := tx.Post(keepSQL, string(rows[i].ID), int64(rows[i].N), int64(hold/time.Second)); err != nil {
					return err
				}
			}
			c.after = rows[len(rows)-1].ID
			return nil
		})
		if err != nil {
			return storageError(err)
		}
	}
	return nil
}
