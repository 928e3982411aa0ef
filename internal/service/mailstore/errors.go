package mailstore

import "errors"

// Errors of the store and of the service.
var (
	// ErrNoMailbox says that there is no such mailbox in scope.
	ErrNoMailbox = errors.New("no such mailbox")
	// ErrNoFolder says that the mailbox has no such folder.
	ErrNoFolder = errors.New("no such folder")
	// ErrNoMessage says that the folder has no message with this UID.
	ErrNoMessage = errors.New("no such message")
	// ErrQuota says that the message would pass the mailbox's quota; temporary (RFC 5321 §4.2.2, 452 4.2.2).
	ErrQuota = errors.New("mailbox is full")
	// ErrCorrupt says that stored bytes do not match their checksum.
	ErrCorrupt = errors.New("stored content does not match its checksum")
)
