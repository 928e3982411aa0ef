package queue

import (
	"bytes"
	"context"
	"io"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/service/queue"
	"postroad/internal/store/sqldb"
)

const (
	dueSQL sqldb.Stmt = `SELECT ` + recipientColumns + ` FROM recipient
		WHERE lane = $1 AND (state = 'waiting' OR state = 'deferred') AND next_attempt <= $2
		AND (next_attempt, message_id, n) > ($3, $4, $5) AND @scope(account_id)
		ORDER BY next_attempt, message_id, n LIMIT $6`

	agedSQL sqldb.Stmt = `SELECT ` + recipientColumns + ` FROM recipient
		WHERE lane = $1 AND (state = 'waiting' OR state = 'deferred') AND check_age <= $2 AND @scope(account_id)
		ORDER BY check_age LIMIT $3`

	messagesSQL sqldb.Stmt = `SELECT ` + messageColumns + ` FROM message WHERE @in(id, $1)
		AND (@scope(account_id) OR EXISTS (SELECT 1 FROM recipient WHERE message_id = id AND @scope(recipient.account_id)))`

	contentsSQL sqldb.Stmt = `SELECT ` + messageColumns + `, content FROM message WHERE @in(id, $1)
		AND (@scope(account_id) OR EXISTS (SELECT 1 FROM recipient WHERE message_id = id AND @scope(recipient.account_id)))`

	firstLeasedSQL sqldb.Stmt = `SELECT next_attempt FROM recipient WHERE state = 'leased' ORDER BY next_attempt LIMIT 1`

	unleaseSQL sqldb.Stmt = `UPDATE recipient SET state = 'waiting', next_attempt = CASE WHEN next_attempt > $3 THEN $3 ELSE next_attempt END
		WHERE (message_id, n) IN
		(SELECT message_id, n FROM recipient WHERE state = 'leased' AND next_attempt <= $1 ORDER BY next_attempt LIMIT $2)
		RETURNING lane, next_attempt`
)

// unleaseChunk is how many rows lose their lease in one transaction.
const unleaseChunk = 10000

// Due implements queue.Spool.
func (s *Store) Due(
	ctx context.Context, scope account.Scope, lane mail.Lane, now time.Time, after queue.Cursor, limit int,
) ([]mail.Delivery, queue.Cursor, error) {
	if after == (queue.Cursor{}) {
		after.Row.N = -1
		if err := s.unlease(ctx, now); err != nil {
			return nil, queue.Cursor{}, err
		}
	}
	var out []mail.Delivery
	var last queue.Cursor
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		rows, bad, err := recipients(tx, dueSQL, string(lane), sqldb.Micros(now),
			sqldb.Micros(after.Next), string(after.Row.ID), after.Row.N, limit)
		if err != nil {
			return err
		}
		last = after
		if len(rows) > 0 {
			end := &rows[len(rows)-1]
			last = queue.Cursor{Next: end.Next, Row: end.Row}
		}
		out, err = s.deliveries(tx, rows, bad, true)
		return err
	})
	if last.Row.N < 0 {
		last = queue.Cursor{}
	}
	return out, last, storageError(err)
}

// Aged implements queue.Spool. Rows that are born leased are young and not given.
func (s *Store) Aged(ctx context.Context, scope account.Scope, lane mail.Lane, age int64, limit int) ([]mail.Delivery, error) {
	var out []mail.Delivery
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		rows, _, err := recipients(tx, agedSQL, string(lane), age, limit)
		if err != nil {
			return err
		}
		out, err = s.deliveries(tx, rows, nil, false)
		return err
	})
	return out, storageError(err)
}

// Body implements queue.Spool.
func (s *Store) Body(ctx context.Context, scope account.Scope, id mail.ID) (mail.Content, error) {
	var content mail.Content
	err := s.db.Read(ctx, scope, func(tx *sqldb.Tx) error {
		found, err := s.messages(tx, []string{string(id)}, true)
		if err != nil {
			return err
		}
		m, ok := found[id]
		if !ok {
			return queue.ErrNoMessage
		}
		content = m.Content
		return nil
	})
	if err != nil {
		return mail.Content{}, storageError(err)
	}
	if content.Inline == nil && content.Blob == "" {
		return mail.Content{}, queue.ErrCorrupt
	}
	return content, nil
}

// damaged are messages of which a row's head is not as it was written.
type damaged map[mail.ID]bool

func recipients(tx *sqldb.Tx, stmt sqldb.Stmt, args ...any) ([]mail.Recipient, damaged, error) {
	rows, err := tx.Query(stmt, args...)
	if err != nil {
		return nil, nil, err
	}
	var list []mail.Recipient
	var bad damaged
	for rows.Next() {
		r, sound, err := scanRecipient(rows)
		if err != nil {
			break // Close gives it
		}
		if !sound {
			if bad == nil {
				bad = damaged{}
			}
			bad[r.ID] = true
		}
		list = append(list, r)
	}
	return list, bad, rows.Close()
}

// deliveries groups rows by message, in the order in which messages come first. The content of one that is damaged cannot
// be read.
func (s *Store) deliveries(tx *sqldb.Tx, rows []mail.Recipient, bad damaged, contents bool) ([]mail.Delivery, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	at := make(map[mail.ID]int, len(rows))
	var ids []string
	var out []mail.Delivery
	for i := range rows {
		k, known := at[rows[i].ID]
		if !known {
			k = len(out)
			at[rows[i].ID] = k
			ids = append(ids, string(rows[i].ID))
			out = append(out, mail.Delivery{})
		}
		out[k].Recipients = append(out[k].Recipients, rows[i])
	}
	found, err := s.messages(tx, ids, contents)
	if err != nil {
		return nil, err
	}
	kept := out[:0]
	for i := range out {
		if m, ok := found[out[i].Recipients[0].ID]; ok {
			if contents && bad[m.Message.ID] {
				m.Content = corrupt()
			}
			kept = append(kept, mail.Delivery{Message: m.Message, Recipients: out[i].Recipients, Content: m.Content})
		}
	}
	return kept, nil
}

// messages reads messages by id, with or without their contents.
func (s *Store) messages(tx *sqldb.Tx, ids []string, contents bool) (map[mail.ID]mail.Stored, error) {
	stmt := messagesSQL
	if contents {
		stmt = contentsSQL
	}
	rows, err := tx.Query(stmt, ids)
	if err != nil {
		return nil, err
	}
	found := make(map[mail.ID]mail.Stored, len(ids))
	for rows.Next() {
		var inline []byte
		place := &inline
		if !contents {
			place = nil
		}
		m, blob, err := scanMessage(rows, place)
		if err != nil {
			if closeErr := rows.Close(); closeErr != nil {
				return nil, closeErr
			}
			return nil, err
		}
		stored := mail.Stored{Message: m}
		if contents {
			stored.Content = s.content(m, blob, inline)
		}
		found[m.ID] = stored
	}
	return found, rows.Close()
}

// content checks what lies in the row, and hands out a checking reader of what lies in a blob.
func (s *Store) content(m *mail.Message, blob string, inline []byte) mail.Content {
	if blob != "" {
		return mail.Content{Blob: blob, Open: func() (io.ReadCloser, error) {
			f, err := s.blobs.Open(blob, m.Size, m.Hash)
			return &body{f}, storageError(err)
		}}
	}
	if int64(len(inline)) != m.Size || sqldb.Sum(inline) != m.Hash {
		return corrupt()
	}
	if inline == nil {
		inline = []byte{}
	}
	return mail.Content{Inline: inline, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(inline)), nil }}
}

// corrupt is the content of a message that is not as it was written.
func corrupt() mail.Content {
	return mail.Content{Open: func() (io.ReadCloser, error) { return nil, queue.ErrCorrupt }}
}

// body names a blob's errors as service/queue knows them.
type body struct{ io.ReadCloser }

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // io.EOF comes bare
		err = storageError(err)
	}
	return n, err
}

// unlease makes rows that were born leased, and whose grace is over, wait like all others.
func (s *Store) unlease(ctx context.Context, now time.Time) error {
	var first time.Time
	found := false
	err := s.db.Read(ctx, account.System(), func(tx *sqldb.Tx) (err error) {
		found, err = tx.Row([]any{&first}, firstLeasedSQL)
		return err
	})
	if err != nil || !found || first.After(now) {
		return storageError(err)
	}
	return s.unleaseUntil(ctx, sqldb.Micros(now), now)
}

// unleaseUntil does so with rows whose grace ends by a time in microseconds, and makes those due that are not yet.
func (s *Store) unleaseUntil(ctx context.Context, micros int64, now time.Time) error {
	for {
		n := 0
		err := s.db.Write(ctx, account.System(), func(tx *sqldb.Tx) error {
			n = 0
			lanes := schedule{}
			rows, err := tx.Query(unleaseSQL, micros, unleaseChunk, sqldb.Micros(now))
			if err != nil {
				return err
			}
			for rows.Next() {
				var lane mail.Lane
				var next time.Time
				if rows.Scan(&lane, &next) != nil {
					break // Close gives the error
				}
				lanes.add(lane, mail.StateWaiting, next)
				n++
			}
			if err := rows.Close(); err != nil {
				return err
			}
			return lanes.write(tx)
		})
		if err != nil || n < unleaseChunk {
			return storageError(err)
		}
	}
}
