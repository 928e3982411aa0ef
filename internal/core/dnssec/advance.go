package dnssec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"postroad/internal/proto/dns"
)

// How long things last.
const (
	// KeyTTL is the TTL of the sets DNSKEY, CDS and CDNSKEY. It never changes, so that all caches forget alike.
	KeyTTL = time.Hour
	// ZoneKeyLife is how long a zone signing key is active before it is replaced.
	ZoneKeyLife = 90 * 24 * time.Hour
	// leastPropagation is how long the secondaries may take at least to have what is published here.
	leastPropagation = time.Hour
	mostPropagation  = 24 * time.Hour
	// parentPropagation is added to the TTL of a DS: the servers that were asked are not all that answer for the parent.
	parentPropagation = time.Hour
	// freshLook is how old a look at the parent may be for a key to be removed by it.
	freshLook = 10 * time.Minute
	// rememberedKeys is how many removed keys are kept in mind, to tell what an old DS is of.
	rememberedKeys = 8
)

// ErrRolling says that keys of a role are being replaced already.
var ErrRolling = errors.New("a key of this role is being replaced already")

// Content is one version of a zone: its records and what signing has added, each in the order of dns.Compare.
type Content struct {
	Apex       string
	Records    []dns.Record
	Signatures []dns.Record
}

// Step is one step in the life of a key.
type Step struct {
	Key      Key // after it
	From, To State
}

// String tells the step in a sentence.
func (s Step) String() string {
	what := fmt.Sprintf("Key %d (%s) ", s.Key.Tag(), s.Key.Role)
	switch s.To {
	case Published:
		return what + "is published to take over."
	case Active:
		if s.From == Generated {
			return what + "is made and signs the zone."
		}
		return what + "is known everywhere and takes over."
	case Retired:
		return what + "is retired; it stays until no cache needs it."
	case Removed:
		return what + "is removed."
	}
	return what + "is made."
}

// Advance moves the keys on to the moment at: before is what is published until now (nil: nothing), next what will be. For
// each new key it calls generate, which keeps the private part under the ID that it gives; other keys' tags are given,
// because no two keys of a zone may have the same. The caller publishes the zone as Build makes it of the new state, or
// forgets the new state.
func (s *Signing) Advance(at time.Time, before *Content, next []dns.Record, generate func(role Role, tags []uint16) (Key, error)) ([]Step, error) {
	a := advance{Signing: s, at: at, generate: generate, propagation: propagation(next)}
	if before != nil {
		a.propagation = max(a.propagation, propagation(before.Records))
		s.Cached = later(s.Cached, at.Add(a.propagation+lasting(before)))
	}
	if s.Resumed {
		a.resume()
	}
	for _, role := range s.roles() {
		if err := a.role(role); err != nil {
			return nil, err
		}
	}
	s.Roll, s.Resumed = nil, false
	s.Signed = later(s.Signed, at)
	removed := 0
	for i := len(s.Keys) - 1; i >= 0; i-- {
		if s.Keys[i].State == Removed {
			if removed++; removed > rememberedKeys {
				s.Keys = slices.Delete(s.Keys, i, i+1)
			}
		}
	}
	return a.steps, nil
}

// advance is one run of Advance.
type advance struct {
	*Signing
	at          time.Time
	propagation time.Duration
	generate    func(Role, []uint16) (Key, error)
	steps       []Step
}

// roles are those of the scheme.
func (s *Signing) roles() []Role {
	if s.Scheme == TwoKeys {
		return []Role{KSK, ZSK}
	}
	return []Role{CSK}
}

// find gives the key of a role that is in a state, nil when there is none. There is never more than one in each of
// Published and Active.
func (s *Signing) find(role Role, state State) *Key {
	i := slices.IndexFunc(s.Keys, func(k Key) bool { return k.Role == role && k.State == state })
	if i < 0 {
		return nil
	}
	return &s.Keys[i]
}

// role moves the keys of one role on.
func (a *advance) role(role Role) error {
	active := a.find(role, Active)
	if active == nil {
		return a.first(role)
	}
	if next := a.find(role, Published); next != nil && !a.at.Before(next.Due) {
		a.succeed(active, next)
	}
	for i := range a.Keys {
		if k := &a.Keys[i]; k.Role == role && k.State == Retired && a.gone(k, a.at) {
			a.step(k, Removed)
		}
	}
	return a.replace(role)
}

// first makes the first key of a role. Whoever has the zone in a cache has it without signatures and without keys until
// Cached; from then on a DS may say that it is signed (RFC 7583 §3.3.4, enabling DNSSEC).
func (a *advance) first(role Role) error {
	k, err := a.make(role)
	if err != nil {
		return err
	}
	a.step(k, Active)
	if role != ZSK {
		k.Submit = later(a.Cached, a.at.Add(a.propagation+KeyTTL))
	}
	return nil
}

// resume has the keys of a zone that was not signed for a while go on as if they were published now: caches may have the
// zone without them.
func (a *advance) resume() {
	known := later(a.Cached, a.at.Add(a.propagation+KeyTTL))
	for i := range a.Keys {
		switch k := &a.Keys[i]; {
		case k.State == Published:
			k.Due = later(k.Due, a.at.Add(a.propagation+KeyTTL))
		case k.State == Active && k.Role != ZSK:
			k.Submit = later(k.Submit, known)
		}
	}
}

// make adds a new key.
func (a *advance) make(role Role) (*Key, error) {
	tags := make([]uint16, len(a.Keys))
	for i := range a.Keys {
		tags[i] = a.Keys[i].Tag()
	}
	k, err := a.generate(role, tags)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	k.Role, k.State, k.Since = role, Generated, a.at
	a.Keys = append(a.Keys, k)
	return &a.Keys[len(a.Keys)-1], nil
}

// step takes one step; it panics for one that is not among the transitions.
func (a *advance) step(k *Key, to State) {
	if !k.State.may(to) {
		panic(fmt.Sprintf("dnssec: a key does not go from %s to %s", k.State, to))
	}
	from := k.State
	k.State, k.Since, k.Due = to, a.at, time.Time{}
	if to == Active && k.Role == ZSK {
		k.Due = a.at.Add(ZoneKeyLife)
	}
	a.steps = append(a.steps, Step{Key: *k, From: from, To: to})
}

// replace begins a roll-over where one is wanted or due.
func (a *advance) replace(role Role) error {
	active := a.find(role, Active)
	aged := !active.Due.IsZero() && !a.at.Before(active.Due)
	if !aged && !slices.Contains(a.Roll, role) || a.rolling(role) {
		return nil
	}
	k, err := a.make(role)
	if err != nil {
		return err
	}
	a.step(k, Published)
	// From then on every cache that has the set of keys has it with this one, signed by this one too.
	k.Due = a.at.Add(a.propagation + KeyTTL)
	return nil
}

// succeed has the next key take over. What the old one has signed is in caches until Cached: this publication is the
// first without it.
func (a *advance) succeed(old, next *Key) {
	a.step(next, Active)
	a.step(old, Retired)
	old.Needed = later(a.Cached, a.at.Add(a.propagation+KeyTTL))
	if old.Role != ZSK {
		next.Submit, old.Submit = later(a.at, old.Submit), time.Time{}
	}
}

// leaves gives when a retired key may be removed; zero: not by time alone. One that a DS may lead to stays until the
// parent has been seen with the DS of its successor, and every other set of DS records has left the caches.
func (s *Signing) leaves(k *Key) time.Time {
	if k.Role == ZSK {
		return k.Needed
	}
	active := s.find(k.Role, Active)
	if active == nil || active.Seen.IsZero() {
		return time.Time{}
	}
	return later(k.Needed, later(active.Seen, s.Parent.Since).Add(max(s.Parent.TTL, s.Parent.Left)+parentPropagation))
}

// gone reports whether a retired key may be removed now. For one that a DS may lead to the parent must have been heard
// just now.
func (s *Signing) gone(k *Key, at time.Time) bool {
	leaves := s.leaves(k)
	return !leaves.IsZero() && !at.Before(leaves) && (k.Role == ZSK || at.Sub(s.Looked) <= freshLook)
}

// rolling reports whether keys of the role are being replaced.
func (s *Signing) rolling(role Role) bool {
	return s.find(role, Published) != nil || s.find(role, Retired) != nil
}

// Begin asks for the keys of a role to be replaced; ErrRolling when they are being replaced already, ErrNoRole when
// the zone's scheme has no such keys.
func (s *Signing) Begin(role Role) error {
	if !slices.Contains(s.roles(), role) {
		return ErrNoRole
	}
	if s.rolling(role) || slices.Contains(s.Roll, role) {
		return ErrRolling
	}
	s.Roll = append(s.Roll, role)
	return nil
}

// ErrNoRole says that a zone has no keys of a role.
var ErrNoRole = errors.New("the zone has no keys of this role")

// Look is what all servers of a zone's parent said at a moment. One that failed, or heard different things, is none.
type Look struct {
	DS     [][]byte // data of DS records, in any order; none: there is no DS
	TTL    time.Duration
	At     time.Time
	Source string // who was asked
}

// Observe takes in a look, and reports whether it tells something new.
func (s *Signing) Observe(apex string, look Look) bool {
	ds, ttl, at := slices.Clone(look.DS), look.TTL, look.At
	slices.SortFunc(ds, bytes.Compare)
	changed := false
	if s.Parent.Since.IsZero() || !slices.EqualFunc(ds, s.Parent.DS, bytes.Equal) {
		left := s.Parent.TTL
		if until := s.Parent.Since.Add(s.Parent.Left); at.Before(until) {
			left = max(left, until.Sub(at))
		}
		s.Parent, changed = Parent{DS: ds, TTL: ttl, Since: at, Left: left}, true
	}
	if ttl > s.Parent.TTL {
		s.Parent.TTL, changed = ttl, true
	}
	s.Looked = at
	for i := range s.Keys {
		k := &s.Keys[i]
		there := k.Role != ZSK && slices.ContainsFunc(ds, func(d []byte) bool { return dns.Matches(d, apex, k.DNSKEY) })
		switch {
		case there && k.Seen.IsZero():
			k.Seen, changed = at, true
		case !there && !k.Seen.IsZero():
			k.Seen, changed = time.Time{}, true
		}
	}
	return changed
}

// later gives the later of two moments.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// soaTimes gives the TTL of a zone's SOA record and its refresh and minimum (RFC 1035 §3.3.13, RFC 2308 §4).
func soaTimes(records []dns.Record) (ttl, refresh, minimum uint32, ok bool) {
	i := slices.IndexFunc(records, func(r dns.Record) bool { return r.Type == dns.TypeSOA })
	if i < 0 {
		return 0, 0, 0, false
	}
	data := records[i].Data
	for range 2 {
		_, n, err := dns.ReadName(data)
		if err != nil {
			return 0, 0, 0, false
		}
		data = data[n:]
	}
	if len(data) != 20 {
		return 0, 0, 0, false
	}
	return records[i].TTL, binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[16:]), true
}

// propagation is how long secondaries may serve an older version: those that miss a NOTIFY look every refresh.
func propagation(records []dns.Record) time.Duration {
	_, refresh, _, _ := soaTimes(records)
	return min(max(leastPropagation, time.Duration(refresh)*time.Second), mostPropagation)
}

// lasting is how long what was published may lie in a cache.
func lasting(c *Content) time.Duration {
	var most uint32
	for _, list := range [][]dns.Record{c.Records, c.Signatures} {
		for _, r := range list {
			most = max(most, r.TTL)
		}
	}
	if ttl, _, minimum, ok := soaTimes(c.Records); ok {
		most = max(most, min(ttl, minimum))
	}
	return time.Duration(most) * time.Second
}

// Next is when the zone is to be signed again for the sake of its keys; the zero time when nothing but the parent is
// waited for. What is due stays due until Advance has taken the step.
func (s *Signing) Next() time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for i := range s.Keys {
		switch k := &s.Keys[i]; {
		case k.State == Retired:
			sooner(s.leaves(k))
		case k.State == Active && s.rolling(k.Role):
			// its own life goes on when the roll-over is at its end
		default:
			sooner(k.Due)
		}
		if k := &s.Keys[i]; k.State == Active && k.Submit.After(s.Signed) {
			sooner(k.Submit)
		}
	}
	return next
}

// Looks reports whether the next step needs a fresh look at the parent, and may be taken at the moment at after it.
func (s *Signing) Looks(at time.Time) bool {
	return slices.ContainsFunc(s.Keys, func(k Key) bool {
		leaves := s.leaves(&k)
		return k.State == Retired && k.Role != ZSK && !leaves.IsZero() && !at.Before(leaves) && at.Sub(s.Looked) > freshLook
	})
}

// Due is when the zone is to be signed again, for the sake of its keys or because its signatures run out.
func (s *Signing) Due(signatures []dns.Record) time.Time {
	due := s.Signed
	if end := Expiry(signatures, s.Signed); !end.IsZero() {
		due = end.Add(-Renewal)
	}
	if next := s.Next(); !next.IsZero() && next.Before(due) {
		due = next
	}
	return due
}
