package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/proto/smtp"
	"postroad/internal/store/sqldb"
)

const (
	insertMessageSQL sqldb.Stmt = `INSERT INTO message (id, account_id, root, sender, envid, ret, body, utf8, size, hash,
		client_addr, client_helo, client_tls, login, received, recipients, blob, content)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`

	insertRecipientSQL sqldb.Stmt = `INSERT INTO recipient (message_id, n, account_id, original, destination, mailbox, notify, orcpt,
		state, attempts, next_attempt, lane, check_age, expire_age, noticed, last_reply, last_host, born_age, copy)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`

	// A row that has something of its own; all others are spared the parameters.
	insertHeadedSQL sqldb.Stmt = `INSERT INTO recipient (message_id, n, account_id, original, destination, mailbox, notify, orcpt,
		state, attempts, next_attempt, lane, check_age, expire_age, noticed, last_reply, last_host, born_age, copy, head, sender, rewritten, junk)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)`

	// A lane that backs off after a failure of its own keeps its time.
	scheduleLaneSQL sqldb.Stmt = `INSERT INTO lane (name, next_attempt, failures, reason, host, holder, token, expires)
		VALUES ($1, $2, 0, '', '', '', 0, 0)
		ON CONFLICT (name) DO UPDATE SET next_attempt = excluded.next_attempt
		WHERE lane.next_attempt = 0 OR (lane.failures = 0 AND excluded.next_attempt < lane.next_attempt)`
)

// Accept implements queue.Spool.
func (s *Store) Accept(ctx context.Context, scope account.Scope, messages []mail.Stored) error {
	for i := range messages {
		if len(messages[i].Rows) == 0 {
			return storageError(fmt.Errorf("message %s has no rows", messages[i].Message.ID))
		}
		if err := mustOwn(scope, &messages[i]); err != nil {
			return storageError(err)
		}
	}
	return storageError(s.db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		lanes := schedule{}
		for i := range messages {
			if err := insert(tx, &messages[i], &lanes); err != nil {
				return err
			}
		}
		return lanes.write(tx)
	}))
}

// insert writes a message and its rows.
func insert(tx *sqldb.Tx, m *mail.Stored, lanes *schedule) error {
	msg := m.Message
	var addr string
	if msg.Client.Addr.IsValid() {
		addr = msg.Client.Addr.String()
	}
	content := m.Content.Inline
	if m.Content.Blob != "" {
		content = []byte{}
	}
	err := tx.Post(insertMessageSQL, string(msg.ID), string(msg.Account), string(msg.Root), msg.Sender, msg.EnvID, int64(msg.Ret), int64(msg.Body),
		msg.UTF8, msg.Size, int64(msg.Hash), addr, msg.Client.Helo, msg.Client.TLS, msg.Client.Login, //nolint:gosec // a hash is stored as the number with the same bits
		sqldb.Micros(msg.Received), int64(len(m.Rows)), m.Content.Blob, content)
	if err != nil {
		return err
	}
	for i := range m.Rows {
		r := &m.Rows[i]
		if err := insertRow(tx, msg.ID, int64(r.N), r); err != nil {
			return err
		}
		lanes.add(r.Lane, r.State, r.Next)
	}
	return nil
}

func insertRow(tx *sqldb.Tx, id mail.ID, n int64, r *mail.Recipient) error {
	args := append(make([]any, 0, 23), string(id), n, string(r.Account), r.Original, r.Destination, r.Mailbox,
		int64(r.Notify), r.ORcpt, string(r.State), int64(r.Attempts), sqldb.Micros(r.Next), string(r.Lane), r.CheckAge, r.ExpireAge,
		r.Noticed, r.LastReply, r.LastHost, r.BornAge, r.Copy)
	if len(r.Head) == 0 && !r.Rewritten && !r.Junk {
		return tx.Post(insertRecipientSQL, args...)
	}
	return tx.Post(insertHeadedSQL, append(args, guarded(r.Head), r.Sender, r.Rewritten, r.Junk)...)
}

// guarded puts a head's checksum before it; none is stored of an empty one.
func guarded(head []byte) []byte {
	if len(head) == 0 {
		return []byte{}
	}
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(head)), sqldb.Sum(head)), head...)
}

// unguard undoes guarded; false for octets that are not as they were written.
func unguard(stored []byte) (head []byte, ok bool) {
	if len(stored) == 0 {
		return nil, true
	}
	if len(stored) <= 8 || binary.BigEndian.Uint64(stored) != sqldb.Sum(stored[8:]) {
		return nil, false
	}
	return stored[8:], true
}

// schedule collects when lanes have something to do.
type schedule struct {
	lanes []mail.Lane
	next  map[mail.Lane]time.Time
}

// add notes a row; those that are in delivery or kept schedule nothing.
func (s *schedule) add(lane mail.Lane, state mail.State, next time.Time) {
	if state != mail.StateWaiting && state != mail.StateDeferred {
		return
	}
	if s.next == nil {
		s.next = map[mail.Lane]time.Time{}
	}
	old, known := s.next[lane]
	if !known {
		s.lanes = append(s.lanes, lane)
	}
	if !known || next.Before(old) {
		s.next[lane] = next
	}
}

func (s *schedule) write(tx *sqldb.Tx) error {
	for _, lane := range s.lanes {
		if err := tx.Post(scheduleLaneSQL, string(lane), max(1, sqldb.Micros(s.next[lane]))); err != nil {
			return err
		}
	}
	return nil
}

// The columns of a message and of a row, in the order in which they are read.
const (
	messageColumns = `id, account_id, root, sender, envid, ret, body, utf8, size, hash,
		client_addr, client_helo, client_tls, login, received, recipients, blob`
	recipientColumns = `message_id, n, account_id, original, destination, mailbox, notify, orcpt,
		state, attempts, next_attempt, lane, check_age, expire_age, noticed, last_reply, last_host, born_age, copy, head, sender, rewritten, junk`
)

// scanMessage reads messageColumns, and the content when there is a place for it.
func scanMessage(rows *sqldb.Rows, content *[]byte) (*mail.Message, string, error) {
	var m mail.Message
	var ret, body, hash int64
	var addr, blob string
	dest := []any{
		&m.ID, &m.Account, &m.Root, &m.Sender, &m.EnvID, &ret, &body, &m.UTF8, &m.Size, &hash,
		&addr, &m.Client.Helo, &m.Client.TLS, &m.Client.Login, &m.Received, &m.Rows, &blob,
	}
	if content != nil {
		dest = append(dest, content)
	}
	if err := rows.Scan(dest...); err != nil {
		return nil, "", err
	}
	m.Ret, m.Body, m.Hash = smtp.Ret(ret), smtp.BodyType(body), uint64(hash) //nolint:gosec // they were stored from these types
	if addr != "" {
		var err error
		if m.Client.Addr, err = netip.ParseAddr(addr); err != nil {
			return nil, "", errors.Join(sqldb.ErrCorrupt, err)
		}
	}
	return &m, blob, nil
}

// scanRecipient reads recipientColumns; sound is false where the head is not as it was written, and then left out.
func scanRecipient(rows *sqldb.Rows) (r mail.Recipient, sound bool, err error) {
	var notify int64
	var head []byte
	err = rows.Scan(&r.ID, &r.N, &r.Account, &r.Original, &r.Destination, &r.Mailbox, &notify, &r.ORcpt,
		&r.State, &r.Attempts, &r.Next, &r.Lane, &r.CheckAge, &r.ExpireAge, &r.Noticed, &r.LastReply, &r.LastHost, &r.BornAge, &r.Copy,
		&head, &r.Sender, &r.Rewritten, &r.Junk)
	r.Notify = smtp.Notify(notify) //nolint:gosec // it was stored from this type
	r.Head, sound = unguard(head)
	return r, sound, err
}
