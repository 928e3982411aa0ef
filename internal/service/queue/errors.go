package queue

import "errors"

// Errors of the stores behind this service.
var (
	// ErrStaleLease says that a lane has passed into other hands; nothing was changed.
	ErrStaleLease = errors.New("the lane is held by another")
	// ErrNoMessage says that a message is not, or no longer, in the queue, or not in scope.
	ErrNoMessage = errors.New("no such message in the queue")
	// ErrCorrupt says that stored bytes do not match their checksum; they are kept, never delivered.
	ErrCorrupt = errors.New("stored content does not match its checksum")
	// ErrStorage says that the store failed and what was asked is not durable; temporary.
	ErrStorage = errors.New("storage failed")
	// ErrHead says that a row has more above the content than mail.MaxHead octets.
	ErrHead = errors.New("the header fields added for a recipient are too long")
	// ErrFull says that free space is below the reserve; temporary.
	ErrFull = errors.New("insufficient storage")
)
