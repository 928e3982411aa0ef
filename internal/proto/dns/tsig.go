package dns

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"

	codec "github.com/miekg/dns"
)

// MAC is the message authentication code of a TSIG key, as configurations write it (RFC 8945 §6). MD5, SHA-1 and
// truncated ones are not taken.
type MAC string

// The algorithms.
const (
	HMACSHA256 MAC = "hmac-sha256"
	HMACSHA384 MAC = "hmac-sha384"
	HMACSHA512 MAC = "hmac-sha512"
)

// hash gives the algorithm's hash function; nil when there is no such algorithm.
func (a MAC) hash() func() hash.Hash {
	switch a {
	case HMACSHA256:
		return sha256.New
	case HMACSHA384:
		return sha512.New384
	case HMACSHA512:
		return sha512.New
	}
	return nil
}

// ParseMAC reads an algorithm's name in any case, with or without the last dot.
func ParseMAC(text string) (MAC, error) {
	a := MAC(strings.ToLower(strings.TrimSuffix(text, ".")))
	if a.hash() == nil {
		return "", fmt.Errorf("%w: no TSIG algorithm %.40q: hmac-sha256, hmac-sha384 or hmac-sha512", ErrSyntax, text)
	}
	return a, nil
}

// TSIGKey is a secret that two parties share (RFC 8945 §4).
type TSIGKey struct {
	Name      string // absolute, in lower case
	Algorithm MAC
	Secret    []byte
}

// TSIGError is the error of a TSIG record (RFC 8945 §3).
type TSIGError uint16

// The errors.
const (
	ErrBadSig   TSIGError = 16 // the code is not that of the message under the key
	ErrBadKey   TSIGError = 17 // nobody here knows the key, or not with this algorithm
	ErrBadTime  TSIGError = 18 // signed longer ago, or further ahead, than the message allows
	ErrBadTrunc TSIGError = 22 // the code is shorter than the hash
)

// String is the error's mnemonic.
func (c TSIGError) String() string {
	switch c {
	case ErrBadSig:
		return "BADSIG"
	case ErrBadKey:
		return "BADKEY"
	case ErrBadTime:
		return "BADTIME"
	case ErrBadTrunc:
		return "BADTRUNC"
	}
	return fmt.Sprintf("TSIG error %d", uint16(c))
}

// Error makes a TSIGError an error.
func (c TSIGError) Error() string { return c.String() }

// Errors of signed messages besides the Codes.
var (
	ErrUnsigned = errors.New("the message is not signed")
	errForm     = fmt.Errorf("%w: a TSIG record that is not the last of its message, or malformed", ErrSyntax)
)

const (
	fudge       = 300 // seconds that clocks may differ (RFC 8945 §10)
	maxUnsigned = 99  // messages of a stream between two signed ones (RFC 8945 §5.3.1)
	classAny    = 255
	headerSize  = 12
	arcountAt   = 10
)

// TSIG is the TSIG record of a message.
type TSIG struct {
	Key       string // absolute, in lower case
	Algorithm string // absolute, in lower case
	Time      uint64 // when it was signed, seconds since 1970
	Fudge     uint16 // seconds by which clocks may differ
	MAC       []byte
	ID        uint16 // of the message when it was signed
	Error     TSIGError
	Other     []byte
}

// SplitTSIG takes the TSIG record off a message and gives the message as it was before it was signed, a copy. Without a
// TSIG record it gives the message itself and nil. A record that is not the last one, or in a section other than the
// additional one, is an error (RFC 8945 §5.1).
func SplitTSIG(msg []byte) ([]byte, *TSIG, error) {
	if len(msg) < headerSize {
		return nil, nil, fmt.Errorf("%w: a message of %d octets", ErrSyntax, len(msg))
	}
	off := headerSize
	var err error
	for range binary.BigEndian.Uint16(msg[4:]) {
		if off, err = skipName(msg, off); err != nil || off+4 > len(msg) {
			return nil, nil, fmt.Errorf("%w: the question section", ErrSyntax)
		}
		off += 4
	}
	extra := int(binary.BigEndian.Uint16(msg[arcountAt:]))
	total := int(binary.BigEndian.Uint16(msg[6:])) + int(binary.BigEndian.Uint16(msg[8:])) + extra
	for i := range total {
		start := off
		if off, err = skipName(msg, off); err != nil || off+10 > len(msg) {
			return nil, nil, fmt.Errorf("%w: a record on the wire", ErrSyntax)
		}
		kind := Type(binary.BigEndian.Uint16(msg[off:]))
		end := off + 10 + int(binary.BigEndian.Uint16(msg[off+8:]))
		if end > len(msg) {
			return nil, nil, fmt.Errorf("%w: a record on the wire", ErrSyntax)
		}
		off = end
		if kind != TypeTSIG {
			continue
		}
		if i != total-1 || extra == 0 || end != len(msg) {
			return nil, nil, errForm
		}
		sig, err := readSignature(msg, start)
		if err != nil {
			return nil, nil, err
		}
		bare := bytes.Clone(msg[:start])
		binary.BigEndian.PutUint16(bare[arcountAt:], uint16(extra-1)) //nolint:gosec // it was 16 bits
		return bare, sig, nil
	}
	return msg, nil, nil
}

// skipName gives the offset after the name at off.
func skipName(msg []byte, off int) (int, error) {
	for off < len(msg) {
		switch c := int(msg[off]); {
		case c == 0:
			return off + 1, nil
		case c >= 0xC0: // a pointer
			return off + 2, nil
		case c > 63:
			return 0, ErrSyntax
		default:
			off += 1 + c
		}
	}
	return 0, ErrSyntax
}

func readSignature(msg []byte, off int) (*TSIG, error) {
	rr, end, err := codec.UnpackRR(msg, off)
	record, ok := rr.(*codec.TSIG)
	if err != nil || !ok || end != len(msg) || record.Hdr.Class != classAny || record.Hdr.Ttl != 0 || record.Hdr.Rdlength == 0 {
		return nil, errForm
	}
	_, at, err := codec.UnpackDomainName(msg, off)
	if err != nil {
		return nil, errForm
	}
	data := msg[at+10:]
	begin, err := skipName(data, 0) // the algorithm, whose name is never compressed
	if err != nil || begin+10 > len(data) {
		return nil, errForm
	}
	mac := data[begin+10:]
	size := int(record.MACSize)
	if len(mac) < size+6 {
		return nil, errForm
	}
	other := mac[size+6:]
	if len(other) != int(record.OtherLen) {
		return nil, errForm
	}
	return &TSIG{
		Key: codec.CanonicalName(record.Hdr.Name), Algorithm: codec.CanonicalName(record.Algorithm), Time: record.TimeSigned, Fudge: record.Fudge,
		MAC: bytes.Clone(mac[:size]), ID: record.OrigId, Error: TSIGError(record.Error), Other: bytes.Clone(other),
	}, nil
}

// Exchange signs and verifies the messages of one request and its answers, each of which covers the one before
// (RFC 8945 §5.3). One goroutine at a time. The side that asks signs first and then verifies, the other the other way
// round.
type Exchange struct {
	key      TSIGKey
	mac      []byte    // of the signed message before; nil before the first
	signed   int       // messages that were signed or verified
	between  hash.Hash // over what came unsigned since; nil when nothing did
	unsigned int       // how many did
}

// Begin makes an exchange under the key.
func (k TSIGKey) Begin() *Exchange { return &Exchange{key: k} }

// start gives the hash over what a message covers besides itself and its variables.
func (x *Exchange) start() hash.Hash {
	if x.between != nil {
		return x.between
	}
	h := hmac.New(x.key.Algorithm.hash(), x.key.Secret)
	if x.mac != nil {
		h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(x.mac)))) //nolint:gosec // a hash is short
		h.Write(x.mac)
	}
	return h
}

// digest adds a message and its variables to the hash: all of them for the first two messages, then the time alone.
func (x *Exchange) digest(h hash.Hash, id uint16, bare []byte, at uint64, window uint16, code TSIGError, other []byte) ([]byte, error) {
	h.Write(binary.BigEndian.AppendUint16(nil, id))
	h.Write(bare[2:])
	var vars []byte
	if x.signed <= 1 {
		var err error
		if vars, err = AppendName(vars, x.key.Name); err != nil {
			return nil, err
		}
		vars = binary.BigEndian.AppendUint16(vars, classAny)
		vars = binary.BigEndian.AppendUint32(vars, 0)
		if vars, err = AppendName(vars, string(x.key.Algorithm)+"."); err != nil {
			return nil, err
		}
	}
	vars = appendTime(vars, at)
	vars = binary.BigEndian.AppendUint16(vars, window)
	if x.signed <= 1 {
		vars = binary.BigEndian.AppendUint16(vars, uint16(code))
		vars = binary.BigEndian.AppendUint16(vars, uint16(len(other))) //nolint:gosec // at most 6
		vars = append(vars, other...)
	}
	h.Write(vars)
	return h.Sum(nil), nil
}

func appendTime(b []byte, at uint64) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(at>>32)) //nolint:gosec // 48 bits (RFC 8945 §4.2)
	return binary.BigEndian.AppendUint32(b, uint32(at))  //nolint:gosec // as above
}

func seconds(at time.Time) uint64 { return uint64(max(0, at.Unix())) } //nolint:gosec // not negative

// Sign gives the message with the TSIG record of the moment.
func (x *Exchange) Sign(msg []byte, at time.Time) ([]byte, error) {
	return x.sign(msg, seconds(at), 0, nil)
}

func (x *Exchange) sign(msg []byte, at uint64, code TSIGError, other []byte) ([]byte, error) {
	mac, err := x.digest(x.start(), binary.BigEndian.Uint16(msg), msg, at, fudge, code, other)
	if err != nil {
		return nil, err
	}
	x.mac, x.between, x.unsigned = mac, nil, 0
	x.signed++
	return x.attach(msg, at, mac, code, other)
}

// attach appends a TSIG record to a message.
func (x *Exchange) attach(msg []byte, at uint64, mac []byte, code TSIGError, other []byte) ([]byte, error) {
	out, err := AppendName(slices.Clone(msg), x.key.Name)
	if err != nil {
		return nil, err
	}
	out = binary.BigEndian.AppendUint16(out, uint16(TypeTSIG))
	out = binary.BigEndian.AppendUint16(out, classAny)
	out = binary.BigEndian.AppendUint32(out, 0)
	size := len(out)
	if out, err = AppendName(append(out, 0, 0), string(x.key.Algorithm)+"."); err != nil {
		return nil, err
	}
	out = appendTime(out, at)
	out = binary.BigEndian.AppendUint16(out, fudge)
	out = binary.BigEndian.AppendUint16(out, uint16(len(mac))) //nolint:gosec // a hash is short
	out = append(out, mac...)
	out = append(out, msg[:2]...)
	out = binary.BigEndian.AppendUint16(out, uint16(code))
	out = binary.BigEndian.AppendUint16(out, uint16(len(other))) //nolint:gosec // at most 6
	out = append(out, other...)
	binary.BigEndian.PutUint16(out[size:], uint16(len(out)-size-2)) //nolint:gosec // two names and a hash
	binary.BigEndian.PutUint16(out[arcountAt:], binary.BigEndian.Uint16(out[arcountAt:])+1)
	return out, nil
}

// SignatureRoom is how many octets of a message the TSIG record of the key takes.
func (k TSIGKey) SignatureRoom() int {
	h := k.Algorithm.hash()
	if h == nil {
		return 0
	}
	return len(k.Name) + 1 + 10 + len(k.Algorithm) + 2 + 16 + h().Size()
}

// Verify checks a message and gives it as it was before it was signed. The errors are a TSIGError, ErrUnsigned for a message
// that should be signed and is not, and what wraps ErrSyntax. Of a stream's answers up to 99 in a row may be unsigned,
// but not the first; whoever reads a stream asks Open at its end.
func (x *Exchange) Verify(msg []byte, at time.Time) ([]byte, error) {
	bare, sig, err := SplitTSIG(msg)
	if err != nil {
		return nil, err
	}
	if sig == nil {
		if x.signed < 2 || x.unsigned == maxUnsigned {
			return nil, ErrUnsigned
		}
		h := x.start()
		h.Write(bare)
		x.between = h
		x.unsigned++
		return bare, nil
	}
	return bare, x.Check(bare, sig, at)
}

// Check is Verify for a message that was split already.
func (x *Exchange) Check(bare []byte, sig *TSIG, at time.Time) error {
	if sig.Key != x.key.Name || sig.Algorithm != string(x.key.Algorithm)+"." || x.key.Algorithm.hash() == nil {
		return ErrBadKey
	}
	if x.signed > 0 && (sig.Error == ErrBadKey || sig.Error == ErrBadSig) && len(sig.MAC) == 0 {
		return fmt.Errorf("%w: the other side says %w", ErrUnsigned, sig.Error)
	}
	mac, err := x.digest(x.start(), sig.ID, bare, sig.Time, sig.Fudge, sig.Error, sig.Other)
	switch {
	case err != nil:
		return err
	case len(sig.MAC) < len(mac):
		return ErrBadTrunc
	case !hmac.Equal(mac, sig.MAC):
		return ErrBadSig
	}
	x.mac, x.between, x.unsigned = mac, nil, 0
	x.signed++
	if sig.Error != 0 {
		return fmt.Errorf("the other side says %w", sig.Error)
	}
	now := seconds(at) // after the code, so that nobody learns anything by the time alone
	if now > sig.Time+uint64(sig.Fudge) || sig.Time > now+uint64(sig.Fudge) {
		return ErrBadTime
	}
	return nil
}

// Open reports whether the last messages of a stream came unsigned, so that nobody vouches for them (RFC 8945 §5.3.1).
func (x *Exchange) Open() bool { return x.unsigned > 0 }

// Reject gives an answer with the TSIG record that says why a request's was not taken (RFC 8945 §5.3.2): signed for
// ErrBadTime, with our time in it, else with an empty code. The exchange is the one whose Check failed, or one of a key
// with the name and algorithm of the request that nobody here knows.
func (x *Exchange) Reject(answer []byte, sig *TSIG, why TSIGError, at time.Time) ([]byte, error) {
	if why == ErrBadTime {
		return x.sign(answer, sig.Time, why, appendTime(nil, seconds(at)))
	}
	return x.attach(answer, sig.Time, nil, why, nil)
}
