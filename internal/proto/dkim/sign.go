package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Key is what a domain signs with.
type Key struct {
	// Domain and Selector say where the key is published ([KeyName]), as A-labels.
	Domain, Selector string
	// Signer holds the private key: RSA of at least [MinSignBits], or Ed25519.
	Signer crypto.Signer
}

// Options say how a message is signed; the zero value is right but for Time.
type Options struct {
	// Header and Body are the canonicalizations.
	Header, Body Canonicalization
	// Time is when the signature is made; zero says nothing of it.
	Time time.Time
	// Expires is until when the signature is good; zero is for ever.
	Expires time.Time
}

// maxCovered bounds the length of h=.
const maxCovered = 100

// Errors of messages that cannot be signed; none is temporary.
var (
	// ErrNoFrom: a message without author (RFC 6376 §5.4).
	ErrNoFrom = errors.New("dkim: the message has no From field")
	// ErrTooMany: fields that should stand once stand very often.
	ErrTooMany = errors.New("dkim: the header has too many fields of one name")
)

// Sign makes one DKIM-Signature field for each key, to be put on top of the header, in the order of the keys. The body
// was hashed by the canonicalization of the options. Which fields are signed stands at [Covered].
func Sign(header []byte, body *Body, keys []Key, o Options) ([]byte, error) {
	h := NewHeader(header)
	if len(h.Named("from")) == 0 {
		return nil, ErrNoFrom
	}
	sum, err := body.Sum(o.Body)
	if err != nil {
		return nil, err
	}
	names := Covered(h)
	if len(names) > maxCovered {
		return nil, fmt.Errorf("%w: %d fields would have to be signed, and %d are the most", ErrTooMany, len(names), maxCovered)
	}
	covered := h.AppendCovered(nil, names, o.Header, -1)
	var fields []byte
	for _, key := range keys {
		algorithm, bits, err := KeyAlgorithm(key.Signer.Public())
		if err != nil {
			return nil, err
		}
		if algorithm == RSA && bits < MinSignBits {
			return nil, fmt.Errorf("dkim: an RSA key of %d bits is too short to sign with: %d at least", bits, MinSignBits)
		}
		tags := []string{
			"v=1", "a=" + string(algorithm), "c=" + o.Header.String() + "/" + o.Body.String(), "d=" + key.Domain, "s=" + key.Selector,
		}
		if !o.Time.IsZero() {
			tags = append(tags, "t="+strconv.FormatInt(o.Time.Unix(), 10))
		}
		if !o.Expires.IsZero() {
			tags = append(tags, "x="+strconv.FormatInt(o.Expires.Unix(), 10))
		}
		tags = append(tags, "h="+strings.Join(names, ":"), "bh="+base64.StdEncoding.EncodeToString(sum), "b=")
		field, err := SignField("DKIM-Signature", tags, covered, o.Header, key.Signer)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field...)
	}
	return fields, nil
}

// KeyAlgorithm is what a public key signs with, and how long it is.
func KeyAlgorithm(public crypto.PublicKey) (algorithm Algorithm, bits int, err error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return RSA, key.N.BitLen(), nil
	case ed25519.PublicKey:
		return Ed25519, 8 * len(key), nil
	}
	return "", 0, fmt.Errorf("dkim: no key for signatures of mail: %T", public)
}

// SignField writes a signature field of the given tags, one of them "b=", and fills in its value: the signature over
// covered and the field itself. The field is folded and ends in CRLF.
func SignField(name string, tags []string, covered []byte, c Canonicalization, signer crypto.Signer) ([]byte, error) {
	field := fold(name, tags)
	hash, err := Sum(covered, field, c)
	if err != nil {
		return nil, err
	}
	var opts crypto.SignerOpts = crypto.SHA256
	if _, ok := signer.Public().(ed25519.PublicKey); ok {
		// What Ed25519 signs is the hash as a message (RFC 8463 §3).
		opts = crypto.Hash(0)
	}
	value, err := signer.Sign(rand.Reader, hash, opts)
	if err != nil {
		return nil, fmt.Errorf("dkim: signing: %w", err)
	}
	at := slices.Index(tags, "b=")
	tags = slices.Clone(tags)
	tags[at] += base64.StdEncoding.EncodeToString(value)
	return fold(name, tags), nil
}

// lineLength is where lines are folded (RFC 5322 §2.1.1).
const lineLength = 76

// fold writes a field of tags. What follows "b=" is folded so that it is the same without its value; a list of names
// is folded after a colon where it is too long for a line.
func fold(name string, tags []string) []byte {
	b := []byte(name + ":")
	line := len(b)
	put := func(text string) {
		b = append(b, text...)
		line += len(text)
	}
	next := func() {
		b = append(b, "\r\n\t"...)
		line = 1
	}
	for i, tag := range tags {
		if i < len(tags)-1 {
			tag += ";"
		}
		if strings.HasPrefix(tag, "b=") {
			next()
			for value := tag; ; next() {
				n := min(len(value), lineLength-line)
				put(value[:n])
				if value = value[n:]; value == "" {
					break
				}
			}
			continue
		}
		if line+1+len(tag) > lineLength || i > 0 && strings.HasPrefix(tags[i-1], "b=") {
			next()
		} else {
			put(" ")
		}
		words := strings.SplitAfter(tag, ":")
		for j, word := range words {
			if j > 0 && line+len(word) > lineLength {
				next()
			}
			put(word)
		}
	}
	return append(b, "\r\n"...)
}

// Covered are the names of the fields that a signature covers (RFC 6376 §5.4): of a field that stands n times, its
// name stands n times, and once more where nobody may add such a field afterwards.
func Covered(h *Header) []string {
	var names []string
	for _, rule := range coveredFields {
		n := len(h.Named(rule.name))
		if rule.guard == always || rule.guard == present && n > 0 {
			n++
		}
		for range n {
			names = append(names, rule.name)
		}
	}
	return names
}

// guard says when a field must not be added to a signed message.
type guard int

const (
	never guard = iota
	present
	always
)

// coveredFields are those that people or their programs act on. Fields that hosts on the way write or change
// (Received, Return-Path, Authentication-Results) are not among them.
var coveredFields = []struct {
	name  string
	guard guard
}{
	{"from", always},
	{"sender", present},
	{"reply-to", always},
	{"to", always},
	{"cc", always},
	{"subject", always},
	{"date", present},
	{"message-id", present},
	{"in-reply-to", present},
	{"references", present},
	{"mime-version", present},
	{"content-type", present},
	{"content-transfer-encoding", present},
	{"content-disposition", never},
	{"content-id", never},
	{"list-id", never},
	{"list-help", never},
	{"list-post", never},
	{"list-owner", never},
	{"list-archive", never},
	{"list-subscribe", never},
	{"list-unsubscribe", never},
	{"list-unsubscribe-post", never},
	{"auto-submitted", never},
}
