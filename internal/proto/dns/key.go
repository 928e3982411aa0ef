package dns

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Algorithm is how a zone key signs (IANA, DNSSEC algorithm numbers).
type Algorithm uint8

// The algorithms that zones are signed with here; RFC 8624 §3.1 recommends both.
const (
	ECDSAP256SHA256 Algorithm = 13 // RFC 6605
	Ed25519         Algorithm = 15 // RFC 8080
)

// String is the algorithm's mnemonic.
func (a Algorithm) String() string {
	switch a {
	case ECDSAP256SHA256:
		return "ECDSAP256SHA256"
	case Ed25519:
		return "ED25519"
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// ParseAlgorithm reads a mnemonic in any case.
func ParseAlgorithm(text string) (Algorithm, error) {
	for _, a := range []Algorithm{ECDSAP256SHA256, Ed25519} {
		if strings.EqualFold(text, a.String()) {
			return a, nil
		}
	}
	return 0, fmt.Errorf("%w: no algorithm %.40q: use ECDSAP256SHA256 or ED25519", ErrSyntax, text)
}

// Flags of a DNSKEY record (RFC 4034 §2.1.1).
const (
	FlagZone uint16 = 1 << 8
	FlagSEP  uint16 = 1
)

// The digests of a DS record that are known here (RFC 4509, RFC 6605 §2).
const (
	DigestSHA256 uint8 = 2
	DigestSHA384 uint8 = 4
)

// ErrKey says that a key is none, or not the one that is wanted.
var ErrKey = errors.New("not a usable zone key")

// Key is a key pair that signs zones. Its zero value signs nothing. It does not show its private part when printed.
type Key struct {
	Flags     uint16
	Algorithm Algorithm
	Public    []byte // as in a DNSKEY record
	private   crypto.Signer
}

// GenerateKey makes a key pair by the system's random numbers.
func GenerateKey(a Algorithm, flags uint16) (Key, error) {
	var private crypto.Signer
	var err error
	switch a {
	case ECDSAP256SHA256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case Ed25519:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("%w: %s", ErrKey, a)
	}
	if err != nil {
		return Key{}, err
	}
	return keyOf(flags, private)
}

// ParseKey reads the private part of a key pair as PKCS8 wrote it (RFC 5208).
func ParseKey(flags uint16, pkcs8 []byte) (Key, error) {
	private, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return Key{}, fmt.Errorf("%w: a %T", ErrKey, private)
	}
	return keyOf(flags, signer)
}

func keyOf(flags uint16, private crypto.Signer) (Key, error) {
	k := Key{Flags: flags, private: private}
	switch public := private.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil || public.Curve != elliptic.P256() {
			return Key{}, fmt.Errorf("%w: a point that is not on P-256", ErrKey)
		}
		k.Algorithm, k.Public = ECDSAP256SHA256, point[1:] // without the octet that says "uncompressed" (RFC 6605 §4)
	case ed25519.PublicKey:
		k.Algorithm, k.Public = Ed25519, public
	default:
		return Key{}, fmt.Errorf("%w: a %T", ErrKey, public)
	}
	return k, nil
}

// PKCS8 is the private part, for ParseKey. It is a secret.
func (k Key) PKCS8() ([]byte, error) {
	if k.private == nil {
		return nil, ErrKey
	}
	return x509.MarshalPKCS8PrivateKey(k.private)
}

// String names the key without its private part.
func (k Key) String() string { return fmt.Sprintf("%s key %d", k.Algorithm, k.Tag()) }

// GoString is String, so that no form of printing shows the private part.
func (k Key) GoString() string { return k.String() }

// DNSKEY is the data of the key's DNSKEY and CDNSKEY records (RFC 4034 §2.1, RFC 7344 §3.2).
func (k Key) DNSKEY() []byte {
	b := binary.BigEndian.AppendUint16(nil, k.Flags)
	return append(append(b, 3, byte(k.Algorithm)), k.Public...)
}

// Tag is the key's tag. Several keys may have the same.
func (k Key) Tag() uint16 { return KeyTag(k.DNSKEY()) }

// KeyTag computes the tag of a DNSKEY record's data (RFC 4034 appendix B).
func KeyTag(dnskey []byte) uint16 {
	var sum uint32
	for i, octet := range dnskey {
		if i&1 == 0 {
			sum += uint32(octet) << 8
		} else {
			sum += uint32(octet)
		}
	}
	return uint16(sum + sum>>16) //nolint:gosec // the carry is folded in, the rest is cut off by the definition
}

// DS is the data of the DS and CDS records of a key (RFC 4034 §5.1, RFC 7344 §3.1): of a DNSKEY record's data and its
// owner. ErrKey for a digest that is not known here.
func DS(owner string, dnskey []byte, digest uint8) ([]byte, error) {
	if len(dnskey) < 5 {
		return nil, fmt.Errorf("%w: %d octets", ErrKey, len(dnskey))
	}
	covered, err := AppendName(nil, owner)
	if err != nil {
		return nil, err
	}
	covered = append(covered, dnskey...)
	b := binary.BigEndian.AppendUint16(nil, KeyTag(dnskey))
	b = append(b, dnskey[3], digest)
	switch digest {
	case DigestSHA256:
		sum := sha256.Sum256(covered)
		return append(b, sum[:]...), nil
	case DigestSHA384:
		sum := sha512.Sum384(covered)
		return append(b, sum[:]...), nil
	}
	return nil, fmt.Errorf("%w: digest type %d", ErrKey, digest)
}

// Matches reports whether DS data names this DNSKEY data at owner. A digest that is not known here matches nothing.
func Matches(ds []byte, owner string, dnskey []byte) bool {
	if len(ds) < 5 {
		return false
	}
	own, err := DS(owner, dnskey, ds[3])
	return err == nil && bytes.Equal(own, ds)
}
