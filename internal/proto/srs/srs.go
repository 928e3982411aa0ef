// Package srs rewrites the sender of mail that is forwarded, so that it comes from the forwarder's own domain and what
// bounces finds its way back: the Sender Rewriting Scheme, in the form that libsrs2 and postsrsd write.
//
//	ann@example.org           becomes  SRS0=HHHHHHHH=TT=example.org=ann@forwarder.example
//	SRS0=…=ann@first.example  becomes  SRS1=HHHHHHHH=first.example==…=ann@forwarder.example
//
// There is no standard for it but the paper of 2004. Nobody but the forwarder reads the hash (H) and the day (T), so they
// are ours: eight characters of HMAC-SHA256 in base 32, because hosts on the way may change the case of a local part.
//
// # Failure
//
// What was not written with one of the secrets, or too long ago, is not read ([ErrForged], [ErrExpired]): a forwarder
// that reads more can be made to send mail anywhere. An address that does not fit the form is not rewritten
// ([ErrUnfit], [ErrTooLong]); its mail can be forwarded only with the sender that it has.
//
// # Known limits
//
// A local part whose case was changed on the way comes back with its case changed.
package srs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"postroad/internal/proto/idna"
)

var (
	// ErrNotSRS says that an address was not rewritten by anybody.
	ErrNotSRS = errors.New("no rewritten sender")
	// ErrForged says that an address was not written with one of the secrets.
	ErrForged = errors.New("a rewritten sender that was not made here")
	// ErrExpired says that an address was rewritten too long ago.
	ErrExpired = errors.New("a rewritten sender that is too old")
	// ErrUnfit says that an address cannot be rewritten: it is none, or its local part is quoted.
	ErrUnfit = errors.New("a sender that cannot be rewritten")
	// ErrTooLong says that the rewritten local part would have more than [MaxLocal] octets.
	ErrTooLong = errors.New("a sender that is too long to be rewritten")
)

const (
	// MaxLocal is how long a local part may be (RFC 5321 §4.5.3.1.1).
	MaxLocal = 64
	// maxAddress is how long an address may be (RFC 5321 §4.5.3.1.3, without angle brackets).
	maxAddress = 254
	// hashLength is the number of characters of a hash, of five bits each.
	hashLength = 8
	// window is for how many days a rewritten sender is good: longer than mail is queued anywhere.
	window = 21
	// days is how many days the two characters of a day count before they begin again.
	days = 1024
)

// alphabet is that of base 32, which the days of all programs are written in.
var alphabet = base32.StdEncoding.WithPadding(base32.NoPadding)

// Rewriter rewrites senders with the secrets of one domain.
type Rewriter struct {
	// Secrets are those that rewritten senders are believed with; the first one is used for new ones. A new secret is put
	// in front, and the last is given up when it is older than 21 days.
	Secrets [][]byte
}

// Is reports whether an address has the form of a rewritten sender, whoever made it.
func Is(address string) bool {
	_, _, ok := cutPrefix(address)
	return ok
}

// cutPrefix takes "SRS0" or "SRS1" and the character after it, any of "=+-", from an address.
func cutPrefix(address string) (kind byte, rest string, ok bool) {
	if len(address) < 5 || !strings.EqualFold(address[:3], "SRS") || !strings.ContainsRune("=+-", rune(address[4])) {
		return 0, "", false
	}
	if address[3] != '0' && address[3] != '1' {
		return 0, "", false
	}
	return address[3], address[5:], true
}

// Rewrite gives the sender for mail that the domain forwards. The error is [ErrUnfit] or [ErrTooLong].
func (r *Rewriter) Rewrite(sender, domain string, now time.Time) (string, error) {
	at := strings.LastIndexByte(sender, '@')
	if at <= 0 || strings.ContainsAny(sender, "\" \t\r\n<>") || len(r.Secrets) == 0 {
		return "", ErrUnfit
	}
	local := sender[:at]
	from, err := idna.ToASCII(sender[at+1:])
	if err != nil || strings.Contains(local, "@") {
		return "", ErrUnfit
	}
	opaque, is := opaqueOf(local, from)
	var out string
	if is {
		out = "SRS1=" + hash(r.Secrets[0], opaque) + "=" + opaque
	} else {
		signed := dayOf(now) + "=" + from + "=" + local
		out = "SRS0=" + hash(r.Secrets[0], signed) + "=" + signed
	}
	if len(out) > MaxLocal || len(out)+1+len(domain) > maxAddress {
		return "", ErrTooLong
	}
	return out + "@" + domain, nil
}

// opaqueOf is what a forwarder after the first one keeps of a rewritten sender: the first one's domain, and what it wrote.
// Of the forwarders since then nobody has to know.
func opaqueOf(local, domain string) (opaque string, ok bool) {
	kind, rest, ok := cutPrefix(local)
	if !ok {
		return "", false
	}
	if kind == '0' {
		return domain + "=" + local[4:], true
	}
	_, opaque, _ = strings.Cut(rest, "=")
	first, written, ok := strings.Cut(opaque, "=")
	return opaque, ok && first != "" && written != "" && strings.ContainsRune("=+-", rune(written[0]))
}

// Reverse gives the sender that was rewritten: for SRS1 that is the address of the first forwarder. The error is
// [ErrNotSRS], [ErrForged] or [ErrExpired].
func (r *Rewriter) Reverse(address string, now time.Time) (string, error) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		at = len(address)
	}
	kind, rest, ok := cutPrefix(address[:at])
	if !ok {
		return "", ErrNotSRS
	}
	written, signed, ok := strings.Cut(rest, "=")
	if !ok || !r.made(written, signed) {
		return "", ErrForged
	}
	first, rest, _ := strings.Cut(signed, "=")
	if kind == '1' {
		if rest == "" || !strings.ContainsRune("=+-", rune(rest[0])) {
			return "", ErrForged
		}
		return "SRS0" + rest + "@" + first, nil
	}
	domain, local, _ := strings.Cut(rest, "=")
	if domain == "" || local == "" {
		return "", ErrForged
	}
	then, ok := readDay(first)
	if !ok {
		return "", ErrForged
	}
	// The day after today is that of a host whose clock is ahead, or ours was.
	if age := (dayNumber(now) - then + days) % days; age > window && age != days-1 {
		return "", ErrExpired
	}
	return local + "@" + domain, nil
}

// made reports whether a hash was made with one of the secrets.
func (r *Rewriter) made(written, signed string) bool {
	ok := false
	for _, secret := range r.Secrets {
		ok = hmac.Equal([]byte(hash(secret, signed)), []byte(strings.ToUpper(written))) || ok
	}
	return ok
}

// hash is over lower case, because hosts on the way may change it.
func hash(secret []byte, signed string) string {
	h := hmac.New(sha256.New, secret)
	_, _ = h.Write([]byte("srs " + strings.ToLower(signed)))
	return alphabet.EncodeToString(h.Sum(nil))[:hashLength]
}

func dayNumber(t time.Time) int {
	return int((t.Unix()/(24*60*60)%days + days) % days)
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// dayOf writes a day in two characters.
func dayOf(t time.Time) string {
	n := dayNumber(t)
	return string([]byte{letters[n/32], letters[n%32]})
}

func readDay(text string) (int, bool) {
	if len(text) != 2 {
		return 0, false
	}
	text = strings.ToUpper(text)
	high, low := strings.IndexByte(letters, text[0]), strings.IndexByte(letters, text[1])
	return high*32 + low, high >= 0 && low >= 0
}
