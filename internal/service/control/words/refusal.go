package words

import (
	"errors"
	"strconv"
	"strings"

	"postroad/internal/core/finding"
)

// Errors of the store and of the service; edges turn them into problems and exit codes.
var (
	// ErrVersion says that somebody changed the configuration since it was read; read again.
	ErrVersion = errors.New("the configuration has changed meanwhile")
	// ErrExists says that a name or an address is taken.
	ErrExists = errors.New("exists already")
	// ErrNotFound says that there is no such thing in scope.
	ErrNotFound = errors.New("not found")
	// ErrDenied says that the actor may not do this.
	ErrDenied = errors.New("not allowed")
	// ErrInvalid says that what was asked for makes no sense as it was written.
	ErrInvalid = errors.New("not valid")
	// ErrInUse says that something else must go first.
	ErrInUse = errors.New("still in use")
)

// RefusedError is the refusal of a plan in words for people.
type RefusedError struct {
	Err      error        // one of the errors above
	Sentence string       // what is wrong
	Hint     string       // what to do instead; may be empty
	Finding  finding.Name // the diagnosis by name; empty when there is none
	Path     []string     // for loops: the addresses from one to the next, the last one met before
	Entry    int          // which of many is refused, from 1; 0 when there is one
}

// Error is the sentence with everything else that the refusal says.
func (e *RefusedError) Error() string {
	s := e.Sentence
	if e.Entry > 0 {
		s = "entry " + strconv.Itoa(e.Entry) + ": " + s
	}
	if e.Finding != "" {
		s = string(e.Finding) + ": " + s
	}
	if len(e.Path) > 0 {
		s += ": " + strings.Join(e.Path, " → ")
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap gives the error that callers test for.
func (e *RefusedError) Unwrap() error { return e.Err }

// Invalid refuses what makes no sense as it was written. The hint may be empty.
func Invalid(sentence, hint string) error {
	return &RefusedError{Err: ErrInvalid, Sentence: sentence, Hint: hint}
}

// Exists refuses a name or an address that is taken. The hint may be empty.
func Exists(sentence, hint string) error {
	return &RefusedError{Err: ErrExists, Sentence: sentence, Hint: hint}
}

// Missing refuses what is not there, or not in scope.
func Missing(sentence string) error { return &RefusedError{Err: ErrNotFound, Sentence: sentence} }

// MissingDomain says that there is no such domain, as far as the actor may know.
func MissingDomain(name string) error {
	return &RefusedError{Err: ErrNotFound, Sentence: "There is no domain " + Show(name) + ".", Hint: "postroad domain list tells which there are"}
}

// Lost refuses to take a change back that cannot be.
func Lost(why string) error {
	return &RefusedError{Err: ErrInvalid, Sentence: "The change cannot be undone: " + why + ".", Hint: "make the change that you want instead"}
}

// Since refuses to take a change back whose subject is not any more as the change left it.
func Since(subject string) error {
	return &RefusedError{Err: ErrInUse, Sentence: "The change cannot be undone: " + subject + " has changed since.", Hint: "undo the later changes first, or make the change that you want instead"}
}

// Denied refuses what the actor may not do.
func Denied(sentence string) error { return &RefusedError{Err: ErrDenied, Sentence: sentence} }
