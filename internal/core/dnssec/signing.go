package dnssec

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/proto/dns"
)

// ErrEncoding says that octets are no encoded Signing.
var ErrEncoding = errors.New("not the encoding of a zone's keys")

// Signing is what is kept of a signed zone besides its signatures.
type Signing struct {
	Scheme    Scheme        `json:"scheme"`
	Denial    Denial        `json:"denial"`
	Algorithm dns.Algorithm `json:"algorithm"`
	Keys      []Key         `json:"keys,omitempty"` // in the order in which they were made
	// Signed is when the zone was signed last. It never goes back.
	Signed time.Time `json:"signed,omitzero"`
	// Cached is until when something that was published before may lie in a cache.
	Cached time.Time `json:"cached,omitzero"`
	// Parent is what the parent's servers were seen to say last; the zero value: they have not been asked.
	Parent Parent `json:"parent,omitzero"`
	// Roll names the roles whose keys are to be replaced; Advance begins that and empties it.
	Roll []Role `json:"roll,omitempty"`
	// Looked is when all servers of the parent were last heard. It is not stored: no step that depends on the parent
	// is taken by what was true before a restart.
	Looked time.Time `json:"-"`
	// Resumed: the zone was unsigned, or not there, for a while, and is to be signed again with the keys that it had; Advance
	// begins that and empties it.
	Resumed bool `json:"resumed,omitempty"`
	// Withdrawn: the parent is asked, by CDS and CDNSKEY records, to remove the DS (RFC 8078 §4). The zone stays signed.
	Withdrawn bool `json:"withdrawn,omitempty"`
}

// Parent is what all servers of the parent zone say of a zone.
type Parent struct {
	DS    [][]byte      `json:"ds,omitempty"` // data of DS records, in order; none: there is no DS
	TTL   time.Duration `json:"ttl,omitempty"`
	Since time.Time     `json:"since,omitzero"` // when they were first seen to say so
	// Left is how long others may still have a DS that is gone: from Since on.
	Left time.Duration `json:"left,omitempty"`
}

// Gone reports whether nobody can have a DS of the zone any more: the parent has none, and what it had has left the caches.
func (p *Parent) Gone(at time.Time) bool {
	return !p.Since.IsZero() && len(p.DS) == 0 && !at.Before(p.Since.Add(p.Left))
}

// Key is one key of a zone, without its private part.
type Key struct {
	ID     string    `json:"id"` // by which its private part is kept
	Role   Role      `json:"role"`
	State  State     `json:"state"`
	DNSKEY []byte    `json:"dnskey"` // data of its DNSKEY record
	Since  time.Time `json:"since,omitzero"`
	// Due is when it may go on to the next state; zero: not by time alone.
	Due time.Time `json:"due,omitzero"`
	// Needed is until when what a retired key has signed may lie in a cache.
	Needed time.Time `json:"needed,omitzero"`
	// Submit is from when on its DS may stand at the parent; zero: it is not to stand there.
	Submit time.Time `json:"submit,omitzero"`
	// Seen is since when all servers of the parent have its DS; zero: they have not.
	Seen time.Time `json:"seen,omitzero"`
}

// Tag is the key's tag.
func (k *Key) Tag() uint16 { return dns.KeyTag(k.DNSKEY) }

// SignsKeys reports whether the key signs the sets DNSKEY, CDS and CDNSKEY.
func (k *Key) SignsKeys() bool { return k.Role != ZSK && k.State.visible() }

// SignsData reports whether the key signs all other sets.
func (k *Key) SignsData() bool { return k.Role != KSK && k.State == Active }

// SealedKey is the private part of a key as a store keeps it.
type SealedKey struct {
	ID      string // the Key's
	Account account.ID
	Domain  string    // the zone's, without the last dot
	Sealed  []byte    // by core/seal
	Unused  time.Time // since when no zone has the key; zero while one has
}

// Scheme is how the work is divided among a zone's keys.
type Scheme uint8

// The schemes. The zero value is the default.
const (
	// SingleKey: one key signs everything (RFC 6781 §3.1, Single-Type Signing Scheme).
	SingleKey Scheme = iota
	// TwoKeys: a key signing key signs the keys, a zone signing key the rest; the latter is replaced every ZoneKeyLife.
	TwoKeys
)

// Denial is how it is shown that something does not exist.
type Denial uint8

// The ways. The zero value is the default.
const (
	NSEC  Denial = iota // RFC 4034 §4: names can be listed by whoever asks long enough
	NSEC3               // RFC 5155, with the settings of RFC 9276: names are hashed
)

// Role is what a key is for.
type Role uint8

// The roles.
const (
	CSK Role = iota // combined: signs everything
	KSK             // signs the keys; the parent's DS is of it
	ZSK             // signs the zone
)

// Flags are those of the role's DNSKEY record (RFC 4034 §2.1.1).
func (r Role) Flags() uint16 {
	if r == ZSK {
		return dns.FlagZone
	}
	return dns.FlagZone | dns.FlagSEP
}

// State is where a key is in its life (RFC 7583 §3.1).
type State uint8

// The states, in their order. A key never goes back.
const (
	// Generated: it exists, and nothing of it is published.
	Generated State = iota
	// Published: its DNSKEY record is in the zone, so that all will know it by the time when it is needed. One with the
	// SEP flag signs the set of keys already.
	Published
	// Active: it signs what is its role's to sign. Of one with the SEP flag the DS is to stand at the parent.
	Active
	// Retired: another key has taken its work over. Its DNSKEY record stays while signatures of it, or its DS, may lie in
	// caches; one with the SEP flag goes on to sign the set of keys.
	Retired
	// Removed: nothing of it is in the zone, and its private part is destroyed.
	Removed
)

// visible reports whether the DNSKEY record is in the zone.
func (s State) visible() bool { return s == Published || s == Active || s == Retired }

// transition is one way from a state to another.
type transition struct {
	from, to State
	when     string
}

// transitions are all ways there are. Whatever is in none of them does not happen.
var transitions = []transition{
	{Generated, Active, "it is the first of its role: the zone was not signed before, nobody can miss it"},
	{Generated, Published, "a key of its role is to be replaced"},
	{Published, Active, "every cache that has the zone's keys has this one too"},
	{Active, Retired, "its successor becomes active"},
	{Retired, Removed, "no cache has a signature of it or its DS: the parent was seen with the successor's DS, one TTL ago"},
}

// may reports whether there is a way from s to another state.
func (s State) may(to State) bool {
	return slices.ContainsFunc(transitions, func(t transition) bool { return t.from == s && t.to == to })
}

var (
	schemeWords = []string{"csk", "ksk-zsk"}
	denialWords = []string{"nsec", "nsec3"}
	roleWords   = []string{"csk", "ksk", "zsk"}
	stateWords  = []string{"generated", "published", "active", "retired", "removed"}
)

func word[T ~uint8](v T, words []string) string {
	if int(v) < len(words) {
		return words[v]
	}
	return fmt.Sprintf("unknown %d", uint8(v))
}

func read[T ~uint8](v *T, text []byte, words []string) error {
	i := slices.Index(words, string(text))
	if i < 0 {
		return fmt.Errorf("%w: %.40q is none of %v", ErrEncoding, text, words)
	}
	*v = T(i) //nolint:gosec // the lists are short
	return nil
}

// String gives the words of commands; so do the other types' String methods, and texts are the same.
func (s Scheme) String() string { return word(s, schemeWords) }
func (d Denial) String() string { return word(d, denialWords) }
func (r Role) String() string   { return word(r, roleWords) }
func (s State) String() string  { return word(s, stateWords) }

// MarshalText and UnmarshalText make the values their words.
func (s Scheme) MarshalText() ([]byte, error)     { return []byte(s.String()), nil }
func (d Denial) MarshalText() ([]byte, error)     { return []byte(d.String()), nil }
func (r Role) MarshalText() ([]byte, error)       { return []byte(r.String()), nil }
func (s State) MarshalText() ([]byte, error)      { return []byte(s.String()), nil }
func (s *Scheme) UnmarshalText(text []byte) error { return read(s, text, schemeWords) }
func (d *Denial) UnmarshalText(text []byte) error { return read(d, text, denialWords) }
func (r *Role) UnmarshalText(text []byte) error   { return read(r, text, roleWords) }
func (s *State) UnmarshalText(text []byte) error  { return read(s, text, stateWords) }

// Encode gives a Signing in the form in which it is stored; nil gives nothing.
func Encode(s *Signing) ([]byte, error) {
	if s == nil {
		return nil, nil
	}
	return json.Marshal(s)
}

// Decode reads what Encode wrote.
func Decode(b []byte) (*Signing, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var s Signing
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	for i := range s.Keys {
		if len(s.Keys[i].DNSKEY) < 5 || s.Keys[i].ID == "" {
			return nil, fmt.Errorf("%w: key %d", ErrEncoding, i)
		}
	}
	return &s, nil
}

// Clone gives a Signing that shares nothing that changes with s.
func (s *Signing) Clone() *Signing {
	if s == nil {
		return nil
	}
	c := *s
	c.Keys, c.Roll = slices.Clone(s.Keys), slices.Clone(s.Roll)
	return &c
}
