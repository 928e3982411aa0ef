package smtp

import "errors"

// Errors of the Reader. They are about the octets a peer sent, so another try
// on the same connection does not mend them.
var (
	// ErrLineTooLong is returned for a line over the given length. The line has
	// been consumed; the session may go on (RFC 5321 §4.5.3.1.9: 500).
	ErrLineTooLong = errors.New("line too long")
	// ErrBareLF is returned for an LF without a CR before it
	// (RFC 5321 §2.3.8).
	ErrBareLF = errors.New("LF without CR")
	// ErrBareCR is returned for a CR without an LF after it
	// (RFC 5321 §2.3.8).
	ErrBareCR = errors.New("CR without LF")
	// ErrControl is returned for a command line with a NUL. The line has been
	// consumed.
	ErrControl = errors.New("NUL in a command line")
	// ErrTooLarge is returned for content over the limit. It has been consumed
	// to its end; the session may go on (RFC 1870 §6.3: 552).
	ErrTooLarge = errors.New("content over the size limit")
	// ErrBadReply is returned for what is no reply of RFC 5321 §4.2.
	ErrBadReply = errors.New("not an SMTP reply")
	// ErrReplyTooLong is returned for a reply of more than 100 lines or a line of
	// more than 4,096 octets.
	ErrReplyTooLong = errors.New("SMTP reply too long")
)

// Errors of the Client. All but ErrContent are about the connection: what was
// not delivered may be tried again on another one.
var (
	// ErrClosed is returned by every method of a Client whose connection broke or
	// was closed.
	ErrClosed = errors.New("SMTP connection closed")
	// ErrOutOfStep is returned when a reply can't belong to the command sent; the
	// connection is closed.
	ErrOutOfStep = errors.New("SMTP reply out of step")
	// ErrPlaintext is returned when the peer sent octets between its 220 to
	// STARTTLS and the handshake (RFC 3207 §4.2); the connection is closed.
	ErrPlaintext = errors.New("plaintext after the reply to STARTTLS")
	// ErrMailMax is the error of transactions that were not begun because the
	// peer takes no more on one connection (RFC 9422 §4.1 MAILMAX).
	ErrMailMax = errors.New("peer takes no more messages on this connection")
	// ErrInterrupted is returned when a content's final dot was not sent because
	// of Interrupt; the connection is closed.
	ErrInterrupted = errors.New("SMTP transaction interrupted")
	// ErrContent is the error of a transaction whose content could not be opened
	// or read. It wraps the cause.
	ErrContent = errors.New("read content to send")
)
