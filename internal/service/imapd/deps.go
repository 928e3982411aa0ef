package imapd

import (
	"context"
	"net/netip"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
)

// Logins knows who may read mail here.
type Logins interface {
	// Begin starts a SASL exchange (RFC 4422) by the mechanism's name, for a client address that may have failed
	// before; ok is false for a mechanism that is not offered. When ctx ends, the exchange waits for nothing more.
	Begin(ctx context.Context, client netip.Addr, mechanism string) (x Exchange, ok bool)
	// Holds reports whether a login is still what it was when it began: a mailbox of that id, of a proved domain, with the
	// same password. An error says that nobody can tell now.
	Holds(ctx context.Context, who Login) (bool, error)
	// Version is another one after every change of the configuration, passwords among it.
	Version() int64
}

// Exchange is one SASL exchange.
type Exchange interface {
	// Next takes the client's response, nil when it gave no initial one, and gives the next challenge. done says
	// that the login succeeded; there is no challenge then. An error is a *smtp.ReplyError with what the client is
	// told; the exchange is over then. Next may take its time with who has failed before.
	Next(response []byte) (challenge []byte, done bool, err error)
	// Login is who it was, after done. After an error it has only the address that was claimed, for the log, if any.
	Login() Login
}

// Login is somebody who has logged in.
type Login struct {
	Address string     // canonical
	Account account.ID // that owns the mailbox
	Mailbox string     // its id
	Stamp   string     // another one when the password is another one; no secret
}

// Store keeps the mailboxes. Its methods are those of service/mailstore; errors are those of core/mailbox.
type Store interface {
	Folders
	Messages
	Changes
	// Usage gives message counts and octets of mailboxes by id.
	Usage(ctx context.Context, scope account.Scope, ids []string) (map[string]mailbox.Usage, error)
	// Watch has wake called after every change in a mailbox, until stop. wake must not wait.
	Watch(box string, wake func()) (stop func())
	// Room is nil while the disk has space for what clients append.
	Room() error
	// Upload begins a message of at most limit octets.
	Upload(limit int64) Upload
}

// Folders is the folders of a mailbox by name (RFC 9051 §6.3).
type Folders interface {
	Folders(ctx context.Context, scope account.Scope, box string) ([]mailbox.Folder, error)
	Folder(ctx context.Context, scope account.Scope, box, name string) (mailbox.Folder, error)
	CreateFolder(ctx context.Context, scope account.Scope, box, name, use string) (mailbox.Folder, error)
	RenameFolder(ctx context.Context, scope account.Scope, box, from, to string) error
	DeleteFolder(ctx context.Context, scope account.Scope, box, name string) error
	Subscribe(ctx context.Context, scope account.Scope, box, name string, on bool) error
	Subscriptions(ctx context.Context, scope account.Scope, box string) ([]string, error)
}

// Messages is how the messages of a folder are read.
type Messages interface {
	Summary(ctx context.Context, scope account.Scope, box, name string) (mailbox.Summary, error)
	Index(ctx context.Context, scope account.Scope, box string, folder int64, have *mailbox.Index) (*mailbox.Index, error)
	Facts(ctx context.Context, scope account.Scope, box string, folder int64, uids []uint32) ([]mailbox.Fact, error)
	Open(ctx context.Context, scope account.Scope, box string, folder int64, uid uint32) (mailbox.Body, error)
	Bodies(ctx context.Context, scope account.Scope, box string, folder int64, uids []uint32, each func(uid uint32, body mailbox.Body, err error) error) error
	Vanished(ctx context.Context, scope account.Scope, box string, folder, since int64) (mailbox.Vanished, error)
}

// Changes is how the messages of a folder are changed.
type Changes interface {
	Append(ctx context.Context, scope account.Scope, box string, folder int64, items []mailbox.Appended) (mailbox.Placed, error)
	SetFlags(ctx context.Context, scope account.Scope, box string, folder int64, change mailbox.FlagChange) (mailbox.FlagResult, error)
	Copy(ctx context.Context, scope account.Scope, box string, from int64, uids []uint32, to int64) (mailbox.Placed, error)
	Move(ctx context.Context, scope account.Scope, box string, from int64, uids []uint32, to int64) (mailbox.Placed, error)
	Expunge(ctx context.Context, scope account.Scope, box string, folder int64, uids []uint32) ([]uint32, error)
	Note(ctx context.Context, scope account.Scope, box string, folder int64, notes []mailbox.Note) error
}

// Upload is a message on its way into a mailbox. It ends with Abort, or with Append of what Done gave.
type Upload interface {
	Write(p []byte) (int, error)
	Done() (mailbox.Appended, error)
	Abort()
}
