package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

const (
	rememberTime  = 5 * time.Minute
	maxRemembered = 16_384
)

// verified remembers logins that were right, so that a client that logs in every minute costs one check in five.
// It holds no password: what is kept is a keyed hash over login, password and verifier, so that it is worth nothing
// elsewhere, and a changed password has another one.
type verified struct {
	key []byte // of this process

	mu    sync.Mutex
	until *lru[[sha256.Size]byte, time.Time]
}

func newVerified(key []byte) *verified {
	return &verified{key: key, until: newLRU[[sha256.Size]byte, time.Time](maxRemembered)}
}

// sum is the keyed hash of texts that hold no NUL.
func (v *verified) sum(texts ...string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, v.key)
	for i, text := range texts {
		if i > 0 {
			h.Write([]byte{0})
		}
		h.Write([]byte(text))
	}
	h.Sum(sum[:0])
	return sum
}

// mark stands for a login and a password among the wrong ones of a pair; it is never 0.
func (v *verified) mark(login, password string) uint64 {
	sum := v.sum(login, password)
	return binary.BigEndian.Uint64(sum[:]) | 1
}

// knows reports whether the password was right for this verifier a short while ago.
func (v *verified) knows(now time.Time, login, password, verifier string) bool {
	key := v.sum(login, password, verifier)
	v.mu.Lock()
	defer v.mu.Unlock()
	until := v.until.find(key)
	if until == nil {
		return false
	}
	if !now.Before(*until) {
		v.until.forget(key)
		return false
	}
	return true
}

// remember notes that the password is right for this verifier.
func (v *verified) remember(now time.Time, login, password, verifier string) {
	key := v.sum(login, password, verifier)
	v.mu.Lock()
	defer v.mu.Unlock()
	*v.until.entry(key) = now.Add(rememberTime)
}
