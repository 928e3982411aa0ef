package mailstore

import (
	"context"
	"io"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
)

// Store keeps mailboxes: folders, messages, flags, UIDs and change numbers (RFC 9051 §2.3.1, RFC 7162).
//
// What a store owes: Deliver stores a queue id at most once per mailbox, for ever (durability.md, Local
// delivery); UIDs are given in the delivery's transaction, grow, and are never reused; every change of a
// folder takes a new MODSEQ.
type Store interface {
	// Create makes a mailbox with its INBOX. Creating one that exists changes its quota only.
	Create(ctx context.Context, scope account.Scope, box Mailbox) error
	// Remove deletes a mailbox, its messages and its bodies.
	Remove(ctx context.Context, scope account.Scope, mailbox string) error
	// Deliver appends messages to INBOXes, each in its shard's next group commit. Result i belongs to item i: nil,
	// ErrNoMailbox, ErrQuota or a storage error. A queue id that is in the mailbox already gives nil.
	Deliver(ctx context.Context, scope account.Scope, items []Item) []error
	// Settled forgets that a queue id was delivered; call it only after the queue's own record is durable.
	Settled(ctx context.Context, scope account.Scope, items []DeliveredID) error
	// Usage gives message counts and octets of mailboxes by id, of all in scope when ids is empty.
	Usage(ctx context.Context, scope account.Scope, ids []string) (map[string]Usage, error)
	// Folders and Messages are the readers' view.
	Reader
}

// Reader is how a mailbox is read and changed.
type Reader interface {
	// Folders lists a mailbox's folders, INBOX first; ErrNoMailbox.
	Folders(ctx context.Context, scope account.Scope, mailbox string) ([]Folder, error)
	// Messages lists a folder by UID from behind after on, at most limit; ErrNoFolder.
	Messages(ctx context.Context, scope account.Scope, mailbox, folder string, after uint32, limit int) ([]Message, error)
	// Body opens one message's exact bytes, checksum verified; ErrNoMessage.
	Body(ctx context.Context, scope account.Scope, mailbox, folder string, uid uint32) (io.ReadCloser, error)
	// Flag sets a message's flags; ErrNoMessage. It gives the new MODSEQ.
	Flag(ctx context.Context, scope account.Scope, mailbox, folder string, uid uint32, flags []string) (modseq int64, err error)
	// Expunge removes messages and remembers their UIDs with a MODSEQ (RFC 7162 §3.2.5.2). Unknown UIDs are no error.
	Expunge(ctx context.Context, scope account.Scope, mailbox, folder string, uids []uint32) (modseq int64, err error)
	// Changes lists what happened in a folder after a MODSEQ: messages changed or new, and UIDs expunged.
	Changes(ctx context.Context, scope account.Scope, mailbox, folder string, since int64) (changed []Message, expunged []uint32, err error)
}

// What crosses services lives in core/mailbox.
type (
	// Mailbox is mailbox.Mailbox.
	Mailbox = mailbox.Mailbox
	// Item is mailbox.Item.
	Item = mailbox.Item
	// DeliveredID is mailbox.DeliveredID.
	DeliveredID = mailbox.DeliveredID
	// Usage is mailbox.Usage.
	Usage = mailbox.Usage
	// Folder is mailbox.Folder.
	Folder = mailbox.Folder
	// Message is mailbox.Message.
	Message = mailbox.Message
)
