package dnssec

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"postroad/internal/proto/dns"
)

// version is one published version of the zone, as a resolver may have it.
type version struct {
	from, until time.Time // while it was the newest; until is zero for the one of now
	content     *Content
	keys        map[uint16]bool             // tags in its DNSKEY set
	keySigs     map[uint16]dns.Signature    // of the DNSKEY set, by key
	data        map[setName][]dns.Signature // of all other sets
	ttls        map[setName]time.Duration   // of these sets
	sets        map[setName][]dns.Record
}

func newVersion(c *Content, from time.Time) *version {
	v := &version{from: from, content: c, keys: map[uint16]bool{}, keySigs: map[uint16]dns.Signature{}, data: map[setName][]dns.Signature{}, ttls: map[setName]time.Duration{}}
	sets, sigs := setsOf(c)
	v.sets = sets
	for n, set := range sets {
		if n.kind == dns.TypeDNSKEY {
			for _, r := range set {
				v.keys[dns.KeyTag(r.Data)] = true
			}
			for _, r := range sigs[n] {
				s, _ := dns.ReadSignature(r.Data)
				v.keySigs[s.Tag] = s
			}
			continue
		}
		v.ttls[n] = time.Duration(set[0].TTL) * time.Second
		v.data[n] = nil
		for _, r := range sigs[n] {
			s, _ := dns.ReadSignature(r.Data)
			v.data[n] = append(v.data[n], s)
		}
	}
	return v
}

// delegation is what the parent says from a moment on.
type delegation struct {
	from, until time.Time
	tags        []uint16 // of the DS records
	ds          [][]byte
}

// year is a zone, its secondaries, its parent and everybody's caches, over a year.
type year struct {
	t        *testing.T
	random   *rand.Rand
	now      time.Time
	signing  *Signing
	keys     ring
	records  []dns.Record
	versions []*version
	parent   []delegation
	dsTTL    time.Duration
	moves    map[string]int // steps taken, by their words
	secured  time.Duration  // how long there was a DS
}

// lag is how long secondaries of the zone may be behind: its SOA's refresh.
const lag = 2 * time.Hour

func (y *year) last() *version {
	if len(y.versions) == 0 {
		return nil
	}
	return y.versions[len(y.versions)-1]
}

// publish does what the program does at a change or when something is due. In one case of ten it is killed before the
// transaction: nothing has happened then.
func (y *year) publish() {
	var before *Content
	if v := y.last(); v != nil {
		before = v.content
	}
	next := y.signing.Clone()
	c, steps := y.keys.publish(y.t, next, before, y.records, y.now)
	if y.random.IntN(10) == 0 {
		return
	}
	if err := Chain(c, y.parent[len(y.parent)-1].ds, y.now); err != nil {
		y.t.Fatalf("%v: %v", y.now, err)
	}
	stored, err := Encode(next)
	if err != nil {
		y.t.Fatal(err)
	}
	looked := next.Looked
	if y.signing, err = Decode(stored); err != nil {
		y.t.Fatal(err)
	}
	if y.random.IntN(4) > 0 { // else the program was started again since
		y.signing.Looked = looked
	}
	for _, s := range steps {
		y.moves[fmt.Sprintf("%s %s→%s", s.Key.Role, s.From, s.To)]++
	}
	y.serve(c)
}

func (y *year) serve(c *Content) {
	if v := y.last(); v != nil {
		v.until = y.now
	}
	y.versions = append(y.versions, newVersion(c, y.now))
	for len(y.versions) > 0 && !y.versions[0].until.IsZero() && y.now.Sub(y.versions[0].until) > 4*24*time.Hour {
		y.versions = y.versions[1:]
	}
}

// register has the parent take over what the zone's CDS records ask for, as registries that look for them do.
func (y *year) register() {
	v := y.last()
	if v == nil {
		return
	}
	set := v.sets[setName{apex, dns.TypeCDS}]
	if len(set) == 0 {
		return
	}
	next := delegation{from: y.now}
	for _, r := range set {
		if !bytes.Equal(r.Data, []byte{0, 0, 0, 0, 0}) {
			next.ds = append(next.ds, r.Data)
			next.tags = append(next.tags, uint16(r.Data[0])<<8|uint16(r.Data[1]))
		}
	}
	now := &y.parent[len(y.parent)-1]
	if !slices.EqualFunc(now.ds, next.ds, bytes.Equal) {
		now.until = y.now
		y.parent = append(y.parent, next)
	}
}

// look asks the parent, and reports whether that told something new; one look of five fails.
func (y *year) look() bool {
	return y.random.IntN(5) > 0 && y.signing.Observe(apex, Look{DS: y.parent[len(y.parent)-1].ds, TTL: y.dsTTL, At: y.now})
}

// cached reports whether what was served from one moment to another may lie in a cache now.
func (y *year) cached(from, until time.Time, behind, ttl time.Duration) bool {
	return until.IsZero() || y.now.Before(until.Add(behind+ttl))
}

// believe is every resolver there may be: it has any DS, any set of keys and any other set that its caches allow, and must
// believe all of them together.
func (y *year) believe() {
	for d := range y.parent {
		ds := &y.parent[d]
		if len(ds.tags) == 0 || !y.cached(ds.from, ds.until, 0, y.dsTTL) {
			continue
		}
		if d == len(y.parent)-1 {
			y.secured++
		}
		for _, k := range y.versions {
			if !y.cached(k.from, k.until, lag, KeyTTL) {
				continue
			}
			if !slices.ContainsFunc(ds.tags, func(tag uint16) bool {
				s, signed := k.keySigs[tag]
				return k.keys[tag] && signed && s.Valid(y.now)
			}) {
				y.t.Fatalf("%v: the DS of %v does not lead to the keys published %v", y.now, ds.tags, k.from)
			}
			for _, v := range y.versions {
				for n, sigs := range v.data {
					if !y.cached(v.from, v.until, lag, v.ttls[n]) {
						continue
					}
					if !slices.ContainsFunc(sigs, func(s dns.Signature) bool { return k.keys[s.Tag] && s.Valid(y.now) }) {
						y.t.Fatalf("%v: %s %s published %v to %v is not believed with the keys published %v (DS since %v)", y.now, n.name, n.kind, v.from, v.until, k.from, ds.from)
					}
				}
			}
		}
	}
}

// change changes the zone's records by chance, TTLs among them.
func (y *year) change() {
	ttl := []int{60, 300, 3600, 86400, 172800}[y.random.IntN(5)]
	y.records = zoneOf(y.t, fmt.Sprintf(`@ 3600 SOA ns1.host.example. hostmaster.host.example. %d 7200 1800 1209600 %d
		@ 3600 NS ns1.host.example.
		www %d A 192.0.2.%d
		mail 300 A 192.0.2.1`, y.now.Unix(), 60*(1+y.random.IntN(180)), ttl, y.random.IntN(250)))
}

func TestAYearOfRollOversIsBelievedAtEveryMoment(t *testing.T) {
	for range 2 {
		for _, scheme := range []Scheme{SingleKey, TwoKeys} {
			seed := rand.Uint64()
			t.Run(fmt.Sprintf("%s/%d", scheme, seed), func(t *testing.T) { oneYear(t, scheme, seed) })
		}
	}
}

func oneYear(t *testing.T, scheme Scheme, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a course of events by chance
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	y := &year{
		t: t, random: random, now: begin, keys: ring{}, moves: map[string]int{}, parent: []delegation{{from: begin}},
		signing: &Signing{Scheme: scheme, Algorithm: dns.Ed25519, Denial: Denial(random.IntN(2))}, dsTTL: time.Duration(1+random.IntN(48)) * time.Hour, //nolint:gosec // 0 or 1
	}
	y.change()
	y.serve(&Content{Apex: apex, Records: y.records}) // it was there before it was signed
	y.now = y.now.Add(5 * time.Minute)
	y.publish()
	for y.last().content.Signatures == nil {
		y.publish()
	}
	at := func(hours int) time.Time {
		return y.now.Add(time.Duration(float64(hours) * random.Float64() * float64(time.Hour)))
	}
	nextChange, nextRoll, nextRegister, nextLook := at(48), at(24*30), at(24*9), at(1)
	for end := begin.AddDate(1, 0, 0); y.now.Before(end); {
		due := y.now.Add(time.Hour)
		for _, d := range []time.Time{nextChange, nextRoll, nextRegister, nextLook, y.signing.Next(), Expiry(y.last().content.Signatures, y.now).Add(-Renewal)} {
			if d.After(y.now) && d.Before(due) {
				due = d
			}
		}
		y.believe()
		y.now = due
		y.believe()
		news := false
		if !y.now.Before(nextLook) || y.signing.Looks(y.now) {
			news = y.look()
			nextLook = at(2)
		}
		if !y.now.Before(nextRegister) {
			y.register()
			nextRegister = at(24 * 20)
		}
		if !y.now.Before(nextRoll) {
			for _, r := range y.signing.roles() {
				_ = y.signing.Begin(r)
			}
			nextRoll = at(24 * 50)
		}
		change := !y.now.Before(nextChange)
		if change {
			y.change()
			nextChange = at(24 * 5)
		}
		next := y.signing.Next()
		if change || news || len(y.signing.Roll) > 0 || !next.IsZero() && !y.now.Before(next) && !y.signing.Looks(y.now) || !y.now.Before(Expiry(y.last().content.Signatures, y.now).Add(-Renewal)) {
			y.publish()
		}
	}
	leaver := "csk"
	if scheme == TwoKeys {
		leaver = "ksk"
		if y.moves["zsk retired→removed"] < 3 {
			t.Errorf("only these steps of zone signing keys: %v", y.moves)
		}
	}
	if y.moves[leaver+" retired→removed"] < 2 || y.secured < 1000 {
		t.Errorf("only these steps: %v, and %d moments with a DS", y.moves, y.secured)
	}
	if earliest := Expiry(y.last().content.Signatures, y.now); earliest.Sub(y.now) < Alarm {
		t.Errorf("signatures run out at %v, it is %v", earliest, y.now)
	}
}
