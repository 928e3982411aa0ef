package dnssec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"postroad/internal/proto/dns"
)

// How long signatures hold.
const (
	// Validity is how long a new signature holds from its making, less a little by chance.
	Validity = 14 * 24 * time.Hour
	// backdated is how long before its making a signature begins to hold, for clocks that are behind.
	backdated = time.Hour
	// Renewal is how long before its end a signature is made anew: half of Validity and some hours, so that the finding
	// DNSSEC_SIG_EXPIRING, at seven days, means that something keeps it from being made.
	Renewal = 7*24*time.Hour + 12*time.Hour
	// Alarm is how long before their end signatures become a finding.
	Alarm = 7 * 24 * time.Hour
	// spread is by how much the ends of signatures that are made at the same time differ.
	spread = 36 * time.Hour
	// A zone of at most fewSets is renewed at once, with all that spread has put off; a larger one in parts.
	fewSets = 1000
	batch   = 6 * time.Hour
)

// PrivateKeys gives the key pair of a key by its ID, or says why it is not to be had. Its flags do not matter.
type PrivateKeys func(id string) (dns.Key, error)

// Build makes the records that signing adds to a zone: the sets DNSKEY, CDS and CDNSKEY, the chain of NSEC or NSEC3
// records, and a RRSIG over each set that is ours to sign. Signatures of before (nil: there is none) are kept where their set
// and their key are the same and they hold for long enough. The result is in the order of dns.Compare. Nothing in it is
// to be published before Verify has read it.
func (s *Signing) Build(apex string, records []dns.Record, keys PrivateKeys, before *Content, at time.Time) ([]dns.Record, error) {
	nodes, err := survey(apex, records)
	if err != nil {
		return nil, err
	}
	ttl, _, minimum, ok := soaTimes(records)
	if !ok {
		return nil, fmt.Errorf("%w: its SOA record cannot be read", ErrContent)
	}
	ownSets, err := s.keySets(apex, at)
	if err != nil {
		return nil, err
	}
	negative := min(ttl, minimum) // RFC 9077 §3
	var denial []dns.Record
	if s.Denial == NSEC3 {
		ownSets = append(ownSets, []dns.Record{{Name: apex, Type: dns.TypeNSEC3PARAM, Data: []byte{1, 0, 0, 0, 0}}})
		nodes[0].sets = append(nodes[0].sets, ownSets...)
		denial, err = hashedChain(apex, nodes, negative)
	} else {
		nodes[0].sets = append(nodes[0].sets, ownSets...)
		denial, err = chain(apex, nodes, negative)
	}
	if err != nil {
		return nil, err
	}
	b, err := s.signer(apex, keys, before, at, len(records))
	if err != nil {
		return nil, err
	}
	for i := range nodes {
		for _, set := range nodes[i].sets {
			if nodes[i].signed(set[0].Type) {
				if err := b.sign(set); err != nil {
					return nil, err
				}
			}
		}
	}
	for i := range denial {
		if err := b.sign(denial[i : i+1]); err != nil {
			return nil, err
		}
	}
	out := append(b.out, denial...)
	for _, set := range ownSets {
		out = append(out, set...)
	}
	slices.SortFunc(out, dns.Compare)
	return out, nil
}

// keySets gives the sets DNSKEY, CDS and CDNSKEY. The latter two say which DS is to stand at the parent (RFC 7344 §4),
// or that none is (RFC 8078 §4); there are none while it is too early for a DS.
func (s *Signing) keySets(apex string, at time.Time) ([][]dns.Record, error) {
	var all, cds, cdnskey []dns.Record
	record := func(t dns.Type, data []byte) dns.Record {
		return dns.Record{Name: apex, Type: t, TTL: uint32(KeyTTL / time.Second), Data: data}
	}
	for i := range s.Keys {
		k := &s.Keys[i]
		if !k.State.visible() {
			continue
		}
		all = append(all, record(dns.TypeDNSKEY, k.DNSKEY))
		if k.State != Active || k.Submit.IsZero() || at.Before(k.Submit) || s.Withdrawn {
			continue
		}
		ds, err := dns.DS(apex, k.DNSKEY, dns.DigestSHA256)
		if err != nil {
			return nil, err
		}
		cds, cdnskey = append(cds, record(dns.TypeCDS, ds)), append(cdnskey, record(dns.TypeCDNSKEY, k.DNSKEY))
	}
	if s.Withdrawn {
		cds = append(cds, record(dns.TypeCDS, []byte{0, 0, 0, 0, 0}))
		cdnskey = append(cdnskey, record(dns.TypeCDNSKEY, []byte{0, 0, 3, 0, 0}))
	}
	var sets [][]dns.Record
	for _, set := range [][]dns.Record{all, cds, cdnskey} {
		if slices.SortFunc(set, dns.Compare); len(set) > 0 {
			sets = append(sets, set)
		}
	}
	return sets, nil
}

// chain makes the NSEC records (RFC 4034 §4).
func chain(apex string, nodes []node, ttl uint32) ([]dns.Record, error) {
	out := make([]dns.Record, 0, len(nodes))
	for i := range nodes {
		next := apex
		if i+1 < len(nodes) {
			next = nodes[i+1].name
		}
		data, err := dns.AppendName(nil, next)
		if err != nil {
			return nil, err
		}
		data = dns.AppendBitmap(data, append(nodes[i].types(), dns.TypeNSEC, dns.TypeRRSIG))
		out = append(out, dns.Record{Name: nodes[i].name, Type: dns.TypeNSEC, TTL: ttl, Data: data})
	}
	return out, nil
}

// hashed is a name of the NSEC3 chain.
type hashed struct {
	hash  [dns.HashOctets]byte
	name  string
	types []dns.Type
}

// hashedChain makes the NSEC3 records (RFC 5155 §7.1) with one iteration less than any other and no salt (RFC 9276 §3.1).
func hashedChain(apex string, nodes []node, ttl uint32) ([]dns.Record, error) {
	all := make([]hashed, 0, 2*len(nodes))
	there := make(map[string]bool, 2*len(nodes))
	for i := range nodes {
		there[nodes[i].name] = true
		types := nodes[i].types()
		if !nodes[i].cut || slices.Contains(types, dns.TypeDS) {
			types = append(types, dns.TypeRRSIG)
		}
		all = append(all, hashed{name: nodes[i].name, types: types})
	}
	for i := range nodes {
		for name := nodes[i].name; name != apex; {
			if name = dns.Parent(name); there[name] {
				break
			}
			there[name] = true
			all = append(all, hashed{name: name})
		}
	}
	for i := range all {
		var err error
		if all[i].hash, err = dns.HashName(all[i].name, nil, 0); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b hashed) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	out := make([]dns.Record, len(all))
	for i, h := range all {
		next := all[(i+1)%len(all)]
		if len(all) > 1 && next.hash == h.hash {
			return nil, fmt.Errorf("%w: %s and %s have the same hash", ErrContent, h.name, next.name)
		}
		data := append([]byte{1, 0, 0, 0, 0, dns.HashOctets}, next.hash[:]...)
		owner := dns.HashLabel(h.hash) + "." + apex
		if apex == "." {
			owner = dns.HashLabel(h.hash) + "."
		}
		out[i] = dns.Record{Name: owner, Type: dns.TypeNSEC3, TTL: ttl, Data: dns.AppendBitmap(data, h.types)}
	}
	return out, nil
}

// setName names a set.
type setName struct {
	name string
	kind dns.Type
}

// setsOf gives the sets of a version, RRSIG records by what they cover.
func setsOf(c *Content) (sets, signatures map[setName][]dns.Record) {
	sets, signatures = make(map[setName][]dns.Record, len(c.Records)), make(map[setName][]dns.Record, len(c.Signatures))
	for _, list := range [][]dns.Record{c.Records, c.Signatures} {
		for from := 0; from < len(list); {
			to := from + 1
			for to < len(list) && list[to].Name == list[from].Name && list[to].Type == list[from].Type {
				to++
			}
			if t := list[from].Type; t != dns.TypeRRSIG {
				sets[setName{list[from].Name, t}] = list[from:to:to]
			} else {
				for _, r := range list[from:to] {
					if len(r.Data) >= 2 {
						n := setName{r.Name, dns.Type(binary.BigEndian.Uint16(r.Data))}
						signatures[n] = append(signatures[n], r)
					}
				}
			}
			from = to
		}
	}
	return sets, signatures
}

// same reports whether two sets are the same records with the same TTLs, letter for letter.
func same(a, b []dns.Record) bool {
	return slices.EqualFunc(a, b, func(x, y dns.Record) bool {
		return x.Name == y.Name && x.Type == y.Type && x.TTL == y.TTL && bytes.Equal(x.Data, y.Data)
	})
}

// signer makes RRSIG records, or takes them over.
type signer struct {
	apex             string
	at               time.Time
	forKeys, forData []dns.Key
	oldSets, oldSigs map[setName][]dns.Record
	oldKeys          map[uint16]bool // tags whose signatures may be kept
	keep             time.Duration   // what an old signature must still hold for
	out              []dns.Record
}

func (s *Signing) signer(apex string, keys PrivateKeys, before *Content, at time.Time, size int) (*signer, error) {
	b := &signer{apex: apex, at: at, keep: Renewal + batch, oldKeys: map[uint16]bool{}, out: make([]dns.Record, 0, 3*size+8)}
	if size <= fewSets {
		b.keep = Renewal + spread
	}
	for i := range s.Keys {
		k := &s.Keys[i]
		if !k.SignsKeys() && !k.SignsData() {
			continue
		}
		pair, err := keys(k.ID)
		if err != nil {
			return nil, fmt.Errorf("key %d of %s: %w", k.Tag(), apex, err)
		}
		pair.Flags = k.Role.Flags() // which are no part of what is private
		if !bytes.Equal(pair.DNSKEY(), k.DNSKEY) {
			return nil, fmt.Errorf("key %d of %s: %w: its private part is of another key", k.Tag(), apex, dns.ErrKey)
		}
		if k.SignsKeys() {
			b.forKeys = append(b.forKeys, pair)
		}
		if k.SignsData() {
			b.forData = append(b.forData, pair)
		}
	}
	if before != nil {
		b.oldSets, b.oldSigs = setsOf(before)
		for _, r := range b.oldSets[setName{apex, dns.TypeDNSKEY}] {
			for i := range s.Keys {
				if bytes.Equal(s.Keys[i].DNSKEY, r.Data) {
					b.oldKeys[dns.KeyTag(r.Data)] = true
				}
			}
		}
	}
	return b, nil
}

// sign adds the signatures of a set.
func (b *signer) sign(set []dns.Record) error {
	name := setName{set[0].Name, set[0].Type}
	keys := b.forData
	if t := set[0].Type; set[0].Name == b.apex && (t == dns.TypeDNSKEY || t == dns.TypeCDS || t == dns.TypeCDNSKEY) {
		keys = b.forKeys
	}
	var old []dns.Record
	if same(b.oldSets[name], set) {
		old = b.oldSigs[name]
	}
	for _, k := range keys {
		if r, ok := b.kept(old, k); ok {
			b.out = append(b.out, r)
			continue
		}
		r, err := k.Sign(set, b.apex, b.at.Add(-backdated), b.at.Add(Validity-b.sooner(name)))
		if err != nil {
			return err
		}
		b.out = append(b.out, r)
	}
	return nil
}

// kept gives the signature of a key that is good for long enough.
func (b *signer) kept(old []dns.Record, k dns.Key) (dns.Record, bool) {
	for _, r := range old {
		s, err := dns.ReadSignature(r.Data)
		if err == nil && s.Tag == k.Tag() && s.Algorithm == k.Algorithm && b.oldKeys[s.Tag] &&
			s.Valid(b.at) && s.Expires(b.at).Sub(b.at) > b.keep && s.Expires(b.at).Sub(b.at) <= Validity+backdated {
			return r, true
		}
	}
	return dns.Record{}, false
}

// sooner is by how much a set's signature ends before Validity: as if by chance, and always the same for a set.
func (b *signer) sooner(name setName) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name.name))
	_, _ = h.Write(binary.BigEndian.AppendUint16(nil, uint16(name.kind)))
	return time.Duration(h.Sum64() % uint64(spread)).Truncate(time.Second) //nolint:gosec // spread is positive
}

// Expiry is when the first of a zone's signatures runs out, as seen from the time given; the zero time when there is none.
func Expiry(signatures []dns.Record, at time.Time) time.Time {
	var first time.Time
	for _, r := range signatures {
		if r.Type != dns.TypeRRSIG {
			continue
		}
		if s, err := dns.ReadSignature(r.Data); err == nil {
			if end := s.Expires(at); first.IsZero() || end.Before(first) {
				first = end
			}
		}
	}
	return first
}
