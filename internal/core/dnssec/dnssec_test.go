package dnssec

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/proto/dns"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const whole = start + `www 300 A 192.0.2.1
a.b.c 300 TXT "below names without records"
sub 300 NS ns.sub
ns.sub 300 A 192.0.2.2
safe 300 NS ns.host.example.
safe 300 DS 55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17
*.w 300 MX 10 mail.host.example.
`

// walk finds a shortest way to a state.
func TestTheTransitionsLeadThroughEveryStateAndNeverBack(t *testing.T) {
	reached := map[State]bool{Generated: true}
	for _, tr := range transitions {
		if tr.to <= tr.from {
			t.Errorf("%s→%s goes back", tr.from, tr.to)
		}
		if !reached[tr.from] {
			t.Errorf("%s→%s begins where nothing leads", tr.from, tr.to)
		}
		if tr.when == "" {
			t.Errorf("%s→%s happens for no reason", tr.from, tr.to)
		}
		reached[tr.to] = true
	}
	for s := Generated; s <= Removed; s++ {
		if !reached[s] {
			t.Errorf("nothing leads to %s", s)
		}
		for to := Generated; to <= Removed; to++ {
			listed := slices.ContainsFunc(transitions, func(tr transition) bool { return tr.from == s && tr.to == to })
			if s.may(to) != listed {
				t.Errorf("%s→%s", s, to)
			}
		}
	}
	if strings.HasPrefix((Removed+1).String(), "removed") || (Removed + 1).visible() {
		t.Error("there is a state after the last")
	}
}

// TestARollOverStepByStep is the course of a roll-over with its moments (RFC 7583 §3).
func TestARollOverStepByStep(t *testing.T) {
	records := zoneOf(t, whole)
	keys := ring{}
	s := &Signing{Algorithm: dns.ECDSAP256SHA256}
	at := noon
	var c *Content
	told := func(after time.Duration, want ...string) {
		t.Helper()
		at = at.Add(after)
		var steps []Step
		c, steps = keys.publish(t, s, c, records, at)
		var got []string
		for _, step := range steps {
			got = append(got, fmt.Sprintf("%s %s→%s", step.Key.ID, step.From, step.To))
		}
		if !slices.Equal(got, want) {
			t.Errorf("at %v: %v, want %v", at, got, want)
		}
	}
	signing := func(want map[dns.Type]string) {
		t.Helper()
		_, sigs := setsOf(c)
		for kind, ids := range want {
			var by []string
			for _, r := range sigs[setName{apex, kind}] {
				sig, _ := dns.ReadSignature(r.Data)
				for id, k := range keys {
					if k.Tag() == sig.Tag {
						by = append(by, id)
					}
				}
			}
			slices.Sort(by)
			if got := strings.Join(by, " "); got != ids {
				t.Errorf("%s is signed by %q, want %q", kind, got, ids)
			}
		}
	}
	ds := func(id string) []byte {
		d, err := dns.DS(apex, keys[id].DNSKEY(), dns.DigestSHA256)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	told(0, "key-0 generated→active")
	signing(map[dns.Type]string{dns.TypeSOA: "key-0", dns.TypeDNSKEY: "key-0", dns.TypeCDS: ""})
	if next := s.Next(); !next.Equal(noon.Add(3 * time.Hour)) { // the secondaries' refresh and the TTL of the keys
		t.Errorf("the DS may be given %v", next)
	}
	told(3 * time.Hour)
	signing(map[dns.Type]string{dns.TypeCDS: "key-0", dns.TypeCDNSKEY: "key-0"})
	s.Observe(apex, Look{DS: [][]byte{ds("key-0")}, TTL: 24 * time.Hour, At: at})

	if err := s.Begin(CSK); err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(CSK); !errors.Is(err, ErrRolling) {
		t.Errorf("begun twice: %v", err)
	}
	if err := s.Begin(ZSK); !errors.Is(err, ErrNoRole) {
		t.Errorf("a key that is not there: %v", err)
	}
	told(time.Minute, "key-1 generated→published")
	signing(map[dns.Type]string{dns.TypeSOA: "key-0", dns.TypeDNSKEY: "key-0 key-1", dns.TypeCDS: "key-0 key-1"})
	told(3*time.Hour - time.Second)
	told(time.Second, "key-1 published→active", "key-0 active→retired")
	signing(map[dns.Type]string{dns.TypeSOA: "key-1", dns.TypeDNSKEY: "key-0 key-1", dns.TypeCDS: "key-0 key-1"})
	told(1000 * time.Hour) // the parent has the old DS still
	if !s.Next().IsZero() {
		t.Errorf("something is due %v", s.Next())
	}
	if !s.Observe(apex, Look{DS: [][]byte{ds("key-1")}, TTL: 24 * time.Hour, At: at}) {
		t.Error("a new DS is no news")
	}
	if s.Observe(apex, Look{DS: [][]byte{ds("key-1")}, TTL: 24 * time.Hour, At: at.Add(time.Minute)}) {
		t.Error("the same DS is news")
	}
	told(25*time.Hour - time.Second)
	if !s.Looks(at.Add(time.Second)) {
		t.Error("the key would leave by an old look")
	}
	told(time.Second) // nobody has looked
	s.Observe(apex, Look{DS: [][]byte{ds("key-0")}, TTL: 24 * time.Hour, At: at})
	told(30 * time.Hour) // the old DS is back
	s.Observe(apex, Look{DS: [][]byte{ds("key-1")}, TTL: 24 * time.Hour, At: at})
	at = s.Next()
	s.Observe(apex, Look{DS: [][]byte{ds("key-1")}, TTL: 24 * time.Hour, At: at})
	told(0, "key-0 retired→removed")
	signing(map[dns.Type]string{dns.TypeSOA: "key-1", dns.TypeDNSKEY: "key-1", dns.TypeCDS: "key-1"})

	s.Withdrawn = true
	told(time.Hour)
	judge(t, newestSigned(t, s, keys, records), s.Scheme)
	s.Observe(apex, Look{DS: nil, TTL: 0, At: at})
	if s.Parent.Gone(at.Add(24*time.Hour-time.Second)) || !s.Parent.Gone(at.Add(24*time.Hour)) {
		t.Errorf("the DS is gone from all caches at the wrong moment: %+v", s.Parent)
	}
}

// newestSigned signs for the clock that the judges go by.
func newestSigned(t *testing.T, s *Signing, keys ring, records []dns.Record) *Content {
	t.Helper()
	now := time.Now()
	signatures, err := s.Build(apex, records, keys.get, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	return &Content{Apex: apex, Records: records, Signatures: signatures}
}

func TestOnlyWhatChangedIsSignedAnew(t *testing.T) {
	for _, denial := range []Denial{NSEC, NSEC3} {
		keys, s := ring{}, &Signing{Algorithm: dns.Ed25519, Denial: denial}
		var lines strings.Builder
		lines.WriteString(whole)
		for i := range 200 {
			fmt.Fprintf(&lines, "host%d 300 A 192.0.2.%d\n", i, i)
		}
		first, _ := keys.publish(t, s, nil, zoneOf(t, lines.String()), noon)
		fresh := func(c *Content) int {
			n := 0
			for _, r := range c.Signatures {
				if !slices.ContainsFunc(first.Signatures, func(o dns.Record) bool { return o.Name == r.Name && o.Type == r.Type && bytes.Equal(o.Data, r.Data) }) {
					n++
				}
			}
			return n
		}
		changed := strings.Replace(lines.String(), "host7 300 A 192.0.2.7\n", "host7 300 A 192.0.2.9\n", 1)
		changed = strings.Replace(changed, "example. 7 7200", "example. 8 7200", 1)
		second, _ := keys.publish(t, s, first, zoneOf(t, changed), noon.Add(time.Hour))
		if n := fresh(second); n != 2 { // RRSIG of SOA and of A
			t.Errorf("%s: %d records are new after one change", denial, n)
		}
		if got := Expiry(second.Signatures, noon); got.Sub(noon) < Validity-spread || got.Sub(noon) > Validity {
			t.Errorf("the first signature runs out %v", got)
		}
		// An hour before they would be renewed they stay; from then on all are made anew at once.
		due := Expiry(first.Signatures, noon).Add(-Renewal)
		third, _ := keys.publish(t, s, first, first.Records, due)
		if end := Expiry(third.Signatures, due); end.Sub(due) < Validity-spread-time.Second {
			t.Errorf("%s: renewed %v, a signature runs out %v", denial, due, end)
		}
		if _, err := s.Build(apex, first.Records, ring{}.get, first, noon.Add(time.Hour)); !errors.Is(err, dns.ErrKey) {
			t.Errorf("without its private part: %v", err)
		}
		other := ring{}
		if _, err := other.generate(dns.Ed25519)(CSK, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Build(apex, first.Records, other.get, first, noon.Add(time.Hour)); !errors.Is(err, dns.ErrKey) {
			t.Errorf("with the private part of another key: %v", err)
		}
	}
}

func TestALargeZoneIsRenewedInParts(t *testing.T) {
	keys, s := ring{}, &Signing{Algorithm: dns.Ed25519}
	var lines strings.Builder
	lines.WriteString(start)
	for i := range 1500 {
		fmt.Fprintf(&lines, "host%d 300 A 192.0.2.1\n", i)
	}
	c, _ := keys.publish(t, s, nil, zoneOf(t, lines.String()), noon)
	at := Expiry(c.Signatures, noon).Add(-Renewal)
	next, _ := keys.publish(t, s, c, c.Records, at)
	kept := 0
	for _, r := range next.Signatures {
		if r.Type == dns.TypeRRSIG && slices.ContainsFunc(c.Signatures, func(o dns.Record) bool { return o.Name == r.Name && bytes.Equal(o.Data, r.Data) }) {
			kept++
		}
	}
	if kept < 2000 || kept > 2800 { // of 3,004: about a sixth is renewed
		t.Errorf("%d signatures were kept", kept)
	}
}

func TestWhatCannotBeSignedIsRefused(t *testing.T) {
	for name, lines := range map[string]string{
		"no SOA":              "@ 300 NS ns.host.example.\n",
		"another zone's name": start + "www.example.org. 300 A 192.0.2.1\n",
		"two TTLs":            start + "www 300 A 192.0.2.1\nwww 301 A 192.0.2.2\n",
		"a signature":         start + "@ 300 DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n",
		"the zone's own DS":   start + "@ 300 DS 3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b\n",
	} {
		s, keys := &Signing{Algorithm: dns.Ed25519}, ring{}
		if _, err := s.Advance(noon, nil, nil, keys.generate(dns.Ed25519)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Build(apex, zoneOf(t, lines), keys.get, nil, noon); !errors.Is(err, ErrContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNothingThatIsNotWholeIsBelieved takes a good zone and spoils it, in every way and everywhere.
func TestNothingThatIsNotWholeIsBelieved(t *testing.T) {
	for _, denial := range []Denial{NSEC, NSEC3} {
		keys, s := ring{}, &Signing{Algorithm: dns.ECDSAP256SHA256, Denial: denial}
		records := zoneOf(t, whole)
		c, _ := keys.publish(t, s, nil, records, noon)
		c, _ = keys.publish(t, s, c, records, noon.Add(4*time.Hour))
		at := noon.Add(5 * time.Hour)
		refused := func(what string, spoiled *Content) {
			t.Helper()
			for _, before := range []*Content{nil, c} {
				if err := Verify(spoiled, before, at); !errors.Is(err, ErrBogus) {
					t.Errorf("%s: %s: %v", denial, what, err)
				}
			}
		}
		edit := func(list []dns.Record, i int, r ...dns.Record) []dns.Record {
			return slices.SortedFunc(slices.Values(slices.Concat(list[:i], r, list[i+1:])), dns.Compare)
		}
		for i, r := range c.Signatures {
			refused("without "+r.String(), &Content{apex, c.Records, edit(c.Signatures, i)})
			damaged := r
			damaged.Data = bytes.Clone(r.Data)
			damaged.Data[len(r.Data)-1] ^= 1
			refused("damaged "+r.String(), &Content{apex, c.Records, edit(c.Signatures, i, damaged)})
			if r.Type != dns.TypeNSEC3PARAM { // nobody goes by its TTL
				slow := r
				slow.TTL += 1
				refused("another TTL of "+r.String(), &Content{apex, c.Records, edit(c.Signatures, i, slow)})
			}
			moved := r
			moved.Name = "www.example.net."
			if r.Name != moved.Name {
				refused("moved "+r.String(), &Content{apex, c.Records, edit(c.Signatures, i, r, moved)})
			}
		}
		for i, r := range c.Records {
			if r.Name != "ns.sub.example.net." && r.Name != "sub.example.net." {
				refused("without "+r.String(), &Content{apex, edit(c.Records, i), c.Signatures})
			}
		}
		for _, line := range []string{"new 300 A 192.0.2.1", "a.b 300 TXT here", "www 300 AAAA 2001:db8::1", "sub 300 DS 55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17"} {
			refused("with "+line, &Content{apex, slices.SortedFunc(slices.Values(append(slices.Clone(c.Records), zoneOf(t, line)...)), dns.Compare), c.Signatures})
		}
		if err := Verify(c, nil, at.Add(Validity)); !errors.Is(err, ErrBogus) {
			t.Errorf("%s: run out: %v", denial, err)
		}
		if err := Verify(c, nil, noon.Add(-2*time.Hour)); !errors.Is(err, ErrBogus) {
			t.Errorf("%s: not begun: %v", denial, err)
		}
		// What is not ours to sign.
		glue, err := keys["key-0"].Sign(zoneOf(t, "ns.sub 300 A 192.0.2.2"), apex, noon, at.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		refused("signed glue", &Content{apex, c.Records, slices.SortedFunc(slices.Values(append(slices.Clone(c.Signatures), glue)), dns.Compare)})
		if err := Verify(c, nil, at); err != nil {
			t.Errorf("%s: what was not spoiled: %v", denial, err)
		}
		if err := Chain(c, [][]byte{{1, 2, 3, 4, 5}}, at); !errors.Is(err, ErrBogus) {
			t.Errorf("a stale DS: %v", err)
		}
	}
}

func TestASigningIsStoredWhole(t *testing.T) {
	keys, s := ring{}, &Signing{Algorithm: dns.Ed25519, Scheme: TwoKeys, Denial: NSEC3, Roll: []Role{ZSK}, Withdrawn: true}
	keys.publish(t, s, nil, zoneOf(t, whole), noon)
	s.Observe(apex, Look{DS: [][]byte{{9, 9, 9, 9, 9}, {1, 1, 1, 1, 1}}, TTL: time.Hour, At: noon})
	s.Looked = time.Time{}
	b, err := Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(b)
	if err != nil || !reflect.DeepEqual(again, s) {
		t.Errorf("%s read as %+v, %v; want %+v", b, again, err, s)
	}
	if strings.Contains(string(b), "rivate") {
		t.Errorf("a private part is in %s", b)
	}
	if none, err := Decode(nil); none != nil || err != nil {
		t.Errorf("nothing is read as %v, %v", none, err)
	}
	for _, bad := range []string{"{", `{"scheme":"three"}`, `{"scheme":"csk","keys":[{"id":"x"}]}`} {
		if _, err := Decode([]byte(bad)); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	clone := s.Clone()
	clone.Keys[0].State = Removed
	if s.Keys[0].State == Removed || (*Signing)(nil).Clone() != nil {
		t.Error("a clone shares its keys")
	}
}

func TestRemovedKeysAreRememberedForAWhile(t *testing.T) {
	keys, s := ring{}, &Signing{Algorithm: dns.Ed25519, Scheme: TwoKeys}
	at := noon
	var c *Content
	records := zoneOf(t, whole)
	for range 14 {
		c, _ = keys.publish(t, s, c, records, at)
		if err := s.Begin(ZSK); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			at = at.Add(96 * time.Hour)
			c, _ = keys.publish(t, s, c, records, at)
		}
	}
	removed := 0
	for i := range s.Keys {
		if s.Keys[i].State == Removed {
			removed++
		}
	}
	if removed != rememberedKeys || len(s.Keys) > rememberedKeys+4 {
		t.Errorf("%d keys, %d of them removed", len(s.Keys), removed)
	}
}

func FuzzVerify(f *testing.F) {
	keys, s := ring{}, &Signing{Algorithm: dns.Ed25519}
	f.Add(uint64(1), uint16(3), []byte("x"))
	f.Add(uint64(2), uint16(40), []byte{})
	records := zoneOf(f, whole)
	if _, err := s.Advance(noon, nil, nil, keys.generate(dns.Ed25519)); err != nil {
		f.Fatal(err)
	}
	signatures, err := s.Build(apex, records, keys.get, nil, noon)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, seed uint64, at uint16, data []byte) {
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a place by chance
		spoiled := slices.Clone(signatures)
		i := int(at) % len(spoiled)
		if bytes.Equal(spoiled[i].Data, data) {
			return
		}
		spoiled[i].Data = data
		if random.IntN(2) == 0 {
			spoiled[i].Type = []dns.Type{dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeDNSKEY, dns.TypeCDS}[random.IntN(5)]
		}
		if Verify(&Content{apex, records, spoiled}, nil, noon) == nil {
			t.Errorf("believed with %s in the place of %s", spoiled[i], signatures[i])
		}
	})
}

func BenchmarkBuild(b *testing.B) {
	for _, size := range []int{10, 10000} {
		keys, s := ring{}, &Signing{Algorithm: dns.ECDSAP256SHA256}
		var lines strings.Builder
		lines.WriteString(start)
		for i := range size {
			fmt.Fprintf(&lines, "host%d 300 A 192.0.2.1\n", i)
		}
		records := zoneOf(b, lines.String())
		b.Run(fmt.Sprintf("%d records/first", size), func(b *testing.B) {
			for b.Loop() {
				keys.publish(b, s, nil, records, noon)
			}
		})
		before, _ := keys.publish(b, s, nil, records, noon)
		after := zoneOf(b, lines.String()+"new 300 A 192.0.2.1\n")
		b.Run(fmt.Sprintf("%d records/one change", size), func(b *testing.B) {
			for b.Loop() {
				keys.publish(b, s, before, after, noon.Add(time.Hour))
			}
		})
	}
}

func TestAZoneThatWasUnsignedGoesOnWithItsKeys(t *testing.T) {
	t.Parallel()
	keys, at := ring{}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, scheme := range []Scheme{SingleKey, TwoKeys} {
		s := &Signing{Scheme: scheme, Algorithm: dns.ECDSAP256SHA256}
		records := zoneOf(t, start+"www 86400 A 192.0.2.1\n")
		signed, _ := keys.publish(t, s, &Content{Apex: apex, Records: records}, records, at)
		if scheme == TwoKeys {
			if err := s.Begin(ZSK); err != nil {
				t.Fatal(err)
			}
			signed, _ = keys.publish(t, s, signed, records, at.Add(time.Hour))
		}
		had := slices.Clone(s.Keys)
		// It is unsigned for ten days, and signed again with what was kept.
		text, err := Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		again.Resumed = true
		back := at.AddDate(0, 0, 10)
		c, _ := keys.publish(t, again, &Content{Apex: apex, Records: records}, records, back)
		if again.Resumed || len(c.Signatures) == 0 || len(signed.Signatures) == 0 {
			t.Errorf("%v: it is not signed: %+v", scheme, again)
		}
		for i := range again.Keys {
			k := &again.Keys[i]
			if k.ID != had[i].ID || k.State != had[i].State {
				t.Errorf("%v: key %d was %s and is %s", scheme, k.Tag(), had[i].State, k.State)
			}
			switch {
			case k.State == Active && k.Role != ZSK && k.Submit.Before(back.Add(24*time.Hour)):
				t.Errorf("%v: the DS may be entered %s, while caches have www without signatures", scheme, k.Submit.Sub(back))
			case k.State == Published && k.Due.Before(back.Add(KeyTTL)):
				t.Errorf("%v: the next key takes over %s, while caches have no keys", scheme, k.Due.Sub(back))
			}
		}
	}
}
