// Package mailtest keeps mailboxes in memory, as tests of those who read and change mailboxes want them.
//
// It does what service/mailstore.Store promises but durability, and the stores' own conformance suite holds it to that.
package mailtest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/mailstore"
)

// New makes a service with mailboxes in memory.
func New() *mailstore.Service {
	store := NewStore()
	return mailstore.New(store, mailstore.Config{Blobs: store.Blobs()})
}

// Store is mailboxes in memory. It is safe for concurrent use.
type Store struct {
	mu    sync.Mutex
	boxes map[string]*box
	blobs map[string][]byte
	names int
}

var _ mailstore.Store = (*Store)(nil)

// NewStore makes a store without mailboxes.
func NewStore() *Store { return &Store{boxes: map[string]*box{}, blobs: map[string][]byte{}} }

// box is a mailbox.
type box struct {
	mailbox.Mailbox
	folders    []*folder
	numbers    int64
	validity   uint32
	keywords   []string
	subscribed map[string]bool
	delivered  map[mail.ID]bool
	version    int64
}

// folder is a folder; its counts are counted when they are asked for.
type folder struct {
	mailbox.Folder
	messages []*stored
	expunged map[uint32]int64 // MODSEQ by UID
}

// stored is a message.
type stored struct {
	mailbox.Message
	flags   mailbox.Flags
	content []byte
	hash    uint64
	notes   []byte
}

// box finds a mailbox that is in scope.
func (s *Store) box(scope account.Scope, id string) (*box, error) {
	if b := s.boxes[id]; b != nil && scope.Has(b.Account) {
		return b, nil
	}
	return nil, mailbox.ErrNoMailbox
}

// folder finds a folder by its number.
func (s *Store) folder(scope account.Scope, id string, n int64) (*box, *folder, error) {
	b, err := s.box(scope, id)
	if err == nil {
		for _, f := range b.folders {
			if f.Number == n {
				return b, f, nil
			}
		}
	}
	return nil, nil, mailbox.ErrNoFolder
}

func (b *box) named(name string) *folder {
	for _, f := range b.folders {
		if f.Name == name {
			return f
		}
	}
	return nil
}

func (b *box) make(name, use string) *folder {
	b.numbers++
	b.validity = max(b.validity+1, uint32(time.Now().Unix())) //nolint:gosec // until the year 2106
	f := &folder{Folder: mailbox.Folder{Number: b.numbers, Name: name, UIDValidity: b.validity, UIDNext: 1, HighestModSeq: 1, SpecialUse: use}, expunged: map[uint32]int64{}}
	b.folders = append(b.folders, f)
	b.version++
	return f
}

func (b *box) usage() mailbox.Usage {
	u := mailbox.Usage{Quota: b.Quota}
	for _, f := range b.folders {
		u.Messages += int64(len(f.messages))
		for _, m := range f.messages {
			u.Bytes += m.Size
		}
	}
	return u
}

// show is a folder with its counts.
func (b *box) show(f *folder) mailbox.Folder {
	out := f.Folder
	out.Messages, out.Subscribed = int64(len(f.messages)), b.subscribed[f.Name]
	for _, m := range f.messages {
		out.Bytes += m.Size
		if !m.flags.Has(mailbox.Seen) {
			out.Unseen++
		}
		if m.flags.Has(mailbox.Deleted) {
			out.Deleted++
		}
	}
	return out
}

// Create implements mailstore.Boxes.
func (s *Store) Create(_ context.Context, scope account.Scope, m mailbox.Mailbox) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.boxes[m.ID]
	if !scope.Has(m.Account) || old != nil && old.Account != m.Account {
		return fmt.Errorf("account %s is not in scope", m.Account)
	}
	if old != nil {
		old.Quota = m.Quota
		return nil
	}
	b := &box{Mailbox: m, subscribed: map[string]bool{mailbox.InboxName: true}, delivered: map[mail.ID]bool{}}
	b.make(mailbox.InboxName, "")
	for _, standard := range mailbox.Standards() {
		b.make(standard.Name, standard.Use)
		b.subscribed[standard.Name] = true
	}
	s.boxes[m.ID] = b
	return nil
}

// Remove implements mailstore.Boxes.
func (s *Store) Remove(_ context.Context, scope account.Scope, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.box(scope, id); err != nil {
		return err
	}
	delete(s.boxes, id)
	return nil
}

// content gives what an item brings.
func (s *Store) content(c mail.Content) ([]byte, error) {
	switch {
	case c.Blob != "":
		if data, ok := s.blobs[c.Blob]; ok {
			return data, nil
		}
	case c.Inline != nil:
		return c.Inline, nil
	}
	return nil, mailbox.ErrCorrupt
}

// Deliver implements mailstore.Boxes.
func (s *Store) Deliver(_ context.Context, scope account.Scope, items []mailbox.Item) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := make([]error, len(items))
	for i := range items {
		errs[i] = s.deliver(scope, &items[i])
	}
	return errs
}

func (s *Store) deliver(scope account.Scope, item *mailbox.Item) error {
	b, err := s.box(scope, item.Mailbox)
	if err != nil || b.delivered[item.QueueID] {
		return err
	}
	content, err := s.content(item.Content)
	size := item.Size + int64(len(item.Prefix))
	switch {
	case err != nil:
		return err
	case b.Quota > 0 && b.usage().Bytes+size > b.Quota:
		return mailbox.ErrQuota
	}
	hash := item.Hash
	if len(item.Prefix) > 0 {
		content = slices.Concat(item.Prefix, content)
		hash = xxhash.Sum64(content)
	}
	f := b.used(item.Use)
	var flags mailbox.Flags
	if item.Keyword != "" {
		flags, _ = b.flags([]string{item.Keyword}, 0)
	}
	b.change(f)
	f.add(&stored{
		flags: flags, Message: mailbox.Message{At: item.At, Size: size, From: item.From, Subject: item.Subject, Date: item.Date},
		content: content, hash: hash,
	})
	b.delivered[item.QueueID] = true
	return nil
}

// change takes the next MODSEQ of a folder.
func (b *box) change(f *folder) {
	f.HighestModSeq++
	b.version++
}

// used finds or makes the folder of a special use; INBOX for none.
func (b *box) used(use string) *folder {
	if use == "" {
		return b.folders[0]
	}
	for _, f := range b.folders {
		if f.SpecialUse == use {
			return f
		}
	}
	name := mailbox.NameOf(use)
	if f := b.named(name); f != nil {
		return f
	}
	b.subscribed[name] = true
	return b.make(name, use)
}

// add gives a message the next UID of a folder, and the MODSEQ that change took.
func (f *folder) add(m *stored) uint32 {
	m.UID, m.ModSeq = f.UIDNext, f.HighestModSeq
	f.UIDNext++
	f.messages = append(f.messages, m)
	return m.UID
}

// Settled implements mailstore.Boxes.
func (s *Store) Settled(_ context.Context, scope account.Scope, items []mailbox.DeliveredID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, item := range items {
		if b, err := s.box(scope, item.Mailbox); err == nil {
			delete(b.delivered, item.QueueID)
		}
	}
	return nil
}

// Usage implements mailstore.Boxes.
func (s *Store) Usage(_ context.Context, scope account.Scope, ids []string) (map[string]mailbox.Usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]mailbox.Usage{}
	for id, b := range s.boxes {
		if scope.Has(b.Account) && (len(ids) == 0 || slices.Contains(ids, id)) {
			out[id] = b.usage()
		}
	}
	return out, nil
}

// Versions implements mailstore.Boxes.
func (s *Store) Versions(_ context.Context, scope account.Scope, ids []string) (map[string]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int64{}
	for _, id := range ids {
		if b, err := s.box(scope, id); err == nil {
			out[id] = b.version
		}
	}
	return out, nil
}

// Messages implements mailstore.Reader.
func (s *Store) Messages(_ context.Context, scope account.Scope, id, name string, after uint32, limit int) ([]mailbox.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(scope, id)
	if err != nil || b.named(name) == nil {
		return nil, mailbox.ErrNoFolder
	}
	var list []mailbox.Message
	for _, m := range b.named(name).messages {
		if m.UID > after && len(list) < limit {
			out := m.Message
			out.Flags = m.flags.Append([]string{}, b.keywords)
			list = append(list, out)
		}
	}
	return list, nil
}

// Summary implements mailstore.Reader.
func (s *Store) Summary(_ context.Context, scope account.Scope, id, name string) (mailbox.Summary, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(scope, id)
	if err != nil || b.named(name) == nil {
		return mailbox.Summary{}, mailbox.ErrNoFolder
	}
	f := b.named(name)
	unseen := slices.IndexFunc(f.messages, func(m *stored) bool { return !m.flags.Has(mailbox.Seen) })
	return mailbox.Summary{Folder: b.show(f), Keywords: slices.Clone(b.keywords), FirstUnseen: int64(unseen) + 1}, nil
}

// Index implements mailstore.Reader.
func (s *Store) Index(_ context.Context, scope account.Scope, id string, n int64, have *mailbox.Index) (*mailbox.Index, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, f, err := s.folder(scope, id, n)
	if err != nil {
		return nil, err
	}
	now, keywords := b.show(f), slices.Clone(b.keywords)
	if have == nil {
		return mailbox.NewIndex(now, keywords, f.changed(0)), nil
	}
	if have.Folder() == now {
		return have, nil
	}
	since := have.Folder().HighestModSeq
	if since < f.Forgotten {
		return mailbox.NewIndex(now, keywords, f.changed(0)), nil
	}
	return have.Apply(now, keywords, f.changed(since), f.vanished(since)), nil
}

func (f *folder) changed(since int64) []mailbox.Entry {
	var list []mailbox.Entry
	for _, m := range f.messages {
		if m.ModSeq > since {
			list = append(list, mailbox.Entry{UID: m.UID, Flags: m.flags, ModSeq: m.ModSeq})
		}
	}
	return list
}

func (f *folder) vanished(since int64) []uint32 {
	var list []uint32
	for uid, modseq := range f.expunged {
		if modseq > since {
			list = append(list, uid)
		}
	}
	slices.Sort(list)
	return list
}

// Vanished implements mailstore.Reader.
func (s *Store) Vanished(_ context.Context, scope account.Scope, id string, n, since int64) (mailbox.Vanished, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, f, err := s.folder(scope, id, n)
	if err != nil {
		return mailbox.Vanished{}, err
	}
	return mailbox.Vanished{UIDs: f.vanished(since), Forgotten: since < f.Forgotten}, nil
}

// some gives those of a folder's messages that are among UIDs.
func (f *folder) some(uids []uint32) []*stored {
	var list []*stored
	for _, uid := range uids {
		if i, found := slices.BinarySearchFunc(f.messages, uid, func(m *stored, uid uint32) int { return cmp.Compare(m.UID, uid) }); found {
			list = append(list, f.messages[i])
		}
	}
	return list
}

// Facts implements mailstore.Reader.
func (s *Store) Facts(_ context.Context, scope account.Scope, id string, n int64, uids []uint32) ([]mailbox.Fact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, f, err := s.folder(scope, id, n)
	if err != nil {
		return nil, err
	}
	var list []mailbox.Fact
	for _, m := range f.some(uids) {
		list = append(list, mailbox.Fact{UID: m.UID, Size: m.Size, At: m.At, Notes: m.notes})
	}
	return list, nil
}

// Open implements mailstore.Reader.
func (s *Store) Open(_ context.Context, scope account.Scope, id string, n int64, uid uint32) (mailbox.Body, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, f, err := s.folder(scope, id, n)
	if err != nil {
		return nil, err
	}
	list := f.some([]uint32{uid})
	if len(list) == 0 {
		return nil, mailbox.ErrNoMessage
	}
	return list[0].open()
}

func (m *stored) open() (mailbox.Body, error) {
	if xxhash.Sum64(m.content) != m.hash || int64(len(m.content)) != m.Size {
		return nil, mailbox.ErrCorrupt
	}
	return body{bytes.NewReader(m.content)}, nil
}

// body is the bytes of a message.
type body struct{ *bytes.Reader }

func (b body) Size() int64      { return b.Reader.Size() }
func (b body) Whole() io.Reader { return io.NewSectionReader(b.Reader, 0, b.Size()) }
func (body) Close() error       { return nil }

// Bodies implements mailstore.Reader.
func (s *Store) Bodies(_ context.Context, scope account.Scope, id string, n int64, uids []uint32, each func(uint32, mailbox.Body, error) error) error {
	s.mu.Lock()
	_, f, err := s.folder(scope, id, n)
	var list []*stored
	if err == nil {
		list = f.some(uids)
	}
	s.mu.Unlock()
	for _, m := range list {
		b, err := m.open()
		if err := each(m.UID, b, err); err != nil {
			return err
		}
	}
	return err
}
