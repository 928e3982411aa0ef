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

	updateRecipientSQL sqldb.Stmt = `UPDATE recipient SET state = $3, attempts = $4, next_attempt = $5, check_age = $6, noticed = $7,
		last_reply = $8, last_host = $9 WHERE message_id = $1 AND n = $2 AND @scope(account_id) RETURNING lane`

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
	for _, c := range changes {
		for i := range c.Rows {
			row := &c.Rows[i]
			if row.State == mail.StateDone || row.State == mail.StateFailed {
				if err := tx.Post(deleteRecipientSQL, string(row.Row.ID), int64(row.Row.N)); err != nil {
					return nil, err
				}
				if len(ended) == 0 || ended[len(ended)-1] != string(row.Row.ID) {
					ended = append(ended, string(row.Row.ID))
				}
				continue
			}
			if err := update(tx, row, &lanes); err != nil {
				return nil, err
			}
		}
		if c.Report != nil {
			if err := insert(tx, c.Report, &lanes); err != nil {
				return nil, err
			}
		}
	}
	if err := lanes.write(tx); err != nil {
		return nil, err
	}
	return deleteMessages(tx, ended)
}

func update(tx *sqldb.Tx, row *queue.RowChange, lanes *schedule) error {
	var lane mail.Lane
	found, err := tx.Row([]any{&lane}, updateRecipientSQL, string(row.Row.ID), int64(row.Row.N), string(row.State), int64(row.Attempts),
		sqldb.Micros(row.Next), row.CheckAge, row.Noticed, row.LastReply, row.LastHost)
	if found {
		lanes.add(lane, row.State, row.Next)
	}
	return err
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
