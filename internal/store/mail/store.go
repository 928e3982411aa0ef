// Package mail keeps the mailboxes of service/mailstore in SQL: folders, messages, bodies, and what was delivered.
//
// On SQLite mailboxes are spread over a number of databases that is fixed when the first one is made; a mailbox lies
// in the one that its id's hash says. On PostgreSQL there is one. A delivery is one transaction of the mailbox's own
// database: quota, UID, message, body and the memory of the queue id. Bodies up to mail.InlineLimit lie in a table of
// their own, larger ones are files of the blob folder with a hard link that belongs to the mailbox.
//
// # Failure
//
// Removing a mailbox hides it at once and clears its messages away in steps; what a crash leaves of it is cleared
// away at the next start. A content file is removed after the commit that forgets it, and else swept after a day.
package mail

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/mailstore"
	"postroad/internal/store/sqldb"
)

// Config says where the mailboxes are.
type Config struct {
	Dir       string       // SQLite: the folder of mail-00.db and so on
	Shards    int          // SQLite: number of databases when the first is made, 100 at most; 0: one for each four processors
	DSN       string       // PostgreSQL; when given, Dir and Shards are not used
	Clustered bool         // several nodes share the server
	Log       *slog.Logger // for what no caller can be told
}

// Store is all mailboxes. It is safe for concurrent use.
type Store struct {
	shards []*sqldb.DB
	blobs  *sqldb.Blobs
	now    func() time.Time
}

var _ mailstore.Store = (*Store)(nil)

// Open opens the mailboxes' databases and finishes removals that a crash interrupted. ErrShards when a database is
// missing or lies under another's name.
func Open(ctx context.Context, c Config, blobs *sqldb.Blobs) (*Store, error) {
	shards, err := openShards(ctx, c)
	s := &Store{shards: shards, blobs: blobs, now: time.Now}
	if err == nil {
		err = s.clearAll(ctx)
	}
	for _, db := range shards {
		if err == nil {
			err = warm(ctx, db)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// warm has the statements compiled by which a folder is opened, as they are for users, so that the first one after a start
// does not wait for that.
func warm(ctx context.Context, db *sqldb.DB) error {
	return db.Read(ctx, account.Of("nobody"), func(tx *sqldb.Tx) error {
		for stmt, args := range map[sqldb.Stmt][]any{
			folderByNameSQL: {"", ""}, keywordsSQL: {""}, firstUnseenSQL: {"", 0, 0}, betweenSQL: {"", 0, 0, 0},
			folderSQL: {"", 0}, listingSQL: {"", 0}, changedSQL: {"", 0, 0}, vanishedSQL: {"", 0, 0},
		} {
			rows, err := tx.Query(stmt, args...)
			if err != nil {
				return err
			}
			for rows.Next() { // there is no such mailbox
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Databases are the open databases, one per shard, for watching whether one has failed.
func (s *Store) Databases() []*sqldb.DB { return s.shards }

// Close closes all databases.
func (s *Store) Close() error {
	var errs []error
	for _, db := range s.shards {
		errs = append(errs, db.Close())
	}
	return errors.Join(errs...)
}

// shard is the number of the database that a mailbox lies in.
func (s *Store) shard(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))                    // a hash takes everything
	return int(h.Sum32() % uint32(len(s.shards))) //nolint:gosec // at most 100
}

func (s *Store) of(id string) *sqldb.DB { return s.shards[s.shard(id)] }

const (
	createMailboxSQL sqldb.Stmt = `INSERT INTO mailbox (id, account_id, quota, bytes, messages, folders, uidvalidity) VALUES ($1, $2, $3, 0, 0, 0, 0)`
	setQuotaSQL      sqldb.Stmt = `UPDATE mailbox SET quota = $2 WHERE id = $1 AND @scope(account_id)`

	hideMailboxSQL    sqldb.Stmt = `DELETE FROM mailbox WHERE id = $1 AND @scope(account_id) RETURNING account_id`
	dropFoldersSQL    sqldb.Stmt = `DELETE FROM folder WHERE mailbox_id = $1 AND @scope(account_id)`
	putRemovalSQL     sqldb.Stmt = `INSERT INTO removal (mailbox_id, account_id) VALUES ($1, $2)`
	getRemovalsSQL    sqldb.Stmt = `SELECT mailbox_id FROM removal`
	dropRemovalSQL    sqldb.Stmt = `DELETE FROM removal WHERE mailbox_id = $1`
	dropExpungedSQL   sqldb.Stmt = `DELETE FROM expunged WHERE mailbox_id = $1`
	dropDeliveriesSQL sqldb.Stmt = `DELETE FROM delivered WHERE mailbox_id = $1`
	dropKeywordsSQL   sqldb.Stmt = `DELETE FROM keyword WHERE mailbox_id = $1`
	dropNamesSQL      sqldb.Stmt = `DELETE FROM subscription WHERE mailbox_id = $1`
	dropListingsSQL   sqldb.Stmt = `DELETE FROM listing WHERE mailbox_id = $1`
	dropIntentsSQL    sqldb.Stmt = `DELETE FROM folder_removal WHERE mailbox_id = $1`

	clearChunkSQL  sqldb.Stmt = `SELECT folder, uid, body, blob FROM message WHERE mailbox_id = $1 AND folder >= $2 ORDER BY folder, uid LIMIT $3`
	clearFolderSQL sqldb.Stmt = `SELECT folder, uid, body, blob FROM message WHERE mailbox_id = $1 AND folder = $2 ORDER BY uid LIMIT $3`

	getFolderRemovalsSQL sqldb.Stmt = `SELECT mailbox_id, folder FROM folder_removal`
	dropFolderRemovalSQL sqldb.Stmt = `DELETE FROM folder_removal WHERE mailbox_id = $1 AND folder = $2`
	dropFolderListingSQL sqldb.Stmt = `DELETE FROM listing WHERE mailbox_id = $1 AND folder = $2`
	dropFolderGoneSQL    sqldb.Stmt = `DELETE FROM expunged WHERE mailbox_id = $1 AND folder = $2`

	usageSQL    sqldb.Stmt = `SELECT id, messages, bytes, quota FROM mailbox WHERE @in(id, $1) AND @scope(account_id)`
	usageAllSQL sqldb.Stmt = `SELECT id, messages, bytes, quota FROM mailbox WHERE @scope(account_id)`
	ownedSQL    sqldb.Stmt = `SELECT blob FROM message WHERE blob <> '' AND @in(blob, $1)`
)

// clearChunk is how many messages of a removed mailbox go in one transaction.
const clearChunk = 1000

// Create implements mailstore.Store.
func (s *Store) Create(ctx context.Context, scope account.Scope, box mailstore.Mailbox) error {
	if !scope.Has(box.Account) {
		return fmt.Errorf("%w: %s", sqldb.ErrScope, box.Account)
	}
	return s.of(box.ID).Write(ctx, scope, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(setQuotaSQL, box.ID, box.Quota)
		if err != nil || n > 0 {
			return err
		}
		if err := tx.Post(createMailboxSQL, box.ID, string(box.Account), box.Quota); err != nil {
			return err
		}
		h := &held{tx: tx, id: box.ID, owner: string(box.Account), now: s.now()}
		for _, f := range append([]mailbox.Standard{{Name: mailbox.InboxName}}, mailbox.Standards()...) {
			if _, err := h.make(f.Name, f.Use); err != nil {
				return err
			}
			if err := tx.Post(subscribeSQL, box.ID, f.Name, h.owner); err != nil {
				return err
			}
		}
		return h.done()
	}, box.ID)
}

// Remove implements mailstore.Store.
func (s *Store) Remove(ctx context.Context, scope account.Scope, id string) error {
	db := s.of(id)
	err := db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		var owner string
		found, err := tx.Row([]any{&owner}, hideMailboxSQL, id)
		if err != nil {
			return err
		}
		if !found {
			return mailbox.ErrNoMailbox
		}
		if err := tx.Post(dropFoldersSQL, id); err != nil {
			return err
		}
		return tx.Post(putRemovalSQL, id, owner)
	}, id)
	if err != nil {
		return err
	}
	return s.clear(context.WithoutCancel(ctx), db, rest{mailbox: id})
}

// rest is what is left of a removed mailbox, or of a removed folder.
type rest struct {
	mailbox string
	folder  int64 // 0: all of the mailbox
}

// clearAll clears away what is left of removed mailboxes and folders.
func (s *Store) clearAll(ctx context.Context) error {
	for _, db := range s.shards {
		var list []rest
		err := db.Read(ctx, account.System(), func(tx *sqldb.Tx) (err error) {
			list, err = rests(tx)
			return err
		})
		for _, r := range list {
			err = errors.Join(err, s.clear(ctx, db, r))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func rests(tx *sqldb.Tx) (list []rest, err error) {
	boxes, err := tx.Texts(getRemovalsSQL)
	if err != nil {
		return nil, err
	}
	for _, id := range boxes {
		list = append(list, rest{mailbox: id})
	}
	rows, err := tx.Query(getFolderRemovalsSQL)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var r rest
		if rows.Scan(&r.mailbox, &r.folder) != nil {
			break // Close gives the error
		}
		list = append(list, r)
	}
	return list, rows.Close()
}

// clear removes a hidden mailbox's or folder's messages step by step, and then the memory of it.
func (s *Store) clear(ctx context.Context, db *sqldb.DB, r rest) error {
	for {
		var blobs []string
		done := false
		err := db.Write(ctx, account.System(), func(tx *sqldb.Tx) (err error) {
			blobs, done, err = r.step(tx)
			return err
		})
		if err == nil {
			err = s.blobs.Remove(blobs...)
		}
		if err != nil || done {
			return err
		}
	}
}

// step removes some messages, of one folder at a time.
func (r rest) step(tx *sqldb.Tx) (blobs []string, done bool, err error) {
	stmt := clearChunkSQL
	if r.folder != 0 {
		stmt = clearFolderSQL
	}
	rows, err := tx.Query(stmt, r.mailbox, r.folder, clearChunk)
	if err != nil {
		return nil, false, err
	}
	var folder int64
	var uids []uint32
	var bodies []int64
	more := false
	for rows.Next() {
		var m row
		var of int64
		if rows.Scan(&of, &m.uid, &m.body, &m.blob) != nil {
			break // Close gives the error
		}
		if len(uids) > 0 && of != folder {
			more = true
			break
		}
		folder, uids, bodies = of, append(uids, m.uid), append(bodies, m.body)
		if m.blob != "" {
			blobs = append(blobs, m.blob)
		}
	}
	if err := rows.Close(); err != nil {
		return nil, false, err
	}
	if len(uids) > 0 {
		if err := dropRows(tx, r.mailbox, folder, uids, bodies); err != nil {
			return nil, false, err
		}
	}
	if more || len(uids) == clearChunk {
		return blobs, false, nil
	}
	return blobs, true, r.forget(tx)
}

// forget drops what is remembered of a mailbox or folder beside its messages.
func (r rest) forget(tx *sqldb.Tx) error {
	if r.folder != 0 {
		return errors.Join(tx.Post(dropFolderGoneSQL, r.mailbox, r.folder), tx.Post(dropFolderListingSQL, r.mailbox, r.folder), tx.Post(dropFolderRemovalSQL, r.mailbox, r.folder))
	}
	for _, stmt := range []sqldb.Stmt{dropExpungedSQL, dropDeliveriesSQL, dropKeywordsSQL, dropNamesSQL, dropListingsSQL, dropIntentsSQL, dropRemovalSQL} {
		if err := tx.Post(stmt, r.mailbox); err != nil {
			return err
		}
	}
	return nil
}

// split sorts mailboxes by the database that they lie in.
func (s *Store) split(ids []string) [][]string {
	split := make([][]string, len(s.shards))
	for _, id := range ids {
		n := s.shard(id)
		split[n] = append(split[n], id)
	}
	return split
}

// Usage implements mailstore.Store.
func (s *Store) Usage(ctx context.Context, scope account.Scope, ids []string) (map[string]mailbox.Usage, error) {
	out := map[string]mailbox.Usage{}
	split := s.split(ids)
	for i, db := range s.shards {
		if len(ids) > 0 && len(split[i]) == 0 {
			continue
		}
		err := db.Read(ctx, scope, func(tx *sqldb.Tx) error {
			stmt, args := usageAllSQL, []any(nil)
			if len(ids) > 0 {
				stmt, args = usageSQL, []any{split[i]}
			}
			rows, err := tx.Query(stmt, args...)
			if err != nil {
				return err
			}
			for rows.Next() {
				var id string
				var u mailbox.Usage
				if rows.Scan(&id, &u.Messages, &u.Bytes, &u.Quota) != nil {
					break // Close gives the error
				}
				out[id] = u
			}
			return rows.Close()
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Owns tells which content files belong to messages, for the sweep of the blob folder.
func (s *Store) Owns(ctx context.Context, names []string) (map[string]bool, error) {
	owned := map[string]bool{}
	for _, db := range s.shards {
		err := db.Read(ctx, account.System(), func(tx *sqldb.Tx) error {
			list, err := tx.Texts(ownedSQL, names)
			for _, name := range list {
				owned[name] = true
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return owned, nil
}
