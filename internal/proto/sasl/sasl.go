// Package sasl holds both sides of the password mechanisms of SASL (RFC 4422):
// PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login) and SCRAM-SHA-256
// (RFC 5802, RFC 7677), and the stored form of a password, a [Verifier]
// (RFC 5803).
//
// Messages are handed over decoded: the base64 of SMTP (RFC 4954 §4) and IMAP
// is the caller's matter, as is the "*" that cancels an exchange.
//
// User names and passwords are prepared with SASLprep (RFC 4013) over the
// Unicode version of this program: unassigned code points are let through, as
// for queries (RFC 3454 §7). A user may act only as himself: an authorization
// identity must be absent or the same as the user name.
//
// # Failure
//
// [ErrAuthFailed] means wrong credentials, [ErrMalformed] a broken exchange,
// [ErrUnavailable] that nobody could tell now. After an error an exchange is
// over and answers only ErrMalformed.
//
// # Known limits
//
// There is no channel binding: a client that demands it is refused, and the
// -PLUS names must not be advertised.
package sasl

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Names of the mechanisms.
const (
	Plain       = "PLAIN"
	Login       = "LOGIN"
	ScramSHA256 = "SCRAM-SHA-256"
)

// Longest values in octets, before and after preparation.
const (
	// MaxPassword is the longest password.
	MaxPassword = 1024
	// MaxUser is the longest user name: a mail address of full length
	// (RFC 5321 §4.5.3.1).
	MaxUser = 320
	// maxMessage is the longest message of an exchange that is read.
	maxMessage = 4096
)

var (
	// ErrAuthFailed tells that the credentials are wrong. Which of them is never
	// told.
	ErrAuthFailed = errors.New("sasl: authentication failed")
	// ErrMalformed tells that the other side broke the rules of the mechanism.
	ErrMalformed = errors.New("sasl: malformed message")
	// ErrUnavailable tells that the credentials could not be checked now; it is
	// temporary.
	ErrUnavailable = errors.New("sasl: authentication not available now")
	// ErrPassword tells that a password cannot be used: it is empty, longer than
	// [MaxPassword] or holds characters that SASLprep forbids.
	ErrPassword = errors.New("sasl: password cannot be used")
)

// Server is the server side of one exchange. It serves one goroutine and
// cannot be used again.
type Server interface {
	// Next takes the client's response and returns the next challenge. The first
	// call takes the initial response, nil when the client sent none; an empty
	// one is not nil. done is true when the client has proved who it is; there is
	// no challenge then. Until then the challenge must be sent, even when it is
	// empty. Errors: ErrAuthFailed, ErrMalformed, ErrUnavailable.
	Next(response []byte) (challenge []byte, done bool, err error)
	// Identity returns the prepared user name once done was true, before that "".
	Identity() string
}

// Client is the client side of one exchange. It serves one goroutine and cannot
// be used again.
type Client interface {
	// Start returns the mechanism's name and the initial response, nil when the
	// mechanism has none. The error is ErrPassword or ErrMalformed for
	// credentials that the mechanism cannot carry.
	Start() (mechanism string, initial []byte, err error)
	// Next takes a challenge and returns the response, which may be empty.
	// ErrAuthFailed means that the server did not prove that it knows the
	// password, ErrMalformed that it broke the rules; the exchange must then be
	// cancelled.
	Next(challenge []byte) ([]byte, error)
	// Done reports whether the client has all it needs. A server's success
	// before that is not to be believed.
	Done() bool
}

// checked turns what a check or lookup function of the caller returned into
// one of this package's errors.
func checked(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrAuthFailed), errors.Is(err, ErrUnavailable):
		return err
	default:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
}

// malformed returns an ErrMalformed that says what is wrong.
func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// prepareUser prepares a user name that came over the wire.
func prepareUser(user string) (string, error) {
	if user == "" || len(user) > MaxUser || !utf8.ValidString(user) || strings.IndexByte(user, 0) >= 0 {
		return "", malformed("user name")
	}
	prepared, ok := saslprep(user)
	if !ok || prepared == "" || len(prepared) > MaxUser {
		return "", malformed("user name")
	}
	return prepared, nil
}

// preparePassword prepares a password; the error is ErrPassword.
func preparePassword(password string) (string, error) {
	if len(password) > MaxPassword {
		return "", ErrPassword
	}
	prepared, ok := saslprep(password)
	if !ok || prepared == "" || len(prepared) > MaxPassword {
		return "", ErrPassword
	}
	return prepared, nil
}
