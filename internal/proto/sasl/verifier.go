package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

const (
	// DefaultIterations is how many PBKDF2 rounds a new verifier gets: the most that
	// Cyrus SASL computes, on which many mail programs stand. Those choose SCRAM by
	// themselves, and cannot log in where it demands more.
	DefaultIterations = 65_536
	// MinIterations is the fewest rounds that are accepted (RFC 7677 §4).
	MinIterations = 4096
	// MaxIterations is the most rounds that are accepted, on both sides: a peer
	// or a row must not be able to keep a core busy for long.
	MaxIterations = 5_000_000
	// SaltSize is the length of salt in octets that a new verifier should have;
	// [FakeVerifier] uses it.
	SaltSize = 16
)

const (
	minSalt = 8
	maxSalt = 64
	keySize = sha256.Size
)

var errVerifier = errors.New("sasl: bad verifier")

// Verifier is what is stored of a password: enough to check it in PLAIN, LOGIN
// and SCRAM-SHA-256, not enough to log in with elsewhere (RFC 5802 §3).
type Verifier struct {
	// Iterations is the number of PBKDF2 rounds.
	Iterations int
	// Salt is random and differs for every verifier.
	Salt []byte
	// StoredKey proves the client, ServerKey the server. Both are 32 octets.
	StoredKey, ServerKey []byte
}

// NewVerifier makes the verifier of a password. The salt must be random, 8 to 64
// octets, best [SaltSize]; iterations lie between [MinIterations] and
// [MaxIterations]. It takes as long as PBKDF2 does: some 10 ms with
// [DefaultIterations]. The error wraps ErrPassword when the password is at fault.
func NewVerifier(password string, salt []byte, iterations int) (Verifier, error) {
	if err := checkParameters(salt, iterations); err != nil {
		return Verifier{}, err
	}
	prepared, err := preparePassword(password)
	if err != nil {
		return Verifier{}, err
	}
	v, _, err := deriveKeys(prepared, salt, iterations)
	return v, err
}

func checkParameters(salt []byte, iterations int) error {
	if len(salt) < minSalt || len(salt) > maxSalt {
		return fmt.Errorf("%w: salt of %d octets", errVerifier, len(salt))
	}
	if iterations < MinIterations || iterations > MaxIterations {
		return fmt.Errorf("%w: %d iterations", errVerifier, iterations)
	}
	return nil
}

// deriveKeys returns the verifier of a prepared password and the ClientKey,
// which only the client may know (RFC 5802 §3).
func deriveKeys(prepared string, salt []byte, iterations int) (v Verifier, clientKey []byte, err error) {
	salted, err := pbkdf2.Key(sha256.New, prepared, salt, iterations, keySize)
	if err != nil {
		return Verifier{}, nil, fmt.Errorf("%w: %w", errVerifier, err)
	}
	clientKey = mac(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	return Verifier{
		Iterations: iterations,
		Salt:       append([]byte(nil), salt...),
		StoredKey:  stored[:],
		ServerKey:  mac(salted, "Server Key"),
	}, clientKey, nil
}

// mac returns HMAC-SHA-256 of the joined texts.
func mac(key []byte, texts ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, text := range texts {
		h.Write([]byte(text))
	}
	return h.Sum(nil)
}

// Check reports whether password is the one the verifier was made from. It takes
// as long as NewVerifier, whatever the outcome; only a password that no verifier
// can have is refused at once. A zero Verifier has no password.
func (v Verifier) Check(password string) bool {
	prepared, err := preparePassword(password)
	if err != nil || v.check() != nil {
		return false
	}
	given, _, err := deriveKeys(prepared, v.Salt, v.Iterations)
	return err == nil && subtle.ConstantTimeCompare(given.StoredKey, v.StoredKey) == 1
}

// check reports what makes v unusable.
func (v Verifier) check() error {
	if len(v.StoredKey) != keySize || len(v.ServerKey) != keySize {
		return fmt.Errorf("%w: key length", errVerifier)
	}
	return checkParameters(v.Salt, v.Iterations)
}

// String returns the text form, "SCRAM-SHA-256$65536:salt$stored:server" with
// base64 for the octets (RFC 5803). It is as secret as
// the verifier.
func (v Verifier) String() string {
	enc := base64.StdEncoding.EncodeToString
	return ScramSHA256 + "$" + strconv.Itoa(v.Iterations) + ":" + enc(v.Salt) + "$" + enc(v.StoredKey) + ":" + enc(v.ServerKey)
}

// LogValue keeps the verifier out of logs.
func (v Verifier) LogValue() slog.Value { return slog.StringValue("[verifier]") }

// ParseVerifier reads the text form that String writes.
func ParseVerifier(s string) (Verifier, error) {
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '$' || r == ':' })
	if len(s) > 1024 || len(parts) != 5 || parts[0] != ScramSHA256 {
		return Verifier{}, fmt.Errorf("%w: text form", errVerifier)
	}
	iterations, err := strconv.Atoi(parts[1])
	if err != nil {
		return Verifier{}, fmt.Errorf("%w: iterations", errVerifier)
	}
	v := Verifier{Iterations: iterations}
	for i, field := range []*[]byte{&v.Salt, &v.StoredKey, &v.ServerKey} {
		if *field, err = decode64(parts[2+i]); err != nil {
			return Verifier{}, fmt.Errorf("%w: base64", errVerifier)
		}
	}
	if err := v.check(); err != nil {
		return Verifier{}, err
	}
	if v.String() != s {
		return Verifier{}, fmt.Errorf("%w: text form", errVerifier)
	}
	return v, nil
}

func decode64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, ErrMalformed
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

// FakeVerifier returns a verifier that no password fits, for a user that does
// not exist: always the same for the same user and secret, and from outside no
// different from that of a user who does, provided that real ones have a salt of
// [SaltSize] and [DefaultIterations]. The case of user is ignored. The secret
// must stay secret and the same, also over restarts.
func FakeVerifier(user string, secret []byte) Verifier {
	user = strings.ToLower(user)
	return Verifier{
		Iterations: DefaultIterations,
		Salt:       mac(secret, "salt\x00", user)[:SaltSize],
		StoredKey:  mac(secret, "stored\x00", user),
		ServerKey:  mac(secret, "server\x00", user),
	}
}
