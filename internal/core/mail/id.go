package mail

import (
	"encoding/binary"
	"errors"
	"time"
)

// ID is a queue id: 128 bits printed as 26 lower-case characters of a base-32 alphabet without i, l, o
// and u, so that it is safe in URLs, file names and over the telephone. Text order is order of time.
type ID string

// IDLength is the number of characters of an ID.
const IDLength = 26

const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// ErrBadID says that a text is not a queue id.
var ErrBadID = errors.New("not a queue id")

// NewID composes an id: 48 bits of milliseconds since 1970, 8 bits of queue shard, 24 bits of node epoch
// (new at every start and restore) and 48 random bits. An id is never given twice.
func NewID(at time.Time, shard uint8, epoch uint32, random uint64) ID {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixMilli())<<16) //nolint:gosec // negative times do not occur: the queue's clock starts after 1970
	b[6] = shard
	b[7], b[8], b[9] = byte(epoch>>16), byte(epoch>>8), byte(epoch)
	b[10], b[11] = byte(random>>40), byte(random>>32)
	binary.BigEndian.PutUint32(b[12:], uint32(random)) //nolint:gosec // the low half is meant
	return encodeID(b)
}

func encodeID(b [16]byte) ID {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var out [IDLength]byte
	for i := IDLength - 1; i >= 0; i-- {
		out[i] = idAlphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return ID(out[:])
}

// ParseID checks a text that a person or a program gave as a queue id; ErrBadID when it is none.
func ParseID(s string) (ID, error) {
	if len(s) != IDLength || s[0] > '7' {
		return "", ErrBadID
	}
	for i := range len(s) {
		if idDigit(s[i]) < 0 {
			return "", ErrBadID
		}
	}
	return ID(s), nil
}

func idDigit(c byte) int {
	for i := range len(idAlphabet) {
		if idAlphabet[i] == c {
			return i
		}
	}
	return -1
}

// Epoch gives the node epoch in which the id was made; 0 for a text that is no id.
func (id ID) Epoch() uint32 {
	if _, err := ParseID(string(id)); err != nil {
		return 0
	}
	var hi, lo uint64
	for i := range IDLength {
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(idDigit(id[i])) //nolint:gosec // checked to be a digit above
	}
	return uint32(hi&0xff)<<16 | uint32(lo>>48)
}
