package dnssec

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/proto/dns"
)

const apex = "example.net."

// zoneOf reads lines such as "www 300 A 192.0.2.1" of the zone example.net; "@" is its name.
func zoneOf(t testing.TB, lines string) []dns.Record {
	t.Helper()
	var out []dns.Record
	for line := range strings.Lines(lines) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 4)
		if len(f) < 4 {
			continue
		}
		name, err := dns.Name(f[0], apex)
		if err != nil {
			t.Fatal(err)
		}
		kind, err := dns.ParseType(f[2])
		if err != nil {
			t.Fatal(err)
		}
		data, err := dns.Data(kind, f[3], apex)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var ttl uint32
		if _, err := fmt.Sscan(f[1], &ttl); err != nil {
			t.Fatal(err)
		}
		out = append(out, dns.Record{Name: name, Type: kind, TTL: ttl, Data: data})
	}
	slices.SortFunc(out, dns.Compare)
	return slices.CompactFunc(out, func(a, b dns.Record) bool { return dns.Compare(a, b) == 0 })
}

const start = `@ 3600 SOA ns1.host.example. hostmaster.host.example. 7 7200 1800 1209600 300
@ 3600 NS ns1.host.example.
@ 3600 NS ns2.host.example.
`

// ring keeps private parts.
type ring map[string]dns.Key

func (r ring) generate(a dns.Algorithm) func(Role, []uint16) (Key, error) {
	return func(role Role, tags []uint16) (Key, error) {
		for {
			pair, err := dns.GenerateKey(a, role.Flags())
			if err != nil {
				return Key{}, err
			}
			if slices.Contains(tags, pair.Tag()) {
				continue
			}
			id := fmt.Sprintf("key-%d", len(r))
			r[id] = pair
			return Key{ID: id, DNSKEY: pair.DNSKEY()}, nil
		}
	}
}

func (r ring) get(id string) (dns.Key, error) {
	k, ok := r[id]
	if !ok {
		return dns.Key{}, fmt.Errorf("%w: %s", dns.ErrKey, id)
	}
	return k, nil
}

// publish takes the steps that are due and signs, as the program does for every change.
func (r ring) publish(t testing.TB, s *Signing, before *Content, records []dns.Record, at time.Time) (*Content, []Step) {
	t.Helper()
	steps, err := s.Advance(at, before, records, r.generate(s.Algorithm))
	if err != nil {
		t.Fatal(err)
	}
	signatures, err := s.Build(apex, records, r.get, before, at)
	if err != nil {
		t.Fatal(err)
	}
	c := &Content{Apex: apex, Records: records, Signatures: signatures}
	if err := Verify(c, before, at); err != nil {
		t.Fatalf("%v\n%s", err, text(c))
	}
	return c, steps
}

func text(c *Content) string {
	var b strings.Builder
	for _, r := range slices.SortedFunc(slices.Values(slices.Concat(c.Records, c.Signatures)), dns.Compare) {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

// anyZone makes a zone by chance: names of few labels, so that they lie below one another, with wildcards, delegations
// with and without DS and glue, aliases, DNAME, and names between that have nothing.
func anyZone(t testing.TB, random *rand.Rand) []dns.Record {
	var b strings.Builder
	b.WriteString(start)
	labels := []string{"a", "b", "c", "ns", "*", "x-y", `e\.f`, `\000`, "_tcp", "z"}
	names := map[string]bool{}
	for range 2 + random.IntN(25) {
		parts := make([]string, 1+random.IntN(4))
		for i := range parts {
			parts[i] = labels[random.IntN(len(labels))]
		}
		names[strings.Join(parts, ".")] = true
	}
	var dnames []string
	for _, n := range slices.SortedFunc(maps.Keys(names), func(a, b string) int { return len(a) - len(b) }) {
		if slices.ContainsFunc(dnames, func(d string) bool { return strings.HasSuffix(n, "."+d) }) {
			continue // nothing may stand below a DNAME (RFC 6672 §2.4)
		}
		kind := random.IntN(9)
		if strings.HasPrefix(n, "*") && kind > 5 {
			kind = 0
		}
		switch kind {
		case 0, 1:
			fmt.Fprintf(&b, "%s 300 A 192.0.2.%d\n%s 300 A 192.0.2.%d\n", n, random.IntN(250), n, random.IntN(250))
		case 2:
			fmt.Fprintf(&b, "%s 600 TXT \"Text of %d\"\n%s 300 MX 10 Mail.Example.ORG.\n", n, random.IntN(9), n)
		case 3:
			fmt.Fprintf(&b, "%s 60 CNAME Other.Example.ORG.\n", n)
		case 4:
			fmt.Fprintf(&b, "%s 300 SRV 0 0 25 %s\n%s 300 TYPE65400 \\# 3 0A0B0C\n", n, n, n)
		case 5:
			fmt.Fprintf(&b, "%s 300 CAA 0 issue \"ca.example\"\n%s 300 HTTPS 1 . alpn=h2\n", n, n)
		case 6:
			fmt.Fprintf(&b, "%s 300 DNAME Other.Example.ORG.\n%s 300 TXT \"beside\"\n", n, n)
			dnames = append(dnames, n)
		case 7: // a delegation without DS, its servers in the zone below
			fmt.Fprintf(&b, "%s 300 NS glue.%s\n%s 300 NS NS.other.example.\nglue.%s 300 A 192.0.2.9\n", n, n, n, n)
		case 8: // a delegation with DS, its server at the cut
			fmt.Fprintf(&b, "%s 300 NS %s\n%s 300 A 192.0.2.8\n%s 300 DS 55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17\n", n, n, n, n)
		}
	}
	return zoneOf(t, b.String())
}
