// Package dkimkey is the keys by which a domain's mail is signed (RFC 6376): their lives, their names and the records in
// which the world finds them.
//
// A key is published first, signs once the world has been seen to have its record, and is retired when another takes its
// place: its record stays as long as mail that bears its signature may still be on its way.
package dkimkey

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroad/internal/core/account"
)

// Algorithm is that of a key.
type Algorithm string

// The algorithms that receivers know (RFC 8301, RFC 8463).
const (
	RSA     Algorithm = "rsa"
	Ed25519 Algorithm = "ed25519"
)

// Both is what a domain is signed with unless it is said otherwise: receivers pass over what they do not know.
func Both() []Algorithm { return []Algorithm{RSA, Ed25519} }

// ParseAlgorithms reads a list such as "rsa,ed25519"; false for anything else.
func ParseAlgorithms(text string) ([]Algorithm, bool) {
	var out []Algorithm
	for word := range strings.SplitSeq(text, ",") {
		a := Algorithm(strings.ToLower(strings.TrimSpace(word)))
		if a != RSA && a != Ed25519 || slices.Contains(out, a) {
			return nil, false
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Algorithm) int { return strings.Compare(string(b), string(a)) })
	return out, true
}

// State is where a key is in its life.
type State string

// The states of a key.
const (
	Published State = "published" // its record is there or is to be entered; it signs once the world has it
	Active    State = "active"    // it signs
	Retired   State = "retired"   // it signs no more; its record stays until its time is over
)

// Key is one key of a domain.
type Key struct {
	Selector  string    `json:"selector"`
	Algorithm Algorithm `json:"algorithm"`
	Record    string    `json:"record"`           // the text of the record in which the world finds it (RFC 6376 §3.6.1)
	Sealed    []byte    `json:"sealed,omitempty"` // the private key, PKCS #8 in DER, sealed for SealedFor; gone once it is retired
	State     State     `json:"state"`
	Since     time.Time `json:"since"` // of the state
	Made      time.Time `json:"made"`
	Seen      time.Time `json:"seen,omitzero"`  // when the world was first seen to have the record
	Until     time.Time `json:"until,omitzero"` // of a retired one: how long its record stays
	Imported  bool      `json:"imported,omitempty"`
}

// SealedFor is what the private key of a selector is sealed for.
func SealedFor(domain, selector string) string { return "dkim-key " + selector + " " + domain }

// Domain is how a domain's mail is signed.
type Domain struct {
	Name       string
	Account    account.ID
	Off        bool          // nothing is signed, and no keys are made
	Algorithms []Algorithm   // of keys that are made; never empty
	Rotate     time.Duration // how old a key becomes before another takes its place; 0: as old as it likes
	Keys       []Key         // those made last come last
	// Kept are keys as they were before people took them out of use: what did that finds them when it is taken back. Their
	// Until is when they are forgotten.
	Kept []Key
}

// keptFor is how long a key is kept that was taken out of use.
const keptFor = 30 * 24 * time.Hour

// Keep keeps a key as it is for a change that is taken back. A key that has retired in the place of another one has no private
// part to keep.
func (d *Domain) Keep(k *Key, now time.Time) {
	was := *k
	was.Until = now.Add(keptFor)
	d.Kept = append(slices.DeleteFunc(d.Kept, func(o Key) bool { return o.Selector == k.Selector }), was)
}

// Forget drops keys that have been kept for long enough, and reports whether there were any.
func (d *Domain) Forget(now time.Time) bool {
	n := len(d.Kept)
	d.Kept = slices.DeleteFunc(slices.Clone(d.Kept), func(k Key) bool { return !now.Before(k.Until) })
	return len(d.Kept) < n
}

// Take takes the key that was made at a time out of those that are kept; false where it is not one of them any more.
func (d *Domain) Take(selector string, made, now time.Time) (Key, bool) {
	for i := range d.Kept {
		if k := d.Kept[i]; k.Selector == selector && k.Made.Equal(made) && now.Before(k.Until) {
			d.Kept = slices.Delete(slices.Clone(d.Kept), i, i+1)
			return k, true
		}
	}
	return Key{}, false
}

// Clone is a copy that shares nothing that is changed in place.
func (d *Domain) Clone() Domain {
	out := *d
	out.Algorithms, out.Keys, out.Kept = slices.Clone(d.Algorithms), slices.Clone(d.Keys), slices.Clone(d.Kept)
	return out
}

// Key finds a key by its selector.
func (d *Domain) Key(selector string) (*Key, bool) {
	for i := range d.Keys {
		if strings.EqualFold(d.Keys[i].Selector, selector) {
			return &d.Keys[i], true
		}
	}
	return nil, false
}

// Signing gives the keys that sign.
func (d *Domain) Signing() []Key {
	if d.Off {
		return nil
	}
	return d.in(Active)
}

// Waiting gives the keys that are to sign once the world has their records.
func (d *Domain) Waiting() []Key { return d.in(Published) }

func (d *Domain) in(state State) []Key {
	var out []Key
	for i := range d.Keys {
		if d.Keys[i].State == state {
			out = append(out, d.Keys[i])
		}
	}
	return out
}

// Lacks gives the algorithms for which the domain has no key that signs or is to sign.
func (d *Domain) Lacks() []Algorithm {
	var out []Algorithm
	for _, a := range d.Algorithms {
		if !slices.ContainsFunc(d.Keys, func(k Key) bool { return k.Algorithm == a && k.State != Retired }) {
			out = append(out, a)
		}
	}
	return out
}

// Selector names a new key: by the date, a letter for the algorithm, and a number where that is taken.
func (d *Domain) Selector(a Algorithm, now time.Time) string {
	base := "pr" + now.UTC().Format("20060102") + string(a[0])
	for n, name := 2, base; ; n++ {
		_, taken := d.Key(name)
		if !taken && !slices.ContainsFunc(d.Kept, func(k Key) bool { return k.Selector == name }) {
			return name
		}
		name = base + strconv.Itoa(n)
	}
}

// negative is how long a cache may hold that a selector's record is not there (RFC 2308 §5: as a rule an hour or less).
const negative = time.Hour

// From is when a key signs at the earliest once its record is seen: what signs now goes on until nobody remembers that
// there was no record.
func (d *Domain) From(k *Key) time.Time {
	if len(d.active(k.Algorithm)) == 0 {
		return k.Made
	}
	return k.Made.Add(negative)
}

// Advance has keys whose time has come sign, retires those in whose place they do, and drops those whose records need not
// be there any longer. keep is how long signed mail may be on its way. It gives the sentences of what has happened; none
// when nothing has.
func (d *Domain) Advance(now time.Time, keep time.Duration) []string {
	var said []string
	for i := range d.Keys {
		k := &d.Keys[i]
		if k.State != Published || k.Seen.IsZero() || d.Off {
			continue
		}
		if now.Before(d.From(k)) {
			continue
		}
		old := d.active(k.Algorithm)
		k.State, k.Since = Active, now
		said = append(said, fmt.Sprintf("The key %s of %s signs from now on.", k.Selector, d.Name))
		for _, other := range old {
			other.retire(now, keep)
			said = append(said, fmt.Sprintf("The key %s of %s signs no more; its record stays until %s.", other.Selector, d.Name, other.Until.UTC().Format(time.RFC3339)))
		}
	}
	kept := d.Keys[:0:0]
	for i := range d.Keys {
		if k := &d.Keys[i]; k.State == Retired && !now.Before(k.Until) {
			said = append(said, fmt.Sprintf("The record of the retired key %s of %s goes.", k.Selector, d.Name))
			continue
		}
		kept = append(kept, d.Keys[i])
	}
	d.Keys = kept
	return said
}

// active points at the keys of an algorithm that sign.
func (d *Domain) active(a Algorithm) []*Key {
	var out []*Key
	for i := range d.Keys {
		if d.Keys[i].Algorithm == a && d.Keys[i].State == Active {
			out = append(out, &d.Keys[i])
		}
	}
	return out
}

// retire ends a key's signing. Its private part is forgotten.
func (k *Key) retire(now time.Time, keep time.Duration) {
	k.State, k.Since, k.Until, k.Sealed = Retired, now, now.Add(keep), nil
}

// RetireAll ends the signing of all keys. Those that never signed go at once.
func (d *Domain) RetireAll(now time.Time, keep time.Duration) {
	d.retire(now, keep, func(*Key) bool { return true })
}

// retire ends the signing of some keys, as people want it; they are kept as they were.
func (d *Domain) retire(now time.Time, keep time.Duration, which func(k *Key) bool) {
	left := d.Keys[:0:0]
	for i := range d.Keys {
		k := d.Keys[i]
		if which(&k) && k.State != Retired {
			d.Keep(&k, now)
			if k.State == Published {
				continue
			}
			k.retire(now, keep)
		}
		left = append(left, k)
	}
	d.Keys = left
}

// Retire ends the signing of a key as people want it; it is kept as it was.
func (d *Domain) Retire(selector string, now time.Time, keep time.Duration) {
	d.retire(now, keep, func(k *Key) bool { return k.Selector == selector })
}

// Aged reports whether a domain's keys are to be replaced by their age, and nothing replaces them yet.
func (d *Domain) Aged(now time.Time) bool {
	if d.Off || d.Rotate <= 0 || len(d.Waiting()) > 0 {
		return false
	}
	return slices.ContainsFunc(d.Keys, func(k Key) bool { return k.State == Active && !now.Before(k.Made.Add(d.Rotate)) })
}

// Owner is the name at which a key's record is (RFC 6376 §3.6.2.1), without the last dot.
func (k *Key) Owner(domain string) string { return k.Selector + "._domainkey." + domain }

// Narrow ends the keys of algorithms that the domain is not signed with.
func (d *Domain) Narrow(now time.Time, keep time.Duration) {
	d.retire(now, keep, func(k *Key) bool { return !slices.Contains(d.Algorithms, k.Algorithm) })
}
