package mailbox

import "errors"

// Errors of whoever keeps mailboxes, for callers to test.
var (
	// ErrNoMailbox says that there is no such mailbox in scope.
	ErrNoMailbox = errors.New("no such mailbox")
	// ErrNoFolder says that the mailbox has no such folder.
	ErrNoFolder = errors.New("no such folder")
	// ErrNoMessage says that the folder has no message with this UID.
	ErrNoMessage = errors.New("no such message")
	// ErrQuota says that the message would pass the mailbox's quota; temporary (RFC 5321 §4.2.2, 452 4.2.2; RFC 9208 §4.3).
	ErrQuota = errors.New("mailbox is full")
	// ErrCorrupt says that stored bytes do not match their checksum.
	ErrCorrupt = errors.New("stored content does not match its checksum")
	// ErrExists says that there is a folder of this name.
	ErrExists = errors.New("folder exists already")
	// ErrName says that a text cannot be a folder's name, or that INBOX cannot be what is asked of it.
	ErrName = errors.New("no name of a folder")
	// ErrUse says that the mailbox has no folder for this special use or has one already (RFC 6154 §3, USEATTR).
	ErrUse = errors.New("special use is taken or not known")
	// ErrFlag says that a text is neither a flag nor a keyword.
	ErrFlag = errors.New("no flag")
	// ErrLimit says that the mailbox has as many folders, subscriptions or keywords as it may have.
	ErrLimit = errors.New("the mailbox's limit is reached")
	// ErrTooLarge says that a message is larger than what is taken.
	ErrTooLarge = errors.New("message is too large")
	// ErrFull says that the disk is full; temporary.
	ErrFull = errors.New("no space left")
)
