// Package words is what the subjects of control have in common when they read what people write and answer them: the
// names of domains and people, refusals, and the small parts of sentences.
//
// # Failure
//
// What cannot be read is refused with a *RefusedError that wraps ErrInvalid.
package words
