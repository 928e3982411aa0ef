package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// MinVerifyBits is the shortest RSA key that is believed (RFC 8301 §3.2).
	MinVerifyBits = 1024
	// MinSignBits is the shortest RSA key that is signed with.
	MinSignBits = 2048
	// maxVerifyBits bounds what a stranger can have us compute.
	maxVerifyBits = 8192
)

// ErrRevoked says that a key record has no key any more: p= is empty (RFC 6376 §3.6.1).
var ErrRevoked = errors.New("the key is revoked: p= is empty")

// Record is what a domain publishes of a key (RFC 6376 §3.6.1).
type Record struct {
	// Type is the value of k=: "rsa" or "ed25519".
	Type string
	// Public is an *rsa.PublicKey or an ed25519.PublicKey.
	Public crypto.PublicKey
	// Testing is t=y: the domain tries DKIM out, and a signature that fails is no worse than none.
	Testing bool
	// Strict is t=s: the domain of i= has to be that of d=.
	Strict bool
	// Bits is the length of the key.
	Bits int
}

// ParseRecord reads the text of a key record. The error is [ErrSyntax], [ErrRevoked] or [ErrUnfit], the last for a key
// that is for something else than mail or SHA-256. A key of any length is read: see [MinVerifyBits].
func ParseRecord(text string) (Record, error) {
	tags, err := parseTags(text, true)
	if err != nil {
		return Record{}, err
	}
	if v, ok := tags.Get("v"); ok && v != "DKIM1" {
		return Record{}, fmt.Errorf("%w: v=%s is no version of DKIM", ErrSyntax, cut(v))
	}
	r := Record{Type: "rsa"}
	if k, ok := tags.Get("k"); ok {
		r.Type = k
	}
	if t, ok := tags.Get("t"); ok {
		flags := List(t)
		r.Testing, r.Strict = slices.Contains(flags, "y"), slices.Contains(flags, "s")
	}
	p, ok := tags.Get("p")
	switch {
	case !ok:
		return r, fmt.Errorf("%w: p= is missing", ErrSyntax)
	case p == "":
		return r, ErrRevoked
	}
	if h, ok := tags.Get("h"); ok && !slices.Contains(List(h), "sha256") {
		return r, fmt.Errorf("%w: the key is for other hashes than SHA-256: h=%s", ErrUnfit, cut(h))
	}
	if s, ok := tags.Get("s"); ok && !slices.Contains(List(s), "*") && !slices.Contains(List(s), "email") {
		return r, fmt.Errorf("%w: the key is not for mail: s=%s", ErrUnfit, cut(s))
	}
	octets, err := tags.Base64("p")
	if err != nil {
		// A key that is cut ends in the middle of its base64 as a rule.
		short := squeeze(p)
		if begun, bad := base64.StdEncoding.DecodeString(short[:len(short)/4*4]); bad == nil && cutShort(begun) {
			return r, errCut
		}
		return r, err
	}
	switch r.Type {
	case "rsa":
		return r, r.readRSA(octets)
	case "ed25519":
		if len(octets) != ed25519.PublicKeySize {
			return r, fmt.Errorf("%w: p= holds %d octets, and an Ed25519 key has %d", ErrSyntax, len(octets), ed25519.PublicKeySize)
		}
		r.Public, r.Bits = ed25519.PublicKey(octets), 8*len(octets)
		return r, nil
	}
	return r, fmt.Errorf("%w: k=%s is not known", ErrUnfit, cut(r.Type))
}

var errCut = fmt.Errorf("%w: p= is cut, the key goes on after its end", ErrSyntax)

// cutShort says whether a structure in DER (an RSA key in both its forms is one) is longer than what there is of it.
func cutShort(der []byte) bool {
	return len(der) >= 4 && der[0] == 0x30 && der[1] == 0x82 && len(der)-4 < int(der[2])<<8|int(der[3])
}

// readRSA takes both forms that are in use: SubjectPublicKeyInfo, as RFC 6376 shows it, and RSAPublicKey, as it says.
func (r *Record) readRSA(octets []byte) error {
	key, err := x509.ParsePKIXPublicKey(octets)
	if err != nil {
		key, err = x509.ParsePKCS1PublicKey(octets)
	}
	public, ok := key.(*rsa.PublicKey)
	if cutShort(octets) {
		return errCut
	}
	if err != nil || !ok {
		return fmt.Errorf("%w: p= holds no RSA key", ErrSyntax)
	}
	r.Public, r.Bits = public, public.N.BitLen()
	return nil
}

// MakeRecord gives the text of the record of an RSA or Ed25519 key.
func MakeRecord(public crypto.PublicKey) (string, error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		octets, err := x509.MarshalPKIXPublicKey(key)
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(octets), err
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key), nil
	}
	return "", fmt.Errorf("dkim: no key for signatures of mail: %T", public)
}

// SplitText divides the text of a TXT record into the strings that it is made of in DNS, of at most 255 octets each
// (RFC 1035 §3.3.14, RFC 6376 §3.6.2.2).
func SplitText(text string) []string {
	var parts []string
	for len(text) > 255 {
		parts = append(parts, text[:255])
		text = text[255:]
	}
	return append(parts, text)
}

// Quote writes texts as they stand in a zone file: in quotation marks, with a space between.
func Quote(parts []string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	quoted := make([]string, len(parts))
	for i, part := range parts {
		quoted[i] = `"` + escape.Replace(part) + `"`
	}
	return strings.Join(quoted, " ")
}
