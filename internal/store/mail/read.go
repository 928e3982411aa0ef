package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/mailstore"
	"postroad/internal/store/sqldb"
)

const messageColumns = `uid, modseq, flags, received, size, sender, subject, sent`

const (
	haveMailboxSQL sqldb.Stmt = `SELECT 1 FROM mailbox WHERE id = $1 AND @scope(account_id)`

	foldersSQL sqldb.Stmt = `SELECT name, uidvalidity, uidnext, highest, messages, special_use FROM folder
		WHERE mailbox_id = $1 AND @scope(account_id) ORDER BY n <> 1, name`

	folderSQL sqldb.Stmt = `SELECT n, highest FROM folder WHERE mailbox_id = $1 AND name = $2 AND @scope(account_id)`

	messagesSQL sqldb.Stmt = `SELECT ` + messageColumns + ` FROM message
		WHERE mailbox_id = $1 AND folder = $2 AND uid > $3 AND @scope(account_id) ORDER BY uid LIMIT $4`

	changedSQL sqldb.Stmt = `SELECT ` + messageColumns + ` FROM message
		WHERE mailbox_id = $1 AND folder = $2 AND modseq > $3 AND @scope(account_id) ORDER BY uid`

	expungedSQL sqldb.Stmt = `SELECT uid FROM expunged
		WHERE mailbox_id = $1 AND folder = $2 AND modseq > $3 AND @scope(account_id) ORDER BY uid`

	findBodySQL sqldb.Stmt = `SELECT size, hash, body, blob FROM message
		WHERE mailbox_id = $1 AND folder = $2 AND uid = $3 AND @scope(account_id)`

	bodySQL sqldb.Stmt = `SELECT prefix, content FROM body WHERE id = $1 AND @scope(account_id)`

	haveMessageSQL sqldb.Stmt = `SELECT 1 FROM message WHERE mailbox_id = $1 AND folder = $2 AND uid = $3 AND @scope(account_id)`

	changeFolderSQL sqldb.Stmt = `UPDATE folder SET highest = highest + 1, messages = messages - $3
		WHERE mailbox_id = $1 AND n = $2 AND @scope(account_id) RETURNING highest`

	setFlagsSQL sqldb.Stmt = `UPDATE message SET flags = $4, modseq = $5
		WHERE mailbox_id = $1 AND folder = $2 AND uid = $3 AND @scope(account_id)`

	victimsSQL sqldb.Stmt = `SELECT uid, size, body, blob, account_id FROM message
		WHERE mailbox_id = $1 AND folder = $2 AND @in(uid, $3) AND @scope(account_id) ORDER BY uid`

	insertExpungedSQL sqldb.Stmt = `INSERT INTO expunged (mailbox_id, folder, modseq, uid, account_id) VALUES ($1, $2, $3, $4, $5)`
)

// Folders implements mailstore.Reader.
func (s *Store) Folders(ctx context.Context, scope account.Scope, id string) ([]mailbox.Folder, error) {
	var list []mailbox.Folder
	err := s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) error {
		list = nil
		var one int
		if found, err := tx.Row([]any{&one}, haveMailboxSQL, id); err != nil || !found {
			return errors.Join(err, unless(found, mailstore.ErrNoMailbox))
		}
		rows, err := tx.Query(foldersSQL, id)
		if err != nil {
			return err
		}
		for rows.Next() {
			var f mailbox.Folder
			if rows.Scan(&f.Name, &f.UIDValidity, &f.UIDNext, &f.HighestModSeq, &f.Messages, &f.SpecialUse) != nil {
				break // Close gives the error
			}
			list = append(list, f)
		}
		return rows.Close()
	})
	return list, err
}

// unless gives an error when something is not so.
func unless(so bool, err error) error {
	if so {
		return nil
	}
	return err
}

// folder finds a folder's number and its highest MODSEQ.
func folder(tx *sqldb.Tx, id, name string) (n, highest int64, err error) {
	found, err := tx.Row([]any{&n, &highest}, folderSQL, id, name)
	if err == nil && !found {
		err = mailstore.ErrNoFolder
	}
	return n, highest, err
}

func messages(tx *sqldb.Tx, stmt sqldb.Stmt, args ...any) ([]mailbox.Message, error) {
	rows, err := tx.Query(stmt, args...)
	if err != nil {
		return nil, err
	}
	var list []mailbox.Message
	for rows.Next() {
		var m mailbox.Message
		var flags string
		if rows.Scan(&m.UID, &m.ModSeq, &flags, &m.At, &m.Size, &m.From, &m.Subject, &m.Date) != nil {
			break // Close gives the error
		}
		m.Flags = strings.Fields(flags)
		list = append(list, m)
	}
	return list, rows.Close()
}

// Messages implements mailstore.Reader.
func (s *Store) Messages(ctx context.Context, scope account.Scope, id, name string, after uint32, limit int) ([]mailbox.Message, error) {
	var list []mailbox.Message
	err := s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) error {
		n, _, err := folder(tx, id, name)
		if err != nil {
			return err
		}
		list, err = messages(tx, messagesSQL, id, n, after, limit)
		return err
	})
	return list, err
}

// Body implements mailstore.Reader.
func (s *Store) Body(ctx context.Context, scope account.Scope, id, name string, uid uint32) (io.ReadCloser, error) {
	var size, hash, number int64
	var blob string
	var prefix, inline []byte
	err := s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) error {
		n, _, err := folder(tx, id, name)
		if err != nil {
			return err
		}
		found, err := tx.Row([]any{&size, &hash, &number, &blob}, findBodySQL, id, n, uid)
		if err != nil || !found {
			return errors.Join(err, unless(found, mailstore.ErrNoMessage))
		}
		if found, err = tx.Row([]any{&prefix, &inline}, bodySQL, number); err == nil && !found {
			err = fmt.Errorf("%w: the body is gone", mailstore.ErrCorrupt)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	size -= int64(len(prefix))
	want := uint64(hash) ^ sum(prefix) //nolint:gosec // stored from this type
	if blob != "" {
		f, err := s.blobs.Open(blob, size, want)
		if err != nil {
			return nil, corrupt(err)
		}
		return &body{Reader: io.MultiReader(bytes.NewReader(prefix), f), file: f}, nil
	}
	if int64(len(inline)) != size || sqldb.Sum(inline) != want {
		return nil, mailstore.ErrCorrupt
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(prefix), bytes.NewReader(inline))), nil
}

func corrupt(err error) error {
	if errors.Is(err, sqldb.ErrCorrupt) {
		return fmt.Errorf("%w: %w", mailstore.ErrCorrupt, err)
	}
	return err
}

// body names a content file's errors as service/mailstore knows them.
type body struct {
	io.Reader // the prefix, then the file
	file      io.Closer
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // io.EOF comes bare
		err = corrupt(err)
	}
	return n, err
}

func (b *body) Close() error { return b.file.Close() }

// Flag implements mailstore.Reader.
func (s *Store) Flag(ctx context.Context, scope account.Scope, id, name string, uid uint32, flags []string) (int64, error) {
	for _, flag := range flags {
		if flag == "" || strings.ContainsAny(flag, " \t\r\n") {
			return 0, fmt.Errorf("%q is no flag", flag)
		}
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(flags)))
	var modseq int64
	err := s.of(id).Write(ctx, scope, func(tx *sqldb.Tx) error {
		n, _, err := folder(tx, id, name)
		if err != nil {
			return err
		}
		var one int
		if found, err := tx.Row([]any{&one}, haveMessageSQL, id, n, uid); err != nil || !found {
			return errors.Join(err, unless(found, mailstore.ErrNoMessage))
		}
		if _, err := tx.Row([]any{&modseq}, changeFolderSQL, id, n, 0); err != nil {
			return err
		}
		return tx.Post(setFlagsSQL, id, n, uid, strings.Join(sorted, " "), modseq)
	})
	return modseq, err
}

// Expunge implements mailstore.Reader. When none of the UIDs is there, nothing changes.
func (s *Store) Expunge(ctx context.Context, scope account.Scope, id, name string, uids []uint32) (int64, error) {
	var modseq int64
	var blobs []string
	err := s.of(id).Write(ctx, scope, func(tx *sqldb.Tx) error {
		blobs = nil
		n, highest, err := folder(tx, id, name)
		if err != nil {
			return err
		}
		modseq = highest
		list, err := victims(tx, id, n, uids)
		if err != nil || len(list) == 0 {
			return err
		}
		if _, err := tx.Row([]any{&modseq}, changeFolderSQL, id, n, len(list)); err != nil {
			return err
		}
		var bytes int64
		for i := range list {
			v := &list[i]
			bytes += v.size
			if v.blob != "" {
				blobs = append(blobs, v.blob)
			}
			if err := v.drop(tx, id); err != nil {
				return err
			}
			if err := tx.Post(insertExpungedSQL, id, n, modseq, v.uid, v.owner); err != nil {
				return err
			}
		}
		return tx.Post(growMailboxSQL, id, -bytes, -len(list))
	})
	if err != nil {
		return 0, err
	}
	return modseq, s.blobs.Remove(blobs...)
}

// victim is a message about to be expunged.
type victim struct {
	goner
	size  int64
	owner string
}

func victims(tx *sqldb.Tx, id string, n int64, uids []uint32) ([]victim, error) {
	numbers := make([]int64, len(uids))
	for i, uid := range uids {
		numbers[i] = int64(uid)
	}
	rows, err := tx.Query(victimsSQL, id, n, numbers)
	if err != nil {
		return nil, err
	}
	var list []victim
	for rows.Next() {
		v := victim{goner: goner{folder: n}}
		if rows.Scan(&v.uid, &v.size, &v.body, &v.blob, &v.owner) != nil {
			break // Close gives the error
		}
		list = append(list, v)
	}
	return list, rows.Close()
}

// Changes implements mailstore.Reader.
func (s *Store) Changes(ctx context.Context, scope account.Scope, id, name string, since int64) (changed []mailbox.Message, expunged []uint32, err error) {
	err = s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) error {
		changed, expunged = nil, nil
		n, _, err := folder(tx, id, name)
		if err != nil {
			return err
		}
		if changed, err = messages(tx, changedSQL, id, n, since); err != nil {
			return err
		}
		rows, err := tx.Query(expungedSQL, id, n, since)
		if err != nil {
			return err
		}
		for rows.Next() {
			var uid uint32
			if rows.Scan(&uid) != nil {
				break // Close gives the error
			}
			expunged = append(expunged, uid)
		}
		return rows.Close()
	})
	return changed, expunged, err
}
