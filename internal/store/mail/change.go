package mail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
	"postroad/internal/store/sqldb"
)

const (
	flagsOfSQL sqldb.Stmt = `SELECT uid, bits, modseq FROM message
		WHERE mailbox_id = $1 AND folder = $2 AND @in(uid, $3) AND @scope(account_id) ORDER BY uid`

	setBitsSQL sqldb.Stmt = `UPDATE message SET bits = (bits & $4) | $5, modseq = $6
		WHERE mailbox_id = $1 AND folder = $2 AND @in(uid, $3) AND @scope(account_id)`

	rowsSQL sqldb.Stmt = `SELECT uid, bits, size, body, blob FROM message
		WHERE mailbox_id = $1 AND folder = $2 AND @in(uid, $3) AND @scope(account_id) ORDER BY uid`

	moveSQL sqldb.Stmt = `UPDATE message SET folder = $4, uid = $5, modseq = $6
		WHERE mailbox_id = $1 AND folder = $2 AND uid = $3 AND @scope(account_id)`

	expungeSQL sqldb.Stmt = `INSERT INTO expunged (mailbox_id, folder, modseq, uid, account_id)
		SELECT mailbox_id, folder, $4, uid, account_id FROM message
		WHERE mailbox_id = $1 AND folder = $2 AND @in(uid, $3) AND @scope(account_id)`

	tooOldSQL    sqldb.Stmt = `SELECT modseq FROM expunged WHERE mailbox_id = $1 AND folder = $2 AND @scope(account_id) ORDER BY modseq DESC LIMIT 1 OFFSET $3`
	forgetSQL    sqldb.Stmt = `DELETE FROM expunged WHERE mailbox_id = $1 AND folder = $2 AND modseq <= $3 AND @scope(account_id)`
	forgottenSQL sqldb.Stmt = `UPDATE folder SET forgotten = $3, gone = gone - $4 WHERE mailbox_id = $1 AND n = $2 AND @scope(account_id)`

	unreadSQL sqldb.Stmt = `UPDATE folder SET read_to = 1, read_below = 0 WHERE mailbox_id = $1 AND n = $2 AND @scope(account_id)`

	dropMessagesSQL sqldb.Stmt = `DELETE FROM message WHERE mailbox_id = $1 AND folder = $2 AND @in(uid, $3) AND @scope(account_id)`
	dropBodiesSQL   sqldb.Stmt = `DELETE FROM body WHERE @in(id, $1) AND @scope(account_id)`
	dropNotesSQL    sqldb.Stmt = `DELETE FROM note WHERE @in(body, $1) AND @scope(account_id)`

	putNoteSQL sqldb.Stmt = `INSERT INTO note (body, account_id, content)
		SELECT body, account_id, $4 FROM message WHERE mailbox_id = $1 AND folder = $2 AND uid = $3 AND @scope(account_id)
		ON CONFLICT (body) DO UPDATE SET content = excluded.content`

	// A body's number is the next one of its table, and the message that it belongs to is inserted right after it.
	appendBodySQL sqldb.Stmt = `INSERT INTO body (account_id, prefix, content) VALUES ($1, NULL, $2)`
	appendBodyPG  sqldb.Stmt = `INSERT INTO body (id, account_id, prefix, content) VALUES (nextval('body_id'), $1, NULL, $2)`

	copyBodySQL sqldb.Stmt = `INSERT INTO body (account_id, prefix, content)
		SELECT account_id, prefix, content FROM body WHERE id = $1 AND @scope(account_id)`
	copyBodyPG sqldb.Stmt = `INSERT INTO body (id, account_id, prefix, content)
		SELECT nextval('body_id'), account_id, prefix, content FROM body WHERE id = $1 AND @scope(account_id)`

	appendFields = `INSERT INTO message (mailbox_id, folder, uid, account_id, modseq, flags, bits, received, size, hash, sender, subject, sent, blob, body)
		VALUES ($1, $2, $3, $4, $5, '', $6, $7, $8, $9, $10, $11, $12, $13, `
	appendMessageSQL sqldb.Stmt = appendFields + `(SELECT max(id) FROM body))`
	appendMessagePG  sqldb.Stmt = appendFields + `currval('body_id'))`

	copyFields = `INSERT INTO message (mailbox_id, folder, uid, account_id, modseq, flags, bits, received, size, hash, sender, subject, sent, blob, body)
		SELECT mailbox_id, $4, $5, account_id, $6, '', bits, received, size, hash, sender, subject, sent, $7, `
	copyFrom                  = ` FROM message WHERE mailbox_id = $1 AND folder = $2 AND uid = $3 AND @scope(account_id)`
	copyMessageSQL sqldb.Stmt = copyFields + `(SELECT max(id) FROM body)` + copyFrom
	copyMessagePG  sqldb.Stmt = copyFields + `currval('body_id')` + copyFrom
	blobsOfSQL     sqldb.Stmt = `SELECT uid, blob FROM message WHERE mailbox_id = $1 AND folder = $2 AND @in(uid, $3) AND blob <> '' AND @scope(account_id)`
)

// numbers gives UIDs as a list for a statement.
func numbers(uids []uint32) []int64 {
	list := make([]int64, len(uids))
	for i, uid := range uids {
		list[i] = int64(uid)
	}
	return list
}

// row is a message about to be moved, copied or removed.
type row struct {
	uid   uint32
	flags mailbox.Flags
	size  int64
	body  int64
	blob  string
}

func (h *held) rows(folder int64, uids []uint32) ([]row, error) {
	rows, err := h.tx.Query(rowsSQL, h.id, folder, numbers(uids))
	if err != nil {
		return nil, err
	}
	var list []row
	for rows.Next() {
		var r row
		if rows.Scan(&r.uid, &r.flags, &r.size, &r.body, &r.blob) != nil {
			break // Close gives the error
		}
		list = append(list, r)
	}
	return list, rows.Close()
}

// sums is what a folder holds more or less of, and remembers more of.
type sums struct{ next, messages, seen, deleted, bytes, below, gone int64 }

func (s *sums) add(flags mailbox.Flags, size, sign int64) {
	s.messages += sign
	s.bytes += sign * size
	if flags.Has(mailbox.Seen) {
		s.seen += sign
	}
	if flags.Has(mailbox.Deleted) {
		s.deleted += sign
	}
}

// leave is add for a message that is there no more, and is remembered as gone.
func (s *sums) leave(f folderRow, r row) {
	s.add(r.flags, r.size, -1)
	s.gone++
	if r.uid < f.readTo {
		s.below--
	}
}

// apply writes a change of a folder; it takes the folder's next MODSEQ.
func (h *held) apply(f folderRow, s sums) error {
	if err := h.tx.Post(changeFolderSQL, h.id, f.Number, s.next, s.messages, s.seen, s.deleted, s.bytes, s.below, s.gone); err != nil {
		return err
	}
	if s.gone == 0 || f.gone+s.gone <= mailbox.MaxGone+mailbox.MaxAtATime {
		return nil
	}
	var cut int64
	found, err := h.tx.Row([]any{&cut}, tooOldSQL, h.id, f.Number, mailbox.MaxGone)
	if err != nil || !found {
		return err
	}
	return h.forget(f.Number, cut)
}

// forget drops the memory of what was removed from a folder up to a MODSEQ.
func (h *held) forget(folder, modseq int64) error {
	n, err := h.tx.Exec(forgetSQL, h.id, folder, modseq)
	if err != nil {
		return err
	}
	return h.tx.Post(forgottenSQL, h.id, folder, modseq, n)
}

// SetFlags implements mailstore.Writer.
func (s *Store) SetFlags(ctx context.Context, scope account.Scope, id string, folder int64, change mailbox.FlagChange) (mailbox.FlagResult, error) {
	var result mailbox.FlagResult
	flags, err := want(change.Flags)
	if err != nil {
		return result, err
	}
	err = s.withKeywords(ctx, scope, id, func() error {
		return s.change(ctx, scope, id, mailbox.ErrNoFolder, func(h *held) (err error) {
			result, err = h.setFlags(folder, change, flags)
			return err
		})
	})
	return result, err
}

func (h *held) setFlags(folder int64, change mailbox.FlagChange, flags wanted) (mailbox.FlagResult, error) {
	f, err := one(h.tx, folderSQL, h.id, folder)
	result := mailbox.FlagResult{HighestModSeq: f.HighestModSeq}
	if err != nil {
		return result, err
	}
	given, err := h.flags(flags, change.Mode != mailbox.FlagsRemove)
	if err != nil {
		return result, err
	}
	more, unread, err := h.compare(f, change, given, &result)
	if err != nil || len(result.Changed) == 0 {
		return result, err
	}
	result.HighestModSeq++
	if err := h.tx.Post(setBitsSQL, h.id, folder, numbers(result.Changed), int64(change.Mode.Apply(^mailbox.Flags(0), given)), int64(change.Mode.Apply(0, given)), result.HighestModSeq); err != nil { //nolint:gosec // bits
		return result, err
	}
	if err := h.apply(f, more); err != nil {
		return result, err
	}
	if unread {
		if err := h.tx.Post(unreadSQL, h.id, folder); err != nil {
			return result, err
		}
	}
	return result, h.done()
}

// compare finds which messages a change of flags changes. unread tells that one loses \Seen among those that all had it.
func (h *held) compare(f folderRow, change mailbox.FlagChange, given mailbox.Flags, result *mailbox.FlagResult) (more sums, unread bool, err error) {
	rows, err := h.tx.Query(flagsOfSQL, h.id, f.Number, numbers(change.UIDs))
	if err != nil {
		return more, false, err
	}
	for rows.Next() {
		var uid uint32
		var had mailbox.Flags
		var modseq int64
		if rows.Scan(&uid, &had, &modseq) != nil {
			break // Close gives the error
		}
		next := change.Mode.Apply(had, given)
		switch {
		case change.UnchangedSince >= 0 && modseq > change.UnchangedSince:
			result.Failed = append(result.Failed, uid)
		case next != had:
			result.Changed = append(result.Changed, uid)
			more.add(had, 0, -1)
			more.add(next, 0, 1)
			unread = unread || uid < f.readTo && !next.Has(mailbox.Seen)
		}
	}
	return more, unread, rows.Close()
}

// Append implements mailstore.Writer.
func (s *Store) Append(ctx context.Context, scope account.Scope, id string, folder int64, items []mailbox.Appended) (mailbox.Placed, error) {
	var placed mailbox.Placed
	flags := make([]wanted, len(items))
	var err error
	for i := range items {
		if flags[i], err = want(items[i].Flags); err != nil {
			break
		}
	}
	if err == nil {
		err = s.withKeywords(ctx, scope, id, func() error {
			return s.change(ctx, scope, id, mailbox.ErrNoFolder, func(h *held) (err error) {
				placed, err = h.appendTo(folder, items, flags)
				return err
			})
		})
	}
	if err != nil && !errors.Is(err, sqldb.ErrStorage) {
		for i := range items {
			if blob := items[i].Content.Blob; blob != "" {
				_ = s.blobs.Remove(blob) // what cannot be removed now is swept
			}
		}
	}
	return placed, err
}

func (h *held) appendTo(folder int64, items []mailbox.Appended, flags []wanted) (mailbox.Placed, error) {
	f, err := one(h.tx, folderSQL, h.id, folder)
	if err != nil {
		return mailbox.Placed{}, err
	}
	size := int64(0)
	for i := range items {
		size += items[i].Size
		if items[i].Content.Inline == nil && items[i].Content.Blob == "" {
			return mailbox.Placed{}, mailbox.ErrCorrupt // there is no content
		}
	}
	if err := h.grow(size, int64(len(items))); err != nil {
		return mailbox.Placed{}, err
	}
	placed := mailbox.Placed{UIDValidity: f.UIDValidity}
	more := sums{next: int64(len(items))}
	for i := range items {
		item := &items[i]
		bits, err := h.flags(flags[i], true)
		if err != nil {
			return mailbox.Placed{}, err
		}
		content := item.Content.Inline
		if item.Content.Blob != "" {
			content = nil
		}
		if err := h.tx.Post(either(h.tx, appendBodySQL, appendBodyPG), h.owner, content); err != nil {
			return mailbox.Placed{}, err
		}
		uid := f.UIDNext + uint32(i)                                                                                                                         //nolint:gosec // at most mailbox.MaxAppend
		if err := h.tx.Post(either(h.tx, appendMessageSQL, appendMessagePG), h.id, folder, uid, h.owner, f.HighestModSeq+1, int64(bits), item.At, item.Size, //nolint:gosec // bits
			int64(item.Hash), item.From, item.Subject, item.Date, item.Content.Blob); err != nil { //nolint:gosec // a hash is stored as the number with the same bits
			return mailbox.Placed{}, err
		}
		placed.UIDs = append(placed.UIDs, uid)
		more.add(bits, item.Size, 1)
	}
	if err := h.apply(f, more); err != nil {
		return mailbox.Placed{}, err
	}
	return placed, h.done()
}

// Copy implements mailstore.Writer. Content files get names of their own before the transaction.
func (s *Store) Copy(ctx context.Context, scope account.Scope, id string, from int64, uids []uint32, to int64) (mailbox.Placed, error) {
	links, err := s.linksOf(ctx, scope, id, from, uids)
	if err != nil {
		return mailbox.Placed{}, full(err)
	}
	var placed mailbox.Placed
	used := map[uint32]bool{}
	err = s.change(ctx, scope, id, mailbox.ErrNoFolder, func(h *held) (err error) {
		clear(used)
		placed, err = h.copyTo(from, uids, to, links, used)
		return err
	})
	if errors.Is(err, sqldb.ErrStorage) {
		return mailbox.Placed{}, err // the copies may be there all the same: their files are left to the sweep
	}
	for uid, link := range links {
		if link != "" && (err != nil || !used[uid]) {
			_ = s.blobs.Remove(link) // what cannot be removed now is swept
		}
	}
	return placed, err
}

// linksOf gives second names to the content files of messages, by UID.
func (s *Store) linksOf(ctx context.Context, scope account.Scope, id string, folder int64, uids []uint32) (map[uint32]string, error) {
	var of []uint32
	var names []string
	err := s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) error {
		of, names = nil, nil
		rows, err := tx.Query(blobsOfSQL, id, folder, numbers(uids))
		if err != nil {
			return err
		}
		for rows.Next() {
			var uid uint32
			var name string
			if rows.Scan(&uid, &name) != nil {
				break // Close gives the error
			}
			of, names = append(of, uid), append(names, name)
		}
		return rows.Close()
	})
	if err != nil || len(names) == 0 {
		return nil, err
	}
	byUID := make(map[uint32]string, len(of))
	links, err := s.blobs.Link(names...)
	if err == nil {
		for i, uid := range of {
			byUID[uid] = links[i]
		}
		return byUID, nil
	}
	// One of them may have been expunged meanwhile: those are missed when the rows are copied, if they are still there.
	for i, uid := range of {
		switch own, err := s.blobs.Link(names[i]); {
		case err == nil:
			byUID[uid], links = own[0], append(links, own[0])
		case errors.Is(err, fs.ErrNotExist):
			byUID[uid] = ""
		default:
			return nil, errors.Join(err, s.blobs.Remove(links...))
		}
	}
	return byUID, nil
}

func (h *held) copyTo(from int64, uids []uint32, to int64, links map[uint32]string, used map[uint32]bool) (mailbox.Placed, error) {
	if _, err := one(h.tx, folderSQL, h.id, from); err != nil {
		return mailbox.Placed{}, err
	}
	f, err := one(h.tx, folderSQL, h.id, to)
	if err != nil {
		return mailbox.Placed{}, err
	}
	list, err := h.rows(from, uids)
	list = slices.DeleteFunc(list, func(r row) bool {
		_, seen := links[r.uid]
		return r.blob != "" && !seen // it came after the files were looked for
	})
	placed := mailbox.Placed{UIDValidity: f.UIDValidity}
	if err != nil || len(list) == 0 {
		return placed, err
	}
	more := sums{next: int64(len(list))}
	for i, r := range list {
		if r.blob != "" && links[r.uid] == "" {
			return mailbox.Placed{}, fmt.Errorf("%w: the content file is gone", mailbox.ErrCorrupt)
		}
		uid := f.UIDNext + uint32(i) //nolint:gosec // at most mailbox.MaxAtATime
		placed.From, placed.UIDs = append(placed.From, r.uid), append(placed.UIDs, uid)
		more.add(r.flags, r.size, 1)
	}
	if err := h.grow(more.bytes, more.messages); err != nil {
		return mailbox.Placed{}, err
	}
	for i, r := range list {
		if err := h.tx.Post(either(h.tx, copyBodySQL, copyBodyPG), r.body); err != nil {
			return mailbox.Placed{}, err
		}
		if err := h.tx.Post(either(h.tx, copyMessageSQL, copyMessagePG), h.id, from, r.uid, to, placed.UIDs[i], f.HighestModSeq+1, links[r.uid]); err != nil {
			return mailbox.Placed{}, err
		}
		used[r.uid] = r.blob != ""
	}
	if err := h.apply(f, more); err != nil {
		return mailbox.Placed{}, err
	}
	return placed, h.done()
}

// Move implements mailstore.Writer.
func (s *Store) Move(ctx context.Context, scope account.Scope, id string, from int64, uids []uint32, to int64) (mailbox.Placed, error) {
	var placed mailbox.Placed
	err := s.change(ctx, scope, id, mailbox.ErrNoFolder, func(h *held) (err error) {
		placed, err = h.move(from, uids, to)
		return err
	})
	return placed, err
}

func (h *held) move(from int64, uids []uint32, to int64) (mailbox.Placed, error) {
	source, err := one(h.tx, folderSQL, h.id, from)
	if err != nil {
		return mailbox.Placed{}, err
	}
	target, err := one(h.tx, folderSQL, h.id, to)
	if err != nil {
		return mailbox.Placed{}, err
	}
	list, err := h.rows(from, uids)
	placed := mailbox.Placed{UIDValidity: target.UIDValidity}
	if err != nil || len(list) == 0 {
		return placed, err
	}
	if from == to { // the folder's next MODSEQ tells that the old UIDs are gone
		target.HighestModSeq++
	}
	less, more := sums{}, sums{next: int64(len(list))}
	for i, r := range list {
		placed.From, placed.UIDs = append(placed.From, r.uid), append(placed.UIDs, target.UIDNext+uint32(i)) //nolint:gosec // at most mailbox.MaxAtATime
		less.leave(source, r)
		more.add(r.flags, r.size, 1)
	}
	if err := h.tx.Post(expungeSQL, h.id, from, numbers(placed.From), source.HighestModSeq+1); err != nil {
		return mailbox.Placed{}, err
	}
	for i, uid := range placed.From {
		if err := h.tx.Post(moveSQL, h.id, from, uid, to, placed.UIDs[i], target.HighestModSeq+1); err != nil {
			return mailbox.Placed{}, err
		}
	}
	if err := h.apply(source, less); err != nil {
		return mailbox.Placed{}, err
	}
	if err := h.apply(target, more); err != nil {
		return mailbox.Placed{}, err
	}
	return placed, h.done()
}

// Expunge implements mailstore.Writer.
func (s *Store) Expunge(ctx context.Context, scope account.Scope, id string, folder int64, uids []uint32) ([]uint32, error) {
	var gone []uint32
	var blobs []string
	err := s.change(ctx, scope, id, mailbox.ErrNoFolder, func(h *held) error {
		gone, blobs = nil, nil
		f, err := one(h.tx, folderSQL, id, folder)
		if err != nil {
			return err
		}
		list, err := h.rows(folder, uids)
		if err != nil {
			return err
		}
		var less sums
		var bodies []int64
		for _, r := range list {
			if !r.flags.Has(mailbox.Deleted) {
				continue
			}
			gone, bodies = append(gone, r.uid), append(bodies, r.body)
			less.leave(f, r)
			if r.blob != "" {
				blobs = append(blobs, r.blob)
			}
		}
		if len(gone) == 0 {
			return nil
		}
		if err := h.tx.Post(expungeSQL, id, folder, numbers(gone), f.HighestModSeq+1); err != nil {
			return err
		}
		if err := dropRows(h.tx, id, folder, gone, bodies); err != nil {
			return err
		}
		if err := h.apply(f, less); err != nil {
			return err
		}
		if err := h.grow(less.bytes, less.messages); err != nil {
			return err
		}
		return h.done()
	})
	if err != nil {
		return nil, err
	}
	_ = s.blobs.Remove(blobs...) // what cannot be removed now is swept
	return gone, nil
}

// dropRows removes messages of one folder with what belongs to them.
func dropRows(tx *sqldb.Tx, id string, folder int64, uids []uint32, bodies []int64) error {
	if err := tx.Post(dropMessagesSQL, id, folder, numbers(uids)); err != nil {
		return err
	}
	if err := tx.Post(dropBodiesSQL, bodies); err != nil {
		return err
	}
	return tx.Post(dropNotesSQL, bodies)
}

// Note implements mailstore.Writer. A note that comes too late, or is lost in a crash, is made again by who needs it.
func (s *Store) Note(_ context.Context, scope account.Scope, id string, folder int64, notes []mailbox.Note) error {
	notes = slices.Clone(notes) // the caller goes on with its list
	s.of(id).WriteLater(scope, func(tx *sqldb.Tx) error {
		for _, note := range notes {
			if len(note.Text) > mailbox.MaxNote {
				continue
			}
			if err := tx.Post(putNoteSQL, id, folder, note.UID, note.Text); err != nil {
				return err
			}
		}
		return nil
	}, nil, id)
	return nil
}
