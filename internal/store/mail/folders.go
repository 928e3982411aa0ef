package mail

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
	"postroad/internal/store/sqldb"
)

const (
	haveMailboxSQL sqldb.Stmt = `SELECT 1 FROM mailbox WHERE id = $1 AND @scope(account_id)`

	setNameSQL          sqldb.Stmt = `UPDATE folder SET name = $3 WHERE mailbox_id = $1 AND n = $2 AND @scope(account_id)`
	dropFolderSQL       sqldb.Stmt = `DELETE FROM folder WHERE mailbox_id = $1 AND n = $2 AND @scope(account_id)`
	putFolderRemovalSQL sqldb.Stmt = `INSERT INTO folder_removal (mailbox_id, folder, account_id) VALUES ($1, $2, $3)`
	sumFolderSQL        sqldb.Stmt = `SELECT count(*), coalesce(sum(size), 0) FROM message WHERE mailbox_id = $1 AND folder = $2 AND @scope(account_id)`

	// What lay in INBOX keeps its UIDs and change numbers in the folder that it goes to.
	takeOverSQL sqldb.Stmt = `UPDATE folder SET (uidnext, highest, messages, seen, deleted, octets, read_to, read_below) =
		(SELECT uidnext, highest, messages, seen, deleted, octets, read_to, read_below FROM folder AS old WHERE old.mailbox_id = $1 AND old.n = $3)
		WHERE mailbox_id = $1 AND n = $2 AND @scope(account_id)`
	emptySQL sqldb.Stmt = `UPDATE folder SET highest = highest + 1, messages = 0, seen = 0, deleted = 0, octets = 0, read_below = 0, gone = gone + $3
		WHERE mailbox_id = $1 AND n = $2 AND @scope(account_id)`
	expungeAllSQL sqldb.Stmt = `INSERT INTO expunged (mailbox_id, folder, modseq, uid, account_id)
		SELECT mailbox_id, folder, $3, uid, account_id FROM message WHERE mailbox_id = $1 AND folder = $2 AND @scope(account_id)`
	moveAllSQL sqldb.Stmt = `UPDATE message SET folder = $3 WHERE mailbox_id = $1 AND folder = $2 AND @scope(account_id)`

	subscriptionsSQL sqldb.Stmt = `SELECT name FROM subscription WHERE mailbox_id = $1 AND @scope(account_id)`
	unsubscribeSQL   sqldb.Stmt = `DELETE FROM subscription WHERE mailbox_id = $1 AND name = $2 AND @scope(account_id)`
)

// Folders implements mailstore.Folders.
func (s *Store) Folders(ctx context.Context, scope account.Scope, id string) ([]mailbox.Folder, error) {
	var list []mailbox.Folder
	err := s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) (err error) {
		if err := mustHave(tx, id); err != nil {
			return err
		}
		rows, err := folderRows(tx, foldersSQL, id)
		list = make([]mailbox.Folder, len(rows))
		for i := range rows {
			list[i] = rows[i].Folder
		}
		return err
	})
	slices.SortFunc(list, func(a, b mailbox.Folder) int {
		switch {
		case a.Number == mailbox.Inbox:
			return -1
		case b.Number == mailbox.Inbox:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list, err
}

// mustHave refuses with ErrNoMailbox what is not there.
func mustHave(tx *sqldb.Tx, id string) error {
	var one int
	found, err := tx.Row([]any{&one}, haveMailboxSQL, id)
	if err == nil && !found {
		err = mailbox.ErrNoMailbox
	}
	return err
}

// Folder implements mailstore.Folders.
func (s *Store) Folder(ctx context.Context, scope account.Scope, id, name string) (f mailbox.Folder, err error) {
	err = s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) (err error) {
		row, err := one(tx, folderByNameSQL, id, name)
		f = row.Folder
		return err
	})
	return f, err
}

// change runs a change of one mailbox in its shard's next group; missing is the error when there is no such mailbox.
func (s *Store) change(ctx context.Context, scope account.Scope, id string, missing error, fn func(h *held) error) error {
	return full(s.of(id).Write(ctx, scope, func(tx *sqldb.Tx) error {
		h, err := s.hold(tx, id, missing)
		if err != nil {
			return err
		}
		return fn(h)
	}, id))
}

// CreateFolder implements mailstore.Folders.
func (s *Store) CreateFolder(ctx context.Context, scope account.Scope, id, name, use string) (f mailbox.Folder, err error) {
	err = s.change(ctx, scope, id, mailbox.ErrNoMailbox, func(h *held) error {
		if is, err := exists(h.tx, folderByNameSQL, id, name); err != nil || is {
			return orError(err, mailbox.ErrExists)
		}
		if use != "" {
			if is, err := exists(h.tx, folderByUseSQL, id, use); err != nil || is {
				return orError(err, mailbox.ErrUse)
			}
		}
		if err := h.parents(name, 1); err != nil {
			return err
		}
		made, err := h.make(name, use)
		if err != nil {
			return err
		}
		subscribed, err := h.subscribed()
		f = made.Folder
		f.Subscribed = slices.Contains(subscribed, name)
		if err != nil {
			return err
		}
		return h.done()
	})
	return f, err
}

// orError gives err, or the other one where there is none.
func orError(err, other error) error {
	if err == nil {
		err = other
	}
	return err
}

// parents makes the folders above a name; ErrLimit when with them and some more there are too many.
func (h *held) parents(name string, more int) error {
	list, err := folderRows(h.tx, foldersSQL, h.id)
	if err != nil {
		return err
	}
	var missing []string
	for parent := range mailbox.Parents(name) {
		if !slices.ContainsFunc(list, func(f folderRow) bool { return f.Name == parent }) {
			missing = append(missing, parent)
		}
	}
	if len(list)+len(missing)+more > mailbox.MaxFolders {
		return fmt.Errorf("%w: it may have %d folders", mailbox.ErrLimit, mailbox.MaxFolders)
	}
	for _, parent := range missing {
		if _, err := h.make(parent, ""); err != nil {
			return err
		}
	}
	return nil
}

// RenameFolder implements mailstore.Folders.
func (s *Store) RenameFolder(ctx context.Context, scope account.Scope, id, from, to string) error {
	return s.change(ctx, scope, id, mailbox.ErrNoFolder, func(h *held) error {
		list, err := folderRows(h.tx, foldersSQL, id)
		if err != nil {
			return err
		}
		names := make(map[string]int64, len(list))
		for _, f := range list {
			names[f.Name] = f.Number
		}
		switch {
		case names[from] == 0:
			return mailbox.ErrNoFolder
		case names[to] != 0:
			return mailbox.ErrExists
		case names[from] == mailbox.Inbox:
			err = h.renameInbox(to)
		case mailbox.Below(to, from):
			return mailbox.ErrName
		default:
			err = h.rename(names, from, to)
		}
		if err != nil {
			return err
		}
		return h.done()
	})
}

// rename gives a folder, those below it and the subscribed names of both other names.
func (h *held) rename(names map[string]int64, from, to string) error {
	moved := map[string]string{}
	for name := range names {
		if name == from || mailbox.Below(name, from) {
			moved[name] = to + name[len(from):]
		}
	}
	for _, next := range moved {
		if len(next) > mailbox.MaxName {
			return fmt.Errorf("%w: %q would be longer than %d octets", mailbox.ErrName, next, mailbox.MaxName)
		}
		if _, too := moved[next]; names[next] != 0 && !too {
			return fmt.Errorf("%w: %q", mailbox.ErrExists, next)
		}
	}
	// Short names first: where one moves up into the place of another, that one has gone from there.
	for _, name := range slices.SortedFunc(maps.Keys(moved), func(a, b string) int { return len(moved[a]) - len(moved[b]) }) {
		if err := h.tx.Post(setNameSQL, h.id, names[name], moved[name]); err != nil {
			return err
		}
	}
	if err := h.parents(to, 0); err != nil {
		return err
	}
	subscribed, err := h.subscribed()
	if err != nil {
		return err
	}
	for _, name := range subscribed {
		if name != from && !mailbox.Below(name, from) {
			continue
		}
		if err := h.tx.Post(unsubscribeSQL, h.id, name); err != nil {
			return err
		}
		if err := h.tx.Post(subscribeSQL, h.id, to+name[len(from):], h.owner); err != nil {
			return err
		}
	}
	return nil
}

// renameInbox puts what lies in INBOX into a new folder.
func (h *held) renameInbox(to string) error {
	if err := h.parents(to, 1); err != nil {
		return err
	}
	f, err := h.make(to, "")
	if err != nil {
		return err
	}
	in, err := one(h.tx, folderSQL, h.id, mailbox.Inbox)
	if err != nil {
		return err
	}
	if err := h.tx.Post(takeOverSQL, h.id, f.Number, mailbox.Inbox); err != nil || in.Messages == 0 {
		return err
	}
	gone := in.Messages
	if gone > mailbox.MaxGone { // too many to be remembered
		gone = 0
		err = h.forget(mailbox.Inbox, in.HighestModSeq+1)
	} else {
		err = h.tx.Post(expungeAllSQL, h.id, mailbox.Inbox, in.HighestModSeq+1)
	}
	if err != nil {
		return err
	}
	if err := h.tx.Post(moveAllSQL, h.id, mailbox.Inbox, f.Number); err != nil {
		return err
	}
	return h.tx.Post(emptySQL, h.id, mailbox.Inbox, gone)
}

// DeleteFolder implements mailstore.Folders.
func (s *Store) DeleteFolder(ctx context.Context, scope account.Scope, id, name string) error {
	var n int64
	err := s.change(ctx, scope, id, mailbox.ErrNoFolder, func(h *held) error {
		f, err := one(h.tx, folderByNameSQL, id, name)
		switch {
		case err != nil:
			return err
		case f.Number == mailbox.Inbox:
			return mailbox.ErrName
		}
		n = f.Number
		var messages, bytes int64
		if _, err := h.tx.Row([]any{&messages, &bytes}, sumFolderSQL, id, n); err != nil {
			return err
		}
		if err := h.tx.Post(dropFolderSQL, id, n); err != nil {
			return err
		}
		if err := h.tx.Post(putFolderRemovalSQL, id, n, h.owner); err != nil {
			return err
		}
		if err := h.grow(-bytes, -messages); err != nil {
			return err
		}
		return h.done()
	})
	if err != nil {
		return err
	}
	return s.clear(context.WithoutCancel(ctx), s.of(id), rest{mailbox: id, folder: n})
}

// subscribed reads the subscribed names.
func (h *held) subscribed() ([]string, error) { return h.tx.Texts(subscriptionsSQL, h.id) }

// Subscribe implements mailstore.Folders.
func (s *Store) Subscribe(ctx context.Context, scope account.Scope, id, name string, on bool) error {
	return s.change(ctx, scope, id, mailbox.ErrNoMailbox, func(h *held) error {
		if !on {
			if err := h.tx.Post(unsubscribeSQL, id, name); err != nil {
				return err
			}
			return h.done()
		}
		names, err := h.subscribed()
		if err != nil {
			return err
		}
		if len(names) >= mailbox.MaxFolders && !slices.Contains(names, name) {
			return fmt.Errorf("%w: it may have %d subscriptions", mailbox.ErrLimit, mailbox.MaxFolders)
		}
		if err := h.tx.Post(subscribeSQL, id, name, h.owner); err != nil {
			return err
		}
		return h.done()
	})
}

// Subscriptions implements mailstore.Folders.
func (s *Store) Subscriptions(ctx context.Context, scope account.Scope, id string) ([]string, error) {
	var list []string
	err := s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) (err error) {
		if err := mustHave(tx, id); err != nil {
			return err
		}
		list, err = tx.Texts(subscriptionsSQL, id)
		return err
	})
	slices.Sort(list)
	return list, err
}
