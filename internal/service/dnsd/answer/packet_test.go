package answer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	codec "github.com/miekg/dns"

	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/dnsd/zonetest"
)

var someone = netip.MustParseAddr("192.0.2.1")

// raw answers octets.
func raw(r *Responder, packet []byte, tcp bool) ([]byte, Outcome) {
	out := make([]byte, 65535)
	n, outcome := r.Answer(out, packet, &Client{Addr: someone, TCP: tcp, Now: time.Now().UnixNano()})
	return out[:n], outcome
}

func packetOf(t testing.TB, m *codec.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func questionFor(name string, kind uint16) *codec.Msg {
	m := new(codec.Msg)
	m.SetQuestion(name, kind)
	return m
}

func TestMalformedPacketsAndForeignOpcodes(t *testing.T) {
	r := NewResponder(publish(t, zonetest.Read(t, "example.test", testZone)), Options{})
	good := packetOf(t, questionFor("example.test.", codec.TypeMX))
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	opt := func(edit func(o *codec.OPT)) []byte {
		m := questionFor("example.test.", codec.TypeMX)
		m.SetEdns0(1232, false)
		edit(m.Extra[0].(*codec.OPT)) //nolint:forcetypeassert // just made
		return packetOf(t, m)
	}
	for _, c := range []struct {
		what   string
		packet []byte
		want   int // -1: no answer
	}{
		{"an answer", change(func(b []byte) []byte { b[2] |= 0x80; return b }), -1},
		{"half a header", good[:11], -1},
		{"nothing", nil, -1},
		{"a header alone", good[:12], codeFormErr},
		{"no question", change(func(b []byte) []byte { b[5] = 0; return b[:12] }), codeFormErr},
		{"two questions", change(func(b []byte) []byte { b[5] = 2; return append(b, b[12:]...) }), codeFormErr},
		{"a question cut short", good[:len(good)-1], codeFormErr},
		{"octets behind the end", append(bytes.Clone(good), 0), codeFormErr},
		{"a record that is not there", change(func(b []byte) []byte { b[11] = 1; return b }), codeFormErr},
		{"a compressed question", change(func(b []byte) []byte { b[12] = 0xC0; return b }), codeFormErr},
		{"a question that never ends", append(bytes.Clone(good[:12]), bytes.Repeat([]byte{1, 'a'}, 200)...), codeFormErr},
		{"opcode STATUS", change(func(b []byte) []byte { b[2] |= 2 << 3; return b }), codeNotImp},
		{"opcode NOTIFY", change(func(b []byte) []byte { b[2] |= 4 << 3; return b }), codeNotImp},
		{"opcode UPDATE", change(func(b []byte) []byte { b[2] |= 5 << 3; return b }), codeNotImp},
		{"opcode STATUS without a question", change(func(b []byte) []byte { b[2] |= 2 << 3; b[5] = 0; return b[:12] }), codeNotImp},
		{"class CH", change(func(b []byte) []byte { b[len(b)-1] = 3; return b }), codeRefused},
		{"class ANY", change(func(b []byte) []byte { b[len(b)-1] = 255; return b }), codeRefused},
		{"type OPT", change(func(b []byte) []byte { b[len(b)-3] = 41; return b }), codeFormErr},
		{"type MAILB", change(func(b []byte) []byte { b[len(b)-3] = 253; return b }), codeNotImp},
		{"type IXFR", change(func(b []byte) []byte { b[len(b)-3] = 251; return b }), codeRefused},
		{"EDNS version 1", opt(func(o *codec.OPT) { o.SetVersion(1) }), codeBadVers},
		{"an unknown option", opt(func(o *codec.OPT) { o.Option = append(o.Option, &codec.EDNS0_LOCAL{Code: 65001, Data: []byte("x")}) }), codeOK},
		{"a cookie of 7 octets", opt(func(o *codec.OPT) {
			o.Option = append(o.Option, &codec.EDNS0_COOKIE{Code: 10, Cookie: "01020304050607"})
		}), codeFormErr},
		{"a cookie of 12 octets", opt(func(o *codec.OPT) {
			o.Option = append(o.Option, &codec.EDNS0_COOKIE{Code: 10, Cookie: "010203040506070809101112"})
		}), codeFormErr},
		{"two OPT records", func() []byte {
			b := opt(func(*codec.OPT) {})
			b[11] = 2
			return append(b, b[len(b)-11:]...)
		}(), codeFormErr},
		{"CHAOS version.bind", func() []byte {
			m := questionFor("version.bind.", codec.TypeTXT)
			m.Question[0].Qclass = codec.ClassCHAOS
			return packetOf(t, m)
		}(), codeRefused},
	} {
		out, outcome := raw(r, c.packet, false)
		if c.want < 0 {
			if outcome != Dropped || len(out) > 0 {
				t.Errorf("%s: outcome %d, %x; want none", c.what, outcome, out)
			}
			continue
		}
		m := new(codec.Msg)
		if err := m.Unpack(out); err != nil || outcome != Answered {
			t.Errorf("%s: outcome %d, %v", c.what, outcome, err)
			continue
		}
		code := m.Rcode
		if code != c.want || len(m.Ns) > 0 && code != codeOK {
			t.Errorf("%s: %v", c.what, m)
		}
	}
}

func TestSpellingIDAndFlagsComeBack(t *testing.T) {
	r := NewResponder(publish(t, zonetest.Read(t, "example.test", testZone)), Options{})
	m := questionFor("WwW.eXample.TEST.", codec.TypeTXT)
	m.CheckingDisabled = true
	a := exchange(t, r, m, asking{})
	if a.Answer[0].Header().Name != "WwW.eXample.TEST." || a.Answer[1].Header().Name != "eXample.TEST." {
		t.Errorf("spelling: %v", a.Answer)
	}
	if !a.RecursionDesired || a.RecursionAvailable || !a.CheckingDisabled || a.AuthenticatedData {
		t.Errorf("flags: %v", a.MsgHdr)
	}
}

// TC where what has to be there has no room (RFC 2181 §9, RFC 9471 §3).
func TestSizesAndTruncation(t *testing.T) {
	var text strings.Builder
	text.WriteString(testZone)
	for i := range 40 {
		fmt.Fprintf(&text, "many A 192.0.2.%d\n", i)
	}
	for i := range 3 {
		fmt.Fprintf(&text, "fat TXT %d%[2]s %[2]s\n", i, strings.Repeat("x", 240))
	}
	for i := range 13 {
		fmt.Fprintf(&text, "wide NS ns%d.wide\nns%[1]d.wide AAAA 2001:db8::%[1]d\n", i)
	}
	r := NewResponder(publish(t, zonetest.Read(t, "example.test", text.String())), Options{})
	for _, c := range []struct {
		name, kind string
		how        asking
		tc         bool
		answers    int
	}{
		{"many.example.test.", "A", asking{}, true, 0},
		{"many.example.test.", "A", asking{size: 600}, true, 0},
		{"many.example.test.", "A", asking{size: 1232}, false, 40},
		{"many.example.test.", "A", asking{tcp: true}, false, 40},
		{"fat.example.test.", "TXT", asking{size: 4096}, true, 0},
		{"fat.example.test.", "TXT", asking{tcp: true}, false, 3},
		{"wide.example.test.", "A", asking{}, true, 0},
		{"wide.example.test.", "A", asking{size: 4096}, false, 0},
		{"wide.example.test.", "A", asking{tcp: true}, false, 0},
	} {
		a := ask(t, r, c.name, c.kind, c.how)
		if a.Truncated != c.tc || len(a.Answer) != c.answers {
			t.Errorf("%s %s %+v: TC %v, %d answers; want %v, %d", c.name, c.kind, c.how, a.Truncated, len(a.Answer), c.tc, c.answers)
		}
		if c.name == "wide.example.test." && (len(a.Ns) != 13 || !c.tc && len(a.Extra) < 13) {
			t.Errorf("%+v: referral with %d servers, %d addresses", c.how, len(a.Ns), len(a.Extra))
		}
	}
	// 255 octets in the question, with EDNS of 512.
	long := strings.Repeat(strings.Repeat("l", 63)+".", 3) + strings.Repeat("m", 47) + ".example.test."
	a := ask(t, r, long, "A", asking{size: 512})
	if a.Rcode != codeNXDomain || a.Truncated {
		t.Errorf("the longest name: %v", a)
	}
}

func TestRecordsThatFitNoMessageAreRefused(t *testing.T) {
	z := zonetest.Read(t, "example.test", testZone)
	for i := range 600 {
		data := append([]byte{120}, bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 60)...)
		z.Records = append(z.Records, dns.Record{Name: "huge.example.test.", Type: dns.TypeTXT, TTL: 300, Data: data})
	}
	slices.SortFunc(z.Records, dns.Compare)
	if _, err := Compile(z); err == nil || !strings.Contains(err.Error(), "TXT records of huge.example.test.") {
		t.Errorf("%v", err)
	}
}

func TestCookies(t *testing.T) {
	set := publish(t, zonetest.Read(t, "example.test", testZone))
	secret := func(day uint32) (s [16]byte) { binary.BigEndian.PutUint32(s[:], day); return s }
	limiter := NewLimiter(1, [2]uint64{1, 2})
	r := NewResponder(set, Options{Secret: secret, Limiter: limiter})
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	send := func(cookie string, from netip.Addr, at time.Time) (string, Outcome) {
		m := questionFor("example.test.", codec.TypeMX)
		m.SetEdns0(1232, false)
		m.Extra[0].(*codec.OPT).Option = []codec.EDNS0{&codec.EDNS0_COOKIE{Code: 10, Cookie: cookie}} //nolint:forcetypeassert // just made
		out := make([]byte, 1232)
		n, outcome := r.Answer(out, packetOf(t, m), &Client{Addr: from, Now: at.UnixNano()})
		if n == 0 {
			return "", outcome
		}
		a := new(codec.Msg)
		if err := a.Unpack(out[:n]); err != nil {
			t.Fatal(err)
		}
		return a.IsEdns0().Option[0].(*codec.EDNS0_COOKIE).Cookie, outcome //nolint:forcetypeassert // there has to be one
	}
	const client = "0102030405060708"
	first, outcome := send(client, someone, now)
	if len(first) != 48 || first[:16] != client || first[16:18] != "01" || outcome != Answered {
		t.Fatalf("%q, %d", first, outcome)
	}
	for _, c := range []struct {
		what     string
		cookie   string
		from     netip.Addr
		at       time.Time
		same, ok bool // used on; believed
	}{
		{"at once", first, someone, now, true, true},
		{"after 29 minutes", first, someone, now.Add(29 * time.Minute), true, true},
		{"after 40 minutes", first, someone, now.Add(40 * time.Minute), false, true},
		{"after 61 minutes", first, someone, now.Add(61 * time.Minute), false, false},
		{"from another address", first, netip.MustParseAddr("192.0.2.2"), now, false, false},
		{"with another client's part", "ff" + first[2:], someone, now, false, false},
		{"of version 2", first[:16] + "02" + first[18:], someone, now, false, false},
	} {
		_, _ = send(client, c.from, c.at) // uses up the share
		got, outcome := send(c.cookie, c.from, c.at)
		if c.ok != (outcome == Answered) || c.ok && (got == c.cookie) != c.same {
			t.Errorf("%s: %q, outcome %d", c.what, got, outcome)
		}
	}
	late := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	evening, _ := send(client, netip.MustParseAddr("198.51.100.1"), late)
	for range 3 {
		if _, outcome := send(evening, netip.MustParseAddr("198.51.100.1"), late.Add(5*time.Minute)); outcome != Answered {
			t.Error("a cookie of the evening is not known past midnight")
		}
	}
}

// The vectors of RFC 9018 appendix A: the hash, and the order of what goes into it.
func TestCookiesAreThoseOfRFC9018(t *testing.T) {
	secret := [16]byte{0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f, 0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf}
	c := Cookies{Secret: func(uint32) [16]byte { return secret }}
	var got [16]byte
	c.make(&got, []byte{0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57}, nil, netip.MustParseAddr("198.51.100.100"), 1559731985)
	want := []byte{0x01, 0, 0, 0, 0x5c, 0xf7, 0x9f, 0x11, 0x1f, 0x81, 0x30, 0xc3, 0xee, 0xe2, 0x94, 0x80}
	if !bytes.Equal(got[:], want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// RFC 5001 §2.2.
func TestNSIDIsToldToWhoAsks(t *testing.T) {
	r := NewResponder(publish(t, zonetest.Read(t, "example.test", testZone)), Options{NSID: "ns7"})
	m := questionFor("example.test.", codec.TypeMX)
	m.SetEdns0(1232, false)
	if o := exchange(t, r, m, asking{}).IsEdns0().Option; len(o) != 0 {
		t.Errorf("not asked for: %v", o)
	}
	m.Extra[0].(*codec.OPT).Option = []codec.EDNS0{&codec.EDNS0_NSID{Code: codec.EDNS0NSID}} //nolint:forcetypeassert // just made
	if o := exchange(t, r, m, asking{}).IsEdns0().Option; len(o) != 1 || o[0].String() != "6e7337" {
		t.Errorf("%v", o)
	}
}

func TestPendingZonesAnswerSOAAndNSAlone(t *testing.T) {
	pending := zonetest.Read(t, "new.example.test", "@ SOA ns1 host 1 1 1 1 1\n@ NS ns1.example.test.\n@ MX 10 mx\n@ A 192.0.2.1\nmx A 192.0.2.2\n")
	pending.Pending = true
	child := zonetest.Read(t, "example.test", testZone)
	for _, c := range []struct {
		name, kind, alone, below string
	}{
		{"new.example.test.", "SOA", "NOERROR aa n:SOA(0)", "NXDOMAIN aa a:SOA(600)"},
		{"new.example.test.", "NS", "NOERROR aa n:new.example.test./NS/ns1.example.test.", "NXDOMAIN aa a:SOA(600)"},
		{"new.example.test.", "MX", "REFUSED", "NXDOMAIN aa a:SOA(600)"},
		{"new.example.test.", "ANY", "REFUSED", "NXDOMAIN aa a:SOA(600)"},
		{"mx.new.example.test.", "A", "REFUSED", "NXDOMAIN aa a:SOA(600)"},
		{"mx.new.example.test.", "SOA", "REFUSED", "NXDOMAIN aa a:SOA(600)"},
	} {
		if got := strings.Split(show(ask(t, NewResponder(publish(t, pending), Options{}), c.name, c.kind, asking{})), " a:new.example.test./NS")[0]; got != c.alone {
			t.Errorf("%s %s: %s, want %s", c.name, c.kind, got, c.alone)
		}
		// A zone that is proved stands above one that is not.
		if got := show(ask(t, NewResponder(publish(t, pending, child), Options{}), c.name, c.kind, asking{})); got != c.below {
			t.Errorf("%s %s below a proved zone: %s, want %s", c.name, c.kind, got, c.below)
		}
	}
}

// A stranger's NS records are nothing that resolvers keep, nor are addresses of his servers beside them.
func TestNobodyKeepsWhatAPendingZoneSays(t *testing.T) {
	z := zonetest.Read(t, "bank.test", "@ 86400 SOA ns1 host 1 1 1 1 86400\n@ 86400 NS ns1\n@ 86400 NS ns2.stranger.test.\nns1 86400 A 192.0.2.1\n")
	z.Pending = true
	r := NewResponder(publish(t, z), Options{})
	for _, kind := range []string{"NS", "SOA"} {
		a := ask(t, r, "bank.test.", kind, asking{})
		if len(a.Answer) == 0 || len(a.Extra) > 0 {
			t.Errorf("%v", a)
		}
		for _, rr := range slices.Concat(a.Answer, a.Ns) {
			if rr.Header().Ttl != 0 {
				t.Errorf("kept: %v", rr)
			}
		}
	}
	z.Pending = false
	if a := ask(t, NewResponder(publish(t, z), Options{}), "bank.test.", "NS", asking{}); a.Answer[0].Header().Ttl != 86400 || len(a.Extra) != 1 {
		t.Errorf("once it is proved: %v", a)
	}
}

func TestParentAnswersDSWhereItDelegates(t *testing.T) {
	parent := zonetest.Read(t, "example.test", testZone)
	apart := zonetest.Read(t, "nothing.example.test", "@ SOA ns1 host 1 1 1 1 1\n@ NS ns1\nns1 A 192.0.2.1\n")
	below := zonetest.Read(t, "sub2.example.test", "@ SOA ns1 host 1 1 1 1 5\n@ NS ns1\nns1 A 192.0.2.1\n")
	r := NewResponder(publish(t, parent, apart, below), Options{})
	if a := ask(t, r, "sub2.example.test.", "DS", asking{}); len(a.Answer) != 1 || !a.Authoritative {
		t.Errorf("%v", a)
	}
	// What the parent does not delegate it knows nothing of: the child's own answer keeps its names alive (RFC 8020).
	if a := ask(t, r, "nothing.example.test.", "DS", asking{}); a.Rcode != codeOK || a.Ns[0].Header().Name != "nothing.example.test." {
		t.Errorf("%v", a)
	}
	if got := show(ask(t, r, "ns1.sub2.example.test.", "A", asking{})); !strings.HasPrefix(got, "NOERROR aa n:ns1.sub2") {
		t.Error(got)
	}
}

func TestAliasesStayInTheirZone(t *testing.T) {
	a := zonetest.Read(t, "a.test", "@ SOA ns1 host 1 1 1 1 1\n@ NS ns1.b.test.\nwww CNAME www.b.test.\ninner CNAME x.c\n")
	b := zonetest.Read(t, "b.test", "@ SOA ns1 host 1 1 1 1 1\n@ NS ns1\nwww A 192.0.2.1\n")
	c := zonetest.Read(t, "c.a.test", "@ SOA ns1 host 1 1 1 1 1\n@ NS ns1\nx A 192.0.2.1\n")
	r := NewResponder(publish(t, a, b, c), Options{})
	for name, want := range map[string]string{
		"www.a.test.":   "NOERROR aa n:www.a.test./CNAME/www.b.test.",
		"inner.a.test.": "NOERROR aa n:inner.a.test./CNAME/x.c.a.test.",
	} {
		if got := show(ask(t, r, name, "A", asking{})); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestLimitIsPerNetworkAndKindOfAnswer(t *testing.T) {
	set := publish(t, zonetest.Read(t, "example.test", testZone))
	r := NewResponder(set, Options{Limiter: NewLimiter(100, [2]uint64{7, 8})})
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	count := func(name string, from string, n int, over time.Duration, tcp bool) (got [Handover + 1]int) {
		out := make([]byte, 1232)
		packet := packetOf(t, questionFor(name, codec.TypeA))
		for i := range n {
			length, outcome := r.Answer(out, packet, &Client{Addr: netip.MustParseAddr(from), TCP: tcp, Now: now.Add(over * time.Duration(i) / time.Duration(n)).UnixNano()})
			got[outcome]++
			if outcome == Slipped && (out[2]&bitTC == 0 || length != len(packet)) {
				t.Fatalf("slipped with %x", out[:length])
			}
		}
		now = now.Add(over)
		return got
	}
	// Ten thousand questions in a second: what the share of a second allows, and as much as it grows by meanwhile.
	if got := count("example.test.", "192.0.2.1", 10_000, time.Second, false); got[Answered] < 190 || got[Answered] > 202 || got[Slipped]-got[Limited] > 1 || got[Limited] == 0 {
		t.Errorf("flood: %v", got)
	}
	if got := count("example.test.", "192.0.2.77", 10, 0, false); got[Answered] > 1 {
		t.Errorf("the same network: %v", got)
	}
	for _, other := range []struct{ name, from string }{
		{"example.test.", "192.0.3.1"}, {"example.test.", "2001:db8::1"}, {"mx1.example.test.", "192.0.2.1"},
	} {
		if got := count(other.name, other.from, 50, 0, false); got[Answered] != 50 {
			t.Errorf("%v: %v", other, got)
		}
	}
	if got := count("example.test.", "192.0.2.1", 1000, 0, true); got[Answered] != 1000 {
		t.Errorf("by TCP: %v", got)
	}
	// Names that do not exist are of one kind, however they are called.
	total := 0
	for i := range 1000 {
		total += count(strings.Repeat("x", 1+i%60)+".example.test.", "192.0.2.1", 1, 0, false)[Answered]
	}
	if total > 101 {
		t.Errorf("%d answers about names that do not exist", total)
	}
	now = now.Add(20 * 24 * time.Hour)
	if got := count("example.test.", "192.0.2.1", 100, 0, false); got[Answered] != 100 {
		t.Errorf("after twenty days: %v", got)
	}
}

func TestSetKeepsZonesApart(t *testing.T) {
	s := &Set{}
	const n = 3000
	name := func(i int) string { return fmt.Sprintf("z%d.test", i) }
	for round := range 2 {
		for i := range n {
			z, err := Compile(zonetest.Read(t, name(i), "@ SOA ns1 host 1 1 1 1 1\n@ NS ns1\n"))
			if err != nil {
				t.Fatal(err)
			}
			s.Put(z)
			if round == 1 {
				if got := s.Zone(name(i) + "."); got != z || got.Counters().NoData.Load() != 1 {
					t.Fatalf("%s: %v", name(i), got)
				}
			}
		}
		if s.Len() != n {
			t.Fatalf("%d zones, want %d", s.Len(), n)
		}
		r := NewResponder(s, Options{})
		for i := range n {
			if a := ask(t, r, name(i)+".", "A", asking{}); a.Rcode != codeOK || a.Ns[0].Header().Name != name(i)+"." {
				t.Fatalf("%v", a)
			}
		}
	}
	for i := range n {
		if i%3 == 0 && (!s.Remove(name(i)+".") || s.Remove(name(i)+".")) {
			t.Fatalf("%s was not there", name(i))
		}
	}
	for i := range n {
		if (s.Zone(name(i)+".") == nil) != (i%3 == 0) {
			t.Fatalf("%s", name(i))
		}
	}
}

// A hundred thousand zones are to fit into 150 MB: many zones as most are, with twelve records, all that they take counted.
func TestZonesAreSmall(t *testing.T) {
	const zones = 20_000
	model := zonetest.Read(t, "0000000.example", `
@ SOA ns1.hoster.test. hostmaster.hoster.test. 1 3600 900 604800 300
@ NS ns1.hoster.test.
@ NS ns2.hoster.test.
@ MX 10 mx1.hoster.test.
@ MX 20 mx2.hoster.test.
@ A 192.0.2.1
@ AAAA 2001:db8::1
@ TXT "v=spf1 mx include:_spf.hoster.test -all"
www A 192.0.2.1
www AAAA 2001:db8::1
s1._domainkey TXT "v=DKIM1; k=rsa; p=`+strings.Repeat("A", 200)+`" "`+strings.Repeat("B", 190)+`"
_dmarc TXT "v=DMARC1; p=quarantine; rua=mailto:dmarc@hoster.test"
`)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, begin := heap(), time.Now()
	set := &Set{}
	for i := range zones {
		domain := fmt.Sprintf("%07d.example", i)
		z := &zone.Zone{Domain: domain, Serial: 1}
		for _, r := range model.Records {
			r.Name = strings.Replace(r.Name, model.Domain, domain, 1)
			z.Records = append(z.Records, r)
		}
		c, err := Compile(z)
		if err != nil {
			t.Fatal(err)
		}
		set.Put(c)
	}
	took := time.Since(begin)
	each := int(heap()-before) / zones //nolint:gosec // it grew
	if each > 1500 {
		t.Errorf("%d octets a zone", each)
	}
	t.Logf("%d octets and %v a zone", each, took/zones)
	runtime.KeepAlive(set)
}

func TestAnsweringAllocatesNothing(t *testing.T) {
	set := publish(t, zonetest.Read(t, "example.test", testZone))
	r := NewResponder(set, Options{Secret: func(uint32) [16]byte { return [16]byte{1} }, Limiter: NewLimiter(1<<19, [2]uint64{1, 2})})
	out := make([]byte, 1232)
	client := &Client{Addr: someone, Now: time.Now().UnixNano()}
	for _, c := range cases {
		m := questionFor(c.name, codec.StringToType[c.kind])
		m.SetEdns0(1232, true)
		m.Extra[0].(*codec.OPT).Option = []codec.EDNS0{&codec.EDNS0_COOKIE{Code: 10, Cookie: "0102030405060708"}} //nolint:forcetypeassert // just made
		packet := packetOf(t, m)
		if n := testing.AllocsPerRun(100, func() { _, _ = r.Answer(out, packet, client) }); n != 0 {
			t.Errorf("%s %s: %v allocations", c.name, c.kind, n)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, c := range cases {
		m := questionFor(c.name, codec.StringToType[c.kind])
		f.Add(packetOf(f, m), false)
		m.SetEdns0(4096, true)
		f.Add(packetOf(f, m), true)
	}
	var responders []*Responder
	for _, text := range []string{testZone, zonetest.Sign(f, "example.test", testZone), zonetest.Sign(f, "example.test", testZone, "-3", "-", "-A")} {
		set := publish(f, zonetest.Read(f, "example.test", text))
		responders = append(responders, NewResponder(set, Options{Secret: func(uint32) [16]byte { return [16]byte{1} }, NSID: "x"}))
	}
	f.Fuzz(func(t *testing.T, packet []byte, tcp bool) {
		for _, r := range responders {
			fuzzOne(t, r, packet, tcp)
		}
	})
}

// fuzzOne holds one answer to what every answer keeps.
func fuzzOne(t *testing.T, r *Responder, packet []byte, tcp bool) {
	out := make([]byte, 65535)
	before := bytes.Clone(packet)
	n, outcome := r.Answer(out, packet, &Client{Addr: someone, TCP: tcp, Now: 1})
	if !bytes.Equal(before, packet) {
		t.Fatal("the packet was changed")
	}
	if outcome == Dropped {
		if n != 0 || len(packet) >= 12 && packet[2]&0x80 == 0 {
			t.Fatalf("dropped %x", packet)
		}
		return
	}
	a := out[:n]
	if n < 12 || packet[2]&0x80 != 0 || a[2]&0x80 == 0 || !bytes.Equal(a[:2], packet[:2]) || a[2]&0x79 != packet[2]&0x79 {
		t.Fatalf("%x answered by %x", packet, a)
	}
	if !tcp && n > 1232 {
		t.Fatalf("%d octets", n)
	}
	if a[5] == 1 && !bytes.HasPrefix(packet[12:], a[12:r.q.end]) {
		t.Fatalf("question of %x in %x", packet, a)
	}
	if err := new(codec.Msg).Unpack(a); err != nil {
		t.Fatalf("%x: %v", a, err)
	}
}

// BenchmarkAnswer is answering alone, over zones as a mail host has them.
func BenchmarkAnswer(b *testing.B) {
	const zones = 1000
	set := &Set{}
	for i := range zones {
		z, err := Compile(zonetest.Read(b, fmt.Sprintf("customer-%d.example", i), `
@ SOA ns1.hoster.test. hostmaster.hoster.test. 1 3600 900 604800 300
@ NS ns1.hoster.test.
@ NS ns2.hoster.test.
@ MX 10 mx1
@ MX 20 mx2
@ A 192.0.2.1
@ TXT "v=spf1 mx -all"
mx1 A 192.0.2.2
mx1 AAAA 2001:db8::2
mx2 A 192.0.2.3
www A 192.0.2.1
s1._domainkey TXT "v=DKIM1; k=rsa; p=`+strings.Repeat("A", 200)+`"
`))
		if err != nil {
			b.Fatal(err)
		}
		set.Put(z)
	}
	for _, c := range []struct{ what, prefix, kind string }{{"A", "www.", "A"}, {"MX", "", "MX"}, {"TXT", "s1._domainkey.", "TXT"}, {"NXDOMAIN", "nothing.", "A"}} {
		for _, limited := range []bool{false, true} {
			name := c.what
			options := Options{}
			if limited {
				name += "/limited"
				options.Limiter = NewLimiter(1<<19, [2]uint64{1, 2})
			}
			b.Run(name, func(b *testing.B) {
				var packets [][]byte
				for i := range zones {
					m := questionFor(fmt.Sprintf("%scustomer-%d.example.", c.prefix, i), codec.StringToType[c.kind])
					m.SetEdns0(1232, false)
					packets = append(packets, packetOf(b, m))
				}
				r := NewResponder(set, options)
				out := make([]byte, 1232)
				client := &Client{Addr: someone, Now: 1}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					client.Now += 1000
					if _, outcome := r.Answer(out, packets[i%zones], client); outcome != Answered {
						b.Fatal(outcome)
					}
				}
			})
		}
	}
}
