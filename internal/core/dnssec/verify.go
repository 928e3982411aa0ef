package dnssec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"postroad/internal/proto/dns"
)

// ErrBogus says that a signed zone would not be believed by all who check.
var ErrBogus = errors.New("the signed zone would not be believed")

// Verify reads a signed zone as it is to be published and reports the first thing that keeps a resolver from believing it at
// the moment at (RFC 4035 §5): a set without a signature that holds, a signature of what is not the zone's to sign, a
// chain of NSEC or NSEC3 records that leaves a name out, names none, or tells wrong types. Signatures that before has in the same
// form over the same records by a key that stays are taken as verified; nil: none is. The error wraps ErrBogus.
func Verify(c, before *Content, at time.Time) error {
	v := verification{c: c, at: at, names: map[string]*owner{}}
	if before != nil {
		v.knownSets, v.knownSigs = setsOf(before)
	}
	for _, step := range []func() error{v.begin, v.owners, v.signatures, v.delegation, v.denial} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// verification is one run of Verify.
type verification struct {
	c            *Content
	at           time.Time
	sets, sigs   map[setName][]dns.Record
	keys         [][]byte // data of the DNSKEY records
	names        map[string]*owner
	negative     uint32
	knownSets    map[setName][]dns.Record
	knownSigs    map[setName][]dns.Record
	signsTheKeys [][]byte // keys whose signature of the DNSKEY set holds
}

// owner is what is at a name.
type owner struct {
	hidden, cut bool
	types       []dns.Type
}

func bogus(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBogus}, args...)...)
}

// begin takes the zone apart.
func (v *verification) begin() error {
	for _, r := range v.c.Records {
		if r.Type.DNSSEC() {
			return bogus("%s %s stands among the records that people write", r.Name, r.Type)
		}
	}
	for _, r := range v.c.Signatures {
		if !r.Type.DNSSEC() {
			return bogus("%s %s stands among the records that signing makes", r.Name, r.Type)
		}
	}
	v.sets, v.sigs = setsOf(v.c)
	soa := v.sets[setName{v.c.Apex, dns.TypeSOA}]
	ttl, _, minimum, ok := soaTimes(soa)
	if len(soa) != 1 || !ok {
		return bogus("there is not one SOA record")
	}
	v.negative = min(ttl, minimum)
	for _, r := range v.sets[setName{v.c.Apex, dns.TypeDNSKEY}] {
		v.keys = append(v.keys, r.Data)
	}
	if len(v.keys) == 0 {
		return bogus("there is no DNSKEY record")
	}
	return nil
}

// owners finds out which names are the zone's own.
func (v *verification) owners() error {
	for n := range v.sets {
		if !dns.Below(n.name, v.c.Apex) {
			return bogus("%s is not in the zone", n.name)
		}
		if n.kind == dns.TypeNSEC3 {
			continue
		}
		o := v.names[n.name]
		if o == nil {
			o = &owner{cut: n.name != v.c.Apex && v.has(n.name, dns.TypeNS)}
			for above := n.name; above != v.c.Apex && !o.hidden; {
				above = dns.Parent(above)
				o.hidden = v.has(above, dns.TypeDNAME) || above != v.c.Apex && v.has(above, dns.TypeNS)
			}
			v.names[n.name] = o
		}
		if n.kind != dns.TypeNSEC && (!o.cut || n.kind == dns.TypeNS || n.kind == dns.TypeDS) {
			o.types = append(o.types, n.kind)
		}
	}
	maps.DeleteFunc(v.names, func(_ string, o *owner) bool { return o.hidden })
	return nil
}

func (v *verification) has(name string, t dns.Type) bool { return len(v.sets[setName{name, t}]) > 0 }

// signatures checks that what is the zone's is signed, and nothing else.
func (v *verification) signatures() error {
	for n := range v.sigs {
		if len(v.sets[n]) == 0 {
			return bogus("a signature of %s %s, of which there are no records", n.name, n.kind)
		}
	}
	for n, set := range v.sets {
		o := v.names[n.name]
		ours := n.kind == dns.TypeNSEC3 || o != nil && (!o.cut || n.kind == dns.TypeDS || n.kind == dns.TypeNSEC)
		if !ours {
			if len(v.sigs[n]) > 0 || n.kind.DNSSEC() {
				return bogus("%s %s is signed, and does not belong to the zone", n.name, n.kind)
			}
			continue
		}
		if len(v.sigs[n]) == 0 {
			return bogus("%s %s is not signed", n.name, n.kind)
		}
		for _, sig := range v.sigs[n] {
			key, err := v.signature(n, set, sig)
			if err != nil {
				return err
			}
			if n.name == v.c.Apex && n.kind == dns.TypeDNSKEY {
				v.signsTheKeys = append(v.signsTheKeys, key)
			}
		}
	}
	return nil
}

// signature checks one signature and gives the key that made it.
func (v *verification) signature(n setName, set []dns.Record, sig dns.Record) ([]byte, error) {
	s, err := dns.ReadSignature(sig.Data)
	if err != nil {
		return nil, bogus("a signature of %s %s: %w", n.name, n.kind, err)
	}
	labels := len(dns.Labels(n.name))
	if strings.HasPrefix(n.name, "*.") {
		labels--
	}
	switch {
	case s.Signer != v.c.Apex:
		return nil, bogus("the signature of %s %s is by %s", n.name, n.kind, s.Signer)
	case int(s.Labels) != labels:
		return nil, bogus("the signature of %s %s speaks of %d labels", n.name, n.kind, s.Labels)
	case s.OriginalTTL != set[0].TTL || sig.TTL != set[0].TTL:
		return nil, bogus("the signature of %s %s has another TTL than its records", n.name, n.kind)
	case !s.Valid(v.at):
		return nil, bogus("the signature of %s %s does not hold at %s", n.name, n.kind, v.at.UTC().Format(time.RFC3339))
	}
	why := bogus("the signature of %s %s is by key %d, which is not among the zone's keys", n.name, n.kind, s.Tag)
	for _, key := range v.keys {
		if dns.KeyTag(key) != s.Tag || dns.Algorithm(key[3]) != s.Algorithm {
			continue
		}
		if v.verified(n, set, sig, key) {
			return key, nil
		}
		err := dns.Verify(sig, set, key)
		if err == nil {
			return key, nil
		}
		why = bogus("%w", err)
	}
	return nil, why
}

// verified reports whether the same signature was over the same set by the same key before.
func (v *verification) verified(n setName, set []dns.Record, sig dns.Record, key []byte) bool {
	identical := func(r dns.Record) bool { return r.TTL == sig.TTL && bytes.Equal(r.Data, sig.Data) }
	return same(v.knownSets[n], set) && slices.ContainsFunc(v.knownSigs[n], identical) &&
		slices.ContainsFunc(v.knownSets[setName{v.c.Apex, dns.TypeDNSKEY}], func(r dns.Record) bool { return bytes.Equal(r.Data, key) })
}

// delegation checks what the parent goes by: every key with the SEP flag signs the keys, and CDS and CDNSKEY name such
// keys only (RFC 7344 §4.1).
func (v *verification) delegation() error {
	signs := func(key []byte) bool {
		return slices.ContainsFunc(v.signsTheKeys, func(k []byte) bool { return bytes.Equal(k, key) })
	}
	entries := 0
	for _, key := range v.keys {
		if binary.BigEndian.Uint16(key)&dns.FlagSEP == 0 {
			continue
		}
		if entries++; !signs(key) {
			return bogus("key %d has the SEP flag and does not sign the zone's keys", dns.KeyTag(key))
		}
	}
	if entries == 0 {
		return bogus("no key has the SEP flag")
	}
	named := func(t dns.Type, of func(data, key []byte) bool, none []byte) error {
		set := v.sets[setName{v.c.Apex, t}]
		for _, r := range set {
			if len(set) == 1 && bytes.Equal(r.Data, none) {
				continue
			}
			if !slices.ContainsFunc(v.signsTheKeys, func(k []byte) bool { return of(r.Data, k) }) {
				return bogus("a %s record names no key that signs the zone's keys", t)
			}
		}
		return nil
	}
	if err := named(dns.TypeCDS, func(d, k []byte) bool { return dns.Matches(d, v.c.Apex, k) }, []byte{0, 0, 0, 0, 0}); err != nil {
		return err
	}
	return named(dns.TypeCDNSKEY, bytes.Equal, []byte{0, 0, 3, 0, 0})
}

// denial checks the chain of NSEC or NSEC3 records.
func (v *verification) denial() error {
	if v.has(v.c.Apex, dns.TypeNSEC3PARAM) {
		return v.hashedDenial()
	}
	names := slices.SortedFunc(maps.Keys(v.names), dns.CompareNames)
	proofs := 0
	for n := range v.sets {
		switch n.kind {
		case dns.TypeNSEC3:
			return bogus("a NSEC3 record at %s without NSEC3PARAM", n.name)
		case dns.TypeNSEC:
			proofs++
		}
	}
	if proofs != len(names) {
		return bogus("%d names have %d NSEC records", len(names), proofs)
	}
	for i, name := range names {
		set := v.sets[setName{name, dns.TypeNSEC}]
		if len(set) != 1 {
			return bogus("%s has no NSEC record", name)
		}
		next, n, err := dns.ReadName(set[0].Data)
		if want := names[(i+1)%len(names)]; err != nil || next != want {
			return bogus("the NSEC record of %s leads to %s, not to %s", name, next, want)
		}
		if err := v.proof(name, set[0], set[0].Data[n:], append(slices.Clone(v.names[name].types), dns.TypeNSEC, dns.TypeRRSIG)); err != nil {
			return err
		}
	}
	return nil
}

// proof checks TTL and bitmap.
func (v *verification) proof(name string, r dns.Record, bitmap []byte, want []dns.Type) error {
	got, err := dns.ReadBitmap(bitmap)
	if err != nil {
		return bogus("the %s record of %s: %w", r.Type, name, err)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return bogus("the %s record of %s tells of types %v, there are %v", r.Type, name, got, want)
	}
	if r.TTL != v.negative {
		return bogus("the %s record of %s has the TTL %d, not %d (RFC 9077)", r.Type, name, r.TTL, v.negative)
	}
	return nil
}

func (v *verification) hashedDenial() error {
	param := v.sets[setName{v.c.Apex, dns.TypeNSEC3PARAM}]
	if len(param) != 1 || !bytes.Equal(param[0].Data, []byte{1, 0, 0, 0, 0}) {
		return bogus("NSEC3PARAM is not 1 0 0 -")
	}
	byHash := map[[dns.HashOctets]byte]string{}
	add := func(name string) error {
		hash, err := dns.HashName(name, nil, 0)
		if err != nil {
			return err
		}
		if other, there := byHash[hash]; there && other != name {
			return bogus("%s and %s have the same hash", name, other)
		}
		byHash[hash] = name
		return nil
	}
	for name := range v.names {
		for {
			if err := add(name); err != nil {
				return err
			}
			if name == v.c.Apex {
				break
			}
			name = dns.Parent(name)
		}
	}
	hashes := slices.SortedFunc(maps.Keys(byHash), func(a, b [dns.HashOctets]byte) int { return bytes.Compare(a[:], b[:]) })
	proofs := 0
	for n := range v.sets {
		switch n.kind {
		case dns.TypeNSEC:
			return bogus("a NSEC record at %s beside NSEC3", n.name)
		case dns.TypeNSEC3:
			proofs++
		}
	}
	if proofs != len(hashes) {
		return bogus("%d names have %d NSEC3 records", len(hashes), proofs)
	}
	for i, hash := range hashes {
		name := byHash[hash]
		at := dns.HashLabel(hash) + "."
		if v.c.Apex != "." {
			at += v.c.Apex
		}
		set := v.sets[setName{at, dns.TypeNSEC3}]
		next := hashes[(i+1)%len(hashes)]
		head := append([]byte{1, 0, 0, 0, 0, dns.HashOctets}, next[:]...)
		if len(set) != 1 || !bytes.HasPrefix(set[0].Data, head) {
			return bogus("the NSEC3 record of %s is missing or does not lead to that of %s", name, byHash[next])
		}
		var want []dns.Type
		if o := v.names[name]; o != nil {
			want = slices.Clone(o.types)
			if !o.cut || slices.Contains(o.types, dns.TypeDS) {
				want = append(want, dns.TypeRRSIG)
			}
		}
		if err := v.proof(name, set[0], set[0].Data[len(head):], want); err != nil {
			return err
		}
	}
	return nil
}

// Chain reports whether a resolver that goes by these DS records at the parent believes the zone's keys: one of them is
// of a key that signs the DNSKEY set at the moment at. Without DS records there is nothing to believe, and no error.
func Chain(c *Content, ds [][]byte, at time.Time) error {
	if len(ds) == 0 {
		return nil
	}
	sets, sigs := setsOf(&Content{Apex: c.Apex, Signatures: c.Signatures})
	name := setName{c.Apex, dns.TypeDNSKEY}
	for _, key := range sets[name] {
		if !slices.ContainsFunc(ds, func(d []byte) bool { return dns.Matches(d, c.Apex, key.Data) }) {
			continue
		}
		for _, sig := range sigs[name] {
			if s, err := dns.ReadSignature(sig.Data); err == nil && s.Valid(at) && dns.Verify(sig, sets[name], key.Data) == nil {
				return nil
			}
		}
	}
	return bogus("no DS record at the parent is of a key that signs the zone's keys")
}
