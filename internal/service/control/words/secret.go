package words

import (
	"log/slog"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
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

// Verifiers hashes passwords, by whatever they are the passwords of, on all processors.
func Verifiers(passwords map[string]*Secret, hash func(string) (string, error)) (map[string]string, error) {
	if len(passwords) == 0 {
		return nil, nil
	}
	out := make(map[string]string, len(passwords))
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for id, p := range passwords {
		g.Go(func() error {
			v, err := p.Verifier(hash)
			if err != nil {
				return Invalid("The password cannot be used: "+err.Error()+".", "")
			}
			mu.Lock()
			defer mu.Unlock()
			out[id] = v
			return nil
		})
	}
	return out, g.Wait()
}
