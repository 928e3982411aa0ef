package cert

import (
	"encoding/binary"
	"hash/fnv"
	"time"
)

// Advice is when the authority would like a certificate to be renewed (RFC 9773 §4.2).
type Advice struct {
	From, Until time.Time // the window; zero: it has said nothing
	Page        string    // URL of what it says of the reason; may be empty
	Again       time.Time // when it is to be asked again; zero: it was not asked yet
}

// soonest bounds how soon after it came a certificate is renewed because the authority would like that: one that asks for it
// always is not asked for certificates without end.
const soonest = 6 * time.Hour

// heed gives the time in the window at which the certificate is renewed: the same for all who look, and another one for
// each certificate (RFC 9773 §4.3). It lies well before people would be told that it was not renewed.
func (s *Status) heed() time.Time {
	var given [8]byte
	binary.BigEndian.PutUint64(given[:], uint64(s.Given.UnixMicro())) //nolint:gosec // bits
	h := fnv.New64a()
	_, _ = h.Write(given[:])
	share := float64(h.Sum64()>>11) / (1 << 53)
	at := s.Advice.From.Add(time.Duration(share * float64(s.Advice.Until.Sub(s.Advice.From))))
	begin := s.Given
	if begin.IsZero() {
		begin = s.NotBefore
	}
	if latest := s.NotAfter.Add(-s.Alarm() * 5 / 4); at.After(latest) {
		at = latest
	}
	if earliest := begin.Add(min(soonest, s.NotAfter.Sub(s.NotBefore)/renewalFraction)); at.Before(earliest) {
		at = earliest
	}
	return at
}
