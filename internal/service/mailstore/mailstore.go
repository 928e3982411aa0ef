// Package mailstore is where local mail lies until it is read: folders, messages, UIDs, flags, quota.
//
// Stores implement Store. The service adds what readers and agents need beside it: clean names, large sets of messages
// in steps, indexes that sessions share, contents on their way in, and a word to whoever watches a mailbox. A queue id
// enters a mailbox at most once, whatever crashes (docs/durability.md).
//
// # Failure
//
// A change of many messages is made in steps of mailbox.MaxAtATime, each of which is there whole or not at all: an
// error or a crash leaves the steps before it. What Copy has copied when a later step fails is removed again.
package mailstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/text/unicode/norm"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
)

// Config is what the service needs beside a store.
type Config struct {
	Blobs   Blobs
	Disk    Disk  // nil: there is room for ever
	Reserve int64 // octets of the disk that clients' messages leave free, so that what there is can be removed
}

// Service is the mailboxes of one installation. Its methods may be called at once.
type Service struct {
	store   Store
	config  Config
	feed    feed
	indexes indexes
}

// New makes the service over a store.
func New(store Store, config Config) *Service {
	s := &Service{store: store, config: config}
	s.feed.watchers = map[string]*watched{}
	s.indexes.entries = map[place]*shared{}
	return s
}

// Temporary reports whether a delivery that failed with err may succeed later: all failures but that of a
// mailbox which is not there.
func (s *Service) Temporary(err error) bool { return !errors.Is(err, mailbox.ErrNoMailbox) }

// Full reports whether a delivery failed for want of room in the mailbox.
func (s *Service) Full(err error) bool { return errors.Is(err, mailbox.ErrQuota) }

// Create makes a mailbox with its INBOX and the standard folders. Creating one that exists changes its quota only.
func (s *Service) Create(ctx context.Context, scope account.Scope, box Mailbox) error {
	return s.store.Create(ctx, scope, box)
}

// Remove deletes a mailbox, its messages and its bodies.
func (s *Service) Remove(ctx context.Context, scope account.Scope, box string) error {
	err := s.store.Remove(ctx, scope, box)
	if err == nil {
		s.indexes.drop(box)
		s.feed.wake(box)
	}
	return err
}

// Deliver implements Boxes.
func (s *Service) Deliver(ctx context.Context, scope account.Scope, items []Item) []error {
	errs := s.store.Deliver(ctx, scope, items)
	for i, err := range errs {
		if err == nil {
			s.feed.wake(items[i].Mailbox)
		}
	}
	return errs
}

// Settled implements Boxes.
func (s *Service) Settled(ctx context.Context, scope account.Scope, items []DeliveredID) error {
	return s.store.Settled(ctx, scope, items)
}

// Usage implements Boxes.
func (s *Service) Usage(ctx context.Context, scope account.Scope, ids []string) (map[string]Usage, error) {
	return s.store.Usage(ctx, scope, ids)
}

// clean gives a name as it is stored: in Normalization Form C too (RFC 5198 §3).
func clean(name string) (string, error) { return mailbox.CleanName(norm.NFC.String(name)) }

// Folders implements the interface of that name.
func (s *Service) Folders(ctx context.Context, scope account.Scope, box string) ([]Folder, error) {
	return s.store.Folders(ctx, scope, box)
}

// Folder finds a folder by its name; ErrNoFolder, also for what cannot be a name.
func (s *Service) Folder(ctx context.Context, scope account.Scope, box, name string) (Folder, error) {
	name, err := clean(name)
	if err != nil {
		return Folder{}, fmt.Errorf("%w: %w", mailbox.ErrNoFolder, err)
	}
	return s.store.Folder(ctx, scope, box, name)
}

// Summary tells what a folder is like that is found by its name; ErrNoFolder.
func (s *Service) Summary(ctx context.Context, scope account.Scope, box, name string) (mailbox.Summary, error) {
	name, err := clean(name)
	if err != nil {
		return mailbox.Summary{}, fmt.Errorf("%w: %w", mailbox.ErrNoFolder, err)
	}
	return s.store.Summary(ctx, scope, box, name)
}

// CreateFolder makes a folder, and those above it that are missing. Besides the Store's errors ErrName.
func (s *Service) CreateFolder(ctx context.Context, scope account.Scope, box, name, use string) (Folder, error) {
	name, err := clean(name)
	if err == nil && use != "" {
		use, err = mailbox.CleanUse(use)
	}
	if err != nil {
		return Folder{}, err
	}
	folder, err := s.store.CreateFolder(ctx, scope, box, name, use)
	return folder, s.changed(box, err)
}

// changed wakes those who watch a mailbox when it was changed, and gives err.
func (s *Service) changed(box string, err error) error {
	if err == nil {
		s.feed.wake(box)
	}
	return err
}

// RenameFolder gives a folder and those below it other names. Besides the Store's errors ErrName.
func (s *Service) RenameFolder(ctx context.Context, scope account.Scope, box, from, to string) error {
	from, err := clean(from)
	if err != nil {
		return fmt.Errorf("%w: %w", mailbox.ErrNoFolder, err)
	}
	if to, err = clean(to); err != nil {
		return err
	}
	if to == mailbox.InboxName {
		return fmt.Errorf("%w: %s", mailbox.ErrExists, to)
	}
	if mailbox.Below(to, from) && from != mailbox.InboxName {
		return fmt.Errorf("%w: a folder cannot lie below itself", mailbox.ErrName)
	}
	return s.changed(box, s.store.RenameFolder(ctx, scope, box, from, to))
}

// DeleteFolder removes a folder with its messages; those below it stay.
func (s *Service) DeleteFolder(ctx context.Context, scope account.Scope, box, name string) error {
	name, err := clean(name)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", mailbox.ErrNoFolder, err)
	case name == mailbox.InboxName:
		return fmt.Errorf("%w: INBOX cannot be deleted", mailbox.ErrName)
	}
	return s.changed(box, s.store.DeleteFolder(ctx, scope, box, name))
}

// Subscribe puts a name on the list of subscribed ones or takes it off. Besides the Store's errors ErrName.
func (s *Service) Subscribe(ctx context.Context, scope account.Scope, box, name string, on bool) error {
	name, err := clean(name)
	if err != nil {
		return err
	}
	return s.changed(box, s.store.Subscribe(ctx, scope, box, name, on))
}

// Subscriptions lists the subscribed names.
func (s *Service) Subscriptions(ctx context.Context, scope account.Scope, box string) ([]string, error) {
	return s.store.Subscriptions(ctx, scope, box)
}

// Messages lists a folder by UID from behind after on, at most limit.
func (s *Service) Messages(ctx context.Context, scope account.Scope, box, folder string, after uint32, limit int) ([]Message, error) {
	folder, err := clean(folder)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", mailbox.ErrNoFolder, err)
	}
	return s.store.Messages(ctx, scope, box, folder, after, limit)
}

// Facts implements Reader.
func (s *Service) Facts(ctx context.Context, scope account.Scope, box string, folder int64, uids []uint32) ([]mailbox.Fact, error) {
	var all []mailbox.Fact
	for part := range slices.Chunk(inOrder(uids), mailbox.MaxAtATime) {
		list, err := s.store.Facts(ctx, scope, box, folder, part)
		if err != nil {
			return nil, err
		}
		if all == nil && len(part) == len(uids) {
			return list, nil
		}
		all = append(all, list...)
	}
	return all, nil
}

// inOrder gives UIDs growing, each once.
func inOrder(uids []uint32) []uint32 {
	for i := 1; i < len(uids); i++ {
		if uids[i] <= uids[i-1] {
			return slices.Compact(slices.Sorted(slices.Values(uids)))
		}
	}
	return uids
}

// Open implements Reader.
func (s *Service) Open(ctx context.Context, scope account.Scope, box string, folder int64, uid uint32) (mailbox.Body, error) {
	return s.store.Open(ctx, scope, box, folder, uid)
}

// Bodies implements Reader.
func (s *Service) Bodies(ctx context.Context, scope account.Scope, box string, folder int64, uids []uint32, each func(uid uint32, body mailbox.Body, err error) error) error {
	for part := range slices.Chunk(inOrder(uids), mailbox.MaxAtATime) {
		if err := s.store.Bodies(ctx, scope, box, folder, part, each); err != nil {
			return err
		}
	}
	return nil
}

// Body opens one message of a folder given by name, to be read from its beginning; ErrNoFolder, ErrNoMessage, ErrCorrupt.
func (s *Service) Body(ctx context.Context, scope account.Scope, box, folder string, uid uint32) (io.ReadCloser, error) {
	f, err := s.Folder(ctx, scope, box, folder)
	if err != nil {
		return nil, err
	}
	body, err := s.store.Open(ctx, scope, box, f.Number, uid)
	if err != nil {
		return nil, err
	}
	return whole{body.Whole(), body}, nil
}

// whole reads a body from its beginning.
type whole struct {
	io.Reader
	io.Closer
}

// Vanished implements Reader.
func (s *Service) Vanished(ctx context.Context, scope account.Scope, box string, folder, since int64) (mailbox.Vanished, error) {
	return s.store.Vanished(ctx, scope, box, folder, since)
}

// Note implements Writer.
func (s *Service) Note(ctx context.Context, scope account.Scope, box string, folder int64, notes []mailbox.Note) error {
	return s.store.Note(ctx, scope, box, folder, notes)
}

// Room refuses with ErrFull when the disk has nothing left but the reserve: before a client sends a message, or has
// messages copied.
func (s *Service) Room() error {
	if s.config.Disk == nil {
		return nil
	}
	free, err := s.config.Disk.Free()
	if err == nil && free < uint64(max(0, s.config.Reserve)) {
		err = fmt.Errorf("%w: %d octets are free", mailbox.ErrFull, free)
	}
	return err
}

// Append puts messages into a folder, all or none. Their content files are taken over, also when it fails.
func (s *Service) Append(ctx context.Context, scope account.Scope, box string, folder int64, items []mailbox.Appended) (mailbox.Placed, error) {
	placed, err := s.store.Append(ctx, scope, box, folder, items)
	return placed, s.changed(box, err)
}

// SetFlags implements Writer, in steps.
func (s *Service) SetFlags(ctx context.Context, scope account.Scope, box string, folder int64, change mailbox.FlagChange) (mailbox.FlagResult, error) {
	var all mailbox.FlagResult
	uids := inOrder(change.UIDs)
	for first := true; first || len(uids) > 0; first = false {
		n := min(len(uids), mailbox.MaxAtATime)
		change.UIDs, uids = uids[:n], uids[n:]
		result, err := s.store.SetFlags(ctx, scope, box, folder, change)
		if s.changed(box, err) != nil {
			return all, err
		}
		all.HighestModSeq = result.HighestModSeq
		all.Changed, all.Failed = append(all.Changed, result.Changed...), append(all.Failed, result.Failed...)
	}
	return all, nil
}

// Copy implements Writer, in steps.
func (s *Service) Copy(ctx context.Context, scope account.Scope, box string, from int64, uids []uint32, to int64) (mailbox.Placed, error) {
	if err := s.Room(); err != nil {
		return mailbox.Placed{}, err
	}
	placed, err := s.place(ctx, scope, box, from, uids, to, s.store.Copy)
	if err == nil || len(placed.UIDs) == 0 {
		return placed, err
	}
	// The client is told of a failure and takes none of the copies for there (RFC 9051 §6.4.7).
	undo := context.WithoutCancel(ctx)
	_, undoErr := s.SetFlags(undo, scope, box, to, mailbox.FlagChange{UIDs: placed.UIDs, Mode: mailbox.FlagsAdd, Flags: []string{`\Deleted`}, UnchangedSince: -1})
	if undoErr == nil {
		_, undoErr = s.Expunge(undo, scope, box, to, placed.UIDs)
	}
	return mailbox.Placed{}, errors.Join(err, undoErr)
}

// Move implements Writer, in steps.
func (s *Service) Move(ctx context.Context, scope account.Scope, box string, from int64, uids []uint32, to int64) (mailbox.Placed, error) {
	return s.place(ctx, scope, box, from, uids, to, s.store.Move)
}

// place copies or moves messages in steps. With an error it gives what was placed before.
func (s *Service) place(ctx context.Context, scope account.Scope, box string, from int64, uids []uint32, to int64,
	step func(context.Context, account.Scope, string, int64, []uint32, int64) (mailbox.Placed, error),
) (mailbox.Placed, error) {
	var all mailbox.Placed
	uids = inOrder(uids)
	for first := true; first || len(uids) > 0; first = false {
		n := min(len(uids), mailbox.MaxAtATime)
		placed, err := step(ctx, scope, box, from, uids[:n], to)
		uids = uids[n:]
		if s.changed(box, err) != nil {
			return all, err
		}
		all.UIDValidity = placed.UIDValidity
		all.From, all.UIDs = append(all.From, placed.From...), append(all.UIDs, placed.UIDs...)
	}
	return all, nil
}

// Expunge implements Writer, in steps.
func (s *Service) Expunge(ctx context.Context, scope account.Scope, box string, folder int64, uids []uint32) ([]uint32, error) {
	var all []uint32
	if uids == nil {
		index, err := s.Index(ctx, scope, box, folder, nil)
		if err != nil {
			return nil, err
		}
		uids = []uint32{}
		for _, e := range index.All() {
			if e.Flags.Has(mailbox.Deleted) {
				uids = append(uids, e.UID)
			}
		}
	}
	for part := range slices.Chunk(inOrder(uids), mailbox.MaxAtATime) {
		gone, err := s.store.Expunge(ctx, scope, box, folder, part)
		if s.changed(box, err) != nil {
			return all, err
		}
		all = append(all, gone...)
	}
	return all, nil
}
