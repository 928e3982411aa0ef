package mailtest

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/mailstore"
)

// Folders implements mailstore.Folders.
func (s *Store) Folders(_ context.Context, scope account.Scope, id string) ([]mailbox.Folder, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(scope, id)
	if err != nil {
		return nil, err
	}
	var list []mailbox.Folder
	for _, f := range b.folders {
		list = append(list, b.show(f))
	}
	slices.SortFunc(list[1:], func(x, y mailbox.Folder) int {
		if x.Name < y.Name {
			return -1
		}
		return 1
	})
	return list, nil
}

// Folder implements mailstore.Folders.
func (s *Store) Folder(_ context.Context, scope account.Scope, id, name string) (mailbox.Folder, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(scope, id)
	if err != nil || b.named(name) == nil {
		return mailbox.Folder{}, mailbox.ErrNoFolder
	}
	return b.show(b.named(name)), nil
}

// CreateFolder implements mailstore.Folders.
func (s *Store) CreateFolder(_ context.Context, scope account.Scope, id, name, use string) (mailbox.Folder, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(scope, id)
	switch {
	case err != nil:
		return mailbox.Folder{}, err
	case b.named(name) != nil:
		return mailbox.Folder{}, mailbox.ErrExists
	case use != "" && slices.ContainsFunc(b.folders, func(f *folder) bool { return f.SpecialUse == use }):
		return mailbox.Folder{}, mailbox.ErrUse
	}
	if err := b.parents(name, 1); err != nil {
		return mailbox.Folder{}, err
	}
	return b.show(b.make(name, use)), nil
}

// parents makes the folders above a name, when there is room for them and some more.
func (b *box) parents(name string, more int) error {
	var missing []string
	for parent := range mailbox.Parents(name) {
		if b.named(parent) == nil {
			missing = append(missing, parent)
		}
	}
	if len(b.folders)+len(missing)+more > mailbox.MaxFolders {
		return mailbox.ErrLimit
	}
	for _, parent := range missing {
		b.make(parent, "")
	}
	return nil
}

// RenameFolder implements mailstore.Folders.
func (s *Store) RenameFolder(_ context.Context, scope account.Scope, id, from, to string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(scope, id)
	switch {
	case err != nil || b.named(from) == nil:
		return mailbox.ErrNoFolder
	case b.named(to) != nil:
		return mailbox.ErrExists
	case from == mailbox.InboxName:
		return b.renameInbox(to)
	case mailbox.Below(to, from):
		return mailbox.ErrName
	}
	names := map[*folder]string{}
	for _, f := range b.folders {
		if f.Name == from || mailbox.Below(f.Name, from) {
			names[f] = to + f.Name[len(from):]
		}
	}
	for _, name := range names {
		if other := b.named(name); other != nil && names[other] == "" {
			return mailbox.ErrExists
		}
	}
	for _, name := range names {
		if len(name) > mailbox.MaxName {
			return mailbox.ErrName
		}
	}
	for f, name := range names {
		f.Name = name
	}
	if err := b.parents(to, 0); err != nil {
		return err
	}
	for name := range b.subscribed {
		if name == from || mailbox.Below(name, from) {
			delete(b.subscribed, name)
			b.subscribed[to+name[len(from):]] = true
		}
	}
	b.version++
	return nil
}

// renameInbox puts what lies in INBOX into a new folder.
func (b *box) renameInbox(to string) error {
	if err := b.parents(to, 1); err != nil {
		return err
	}
	in, out := b.folders[0], b.make(to, "")
	out.messages, out.UIDNext, out.HighestModSeq = in.messages, in.UIDNext, in.HighestModSeq
	if len(in.messages) > 0 {
		in.HighestModSeq++
	}
	if len(in.messages) > mailbox.MaxGone {
		in.Forgotten = in.HighestModSeq
		clear(in.expunged)
	} else {
		for _, m := range in.messages {
			in.expunged[m.UID] = in.HighestModSeq
		}
	}
	in.messages = nil
	return nil
}

// DeleteFolder implements mailstore.Folders.
func (s *Store) DeleteFolder(_ context.Context, scope account.Scope, id, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(scope, id)
	switch {
	case err != nil || b.named(name) == nil:
		return mailbox.ErrNoFolder
	case name == mailbox.InboxName:
		return mailbox.ErrName
	}
	b.folders = slices.DeleteFunc(b.folders, func(f *folder) bool { return f.Name == name })
	b.version++
	return nil
}

// Subscribe implements mailstore.Folders.
func (s *Store) Subscribe(_ context.Context, scope account.Scope, id, name string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(scope, id)
	switch {
	case err != nil:
		return err
	case !on:
		delete(b.subscribed, name)
	case !b.subscribed[name] && len(b.subscribed) >= mailbox.MaxFolders:
		return mailbox.ErrLimit
	default:
		b.subscribed[name] = true
	}
	b.version++
	return nil
}

// Subscriptions implements mailstore.Folders.
func (s *Store) Subscriptions(_ context.Context, scope account.Scope, id string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(scope, id)
	if err != nil {
		return nil, err
	}
	var list []string
	for name := range b.subscribed {
		list = append(list, name)
	}
	slices.Sort(list)
	return list, nil
}

// flags gives names as flags; keywords that are not known get numbers, which are not among some that are taken.
func (b *box) flags(names []string, taken mailbox.Flags) (mailbox.Flags, error) {
	var flags mailbox.Flags
	for _, name := range names {
		if flag, ok := mailbox.SystemFlag(name); ok {
			flags |= flag
			continue
		}
		if err := mailbox.CheckKeyword(name); err != nil {
			return 0, err
		}
		n := mailbox.FindKeyword(b.keywords, name)
		if n < 0 {
			if n = b.freeKeyword(taken | flags); n < 0 {
				return 0, mailbox.ErrLimit
			}
			b.keywords[n] = name
		}
		flags |= mailbox.Keyword(n)
	}
	return flags, nil
}

// freeKeyword gives the number for a new keyword, -1 for none. When there is none left, those give way that no message has.
func (b *box) freeKeyword(used mailbox.Flags) int {
	if n := slices.Index(b.keywords, ""); n >= 0 {
		return n
	}
	if n := len(b.keywords); n < mailbox.MaxKeywords {
		b.keywords = append(b.keywords, "")
		return n
	}
	for _, f := range b.folders {
		for _, m := range f.messages {
			used |= m.flags
		}
	}
	for n := range b.keywords {
		if !used.Has(mailbox.Keyword(n)) {
			b.keywords[n] = ""
		}
	}
	return slices.Index(b.keywords, "")
}

// Append implements mailstore.Writer.
func (s *Store) Append(_ context.Context, scope account.Scope, id string, n int64, items []mailbox.Appended) (mailbox.Placed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, f, err := s.folder(scope, id, n)
	if err != nil {
		return mailbox.Placed{}, err
	}
	list := make([]*stored, len(items))
	more, taken := int64(0), mailbox.Flags(0)
	for i := range items {
		item := &items[i]
		m := &stored{
			Message: mailbox.Message{At: item.At, Size: item.Size, From: item.From, Subject: item.Subject, Date: item.Date}, hash: item.Hash,
		}
		if m.content, err = s.content(item.Content); err == nil {
			m.flags, err = b.flags(item.Flags, taken)
		}
		if err != nil {
			return mailbox.Placed{}, err
		}
		list[i] = m
		more, taken = more+m.Size, taken|m.flags
	}
	return b.place(f, list, more)
}

// place adds messages to a folder when there is room for so many octets more.
func (b *box) place(f *folder, list []*stored, more int64) (mailbox.Placed, error) {
	if more > 0 && b.Quota > 0 && b.usage().Bytes+more > b.Quota {
		return mailbox.Placed{}, mailbox.ErrQuota
	}
	placed := mailbox.Placed{UIDValidity: f.UIDValidity}
	if len(list) > 0 {
		b.change(f)
	}
	for _, m := range list {
		placed.UIDs = append(placed.UIDs, f.add(m))
	}
	return placed, nil
}

// SetFlags implements mailstore.Writer.
func (s *Store) SetFlags(_ context.Context, scope account.Scope, id string, n int64, change mailbox.FlagChange) (mailbox.FlagResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, f, err := s.folder(scope, id, n)
	if err != nil {
		return mailbox.FlagResult{}, err
	}
	flags, err := b.flags(change.Flags, 0)
	if err != nil {
		return mailbox.FlagResult{}, err
	}
	result := mailbox.FlagResult{HighestModSeq: f.HighestModSeq}
	for _, m := range f.some(change.UIDs) {
		next := change.Mode.Apply(m.flags, flags)
		switch {
		case change.UnchangedSince >= 0 && m.ModSeq > change.UnchangedSince:
			result.Failed = append(result.Failed, m.UID)
		case next != m.flags:
			m.flags, m.ModSeq = next, f.HighestModSeq+1
			result.Changed = append(result.Changed, m.UID)
		}
	}
	if len(result.Changed) > 0 {
		b.change(f)
		result.HighestModSeq = f.HighestModSeq
	}
	return result, nil
}

// Copy implements mailstore.Writer.
func (s *Store) Copy(_ context.Context, scope account.Scope, id string, from int64, uids []uint32, to int64) (mailbox.Placed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, source, err := s.folder(scope, id, from)
	_, target, err2 := s.folder(scope, id, to)
	if err != nil || err2 != nil {
		return mailbox.Placed{}, mailbox.ErrNoFolder
	}
	var list []*stored
	var found []uint32
	more := int64(0)
	for _, m := range source.some(uids) {
		other := *m
		list, found = append(list, &other), append(found, m.UID)
		more += m.Size
	}
	placed, err := b.place(target, list, more)
	if err == nil {
		placed.From = found
	}
	return placed, err
}

// Move implements mailstore.Writer.
func (s *Store) Move(_ context.Context, scope account.Scope, id string, from int64, uids []uint32, to int64) (mailbox.Placed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, source, err := s.folder(scope, id, from)
	_, target, err2 := s.folder(scope, id, to)
	if err != nil || err2 != nil {
		return mailbox.Placed{}, mailbox.ErrNoFolder
	}
	list := source.some(uids)
	found := b.take(source, list)
	placed, err := b.place(target, list, 0)
	placed.From = found
	return placed, err
}

// take takes messages out of a folder and gives the UIDs that they had.
func (b *box) take(f *folder, list []*stored) []uint32 {
	if len(list) == 0 {
		return nil
	}
	b.change(f)
	var uids []uint32
	for _, m := range list {
		uids = append(uids, m.UID)
		f.expunged[m.UID] = f.HighestModSeq
	}
	f.messages = slices.DeleteFunc(f.messages, func(m *stored) bool { return slices.Contains(list, m) })
	f.forget()
	return uids
}

// forget drops the memory of what was removed too long ago.
func (f *folder) forget() {
	if len(f.expunged) <= mailbox.MaxGone+mailbox.MaxAtATime {
		return
	}
	modseqs := slices.Sorted(maps.Values(f.expunged))
	f.Forgotten = modseqs[len(modseqs)-1-mailbox.MaxGone]
	maps.DeleteFunc(f.expunged, func(_ uint32, modseq int64) bool { return modseq <= f.Forgotten })
}

// Expunge implements mailstore.Writer.
func (s *Store) Expunge(_ context.Context, scope account.Scope, id string, n int64, uids []uint32) ([]uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, f, err := s.folder(scope, id, n)
	if err != nil {
		return nil, err
	}
	list := f.messages
	if uids != nil {
		list = f.some(uids)
	}
	return b.take(f, slices.DeleteFunc(slices.Clone(list), func(m *stored) bool { return !m.flags.Has(mailbox.Deleted) })), nil
}

// Note implements mailstore.Writer.
func (s *Store) Note(_ context.Context, scope account.Scope, id string, n int64, notes []mailbox.Note) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, f, err := s.folder(scope, id, n)
	if err != nil {
		return err
	}
	for _, note := range notes {
		if len(note.Text) > mailbox.MaxNote {
			continue
		}
		for _, m := range f.some([]uint32{note.UID}) {
			m.notes = note.Text
		}
	}
	return nil
}

// Blobs is the folder of large contents.
func (s *Store) Blobs() mailstore.Blobs { return blobs{s} }

type blobs struct{ store *Store }

// Create implements mailstore.Blobs.
func (b blobs) Create() (mailstore.Blob, error) {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	b.store.names++
	return &blob{store: b.store, name: strconv.Itoa(b.store.names)}, nil
}

// blob is a large content on its way.
type blob struct {
	store   *Store
	name    string
	content []byte
}

// Write implements mailstore.Blob.
func (b *blob) Write(p []byte) (int, error) {
	b.content = append(b.content, p...)
	return len(p), nil
}

// Commit implements mailstore.Blob.
func (b *blob) Commit(int64, uint64) (string, error) {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	b.store.blobs[b.name] = b.content
	return b.name, nil
}

// Abort implements mailstore.Blob.
func (b *blob) Abort() {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	delete(b.store.blobs, b.name)
}
