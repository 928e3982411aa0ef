package mailstore

import (
	"context"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
)

// Store keeps mailboxes: folders, messages, flags, UIDs and change numbers (RFC 9051 §2.3.1, RFC 7162).
//
// What a store owes: Deliver stores a queue id at most once per mailbox, for ever (durability.md, Local
// delivery); UIDs are given in the transaction that stores the message, grow, and are never reused, nor are numbers of
// folders and values of UIDVALIDITY; every change of a folder takes a new MODSEQ, and whoever sees a MODSEQ sees all
// changes up to it. Each method is one transaction: nothing of it is there after an error. Lists of UIDs grow and
// have each UID once; UIDs that are not there are no error. Names of folders are clean (mailbox.CleanName).
// Errors are those of core/mailbox, sqldb's, and the context's.
type Store interface {
	Boxes
	Folders
	Reader
	Writer
}

// Boxes is whole mailboxes, and delivery into them.
type Boxes interface {
	// Create makes a mailbox with its INBOX and the standard folders. Creating one that exists changes its quota only.
	Create(ctx context.Context, scope account.Scope, box Mailbox) error
	// Remove deletes a mailbox, its messages and its bodies.
	Remove(ctx context.Context, scope account.Scope, box string) error
	// Deliver appends messages to INBOXes or folders of a special use, each in its shard's next group commit; a folder
	// of that use is made where there is none. Result i belongs to item i: nil, ErrNoMailbox, ErrQuota or a storage
	// error. A queue id that is in the mailbox already gives nil.
	Deliver(ctx context.Context, scope account.Scope, items []Item) []error
	// Settled forgets that a queue id was delivered; call it only after the queue's own record is durable.
	Settled(ctx context.Context, scope account.Scope, items []DeliveredID) error
	// Usage gives message counts and octets of mailboxes by id, of all in scope when ids is empty.
	Usage(ctx context.Context, scope account.Scope, ids []string) (map[string]Usage, error)
	// Versions gives a number for each of some mailboxes that is another one after every change in it.
	Versions(ctx context.Context, scope account.Scope, ids []string) (map[string]int64, error)
}

// Folders is the folders of a mailbox by name (RFC 9051 §6.3).
type Folders interface {
	// Folders lists a mailbox's folders, INBOX first, then by name; ErrNoMailbox.
	Folders(ctx context.Context, scope account.Scope, box string) ([]Folder, error)
	// Folder finds one; ErrNoFolder.
	Folder(ctx context.Context, scope account.Scope, box, name string) (Folder, error)
	// CreateFolder makes a folder, and those above it that are missing; use is its special use or empty (RFC 6154 §3).
	// ErrNoMailbox, ErrExists, ErrUse, ErrLimit.
	CreateFolder(ctx context.Context, scope account.Scope, box, name, use string) (Folder, error)
	// RenameFolder gives a folder and those below it other names, and subscribed names with them; folders above the new
	// name are made. INBOX stays, and its messages go into a new folder with their UIDs (RFC 9051 §6.3.6). ErrNoFolder,
	// ErrExists, ErrName where the new name lies below the old one, ErrLimit.
	RenameFolder(ctx context.Context, scope account.Scope, box, from, to string) error
	// DeleteFolder removes a folder with its messages; those below it stay. ErrNoFolder; ErrName for INBOX.
	DeleteFolder(ctx context.Context, scope account.Scope, box, name string) error
	// Subscribe puts a name on the list of subscribed ones or takes it off, whether there is such a folder or not
	// (RFC 9051 §6.3.7); ErrNoMailbox, ErrLimit.
	Subscribe(ctx context.Context, scope account.Scope, box, name string, on bool) error
	// Subscriptions lists the subscribed names; ErrNoMailbox.
	Subscriptions(ctx context.Context, scope account.Scope, box string) ([]string, error)
}

// Reader is how the messages of a folder are read. ErrNoFolder when there is no such folder.
type Reader interface {
	// Messages lists a folder by UID from behind after on, at most limit.
	Messages(ctx context.Context, scope account.Scope, box, folder string, after uint32, limit int) ([]Message, error)
	// Summary tells what a folder is like that is found by its name, without a look at its messages.
	Summary(ctx context.Context, scope account.Scope, box, name string) (mailbox.Summary, error)
	// Index lists a folder as it is now. have, when it is not nil, is an earlier index of it that the new one is made
	// from; it is given back when nothing has changed.
	Index(ctx context.Context, scope account.Scope, box string, folder int64, have *mailbox.Index) (*mailbox.Index, error)
	// Facts tells of messages, by UID.
	Facts(ctx context.Context, scope account.Scope, box string, folder int64, uids []uint32) ([]mailbox.Fact, error)
	// Open opens one message; ErrNoMessage, ErrCorrupt.
	Open(ctx context.Context, scope account.Scope, box string, folder int64, uid uint32) (mailbox.Body, error)
	// Bodies opens messages one after the other by UID and closes each when each returns; its error ends it. The error
	// of a message that cannot be read, such as ErrCorrupt, is given to each in place of a body.
	Bodies(ctx context.Context, scope account.Scope, box string, folder int64, uids []uint32, each func(uid uint32, body mailbox.Body, err error) error) error
	// Vanished lists the UIDs that were removed after a MODSEQ, as far as they are remembered: the last
	// mailbox.MaxGone of a folder at least.
	Vanished(ctx context.Context, scope account.Scope, box string, folder, since int64) (mailbox.Vanished, error)
}

// Writer is how the messages of a folder are changed. ErrNoFolder when there is no such folder.
type Writer interface {
	// Append puts messages into a folder, all or none; ErrQuota, ErrFlag, ErrLimit. Their content files are the store's
	// from the call on, also when it fails.
	Append(ctx context.Context, scope account.Scope, box string, folder int64, items []mailbox.Appended) (mailbox.Placed, error)
	// SetFlags changes flags; ErrFlag, ErrLimit. Messages that have the wanted flags already keep their MODSEQ.
	SetFlags(ctx context.Context, scope account.Scope, box string, folder int64, change mailbox.FlagChange) (mailbox.FlagResult, error)
	// Copy puts copies into another folder, or the same one, with their flags and internal dates; ErrQuota.
	Copy(ctx context.Context, scope account.Scope, box string, from int64, uids []uint32, to int64) (mailbox.Placed, error)
	// Move moves messages (RFC 6851). Each is in one of the folders at every moment, and in one only.
	Move(ctx context.Context, scope account.Scope, box string, from int64, uids []uint32, to int64) (mailbox.Placed, error)
	// Expunge removes those of some messages that have \Deleted, of all when uids is nil, and gives their UIDs.
	Expunge(ctx context.Context, scope account.Scope, box string, folder int64, uids []uint32) ([]uint32, error)
	// Note keeps what a reader wants kept of messages. Nobody waits for it, and it may be lost. The list is the caller's
	// again when it returns, the texts are not.
	Note(ctx context.Context, scope account.Scope, box string, folder int64, notes []mailbox.Note) error
}

// Disk tells the room that is left.
type Disk interface {
	Free() (octets uint64, err error)
}

// Blobs is the folder of contents too large for a row.
type Blobs interface {
	Create() (Blob, error)
}

// Blob is a content on its way into the folder. It ends with Commit or Abort.
type Blob interface {
	Write(p []byte) (int, error)
	// Commit makes the content durable and gives its name.
	Commit(size int64, hash uint64) (name string, err error)
	// Abort removes the content, also after Commit as long as no row owns it.
	Abort()
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

// inline is the largest content that is kept in a row.
const inline = mail.InlineLimit
