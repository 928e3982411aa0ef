package mail

import (
	"errors"
	"fmt"
	"strings"
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

	folderFields = `SELECT n, name, uidvalidity, uidnext, highest, messages, seen, deleted, octets, special_use,
		EXISTS (SELECT 1 FROM subscription WHERE subscription.mailbox_id = folder.mailbox_id AND subscription.name = folder.name)
		FROM folder WHERE mailbox_id = $1 AND `

	foldersSQL      sqldb.Stmt = folderFields + `@scope(account_id)`
	folderSQL       sqldb.Stmt = folderFields + `n = $2 AND @scope(account_id)`
	folderByNameSQL sqldb.Stmt = folderFields + `name = $2 AND @scope(account_id)`
	folderByUseSQL  sqldb.Stmt = folderFields + `special_use = $2 AND @scope(account_id)`

	createFolderSQL sqldb.Stmt = `INSERT INTO folder (mailbox_id, n, account_id, name, uidvalidity, uidnext, highest, messages, special_use)
		VALUES ($1, $2, $3, $4, $5, 1, 1, 0, $6)`

	changeFolderSQL sqldb.Stmt = `UPDATE folder SET highest = highest + 1, uidnext = uidnext + $3, messages = messages + $4,
		seen = seen + $5, deleted = deleted + $6, octets = octets + $7 WHERE mailbox_id = $1 AND n = $2 AND @scope(account_id)`

	subscribeSQL sqldb.Stmt = `INSERT INTO subscription (mailbox_id, name, account_id) VALUES ($1, $2, $3) ON CONFLICT (mailbox_id, name) DO NOTHING`

	keywordsSQL   sqldb.Stmt = `SELECT n, name FROM keyword WHERE mailbox_id = $1 AND @scope(account_id) ORDER BY n`
	putKeywordSQL sqldb.Stmt = `INSERT INTO keyword (mailbox_id, n, account_id, name) VALUES ($1, $2, $3, $4)`
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
func (h *held) make(name, use string) (mailbox.Folder, error) {
	h.folders++
	h.validity = max(h.validity+1, h.now.Unix())
	f := mailbox.Folder{
		Number: h.folders, Name: name, UIDValidity: uint32(h.validity), UIDNext: 1, HighestModSeq: 1, SpecialUse: use, //nolint:gosec // until the year 2106
	}
	return f, h.tx.Post(createFolderSQL, h.id, f.Number, h.owner, name, h.validity, use)
}

// folderRows reads what the folder statements select.
func folderRows(tx *sqldb.Tx, stmt sqldb.Stmt, args ...any) ([]mailbox.Folder, error) {
	rows, err := tx.Query(stmt, args...)
	if err != nil {
		return nil, err
	}
	var list []mailbox.Folder
	for rows.Next() {
		var f mailbox.Folder
		var seen int64
		if rows.Scan(&f.Number, &f.Name, &f.UIDValidity, &f.UIDNext, &f.HighestModSeq, &f.Messages, &seen, &f.Deleted, &f.Bytes, &f.SpecialUse, &f.Subscribed) != nil {
			break // Close gives the error
		}
		f.Unseen = f.Messages - seen
		list = append(list, f)
	}
	return list, rows.Close()
}

// one gives the folder that a statement finds; ErrNoFolder.
func one(tx *sqldb.Tx, stmt sqldb.Stmt, id string, arg any) (mailbox.Folder, error) {
	list, err := folderRows(tx, stmt, id, arg)
	if err == nil && len(list) == 0 {
		err = mailbox.ErrNoFolder
	}
	if err != nil {
		return mailbox.Folder{}, err
	}
	return list[0], nil
}

// exists tells whether a statement finds a folder.
func exists(tx *sqldb.Tx, stmt sqldb.Stmt, id, arg string) (bool, error) {
	list, err := folderRows(tx, stmt, id, arg)
	return len(list) > 0, err
}

// used finds the folder of a special use, or makes it.
func (h *held) used(use string) (mailbox.Folder, error) {
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

// keywords reads a mailbox's keywords by their numbers.
func keywords(tx *sqldb.Tx, id string) ([]string, error) {
	rows, err := tx.Query(keywordsSQL, id)
	if err != nil {
		return nil, err
	}
	var names []string
	for rows.Next() {
		var n int
		var name string
		if rows.Scan(&n, &name) != nil {
			break // Close gives the error
		}
		for n >= len(names) && n < mailbox.MaxKeywords {
			names = append(names, "")
		}
		if n < len(names) {
			names[n] = name
		}
	}
	return names, rows.Close()
}

// wanted is flags as a client names them, checked.
type wanted struct {
	system   mailbox.Flags
	keywords []string
}

// want reads names of flags; ErrFlag.
func want(names []string) (w wanted, err error) {
	for _, name := range names {
		if flag, ok := mailbox.SystemFlag(name); ok {
			w.system |= flag
			continue
		}
		if err := mailbox.CheckKeyword(name); err != nil {
			return w, err
		}
		if mailbox.FindKeyword(w.keywords, name) < 0 {
			w.keywords = append(w.keywords, name)
		}
	}
	return w, nil
}

// flags gives wanted flags as a set. Keywords that the mailbox does not know get a number when add is set, and are left
// out else; ErrLimit when there is none left.
func (h *held) flags(w wanted, add bool) (mailbox.Flags, error) {
	flags := w.system
	if len(w.keywords) == 0 {
		return flags, nil
	}
	known, err := keywords(h.tx, h.id)
	if err != nil {
		return 0, err
	}
	for _, name := range w.keywords {
		n := mailbox.FindKeyword(known, name)
		if n < 0 && !add {
			continue
		}
		if n < 0 {
			if len(known) == mailbox.MaxKeywords {
				return 0, fmt.Errorf("%w: %d keywords are in use: %s", mailbox.ErrLimit, len(known), strings.Join(known, " "))
			}
			n = len(known)
			known = append(known, name)
			if err := h.tx.Post(putKeywordSQL, h.id, n, h.owner, name); err != nil {
				return 0, err
			}
		}
		flags |= mailbox.Keyword(n)
	}
	return flags, nil
}

// full names the error of a full disk as core/mailbox does.
func full(err error) error {
	if errors.Is(err, sqldb.ErrFull) {
		return fmt.Errorf("%w: %w", mailbox.ErrFull, err)
	}
	return err
}
