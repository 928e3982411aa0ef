package mail

import (
	"context"
	"errors"
	"sync"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/mailstore"
	"postroad/internal/store/sqldb"
)

const (
	targetFields = `SELECT mailbox.account_id, quota, bytes, uidnext, highest,
		EXISTS (SELECT 1 FROM delivered WHERE queue_id = $2 AND delivered.mailbox_id = $1), `
	targetTables = ` FROM mailbox, folder WHERE id = $1 AND mailbox_id = $1 AND n = $3 AND @scope(mailbox.account_id) AND @scope(folder.account_id)`

	targetSQL sqldb.Stmt = targetFields + `(SELECT coalesce(max(id), 0) + 1 FROM body)` + targetTables

	// Several nodes may deliver to one mailbox: the rows are locked until the end of the transaction.
	targetPG sqldb.Stmt = targetFields + `nextval('body_id')` + targetTables + ` FOR UPDATE`

	setNextSQL sqldb.Stmt = `UPDATE folder SET uidnext = $3, highest = $4, messages = messages + 1, octets = octets + $5
		WHERE mailbox_id = $1 AND n = $2 AND @scope(account_id)`

	insertMessageSQL sqldb.Stmt = `INSERT INTO message (mailbox_id, folder, uid, account_id, modseq, flags, received, size, hash,
		sender, subject, sent, body, blob, bits) VALUES ($1, $2, $3, $4, $5, '', $6, $7, $8, $9, $10, $11, $12, $13, $14)`

	insertBodySQL sqldb.Stmt = `INSERT INTO body (id, account_id, prefix, content) VALUES ($1, $2, $3, $4)`

	insertDeliveredSQL sqldb.Stmt = `INSERT INTO delivered (queue_id, mailbox_id, account_id) VALUES ($1, $2, $3)`

	growMailboxSQL sqldb.Stmt = `UPDATE mailbox SET version = version + 1, bytes = bytes + $2, messages = messages + $3 WHERE id = $1 AND @scope(account_id)`

	dropDeliveredSQL sqldb.Stmt = `DELETE FROM delivered WHERE queue_id = $1 AND mailbox_id = $2 AND @scope(account_id)`
)

// parcel is an item on its way into its shard.
type parcel struct {
	item *mailstore.Item
	link string // the mailbox's own name of the content file
	used bool   // a message owns the link now
	err  error
}

// Deliver implements mailstore.Store.
func (s *Store) Deliver(ctx context.Context, scope account.Scope, items []mailstore.Item) []error {
	parcels := make([]parcel, len(items))
	shards := make([][]*parcel, len(s.shards))
	for i := range items {
		parcels[i].item = &items[i]
	}
	s.link(parcels)
	for i := range parcels {
		if parcels[i].err == nil {
			n := s.shard(items[i].Mailbox)
			shards[n] = append(shards[n], &parcels[i])
		}
	}
	var wg sync.WaitGroup
	for n, list := range shards {
		switch {
		case len(list) == 0:
		case len(list) == len(items):
			s.deliver(ctx, scope, s.shards[n], list)
		default:
			wg.Go(func() { s.deliver(ctx, scope, s.shards[n], list) })
		}
	}
	wg.Wait()
	for i := range parcels {
		if errors.Is(parcels[i].err, errKeywords) {
			s.makeRoom(ctx, scope, &parcels[i])
		}
	}
	errs := make([]error, len(items))
	for i := range parcels {
		errs[i] = parcels[i].err
		// After a commit that failed the message may be there all the same: its file is left to the sweep.
		if p := &parcels[i]; p.link != "" && !p.used && !errors.Is(p.err, sqldb.ErrStorage) {
			_ = s.blobs.Remove(p.link) // what cannot be removed now is swept too
		}
	}
	return errs
}

// makeRoom delivers what was refused for want of a keyword, once those that no message has gave way; without its keyword if
// it must be.
func (s *Store) makeRoom(ctx context.Context, scope account.Scope, p *parcel) {
	db := s.shards[s.shard(p.item.Mailbox)]
	if freed, err := s.freeKeywords(ctx, scope, p.item.Mailbox); err == nil && freed {
		s.deliver(ctx, scope, db, []*parcel{p})
	}
	if errors.Is(p.err, errKeywords) {
		plain := *p.item
		plain.Keyword, p.item = "", &plain
		s.deliver(ctx, scope, db, []*parcel{p})
	}
}

// link gives the mailboxes names of their own for content files, durable with one flush before any commit. When that
// fails it is tried file by file, so that one which cannot be linked holds up nobody else's mail.
func (s *Store) link(parcels []parcel) {
	var names []string
	for i := range parcels {
		if blob := parcels[i].item.Content.Blob; blob != "" {
			names = append(names, blob)
		}
	}
	if len(names) == 0 {
		return
	}
	links, err := s.blobs.Link(names...)
	for i := range parcels {
		p := &parcels[i]
		switch blob := p.item.Content.Blob; {
		case blob == "":
		case err == nil:
			p.link, links = links[0], links[1:]
		default:
			var own []string
			if own, p.err = s.blobs.Link(blob); p.err == nil {
				p.link = own[0]
			}
		}
	}
}

// deliver puts one shard's parcels into its next group commit.
func (s *Store) deliver(ctx context.Context, scope account.Scope, db *sqldb.DB, list []*parcel) {
	keys := make([]string, len(list))
	for i, p := range list {
		keys[i] = p.item.Mailbox
	}
	err := db.Write(ctx, scope, func(tx *sqldb.Tx) error {
		for _, p := range list {
			p.used = false
			var err error
			if p.err, err = s.put(tx, p); err != nil {
				return err
			}
		}
		return nil
	}, keys...)
	if err != nil {
		for _, p := range list {
			p.used, p.err = false, err
		}
	}
}

// put stores one parcel. Its own error changes nothing; the other one ends the job.
func (s *Store) put(tx *sqldb.Tx, p *parcel) (own, fatal error) { //revive:disable-line:error-return // two kinds of error
	item := p.item
	size, content := item.Size+int64(len(item.Prefix)), item.Content.Inline
	if p.link != "" {
		content = nil
	}
	folder := int64(mailbox.Inbox)
	if item.Use != "" {
		var err error
		if folder, err = s.folderFor(tx, item); err != nil {
			return asked(err)
		}
	}
	var owner string
	var quota, bytes, uid, highest, number int64
	var delivered bool
	found, err := tx.Row([]any{&owner, &quota, &bytes, &uid, &highest, &delivered, &number},
		either(tx, targetSQL, targetPG), item.Mailbox, string(item.QueueID), folder)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return mailbox.ErrNoMailbox, nil
	case delivered:
		return nil, nil
	case item.Content.Inline == nil && p.link == "":
		return mailbox.ErrCorrupt, nil // there is no content to deliver
	case quota > 0 && bytes+size > quota:
		return mailbox.ErrQuota, nil
	}
	var bits mailbox.Flags
	if item.Keyword != "" {
		bits, err = (&held{tx: tx, id: item.Mailbox, owner: owner}).flags(wanted{keywords: []string{item.Keyword}}, true)
		if errors.Is(err, errKeywords) {
			return err, nil
		} else if err != nil {
			return nil, err
		}
	}
	if err := tx.Post(setNextSQL, item.Mailbox, folder, uid+1, highest+1, size); err != nil {
		return nil, err
	}
	if err := tx.Post(insertBodySQL, number, owner, item.Prefix, content); err != nil {
		return nil, err
	}
	if err := tx.Post(insertMessageSQL, item.Mailbox, folder, uid, owner, highest+1, item.At, size, int64(item.Hash^sum(item.Prefix)), //nolint:gosec // a hash is stored as the number with the same bits
		item.From, item.Subject, item.Date, number, p.link, int64(bits)); err != nil { //nolint:gosec // bits
		return nil, err
	}
	if err := tx.Post(insertDeliveredSQL, string(item.QueueID), item.Mailbox, owner); err != nil {
		return nil, err
	}
	p.used = p.link != ""
	return nil, tx.Post(growMailboxSQL, item.Mailbox, size, 1)
}

// folderFor finds or makes the folder for an item's special use.
func (s *Store) folderFor(tx *sqldb.Tx, item *mailstore.Item) (int64, error) {
	h, err := s.hold(tx, item.Mailbox, mailbox.ErrNoMailbox)
	if err != nil {
		return 0, err
	}
	made := h.folders
	f, err := h.used(item.Use)
	if err == nil && h.folders != made {
		err = h.done()
	}
	return f.Number, err
}

// asked tells whether an error is the item's own.
func asked(err error) (own, fatal error) { //revive:disable-line:error-return // two kinds of error
	if errors.Is(err, mailbox.ErrNoMailbox) {
		return err, nil
	}
	return nil, err
}

// sum is a prefix's part in a message's checksum: without a prefix the checksum is the content's.
func sum(prefix []byte) uint64 {
	if len(prefix) == 0 {
		return 0
	}
	return sqldb.Sum(prefix)
}

// Settled implements mailstore.Store. Nobody waits for it: what a crash keeps of it is a few octets too many.
func (s *Store) Settled(_ context.Context, scope account.Scope, items []mailstore.DeliveredID) error {
	shards := make([][]mailstore.DeliveredID, len(s.shards))
	for _, item := range items {
		n := s.shard(item.Mailbox)
		shards[n] = append(shards[n], item)
	}
	for n, list := range shards {
		if len(list) == 0 {
			continue
		}
		s.shards[n].WriteLater(scope, func(tx *sqldb.Tx) error {
			for _, item := range list {
				if err := tx.Post(dropDeliveredSQL, string(item.QueueID), item.Mailbox); err != nil {
					return err
				}
			}
			return nil
		}, nil)
	}
	return nil
}
