package words

import (
	"log/slog"
	"sync"
)

// Secret is a password that somebody chose. It never shows itself, and its verifier is made once however often a
// plan is made again.
type Secret struct {
	text string
	once sync.Once
	made string
	err  error
}

// NewSecret wraps a password.
func NewSecret(text string) *Secret { return &Secret{text: text} }

// String hides the password.
func (s *Secret) String() string { return "(secret)" }

// LogValue hides the password.
func (s *Secret) LogValue() slog.Value { return slog.StringValue("(secret)") }

// MarshalJSON hides the password.
func (s *Secret) MarshalJSON() ([]byte, error) { return []byte(`"(secret)"`), nil }

// Verifier makes the verifier of the password, once.
func (s *Secret) Verifier(hash func(string) (string, error)) (string, error) {
	s.once.Do(func() { s.made, s.err = hash(s.text) })
	return s.made, s.err
}

// Len is the length of the password in octets.
func (s *Secret) Len() int { return len(s.text) }

// Reveal gives the password to what must send it on.
func (s *Secret) Reveal() string { return s.text }
