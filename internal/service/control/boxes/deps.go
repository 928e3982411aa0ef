package boxes

import (
	"context"
	"io"

	"postroad/internal/core/account"
	"postroad/internal/core/mailbox"
)

// Boxes is what this service needs of the mailbox store.
type Boxes interface {
	// Create makes a mailbox with its INBOX. Creating one that exists changes its quota only.
	Create(ctx context.Context, scope account.Scope, box mailbox.Mailbox) error
	// Remove deletes a mailbox, its messages and its bodies. One that is gone already is no error.
	Remove(ctx context.Context, scope account.Scope, mailbox string) error
	// Usage gives message counts and octets of mailboxes by id, of all in scope when ids is empty.
	Usage(ctx context.Context, scope account.Scope, ids []string) (map[string]mailbox.Usage, error)
	// Folders lists a mailbox's folders, INBOX first, then by name.
	Folders(ctx context.Context, scope account.Scope, mailbox string) ([]mailbox.Folder, error)
	// Messages lists a folder by UID from behind after on, at most limit.
	Messages(ctx context.Context, scope account.Scope, mailbox, folder string, after uint32, limit int) ([]mailbox.Message, error)
	// Body opens one message's exact bytes.
	Body(ctx context.Context, scope account.Scope, mailbox, folder string, uid uint32) (io.ReadCloser, error)
}

// Memory keeps values of the installation.
type Memory interface {
	// Setting reads one value ("" when unset); SetSetting writes it.
	Setting(ctx context.Context, scope account.Scope, name string) (string, error)
	SetSetting(ctx context.Context, scope account.Scope, name, value string) error
}
