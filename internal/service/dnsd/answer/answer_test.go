package answer

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	codec "github.com/miekg/dns"

	"postroad/internal/core/zone"
	"postroad/internal/service/dnsd/zonetest"
)

// publish compiles zones into a set.
func publish(t testing.TB, zones ...*zone.Zone) *Set {
	t.Helper()
	s := &Set{}
	for _, z := range zones {
		c, err := Compile(z)
		if err != nil {
			t.Fatal(err)
		}
		s.Put(c)
	}
	return s
}

// asking is how a test asks.
type asking struct {
	do, tcp bool
	size    uint16
}

// ask asks a responder and reads the answer by the library.
func ask(t testing.TB, r *Responder, name, kind string, how asking) *codec.Msg {
	t.Helper()
	m := new(codec.Msg)
	m.SetQuestion(name, codec.StringToType[kind])
	m.RecursionDesired = false
	if how.do || how.size > 0 {
		if how.size == 0 {
			how.size = 4096
		}
		m.SetEdns0(how.size, how.do)
	}
	return exchange(t, r, m, how)
}

func exchange(t testing.TB, r *Responder, m *codec.Msg, how asking) *codec.Msg {
	t.Helper()
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 65535)
	n, outcome := r.Answer(out, packet, &Client{Addr: netip.MustParseAddr("192.0.2.1"), TCP: how.tcp, Now: time.Now().UnixNano()})
	if outcome != Answered {
		t.Fatalf("%s: outcome %d", m.Question[0].String(), outcome)
	}
	a := new(codec.Msg)
	if err := a.Unpack(out[:n]); err != nil {
		t.Fatalf("%s: %v\n%x", m.Question[0].String(), err, out[:n])
	}
	if a.Id != m.Id || !a.Response || len(a.Question) != 1 || a.Question[0] != m.Question[0] {
		t.Fatalf("%s: answered with id %d, question %v", m.Question[0].String(), a.Id, a.Question)
	}
	return a
}

// show is an answer in a few words: code, AA, TC, then the records of each section without TTL, signatures left out.
func show(m *codec.Msg) string {
	var b strings.Builder
	b.WriteString(codec.RcodeToString[m.Rcode])
	if m.Authoritative {
		b.WriteString(" aa")
	}
	if m.Truncated {
		b.WriteString(" tc")
	}
	for i, section := range [][]codec.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			switch rr := rr.(type) {
			case *codec.OPT, *codec.RRSIG, *codec.NSEC, *codec.NSEC3:
			case *codec.SOA:
				fmt.Fprintf(&b, " %c:SOA(%d)", "nax"[i], rr.Hdr.Ttl)
			default:
				h := rr.Header()
				text := strings.ReplaceAll(strings.TrimPrefix(rr.String(), h.String()), " ", ",")
				fmt.Fprintf(&b, " %c:%s/%s/%s", "nax"[i], h.Name, codec.TypeToString[h.Rrtype], text)
			}
		}
	}
	return b.String()
}

const testZone = `
@ 3600 SOA ns1 host 7 3600 900 604800 600
@ NS ns1
@ NS ns2.other.test.
@ MX 10 mx1
@ MX 20 mx2.other.test.
@ A 192.0.2.1
@ TXT "v=spf1 mx -all"
ns1 A 192.0.2.53
ns1 AAAA 2001:db8::53
mx1 A 192.0.2.25
www CNAME @
alias CNAME far.away.test.
chain CNAME www
loop1 CNAME loop2
loop2 CNAME loop1
self CNAME self
dangling CNAME nothing
into CNAME host.sub
*.wild A 192.0.2.7
*.wild TXT "any"
there.wild A 192.0.2.8
below.there.wild A 192.0.2.9
*.walias CNAME mx1
wc CNAME x.wild
a.b.empty A 192.0.2.10
sub NS ns.sub
sub NS ns.sub2
sub NS ns9.other.test.
ns.sub A 192.0.2.60
ns.sub AAAA 2001:db8::60
sub2 NS ns.sub2
sub2 DS 12345 13 2 49FD46E6C4B45C55D4AC69CBD3CD34AC1AFE51DE0000000000000000DEADBEEF
ns.sub2 A 192.0.2.61
old DNAME new.old-target
x.new.old-target A 192.0.2.70
away DNAME elsewhere.test.
_sip._udp SRV 1 2 5060 mx1
_caa CAA 0 issue "ca.test"
big TXT "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" "a"
`

// cases are asked of the zone above, unsigned and signed.
var cases = []struct{ name, kind, want string }{
	{"example.test.", "MX", "NOERROR aa n:example.test./MX/10,mx1.example.test. n:example.test./MX/20,mx2.other.test. a:example.test./NS/ns1.example.test. a:example.test./NS/ns2.other.test. x:mx1.example.test./A/192.0.2.25 x:ns1.example.test./A/192.0.2.53 x:ns1.example.test./AAAA/2001:db8::53"},
	{"example.test.", "NS", "NOERROR aa n:example.test./NS/ns1.example.test. n:example.test./NS/ns2.other.test. x:ns1.example.test./A/192.0.2.53 x:ns1.example.test./AAAA/2001:db8::53"},
	{"ns1.example.test.", "A", "NOERROR aa n:ns1.example.test./A/192.0.2.53 a:example.test./NS/ns1.example.test. a:example.test./NS/ns2.other.test."},
	{"example.test.", "AAAA", "NOERROR aa a:SOA(600)"},
	{"nothing.example.test.", "A", "NXDOMAIN aa a:SOA(600)"},
	{"x.nothing.example.test.", "A", "NXDOMAIN aa a:SOA(600)"},
	{"b.empty.example.test.", "A", "NOERROR aa a:SOA(600)"},
	{"empty.example.test.", "TXT", "NOERROR aa a:SOA(600)"},
	{"x.empty.example.test.", "TXT", "NXDOMAIN aa a:SOA(600)"},
	{"example.test.", "DS", "NOERROR aa a:SOA(600)"},
	// Aliases.
	{"www.example.test.", "TXT", `NOERROR aa n:www.example.test./CNAME/example.test. n:example.test./TXT/"v=spf1,mx,-all" a:example.test./NS/ns1.example.test. a:example.test./NS/ns2.other.test. x:ns1.example.test./A/192.0.2.53 x:ns1.example.test./AAAA/2001:db8::53`},
	{"www.example.test.", "CNAME", "NOERROR aa n:www.example.test./CNAME/example.test. a:example.test./NS/ns1.example.test. a:example.test./NS/ns2.other.test. x:ns1.example.test./A/192.0.2.53 x:ns1.example.test./AAAA/2001:db8::53"},
	{"www.example.test.", "AAAA", "NOERROR aa n:www.example.test./CNAME/example.test. a:SOA(600)"},
	{"chain.example.test.", "AAAA", "NOERROR aa n:chain.example.test./CNAME/www.example.test. n:www.example.test./CNAME/example.test. a:SOA(600)"},
	{"alias.example.test.", "A", "NOERROR aa n:alias.example.test./CNAME/far.away.test."},
	{"dangling.example.test.", "A", "NXDOMAIN aa n:dangling.example.test./CNAME/nothing.example.test. a:SOA(600)"},
	{"loop1.example.test.", "A", "NOERROR aa n:loop1.example.test./CNAME/loop2.example.test. n:loop2.example.test./CNAME/loop1.example.test."},
	{"self.example.test.", "A", "NOERROR aa n:self.example.test./CNAME/self.example.test."},
	{"into.example.test.", "A", "NOERROR aa n:into.example.test./CNAME/host.sub.example.test. a:sub.example.test./NS/ns.sub.example.test. a:sub.example.test./NS/ns.sub2.example.test. a:sub.example.test./NS/ns9.other.test. x:ns.sub.example.test./A/192.0.2.60 x:ns.sub.example.test./AAAA/2001:db8::60 x:ns.sub2.example.test./A/192.0.2.61"},
	// Wildcards (RFC 4592 §2.2.1).
	{"x.wild.example.test.", "A", "NOERROR aa n:x.wild.example.test./A/192.0.2.7 a:example.test./NS/ns1.example.test. a:example.test./NS/ns2.other.test. x:ns1.example.test./A/192.0.2.53 x:ns1.example.test./AAAA/2001:db8::53"},
	{"x.y.wild.example.test.", "TXT", `NOERROR aa n:x.y.wild.example.test./TXT/"any" a:example.test./NS/ns1.example.test. a:example.test./NS/ns2.other.test. x:ns1.example.test./A/192.0.2.53 x:ns1.example.test./AAAA/2001:db8::53`},
	{"x.wild.example.test.", "MX", "NOERROR aa a:SOA(600)"},
	{"*.wild.example.test.", "A", "NOERROR aa n:*.wild.example.test./A/192.0.2.7 a:example.test./NS/ns1.example.test. a:example.test./NS/ns2.other.test. x:ns1.example.test./A/192.0.2.53 x:ns1.example.test./AAAA/2001:db8::53"},
	{"wild.example.test.", "A", "NOERROR aa a:SOA(600)"},
	{"there.wild.example.test.", "TXT", "NOERROR aa a:SOA(600)"},
	{"x.there.wild.example.test.", "A", "NXDOMAIN aa a:SOA(600)"},
	{"x.walias.example.test.", "AAAA", "NOERROR aa n:x.walias.example.test./CNAME/mx1.example.test. a:SOA(600)"},
	{"wc.example.test.", "MX", "NOERROR aa n:wc.example.test./CNAME/x.wild.example.test. a:SOA(600)"},
	// Delegations.
	{"sub.example.test.", "A", "NOERROR a:sub.example.test./NS/ns.sub.example.test. a:sub.example.test./NS/ns.sub2.example.test. a:sub.example.test./NS/ns9.other.test. x:ns.sub.example.test./A/192.0.2.60 x:ns.sub.example.test./AAAA/2001:db8::60 x:ns.sub2.example.test./A/192.0.2.61"},
	{"ns.sub.example.test.", "A", "NOERROR a:sub.example.test./NS/ns.sub.example.test. a:sub.example.test./NS/ns.sub2.example.test. a:sub.example.test./NS/ns9.other.test. x:ns.sub.example.test./A/192.0.2.60 x:ns.sub.example.test./AAAA/2001:db8::60 x:ns.sub2.example.test./A/192.0.2.61"},
	{"x.y.sub.example.test.", "MX", "NOERROR a:sub.example.test./NS/ns.sub.example.test. a:sub.example.test./NS/ns.sub2.example.test. a:sub.example.test./NS/ns9.other.test. x:ns.sub.example.test./A/192.0.2.60 x:ns.sub.example.test./AAAA/2001:db8::60 x:ns.sub2.example.test./A/192.0.2.61"},
	{"sub.example.test.", "DS", "NOERROR aa a:SOA(600)"},
	{"sub2.example.test.", "DS", "NOERROR aa n:sub2.example.test./DS/12345,13,2,49FD46E6C4B45C55D4AC69CBD3CD34AC1AFE51DE0000000000000000DEADBEEF a:example.test./NS/ns1.example.test. a:example.test./NS/ns2.other.test. x:ns1.example.test./A/192.0.2.53 x:ns1.example.test./AAAA/2001:db8::53"},
	// DNAME (RFC 6672).
	{"x.old.example.test.", "A", "NOERROR aa n:old.example.test./DNAME/new.old-target.example.test. n:x.old.example.test./CNAME/x.new.old-target.example.test. n:x.new.old-target.example.test./A/192.0.2.70 a:example.test./NS/ns1.example.test. a:example.test./NS/ns2.other.test. x:ns1.example.test./A/192.0.2.53 x:ns1.example.test./AAAA/2001:db8::53"},
	{"y.old.example.test.", "A", "NXDOMAIN aa n:old.example.test./DNAME/new.old-target.example.test. n:y.old.example.test./CNAME/y.new.old-target.example.test. a:SOA(600)"},
	{"a.b.away.example.test.", "A", "NOERROR aa n:away.example.test./DNAME/elsewhere.test. n:a.b.away.example.test./CNAME/a.b.elsewhere.test."},
	{"old.example.test.", "A", "NOERROR aa a:SOA(600)"},
	{"old.example.test.", "DNAME", "NOERROR aa n:old.example.test./DNAME/new.old-target.example.test. a:example.test./NS/ns1.example.test. a:example.test./NS/ns2.other.test. x:ns1.example.test./A/192.0.2.53 x:ns1.example.test./AAAA/2001:db8::53"},
	// Addresses of SRV targets, ANY (RFC 8482), strangers.
	{"_sip._udp.example.test.", "SRV", "NOERROR aa n:_sip._udp.example.test./SRV/1,2,5060,mx1.example.test. a:example.test./NS/ns1.example.test. a:example.test./NS/ns2.other.test. x:mx1.example.test./A/192.0.2.25 x:ns1.example.test./A/192.0.2.53 x:ns1.example.test./AAAA/2001:db8::53"},
	{"mx1.example.test.", "ANY", "NOERROR aa n:mx1.example.test./A/192.0.2.25 a:example.test./NS/ns1.example.test. a:example.test./NS/ns2.other.test. x:ns1.example.test./A/192.0.2.53 x:ns1.example.test./AAAA/2001:db8::53"},
	{"other.test.", "A", "REFUSED"},
	{"anexample.test.", "A", "REFUSED"},
	{"test.", "NS", "REFUSED"},
	{".", "NS", "REFUSED"},
	{"example.test.", "AXFR", "REFUSED"},
}

func TestAnswers(t *testing.T) {
	r := NewResponder(publish(t, zonetest.Read(t, "example.test", testZone)), Options{})
	for _, c := range cases {
		if got := show(ask(t, r, c.name, c.kind, asking{})); got != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.name, c.kind, got, c.want)
		}
	}
}
