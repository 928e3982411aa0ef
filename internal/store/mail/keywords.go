package mail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
	"postroad/internal/store/sqldb"
)

const (
	keywordsSQL    sqldb.Stmt = `SELECT n, name FROM keyword WHERE mailbox_id = $1 AND @scope(account_id) ORDER BY n`
	putKeywordSQL  sqldb.Stmt = `INSERT INTO keyword (mailbox_id, n, account_id, name) VALUES ($1, $2, $3, $4)`
	dropKeywordSQL sqldb.Stmt = `DELETE FROM keyword WHERE mailbox_id = $1 AND n = $2 AND @scope(account_id)`

	// The bits of keywords are above those of the system flags.
	keywordBitsSQL sqldb.Stmt = `SELECT bits FROM message WHERE mailbox_id = $1 AND bits > 255 AND @scope(account_id)`
)

// errKeywords says that a mailbox has as many keywords as it may have.
var errKeywords = fmt.Errorf("%w: %d keywords are in use", mailbox.ErrLimit, mailbox.MaxKeywords)

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
// out else; errKeywords when there is none left.
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
			if n = slices.Index(known, ""); n < 0 {
				n, known = len(known), append(known, "")
			}
			if n == mailbox.MaxKeywords {
				return 0, fmt.Errorf("%w: %s", errKeywords, strings.Join(known[:n], " "))
			}
			known[n] = name
			if err := h.tx.Post(putKeywordSQL, h.id, n, h.owner, name); err != nil {
				return 0, err
			}
		}
		flags |= mailbox.Keyword(n)
	}
	return flags, nil
}

// withKeywords makes a change again that was refused for want of a keyword, once those that no message has gave way.
func (s *Store) withKeywords(ctx context.Context, scope account.Scope, id string, change func() error) error {
	err := change()
	if !errors.Is(err, errKeywords) {
		return err
	}
	freed, failed := s.freeKeywords(ctx, scope, id)
	switch {
	case failed != nil:
		return failed
	case !freed:
		return err
	}
	return change()
}

// freeKeywords forgets the keywords that no message of a mailbox has. The messages are gone through beside the writer,
// which looks only at what has changed meanwhile.
func (s *Store) freeKeywords(ctx context.Context, scope account.Scope, id string) (freed bool, err error) {
	var used mailbox.Flags
	var seen map[int64]int64 // MODSEQ of each folder
	err = s.of(id).Read(ctx, scope, func(tx *sqldb.Tx) (err error) {
		used, seen = 0, map[int64]int64{}
		folders, err := folderRows(tx, foldersSQL, id)
		if err != nil {
			return err
		}
		for _, f := range folders {
			seen[f.Number] = f.HighestModSeq
		}
		known, err := keywords(tx, id)
		if err == nil {
			used, err = keywordsUsed(tx, id, known)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	err = s.change(ctx, scope, id, mailbox.ErrNoFolder, func(h *held) error {
		freed = false
		folders, err := folderRows(h.tx, foldersSQL, id)
		if err != nil {
			return err
		}
		for _, f := range folders {
			if f.HighestModSeq == seen[f.Number] {
				continue
			}
			changed, err := entries(h.tx, nil, changedSQL, id, f.Number, seen[f.Number])
			if err != nil {
				return err
			}
			for _, e := range changed {
				used |= e.Flags
			}
		}
		freed, err = h.dropUnused(used)
		return err
	})
	return freed, err
}

// keywordsUsed gives the flags of a mailbox's messages, as far as it takes to see all keywords.
func keywordsUsed(tx *sqldb.Tx, id string, known []string) (used mailbox.Flags, err error) {
	var all mailbox.Flags
	for n, name := range known {
		if name != "" {
			all |= mailbox.Keyword(n)
		}
	}
	rows, err := tx.Query(keywordBitsSQL, id)
	if err != nil {
		return 0, err
	}
	for !used.Has(all) && rows.Next() {
		var flags mailbox.Flags
		if rows.Scan(&flags) != nil {
			break // Close gives the error
		}
		used |= flags
	}
	return used, rows.Close()
}

// dropUnused forgets all keywords but some, and tells whether there were any.
func (h *held) dropUnused(used mailbox.Flags) (freed bool, err error) {
	known, err := keywords(h.tx, h.id)
	if err != nil {
		return false, err
	}
	for n, name := range known {
		if name == "" || used.Has(mailbox.Keyword(n)) {
			continue
		}
		if err := h.tx.Post(dropKeywordSQL, h.id, n); err != nil {
			return false, err
		}
		freed = true
	}
	if !freed {
		return false, nil
	}
	return true, h.done()
}
