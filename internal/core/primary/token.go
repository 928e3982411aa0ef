package primary

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/proto/message"
)

// Token marks a probe: a serial that holds chance and the time at which it was made, and a MAC over these, the account
// and the address.
type Token struct {
	serial [serialSize]byte
	mac    [macSize]byte
}

const (
	// TokenPrefix begins every token, so that mail without one is told at a glance.
	TokenPrefix = "prfwd-"
	// ChanceSize is how many octets of chance a token is made of.
	ChanceSize = 7
	serialSize = ChanceSize + 3
	macSize    = 10
	textSize   = (serialSize + macSize) * 8 / 5
	// TokenLife is how long a token is good: longer than servers keep mail that they cannot deliver.
	TokenLife = 7 * 24 * time.Hour
)

var (
	encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	epoch    = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
)

// step is how exactly a token says when it was made.
const step = 4 * time.Minute

// Key makes and checks tokens. It is a secret of the installation.
type Key []byte

// Make gives a token for an address of an account's; chance must be of a source that nobody can guess.
func (k Key) Make(owner account.ID, address string, chance [ChanceSize]byte, now time.Time) Token {
	var t Token
	steps := uint32(now.Sub(epoch) / step) //nolint:gosec // after 2000, and for 127 years
	copy(t.serial[:], append(chance[:], byte(steps>>16), byte(steps>>8), byte(steps)))
	t.mac = k.mac(&t, owner, address)
	return t
}

func (k Key) mac(t *Token, owner account.ID, address string) (mac [macSize]byte) {
	h := hmac.New(sha256.New, k)
	_, _ = h.Write(t.serial[:])
	_, _ = h.Write([]byte(string(owner) + "\x00" + strings.ToLower(address)))
	copy(mac[:], h.Sum(nil))
	return mac
}

// Is reports whether a token was made for an address of an account's, and is good still.
func (k Key) Is(t Token, owner account.ID, address string, now time.Time) bool {
	mac := k.mac(&t, owner, address)
	made := t.made()
	return hmac.Equal(mac[:], t.mac[:]) && now.After(made.Add(-time.Hour)) && now.Before(made.Add(TokenLife))
}

func (t *Token) made() time.Time {
	b := t.serial[ChanceSize:]
	return epoch.Add(time.Duration(uint32(b[0])<<16|uint32(b[1])<<8|uint32(b[2])) * step)
}

// Serial is the part of a token by which it is found in a store; it makes no token.
func (t Token) Serial() string { return encoding.EncodeToString(t.serial[:]) }

// String is the token as it stands in messages, in lower case.
func (t Token) String() string {
	return TokenPrefix + encoding.EncodeToString(t.serial[:]) + encoding.EncodeToString(t.mac[:])
}

// ParseToken reads what String gives, in any case.
func ParseToken(text string) (Token, bool) {
	var t Token
	rest, ok := strings.CutPrefix(strings.ToLower(text), TokenPrefix)
	if !ok || len(rest) != textSize {
		return t, false
	}
	octets, err := encoding.DecodeString(rest)
	if err != nil {
		return t, false
	}
	copy(t.serial[:], octets)
	copy(t.mac[:], octets[serialSize:])
	return t, true
}

// ProbeField is the field that bears the token of a probe. Its Message-ID does so too, since some servers remove fields that
// they do not know.
const ProbeField = "Postroad-Probe"

// Marked reports whether a header may be that of a probe. It costs little.
func Marked(header []byte) bool { return bytes.Contains(header, []byte(TokenPrefix)) }

// Mark gives the token in a header: that of a message which is the probe itself, and not one that quotes it.
func Mark(header []byte) (Token, bool) {
	if !Marked(header) {
		return Token{}, false
	}
	for _, v := range message.Values(header, ProbeField) {
		if t, ok := ParseToken(strings.TrimSpace(v)); ok {
			return t, true
		}
	}
	for _, v := range message.Values(header, "Message-ID") {
		local, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(v), "<"), "@")
		if t, ok := ParseToken(local); ok {
			return t, true
		}
	}
	return Token{}, false
}

// Sender is the reverse-path of a probe: an address of the installation's postmaster, whose mailbox takes what comes for it
// and is no report.
func Sender(t Token, hostname string) string { return "postmaster+" + t.String() + "@" + hostname }

// Reported gives the token in an address that Sender has made, whatever became of the case of its letters.
func Reported(address, hostname string) (Token, bool) {
	if len(address) != len("postmaster+")+len(TokenPrefix)+textSize+1+len(hostname) {
		return Token{}, false
	}
	local, domain, _ := strings.Cut(address, "@")
	local, ok := strings.CutPrefix(strings.ToLower(local), "postmaster+")
	if !ok || !strings.EqualFold(domain, hostname) {
		return Token{}, false
	}
	return ParseToken(local)
}
