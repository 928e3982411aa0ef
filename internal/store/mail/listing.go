package mail

import (
	"cmp"
	"encoding/binary"
	"slices"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
	"postroad/internal/store/sqldb"
)

const (
	listingSQL sqldb.Stmt = `SELECT modseq, content FROM listing WHERE mailbox_id = $1 AND folder = $2 AND @scope(account_id)`

	// A listing of a folder that is gone is not stored.
	putListingSQL sqldb.Stmt = `INSERT INTO listing (mailbox_id, folder, account_id, modseq, content)
		SELECT mailbox_id, n, account_id, $3, $4 FROM folder WHERE mailbox_id = $1 AND n = $2 AND @scope(account_id)
		ON CONFLICT (mailbox_id, folder) DO UPDATE SET modseq = excluded.modseq, content = excluded.content`

	indexSQL sqldb.Stmt = `SELECT uid, bits, modseq FROM message
		WHERE mailbox_id = $1 AND folder = $2 AND @scope(account_id) ORDER BY uid`

	// Ordered as its index is, so that an engine does not go through the whole folder to have it by UID.
	changedSQL sqldb.Stmt = `SELECT uid, bits, modseq FROM message
		WHERE mailbox_id = $1 AND folder = $2 AND modseq > $3 AND @scope(account_id) ORDER BY modseq`

	vanishedSQL sqldb.Stmt = `SELECT uid FROM expunged
		WHERE mailbox_id = $1 AND folder = $2 AND modseq > $3 AND @scope(account_id) ORDER BY modseq`
)

// listingWorth is how many messages are read one by one before a listing of the folder is stored.
const listingWorth = 5000

// load reads a folder's index from its listing and from what has changed since. worth tells that it took so many rows
// that a new listing should be stored.
func load(tx *sqldb.Tx, id string, f mailbox.Folder, known []string) (index *mailbox.Index, worth bool, err error) {
	var modseq int64
	var content []byte
	if f.Messages >= listingWorth {
		if _, err := tx.Row([]any{&modseq, &content}, listingSQL, id, f.Number); err != nil {
			return nil, false, err
		}
	}
	list, ok := unpack(content)
	if !ok || modseq == 0 || modseq > f.HighestModSeq || modseq < f.Forgotten {
		index, n, err := readAll(tx, id, f, known)
		return index, n >= listingWorth, err
	}
	index, n, err := follow(tx, id, f, known, mailbox.NewIndex(f, known, list), modseq)
	return index, n >= listingWorth, err
}

// readAll reads a folder's index message by message, and tells how many there are.
func readAll(tx *sqldb.Tx, id string, f mailbox.Folder, known []string) (*mailbox.Index, int, error) {
	list, err := entries(tx, make([]mailbox.Entry, 0, f.Messages), indexSQL, id, f.Number)
	return mailbox.NewIndex(f, known, list), len(list), err
}

// follow brings an index up to date that was right at a MODSEQ, and tells how many rows that took.
func follow(tx *sqldb.Tx, id string, f mailbox.Folder, known []string, have *mailbox.Index, since int64) (*mailbox.Index, int, error) {
	if since < f.Forgotten { // some of what is gone since is not remembered
		return readAll(tx, id, f, known)
	}
	changed, err := entries(tx, nil, changedSQL, id, f.Number, since)
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(changed, func(a, b mailbox.Entry) int { return cmp.Compare(a.UID, b.UID) })
	gone, err := vanished(tx, id, f.Number, since)
	if err != nil {
		return nil, 0, err
	}
	return have.Apply(f, known, changed, gone), len(changed) + len(gone), nil
}

// keepListing stores a listing of an index. Nobody waits for it.
func (s *Store) keepListing(scope account.Scope, id string, index *mailbox.Index) {
	f, content := index.Folder(), pack(index)
	s.of(id).WriteLater(scope, func(tx *sqldb.Tx) error {
		return tx.Post(putListingSQL, id, f.Number, f.HighestModSeq, content)
	}, nil, id)
}

// pack writes an index in few octets: for each message how much its UID and its MODSEQ are above those of the one
// before, and its flags. The checksum of all comes first.
func pack(index *mailbox.Index) []byte {
	b := make([]byte, 8, 8+6*index.Len())
	var last mailbox.Entry
	for _, e := range index.All() {
		b = binary.AppendUvarint(b, uint64(e.UID-last.UID))
		b = binary.AppendVarint(b, e.ModSeq-last.ModSeq)
		b = binary.AppendUvarint(b, uint64(e.Flags))
		last = e
	}
	binary.LittleEndian.PutUint64(b, sqldb.Sum(b[8:]))
	return b
}

// unpack reads what pack wrote; false when it is something else.
func unpack(b []byte) ([]mailbox.Entry, bool) {
	if len(b) < 8 || binary.LittleEndian.Uint64(b) != sqldb.Sum(b[8:]) {
		return nil, false
	}
	b = b[8:]
	list := make([]mailbox.Entry, 0, len(b)/4)
	var last mailbox.Entry
	for len(b) > 0 {
		uid, n := binary.Uvarint(b)
		modseq, m := binary.Varint(b[max(n, 0):])
		if n <= 0 || m <= 0 {
			return nil, false
		}
		flags, k := binary.Uvarint(b[n+m:])
		if k <= 0 {
			return nil, false
		}
		last = mailbox.Entry{UID: last.UID + uint32(uid), ModSeq: last.ModSeq + modseq, Flags: mailbox.Flags(flags)} //nolint:gosec // it was one
		list = append(list, last)
		b = b[n+m+k:]
	}
	return list, true
}

func entries(tx *sqldb.Tx, list []mailbox.Entry, stmt sqldb.Stmt, args ...any) ([]mailbox.Entry, error) {
	rows, err := tx.Query(stmt, args...)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var e mailbox.Entry
		if rows.Scan(&e.UID, &e.Flags, &e.ModSeq) != nil {
			break // Close gives the error
		}
		list = append(list, e)
	}
	return list, rows.Close()
}

// vanished gives the UIDs that were removed after a MODSEQ, growing.
func vanished(tx *sqldb.Tx, id string, folder, since int64) ([]uint32, error) {
	rows, err := tx.Query(vanishedSQL, id, folder, since)
	if err != nil {
		return nil, err
	}
	var list []uint32
	for rows.Next() {
		var uid uint32
		if rows.Scan(&uid) != nil {
			break // Close gives the error
		}
		list = append(list, uid)
	}
	slices.Sort(list)
	return list, rows.Close()
}
