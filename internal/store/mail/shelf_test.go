package mail_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"postroad/internal/core/account"
	coremail "postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/mailstore"
	"postroad/internal/service/mailstore/mailtest"
	"postroad/internal/store/sqldb"
)

// shelf is a store of any kind with the mailbox "a" of account acc-a.
type shelf struct {
	mailstore.Store
	t     *testing.T
	scope account.Scope
	blobs mailstore.Blobs
}

// shelves runs a test on both engines and on the mailboxes in memory that other packages test with.
func shelves(t *testing.T, test func(s *shelf)) {
	t.Helper()
	run := func(t *testing.T, store mailstore.Store, blobs mailstore.Blobs) {
		t.Helper()
		must(t, store.Create(t.Context(), system, mailbox.Mailbox{ID: "a", Account: "acc-a"}))
		test(&shelf{Store: store, t: t, scope: account.Of("acc-a"), blobs: blobs})
	}
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		store := mailtest.NewStore()
		run(t, store, store.Blobs())
	})
	engines(t, func(w *world) { run(w.t, w.Store, files{w.blobs}) })
}

// files is a blob folder as mailstore wants it.
type files struct{ *sqldb.Blobs }

func (f files) Create() (mailstore.Blob, error) {
	blob, err := f.Blobs.Create()
	return &file{blob, f.Blobs}, err
}

type file struct {
	*sqldb.Blob
	folder *sqldb.Blobs
}

func (f *file) Commit(int64, uint64) (string, error) { return f.Name(), f.Blob.Commit() }
func (f *file) Abort()                               { _ = f.folder.Remove(f.Name()) }

func (s *shelf) quota(octets int64) {
	s.t.Helper()
	must(s.t, s.Create(s.t.Context(), system, mailbox.Mailbox{ID: "a", Account: "acc-a", Quota: octets}))
}

func (s *shelf) folder(name string) mailbox.Folder {
	s.t.Helper()
	f, err := s.Folder(s.t.Context(), s.scope, "a", name)
	must(s.t, err)
	return f
}

// create makes a folder and gives its number.
func (s *shelf) create(name string) int64 {
	s.t.Helper()
	f, err := s.CreateFolder(s.t.Context(), s.scope, "a", name, "")
	must(s.t, err)
	return f.Number
}

// message is a message as a client appends it. More than 64 KiB become a content file.
func (s *shelf) message(content string, flags ...string) mailbox.Appended {
	s.t.Helper()
	up := mailstore.New(s.Store, mailstore.Config{Blobs: s.blobs}).Upload(1 << 30)
	_, err := io.WriteString(up, content)
	must(s.t, err)
	a, err := up.Done()
	must(s.t, err)
	a.Flags, a.At = flags, time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	return a
}

func (s *shelf) append(folder int64, items ...mailbox.Appended) []uint32 {
	s.t.Helper()
	placed, err := s.Append(s.t.Context(), s.scope, "a", folder, items)
	must(s.t, err)
	return placed.UIDs
}

func (s *shelf) flags(folder int64, mode mailbox.FlagMode, names []string, uids ...uint32) mailbox.FlagResult {
	s.t.Helper()
	r, err := s.SetFlags(s.t.Context(), s.scope, "a", folder, mailbox.FlagChange{UIDs: uids, Mode: mode, Flags: names, UnchangedSince: -1})
	must(s.t, err)
	return r
}

func (s *shelf) remove(folder int64, uids ...uint32) []uint32 {
	s.t.Helper()
	s.flags(folder, mailbox.FlagsAdd, []string{`\Deleted`}, uids...)
	gone, err := s.Expunge(s.t.Context(), s.scope, "a", folder, uids)
	must(s.t, err)
	return gone
}

func (s *shelf) index(folder int64) *mailbox.Index {
	s.t.Helper()
	x, err := s.Index(s.t.Context(), s.scope, "a", folder, nil)
	must(s.t, err)
	return x
}

// text is an index as a line: UID and flags of each message.
func (s *shelf) text(folder int64) string {
	s.t.Helper()
	x, text := s.index(folder), ""
	for _, e := range x.All() {
		text += fmt.Sprintf("%d%v ", e.UID, x.Names(e.Flags))
	}
	return text
}

// read is a message's bytes.
func (s *shelf) read(folder int64, uid uint32) string {
	s.t.Helper()
	body, err := s.Open(s.t.Context(), s.scope, "a", folder, uid)
	must(s.t, err)
	defer func() { must(s.t, body.Close()) }()
	b, err := io.ReadAll(body.Whole())
	must(s.t, err)
	return string(b)
}

func (s *shelf) usage() mailbox.Usage {
	s.t.Helper()
	u, err := s.Usage(s.t.Context(), s.scope, []string{"a"})
	must(s.t, err)
	return u["a"]
}

func (s *shelf) deliver(use, content string) { s.deliverMarked(use, "", content) }

// deliverMarked delivers a message that has a keyword from the beginning.
func (s *shelf) deliverMarked(use, keyword, content string) {
	s.t.Helper()
	m := mailbox.Item{
		Mailbox: "a", Use: use, Keyword: keyword, QueueID: newID(), At: time.Now().UTC().Truncate(time.Microsecond), Size: int64(len(content)),
		Hash: sqldb.Sum([]byte(content)), Content: coremail.Content{Inline: []byte(content)},
	}
	must(s.t, s.Deliver(context.Background(), system, []mailbox.Item{m})[0])
}
