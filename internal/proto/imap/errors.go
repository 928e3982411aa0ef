package imap

import "errors"

// Status is the condition that a response tells (RFC 9051 §7.1).
type Status uint8

// The conditions.
const (
	OK  Status = iota + 1 // done, or information
	NO                    // failed, or a warning
	BAD                   // not understood: the client's error
	BYE                   // the connection ends
)

// String is the condition as it is sent.
func (s Status) String() string {
	switch s {
	case OK:
		return "OK"
	case NO:
		return "NO"
	case BAD:
		return "BAD"
	case BYE:
		return "BYE"
	}
	return "unknown condition"
}

// Error is a command that was refused while it was read.
type Error struct {
	Tag    string // of the command; empty where none could be read, and the response is untagged
	Status Status // NO or BAD; BYE where the connection must end
	Code   Code   // empty for none
	Text   string // a sentence for the client
}

// Error tells the condition and the sentence.
func (e *Error) Error() string { return "IMAP command refused: " + e.Status.String() + " " + e.Text }

// Fatal says that the connection must be closed after the response.
func (e *Error) Fatal() bool { return e.Status == BYE }

var (
	// ErrNUL is returned for a NUL in a message sent as a literal that is none of literal8 (RFC 9051 §4.3.1).
	ErrNUL = errors.New("NUL in a literal")
	// ErrCancelled is returned by Answer when the client sent "*" (RFC 9051 §6.2.2).
	ErrCancelled = errors.New("authentication cancelled by the client")
)
