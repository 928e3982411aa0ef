package mail

import (
	"errors"
	"fmt"
	"time"

	"postroad/internal/core/mailbox"
	"postroad/internal/store/sqldb"
)

const (
	heldFields = `SELECT account_id, quota, bytes, folders, uidvalidity FROM mailbox WHERE id = $1 AND @scope(account_id)`

	heldSQL sqldb.Stmt = heldFields

	// Several nodes may change one mailbox: its row is locked until the end of the transaction.
	heldPG sqldb.Stmt = heldFields + ` FOR UPDATE`

	changeMailboxSQL sqldb.Stmt = `UPDATE mailbox SET version = version + 1, bytes = bytes + $2, messages = messages + $3, folders = $4, uidvalidity = $5
		WHERE id = $1 AND @scope(account_id)`

	folderFields = `SELECT n, name, uidvalidity, uidnext, highest, messages, seen, deleted, octets, special_use, forgotten, read_to, read_below, gone,
		EXISTS (SELECT 1 FROM subscription WHERE subscription.mailbox_id = folder.mailbox_id AND subscription.name = folder.name)
		FROM folder WHERE mailbox_id = $1 AND `

	foldersSQL      sqldb.Stmt = folderFields + `@scope(account_id)`
	folderSQL       sqldb.Stmt = folderFields + `n = $2 AND @scope(account_id)`
	folderByNameSQL sqldb.Stmt = folderFields + `name = $2 AND @scope(account_id)`
	folderByUseSQL  sqldb.Stmt = folderFields + `special_use = $2 AND @scope(account_id)`

	createFolderSQL sqldb.Stmt = `INSERT INTO folder (mailbox_id, n, account_id, name, uidvalidity, uidnext, highest, messages, special_use)
		VALUES ($1, $2, $3, $4, $5, 1, 1, 0, $6)`

	changeFolderSQL sqldb.Stmt = `UPDATE folder SET highest = highest + 1, uidnext = uidnext + $3, messages = messages + $4,
		seen = seen + $5, deleted = deleted + $6, octets = octets + $7, read_below = read_below + $8, gone = gone + $9 WHERE mailbox_id = $1 AND n = $2 AND @scope(account_id)`

	subscribeSQL sqldb.Stmt = `INSERT INTO subscription (mailbox_id, name, account_id) VALUES ($1, $2, $3) ON CONFLICT (mailbox_id, name) DO NOTHING`
)

// held is a mailbox that a transaction changes: nobody else changes it meanwhile.
type held struct {
	tx       *sqldb.Tx
	id       string
	owner    string
	quota    int64
	bytes    int64
	folders  int64 // the highest number given to a folder
	validity int64 // the highest UIDVALIDITY given to a folder
	now      time.Time

	moreBytes, moreMessages int64 // what the transaction adds
}

// either is the statement for the engine.
func either(tx *sqldb.Tx, lite, pg sqldb.Stmt) sqldb.Stmt {
	if tx.Engine() == sqldb.Postgres {
		return pg
	}
	return lite
}

// hold takes a mailbox for a change; missing is the error when there is none.
func (s *Store) hold(tx *sqldb.Tx, id string, missing error) (*held, error) {
	h := &held{tx: tx, id: id, now: s.now()}
	found, err := tx.Row([]any{&h.owner, &h.quota, &h.bytes, &h.folders, &h.validity}, either(tx, heldSQL, heldPG), id)
	if err == nil && !found {
		err = missing
	}
	return h, err
}

// grow is what a change adds to the mailbox; ErrQuota when it would be too much.
func (h *held) grow(bytes, messages int64) error {
	if h.moreBytes += bytes; bytes > 0 && h.quota > 0 && h.bytes+h.moreBytes > h.quota {
		return mailbox.ErrQuota
	}
	h.moreMessages += messages
	return nil
}

// done writes the mailbox's own row; it is the end of every change.
func (h *held) done() error {
	return h.tx.Post(changeMailboxSQL, h.id, h.moreBytes, h.moreMessages, h.folders, h.validity)
}

// make makes a folder. Its UIDVALIDITY is the time, as long as folders are not made faster than one a second.
func (h *held) make(name, use string) (folderRow, error) {
	h.folders++
	h.validity = max(h.validity+1, h.now.Unix())
	f := folderRow{Folder: mailbox.Folder{
		Number: h.folders, Name: name, UIDValidity: uint32(h.validity), UIDNext: 1, HighestModSeq: 1, SpecialUse: use, //nolint:gosec // until the year 2106
	}}
	return f, h.tx.Post(createFolderSQL, h.id, f.Number, h.owner, name, h.validity, use)
}

// folderRow is a folder as it is stored.
type folderRow struct {
	mailbox.Folder
	readTo    uint32 // every message with a UID below it has \Seen
	readBelow int64  // how many these are
	gone      int64  // removed messages that are remembered
}

// folderRows reads what the folder statements select.
func folderRows(tx *sqldb.Tx, stmt sqldb.Stmt, args ...any) ([]folderRow, error) {
	rows, err := tx.Query(stmt, args...)
	if err != nil {
		return nil, err
	}
	var list []folderRow
	for rows.Next() {
		var f folderRow
		var seen int64
		if rows.Scan(&f.Number, &f.Name, &f.UIDValidity, &f.UIDNext, &f.HighestModSeq, &f.Messages, &seen, &f.Deleted, &f.Bytes, &f.SpecialUse,
			&f.Forgotten, &f.readTo, &f.readBelow, &f.gone, &f.Subscribed) != nil {
			break // Close gives the error
		}
		f.Unseen = f.Messages - seen
		list = append(list, f)
	}
	return list, rows.Close()
}

// one gives the folder that a statement finds; ErrNoFolder.
func one(tx *sqldb.Tx, stmt sqldb.Stmt, id string, arg any) (folderRow, error) {
	list, err := folderRows(tx, stmt, id, arg)
	if err == nil && len(list) == 0 {
		err = mailbox.ErrNoFolder
	}
	if err != nil {
		return folderRow{}, err
	}
	return list[0], nil
}

// exists tells whether a statement finds a folder.
func exists(tx *sqldb.Tx, stmt sqldb.Stmt, id, arg string) (bool, error) {
	list, err := folderRows(tx, stmt, id, arg)
	return len(list) > 0, err
}

// used finds the folder of a special use, or makes it.
func (h *held) used(use string) (folderRow, error) {
	f, err := one(h.tx, folderByUseSQL, h.id, use)
	if !errors.Is(err, mailbox.ErrNoFolder) {
		return f, err
	}
	name := mailbox.NameOf(use)
	if f, err = one(h.tx, folderByNameSQL, h.id, name); !errors.Is(err, mailbox.ErrNoFolder) {
		return f, err
	}
	if f, err = h.make(name, use); err != nil {
		return f, err
	}
	return f, h.tx.Post(subscribeSQL, h.id, name, h.owner)
}

// full names the error of a full disk as core/mailbox does.
func full(err error) error {
	if errors.Is(err, sqldb.ErrFull) {
		return fmt.Errorf("%w: %w", mailbox.ErrFull, err)
	}
	return err
}
