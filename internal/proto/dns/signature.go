package dns

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	codec "github.com/miekg/dns"
)

// ErrSignature says that a signature does not hold.
var ErrSignature = errors.New("signature does not hold")

// Signature is the data of a RRSIG record (RFC 4034 §3.1).
type Signature struct {
	Covered     Type
	Algorithm   Algorithm
	Labels      uint8
	OriginalTTL uint32
	Expiration  uint32 // seconds since 1970 modulo 2^32 (RFC 1982)
	Inception   uint32
	Tag         uint16
	Signer      string // absolute, in lower case
	Octets      []byte // the signature itself
}

// ReadSignature reads the data of a RRSIG record. Octets shares memory with it.
func ReadSignature(data []byte) (Signature, error) {
	if len(data) < 19 {
		return Signature{}, fmt.Errorf("%w: RRSIG of %d octets", ErrSyntax, len(data))
	}
	signer, n, err := ReadName(data[18:])
	if err != nil {
		return Signature{}, err
	}
	be := binary.BigEndian
	return Signature{
		Covered: Type(be.Uint16(data)), Algorithm: Algorithm(data[2]), Labels: data[3], OriginalTTL: be.Uint32(data[4:]),
		Expiration: be.Uint32(data[8:]), Inception: be.Uint32(data[12:]), Tag: be.Uint16(data[16:]), Signer: codec.CanonicalName(signer), Octets: data[18+n:],
	}, nil
}

// head appends the data without the signature itself.
func (s *Signature) head(b []byte) ([]byte, error) {
	be := binary.BigEndian
	b = be.AppendUint16(b, uint16(s.Covered))
	b = append(b, byte(s.Algorithm), s.Labels)
	b = be.AppendUint32(b, s.OriginalTTL)
	b = be.AppendUint32(b, s.Expiration)
	b = be.AppendUint32(b, s.Inception)
	b = be.AppendUint16(b, s.Tag)
	return AppendName(b, s.Signer)
}

// Valid reports whether the signature may be used at the time (RFC 4034 §3.1.5: by serial number arithmetic).
func (s *Signature) Valid(at time.Time) bool {
	now := uint32(at.Unix()) //nolint:gosec // modulo 2^32 by definition
	return int32(now-s.Inception) >= 0 && int32(s.Expiration-now) >= 0
}

// Expires is when the signature runs out, as seen from the time given: within 68 years of it.
func (s *Signature) Expires(at time.Time) time.Time {
	return at.Truncate(time.Second).Add(time.Duration(int32(s.Expiration-uint32(at.Unix()))) * time.Second) //nolint:gosec // modulo 2^32 by definition
}

// Sign gives the RRSIG record of a set of records (same owner, type and TTL; at least one) in the zone signer. The same
// set, key and times always give the same signature (RFC 6979, RFC 8032), so that no random numbers are needed.
func (k Key) Sign(set []Record, signer string, inception, expiration time.Time) (Record, error) {
	if k.private == nil || len(set) == 0 {
		return Record{}, fmt.Errorf("%w: nothing to sign, or nothing to sign with", ErrKey)
	}
	first := set[0]
	s := Signature{
		Covered: first.Type, Algorithm: k.Algorithm, Labels: labelsOf(first.Name), OriginalTTL: first.TTL,
		Expiration: uint32(expiration.Unix()), Inception: uint32(inception.Unix()), Tag: k.Tag(), Signer: signer, //nolint:gosec // modulo 2^32 by definition
	}
	signed, err := s.covered(set, first.Name)
	if err != nil {
		return Record{}, err
	}
	data, err := s.head(nil)
	if err != nil {
		return Record{}, err
	}
	var octets []byte
	switch private := k.private.(type) {
	case *ecdsa.PrivateKey:
		sum := sha256.Sum256(signed)
		der, err := private.Sign(nil, sum[:], crypto.SHA256)
		if err != nil {
			return Record{}, err
		}
		if octets, err = fromDER(der); err != nil {
			return Record{}, err
		}
	case ed25519.PrivateKey:
		octets = ed25519.Sign(private, signed)
	default:
		return Record{}, ErrKey
	}
	return Record{Name: first.Name, Type: TypeRRSIG, TTL: first.TTL, Data: append(data, octets...)}, nil
}

// covered is what is signed: the data of the RRSIG without the signature, and the set (RFC 4034 §3.1.8.1).
func (s *Signature) covered(set []Record, owner string) ([]byte, error) {
	for _, r := range set {
		if r.Name != set[0].Name || r.Type != set[0].Type || r.TTL != set[0].TTL {
			return nil, fmt.Errorf("%w: records of %s %s do not make a set", ErrSyntax, set[0].Name, set[0].Type)
		}
	}
	b, err := s.head(make([]byte, 0, 512))
	if err != nil {
		return nil, err
	}
	return appendSet(b, set, owner, s.OriginalTTL)
}

// Verify reports whether the signature of a RRSIG record covers the set and was made by the key whose DNSKEY data is
// given (RFC 4035 §5.3), without regard to time. A set that was made from a wildcard has its own name as owner. The
// error wraps ErrSignature, or ErrSyntax for what is no RRSIG.
func Verify(sig Record, set []Record, dnskey []byte) error {
	s, err := ReadSignature(sig.Data)
	if err != nil {
		return err
	}
	bad := func(why string) error {
		return fmt.Errorf("%w: %s %s by key %d: %s", ErrSignature, sig.Name, s.Covered, s.Tag, why)
	}
	switch {
	case sig.Type != TypeRRSIG || len(set) == 0 || set[0].Type != s.Covered || set[0].Name != sig.Name:
		return bad("it is of another set")
	case len(dnskey) < 5 || binary.BigEndian.Uint16(dnskey)&FlagZone == 0 || dnskey[2] != 3:
		return bad("the key is no zone key")
	case Algorithm(dnskey[3]) != s.Algorithm || KeyTag(dnskey) != s.Tag:
		return bad("it was made by another key")
	case !Below(sig.Name, s.Signer):
		return bad("the owner is not in the zone " + s.Signer)
	}
	owner := sig.Name
	switch labels := labelsOf(owner); {
	case labels < s.Labels:
		return bad("it has more labels than its owner")
	case labels > s.Labels: // made from a wildcard
		for ; labels > s.Labels; labels-- {
			owner = Parent(owner)
		}
		if owner = "*." + owner; owner == "*.." {
			owner = "*."
		}
	}
	signed, err := s.covered(set, owner)
	if err != nil {
		return err
	}
	if !holds(s.Algorithm, dnskey[4:], signed, s.Octets) {
		return bad("the octets do not fit")
	}
	return nil
}

func holds(a Algorithm, public, signed, octets []byte) bool {
	switch {
	case a == ECDSAP256SHA256 && len(public) == 64 && len(octets) == 64:
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, public...))
		if err != nil {
			return false
		}
		der, err := toDER(octets)
		sum := sha256.Sum256(signed)
		return err == nil && ecdsa.VerifyASN1(key, sum[:], der)
	case a == Ed25519 && len(public) == ed25519.PublicKeySize:
		return ed25519.Verify(public, signed, octets)
	}
	return false
}

// appendSet appends a set of records as it is signed (RFC 4034 §3.1.8.1, §6.3): in canonical form, with the owner and
// TTL given, in order, without repetition.
func appendSet(b []byte, set []Record, owner string, ttl uint32) ([]byte, error) {
	head, err := AppendName(nil, owner)
	if err != nil {
		return nil, err
	}
	head = binary.BigEndian.AppendUint16(head, uint16(set[0].Type))
	head = binary.BigEndian.AppendUint16(head, 1) // IN
	head = binary.BigEndian.AppendUint32(head, ttl)
	data := make([][]byte, len(set))
	for i, r := range set {
		data[i] = r.CanonicalData()
		if len(data[i]) > MaxData {
			return nil, fmt.Errorf("%w: %d octets of data", ErrSyntax, len(data[i]))
		}
	}
	slices.SortFunc(data, bytes.Compare)
	for i, d := range data {
		if i > 0 && bytes.Equal(d, data[i-1]) {
			continue
		}
		b = append(b, head...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(d))) //nolint:gosec // bounded above
		b = append(b, d...)
	}
	return b, nil
}

// numbers are a signature by P-256 as crypto/ecdsa writes it.
type numbers struct{ R, S *big.Int }

// fromDER gives the two numbers as RFC 6605 §4 wants them, each of 32 octets.
func fromDER(der []byte) ([]byte, error) {
	var n numbers
	if rest, err := asn1.Unmarshal(der, &n); err != nil || len(rest) > 0 || n.R.BitLen() > 256 || n.S.BitLen() > 256 {
		return nil, fmt.Errorf("%w: it signs what is no signature", ErrKey)
	}
	var out [64]byte
	n.R.FillBytes(out[:32])
	n.S.FillBytes(out[32:])
	return out[:], nil
}

func toDER(octets []byte) ([]byte, error) {
	return asn1.Marshal(numbers{new(big.Int).SetBytes(octets[:32]), new(big.Int).SetBytes(octets[32:])})
}

// labelsOf counts labels as a RRSIG does: neither the root's nor an asterisk in front (RFC 4034 §3.1.3).
func labelsOf(name string) uint8 {
	n := len(Labels(name))
	if len(name) > 1 && name[0] == '*' && name[1] == '.' {
		n--
	}
	return uint8(n) //nolint:gosec // a name has at most 127 labels
}
