package queue

import (
	"context"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
	"postroad/internal/store/sqldb"
)

const (
	deleteRecipientSQL sqldb.Stmt = `DELETE FROM recipient WHERE message_id = $1 AND n = $2 AND @scope(account_id)`

	// What is left without rows goes, whoever owned the last one.
	deleteMessagesSQL sqldb.Stmt = `DELETE FROM message WHERE @in(id, $1)
		AND NOT EXISTS (SELECT 1 FROM recipient WHERE message_id = id) RETURNING blob`

	// A row that a person has held meanwhile is not given up.
	failRecipientSQL sqldb.Stmt = `DELETE FROM recipient WHERE message_id = $1 AND n = $2
		AND (state = 'waiting' OR state = 'leased' OR state = 'deferred') AND @scope(account_id)`

	// An attempt is recorded once: the number of attempts tells whether it was.
	updateRecipientSQL sqldb.Stmt = `UPDATE recipient SET state = $3, attempts = $4, next_attempt = $5, check_age = $6, noticed = $7,
		last_reply = $8, last_host = $9 WHERE message_id = $1 AND n = $2
		AND (state = 'waiting' OR state = 'leased' OR state = 'deferred') AND attempts < $4 AND @scope(account_id) RETURNING lane`

	// What was heard of a row that is kept meanwhile is noted, and the row stays.
	noteRecipientSQL sqldb.Stmt = `UPDATE recipient SET attempts = $3, last_reply = $4, last_host = $5 WHERE message_id = $1 AND n = $2
		AND (state = 'held' OR state = 'quarantined' OR state = 'dead') AND attempts < $3 AND @scope(account_id)`

	knownMessageSQL sqldb.Stmt = `SELECT 1 FROM message WHERE id = $1 AND @scope(account_id)`

	heldByPG sqldb.Stmt = `SELECT 1 FROM lane WHERE name = $1 AND token = $2 AND holder <> '' FOR UPDATE`
)

// Settle implements queue.Spool. It returns when the changes are durable; content files go after that.
func (s *Store) Settle(ctx context.Context, scope account.Scope, token queue.Token, changes []queue.Settlement) error {
	if err := checkReports(scope, changes); err != nil {
		return storageError(err)
	}
	var blobs []string
	err := s.db.Write(ctx, scope, func(tx *sqldb.Tx) (err error) {
		blobs, err = s.settle(tx, token, changes)
		return err
	})
	if err != nil {
		return storageError(err)
	}
	_ = s.blobs.Remove(blobs...) // what was recorded stands; a file that could not be removed is swept
	return nil
}

func checkReports(scope account.Scope, changes []queue.Settlement) error {
	for _, c := range changes {
		if c.Report == nil {
			continue
		}
		if err := mustOwn(scope, c.Report); err != nil {
			return err
		}
	}
	return nil
}

// settle applies changes and gives the content files that nobody owns any more.
func (s *Store) settle(tx *sqldb.Tx, token queue.Token, changes []queue.Settlement) ([]string, error) {
	if err := s.holds(tx, token); err != nil {
		return nil, err
	}
	var ended []string
	lanes := schedule{}
	for i := range changes {
		c := &changes[i]
		acted := false
		for k := range c.Rows {
			row := &c.Rows[k]
			did, gone, err := settleRow(tx, row, c.Report != nil, &lanes)
			if err != nil {
				return nil, err
			}
			acted = acted || did
			if id := string(row.Row.ID); gone && (len(ended) == 0 || ended[len(ended)-1] != id) {
				ended = append(ended, id)
			}
		}
		c.Void = !acted
		if c.Report == nil || !acted {
			continue
		}
		if err := insertReport(tx, c, &lanes); err != nil {
			return nil, err
		}
	}
	if err := lanes.write(tx); err != nil {
		return nil, err
	}
	return deleteMessages(tx, ended)
}

// settleRow gives a row its new state where it is in one that an attempt may change. acted tells that it did, gone
// that the row may have left; ask tells that somebody wants to know the first of a row that is done.
func settleRow(tx *sqldb.Tx, row *queue.RowChange, ask bool, lanes *schedule) (acted, gone bool, err error) {
	id, n := string(row.Row.ID), int64(row.Row.N)
	switch {
	case row.State == mail.StateDone && !ask:
		return true, true, tx.Post(deleteRecipientSQL, id, n)
	case row.State == mail.StateDone:
		rows, err := tx.Exec(deleteRecipientSQL, id, n)
		return rows > 0, rows > 0, err
	case row.State == mail.StateFailed:
		rows, err := tx.Exec(failRecipientSQL, id, n)
		if err != nil || rows > 0 {
			return rows > 0, rows > 0, err
		}
	default:
		var lane mail.Lane
		found, err := tx.Row([]any{&lane}, updateRecipientSQL, id, n, string(row.State), int64(row.Attempts),
			sqldb.Micros(row.Next), row.CheckAge, row.Noticed, row.LastReply, row.LastHost)
		if err != nil {
			return false, false, err
		}
		if found {
			lanes.add(lane, row.State, row.Next)
			return true, false, nil
		}
	}
	return false, false, tx.Post(noteRecipientSQL, id, n, int64(row.Attempts), row.LastReply, row.LastHost)
}

// insertReport stores a settlement's report unless it is there already.
func insertReport(tx *sqldb.Tx, c *queue.Settlement, lanes *schedule) error {
	var one int
	known, err := tx.Row([]any{&one}, knownMessageSQL, string(c.Report.Message.ID))
	if c.Void = known; err != nil || known {
		return err
	}
	return insert(tx, c.Report, lanes)
}

// deleteMessages removes those messages that have no row left and gives their content files.
func deleteMessages(tx *sqldb.Tx, ids []string) (blobs []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	err = tx.System(func() error {
		rows, err := tx.Query(deleteMessagesSQL, ids)
		if err != nil {
			return err
		}
		for rows.Next() {
			var blob string
			if rows.Scan(&blob) != nil {
				break // Close gives the error
			}
			if blob != "" {
				blobs = append(blobs, blob)
			}
		}
		return rows.Close()
	})
	return blobs, err
}

// holds checks a token within the transaction.
func (s *Store) holds(tx *sqldb.Tx, token queue.Token) error {
	if token == (queue.Token{}) {
		return nil
	}
	if s.leases != nil {
		if !s.leases.holds(token) {
			return queue.ErrStaleLease
		}
		return nil
	}
	var one int
	found, err := tx.Row([]any{&one}, heldByPG, string(token.Lane), token.Value)
	if err == nil && !found {
		return queue.ErrStaleLease
	}
	return err
}
