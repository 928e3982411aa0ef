package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
	"postroad/internal/store/sqldb"
)

const (
	messagesSQL sqldb.Stmt = `SELECT uid, modseq, bits, received, size, sender, subject, sent FROM message
		WHERE mailbox_id = $1 AND folder = $2 AND uid > $3 AND @scope(account_id) ORDER BY uid LIMIT $4`

	factsSQL sqldb.Stmt = `SELECT uid, size, received, content FROM message LEFT JOIN note ON note.body = message.body
		WHERE mailbox_id = $1 AND folder = $2 AND @in(uid, $3) AND @scope(message.account_id) ORDER BY uid`

	bodiesSQL sqldb.Stmt = `SELECT uid, size, hash, blob, coalesce(body.id, 0), prefix, content FROM message LEFT JOIN body ON body.id = message.body
		WHERE mailbox_id = $1 AND folder = $2 AND @in(uid, $3) AND @scope(message.account_id) ORDER BY uid`

	firstUnseenSQL sqldb.Stmt = `SELECT uid FROM message
		WHERE mailbox_id = $1 AND folder = $2 AND uid >= $3 AND (bits & 1) = 0 AND @scope(account_id) ORDER BY uid LIMIT 1`
	betweenSQL sqldb.Stmt = `SELECT count(*) FROM message WHERE mailbox_id = $1 AND folder = $2 AND uid >= $3 AND uid < $4 AND @scope(account_id)`

	// It holds for the folder as it was seen only.
	keepReadSQL sqldb.Stmt = `UPDATE folder SET read_to = $4, read_below = $5 WHERE mailbox_id = $1 AND n = $2 AND highest = $3 AND @scope(account_id)`

	versionsSQL sqldb.Stmt = `SELECT id, version FROM mailbox WHERE @in(id, $1) AND @scope(account_id)`
)

// Messages implements mailstore.Reader.
func (s *Store) Messages(ctx context.Context, scope account.Scope, id, name string, after uint32, limit int) ([]mailbox.Message, error) {
	var list []mailbox.Message
	err := s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) error {
		list = nil
		f, err := one(tx, folderByNameSQL, id, name)
		if err != nil {
			return err
		}
		known, err := keywords(tx, id)
		if err != nil {
			return err
		}
		rows, err := tx.Query(messagesSQL, id, f.Number, after, limit)
		if err != nil {
			return err
		}
		for rows.Next() {
			var m mailbox.Message
			var flags mailbox.Flags
			if rows.Scan(&m.UID, &m.ModSeq, &flags, &m.At, &m.Size, &m.From, &m.Subject, &m.Date) != nil {
				break // Close gives the error
			}
			m.Flags = flags.Append([]string{}, known)
			list = append(list, m)
		}
		return rows.Close()
	})
	return list, err
}

// Summary implements mailstore.Reader. How far messages were found to be read is kept, so that the next look begins there.
func (s *Store) Summary(ctx context.Context, scope account.Scope, id, name string) (mailbox.Summary, error) {
	var sum mailbox.Summary
	var f, keep folderRow
	err := s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) (err error) {
		if f, err = one(tx, folderByNameSQL, id, name); err != nil {
			return err
		}
		sum, keep = mailbox.Summary{Folder: f.Folder}, f
		if sum.Keywords, err = keywords(tx, id); err != nil {
			return err
		}
		switch f.Unseen {
		case 0:
			keep.readTo, keep.readBelow = f.UIDNext, f.Messages
		case f.Messages:
			sum.FirstUnseen = 1
		default:
			if _, err := tx.Row([]any{&keep.readTo}, firstUnseenSQL, id, f.Number, f.readTo); err != nil {
				return err
			}
			var more int64
			if _, err := tx.Row([]any{&more}, betweenSQL, id, f.Number, f.readTo, keep.readTo); err != nil {
				return err
			}
			keep.readBelow += more
			sum.FirstUnseen = keep.readBelow + 1
		}
		return nil
	})
	if err == nil && keep.readBelow >= f.readBelow+readWorth {
		s.of(id).WriteLater(scope, func(tx *sqldb.Tx) error {
			return tx.Post(keepReadSQL, id, f.Number, f.HighestModSeq, keep.readTo, keep.readBelow)
		}, nil, id)
	}
	return sum, err
}

// readWorth is how many messages are gone through before it is written down how far they were read.
const readWorth = 100

// Index implements mailstore.Reader.
func (s *Store) Index(ctx context.Context, scope account.Scope, id string, folder int64, have *mailbox.Index) (*mailbox.Index, error) {
	var index *mailbox.Index
	var worth bool
	err := s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) error {
		worth = false
		f, err := one(tx, folderSQL, id, folder)
		if err != nil {
			return err
		}
		if have != nil && have.Folder() == f.Folder {
			index = have
			return nil
		}
		known, err := keywords(tx, id)
		if err != nil {
			return err
		}
		if have == nil {
			index, worth, err = load(tx, id, f.Folder, known)
			return err
		}
		index, _, err = follow(tx, id, f.Folder, known, have, have.Folder().HighestModSeq)
		return err
	})
	if err == nil && worth {
		s.keepListing(scope, id, index)
	}
	return index, err
}

// Vanished implements mailstore.Reader.
func (s *Store) Vanished(ctx context.Context, scope account.Scope, id string, folder, since int64) (mailbox.Vanished, error) {
	var gone mailbox.Vanished
	err := s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) error {
		f, err := one(tx, folderSQL, id, folder)
		if err != nil {
			return err
		}
		gone.Forgotten = since < f.Forgotten
		gone.UIDs, err = vanished(tx, id, folder, since)
		return err
	})
	return gone, err
}

// Facts implements mailstore.Reader.
func (s *Store) Facts(ctx context.Context, scope account.Scope, id string, folder int64, uids []uint32) ([]mailbox.Fact, error) {
	var list []mailbox.Fact
	err := s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) error {
		if _, err := one(tx, folderSQL, id, folder); err != nil {
			return err
		}
		list = make([]mailbox.Fact, 0, len(uids))
		rows, err := tx.Query(factsSQL, id, folder, numbers(uids))
		if err != nil {
			return err
		}
		for rows.Next() {
			var f mailbox.Fact
			if rows.Scan(&f.UID, &f.Size, &f.At, &f.Notes) != nil {
				break // Close gives the error
			}
			list = append(list, f)
		}
		return rows.Close()
	})
	return list, err
}

// content is where the bytes of a message are.
type content struct {
	uid    uint32
	size   int64
	hash   int64
	blob   string
	body   int64
	prefix []byte
	inline []byte
}

func (s *Store) contents(ctx context.Context, scope account.Scope, id string, folder int64, uids []uint32) ([]content, error) {
	var list []content
	err := s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) error {
		list = make([]content, 0, len(uids))
		if _, err := one(tx, folderSQL, id, folder); err != nil {
			return err
		}
		rows, err := tx.Query(bodiesSQL, id, folder, numbers(uids))
		if err != nil {
			return err
		}
		for rows.Next() {
			var c content
			if rows.Scan(&c.uid, &c.size, &c.hash, &c.blob, &c.body, &c.prefix, &c.inline) != nil {
				break // Close gives the error
			}
			list = append(list, c)
		}
		return rows.Close()
	})
	return list, err
}

// Open implements mailstore.Reader.
func (s *Store) Open(ctx context.Context, scope account.Scope, id string, folder int64, uid uint32) (mailbox.Body, error) {
	list, err := s.contents(ctx, scope, id, folder, []uint32{uid})
	if err == nil && len(list) == 0 {
		err = mailbox.ErrNoMessage
	}
	if err != nil {
		return nil, err
	}
	return s.open(&list[0])
}

// bodiesStep is how many bodies are read at a time: each has at most mail.InlineLimit octets in its row.
const bodiesStep = 32

// Bodies implements mailstore.Reader.
func (s *Store) Bodies(ctx context.Context, scope account.Scope, id string, folder int64, uids []uint32, each func(uint32, mailbox.Body, error) error) error {
	for part := range slices.Chunk(uids, bodiesStep) {
		list, err := s.contents(ctx, scope, id, folder, part)
		if err != nil {
			return err
		}
		for i := range list {
			body, err := s.open(&list[i])
			err = each(list[i].uid, body, err)
			if body != nil {
				_ = body.Close() // nothing was written
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// open makes a body of what was read of it.
func (s *Store) open(c *content) (mailbox.Body, error) {
	if c.body == 0 {
		return nil, fmt.Errorf("%w: the body is gone", mailbox.ErrCorrupt)
	}
	want := uint64(c.hash) ^ sum(c.prefix) //nolint:gosec // stored from this type
	if c.blob != "" {
		f, err := s.blobs.OpenAt(c.blob, c.size-int64(len(c.prefix)), want)
		if err != nil {
			return nil, corrupt(err)
		}
		return &fileBody{prefix: c.prefix, file: f}, nil
	}
	if int64(len(c.inline)+len(c.prefix)) != c.size || sqldb.Sum(c.inline) != want {
		return nil, mailbox.ErrCorrupt
	}
	if len(c.prefix) > 0 {
		c.inline = slices.Concat(c.prefix, c.inline)
	}
	return rowBody{bytes.NewReader(c.inline)}, nil
}

// rowBody is a message that lay in its row.
type rowBody struct{ *bytes.Reader }

func (b rowBody) Size() int64      { return b.Reader.Size() }
func (b rowBody) Whole() io.Reader { return io.NewSectionReader(b.Reader, 0, b.Size()) }
func (rowBody) Close() error       { return nil }

// fileBody is a message whose content lies in a file.
type fileBody struct {
	prefix  []byte
	file    *sqldb.File
	checked bool
}

func (b *fileBody) Size() int64  { return int64(len(b.prefix)) + b.file.Size() }
func (b *fileBody) Close() error { return b.file.Close() }

func (b *fileBody) Whole() io.Reader {
	return io.MultiReader(bytes.NewReader(b.prefix), named{b.file.Whole()})
}

// ReadAt implements mailbox.Body.
func (b *fileBody) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("a negative offset")
	}
	if off+int64(len(p)) > mailbox.BodyHead && !b.checked {
		if _, err := io.Copy(io.Discard, b.file.Whole()); err != nil {
			return 0, corrupt(err)
		}
		b.checked = true
	}
	n := 0
	if off < int64(len(b.prefix)) {
		n = copy(p, b.prefix[off:])
	}
	if n == len(p) {
		return n, nil
	}
	k, err := b.file.ReadAt(p[n:], off+int64(n)-int64(len(b.prefix)))
	return n + k, err
}

// named names a content file's errors as core/mailbox does.
type named struct{ io.Reader }

func (r named) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // io.EOF comes bare
		err = corrupt(err)
	}
	return n, err
}

func corrupt(err error) error {
	if errors.Is(err, sqldb.ErrCorrupt) {
		return fmt.Errorf("%w: %w", mailbox.ErrCorrupt, err)
	}
	return err
}

// Versions implements mailstore.Boxes.
func (s *Store) Versions(ctx context.Context, scope account.Scope, ids []string) (map[string]int64, error) {
	out := make(map[string]int64, len(ids))
	for i, list := range s.split(ids) {
		if len(list) == 0 {
			continue
		}
		err := s.shards[i].Read(ctx, scope, func(tx *sqldb.Tx) error {
			rows, err := tx.Query(versionsSQL, list)
			if err != nil {
				return err
			}
			for rows.Next() {
				var id string
				var version int64
				if rows.Scan(&id, &version) != nil {
					break // Close gives the error
				}
				out[id] = version
			}
			return rows.Close()
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
