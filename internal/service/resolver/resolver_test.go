package resolver

import (
	"context"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/sim"
)

const server = "192.0.2.53:53"

var zones = sim.Zones{
	"example.net": `
		$TTL 300
		@        SOA   ns hostmaster 1 3600 600 604800 120
		@        MX    10 mx1
		@        MX    0 MX2.Example.NET.
		@        TXT   "v=spf1 " "-all"
		@        TXT   "quote \" and \\ and \200"
		mx1      A     192.0.2.25
		mx1      AAAA  2001:db8::25
		mx2      A     192.0.2.26
		null     MX    0 .
		odd      MX    10 .
		ip       MX    10 192.0.2.99.
		strange  MX    10 two\032words.example.net.
		strange  MX    20 mx1
		both     MX    0 .
		both     MX    10 mx1
		alias    CNAME example.net.
		hostname CNAME mx1
		dangling CNAME nowhere.example.net.
		loop     CNAME loop2
		loop2    CNAME loop
		c0       CNAME c1
		c1       CNAME c2
		c2       CNAME c3
		c3       CNAME c4
		c4       CNAME c5
		c5       CNAME c6
		c6       CNAME c7
		c7       CNAME c8
		c8       MX    10 mx1
		start    CNAME c0
		o\'brien TXT   "quoted owner"
	`,
	"2.0.192.in-addr.arpa": `
		$TTL 300
		@        SOA   ns hostmaster 1 3600 600 604800 120
		25       PTR   MX1.example.net.
		25       PTR   two\032words.example.net.
		26       CNAME 25
		27       TXT   "no name"
	`,
	"8.b.d.0.1.0.0.2.ip6.arpa": `
		$TTL 300
		@        SOA   ns hostmaster 1 3600 600 604800 120
		5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR mx1.example.net.
	`,
}

// world is a bubble with one name server at 192.0.2.53:53 and a resolver that asks it.
func world(t *testing.T, options ...Option) (*Service, *sim.DNS) {
	t.Helper()
	dns := sim.NewDNS(t, zones)
	network := sim.NewNetwork(t)
	network.DNS(server, dns)
	s := New(Config{Servers: []string{server}}, slog.New(slog.DiscardHandler), append([]Option{WithDialer(network)}, options...)...)
	return s, dns
}

// pass lets the bubble's clock run.
func pass(d time.Duration) { <-time.After(d) }

func mx(preference uint16, host string) facts.MX { return facts.MX{Preference: preference, Host: host} }

func TestMX(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  facts.Status
		records []facts.MX
		null    bool
		detail  string
	}{
		{"example.net", facts.Found, []facts.MX{mx(10, "mx1.example.net"), mx(0, "mx2.example.net")}, false, "MX example.net: 2 records from 192.0.2.53:53"},
		{"EXAMPLE.net.", facts.Found, []facts.MX{mx(10, "mx1.example.net"), mx(0, "mx2.example.net")}, false, "MX example.net: 2 records"},
		{"null.example.net", facts.Found, nil, true, ""},
		{"odd.example.net", facts.Found, nil, false, ""},
		{"both.example.net", facts.Found, []facts.MX{mx(10, "mx1.example.net")}, false, ""},
		{"ip.example.net", facts.Found, []facts.MX{mx(10, "192.0.2.99")}, false, ""},
		{"strange.example.net", facts.Found, []facts.MX{mx(20, "mx1.example.net")}, false, ""},
		{"mx1.example.net", facts.NoData, nil, false, "MX mx1.example.net: no record from 192.0.2.53:53"},
		{"nobody.example.net", facts.NXDomain, nil, false, "NXDOMAIN from 192.0.2.53:53"},
		{"nobody.example", facts.NXDomain, nil, false, "NXDOMAIN"},
		{"alias.example.net", facts.Found, []facts.MX{mx(10, "mx1.example.net"), mx(0, "mx2.example.net")}, false, "by alias"},
		{"dangling.example.net", facts.NXDomain, nil, false, "NXDOMAIN"},
		{"hostname.example.net", facts.NoData, nil, false, "no record"},
		{"c0.example.net", facts.Found, []facts.MX{mx(10, "mx1.example.net")}, false, ""},
		{"start.example.net", facts.Temporary, nil, false, "more than 8 aliases"},
		{"loop.example.net", facts.Temporary, nil, false, "more than 8 aliases"},
		{"localhost", facts.NoData, nil, false, "never asked"},
		{"", facts.NXDomain, nil, false, "empty name"},
		{"a..example.net", facts.NXDomain, nil, false, "empty label"},
		{strings.Repeat("a", 64) + ".example", facts.NXDomain, nil, false, "label longer"},
		{strings.Repeat("a.", 127) + "example", facts.NXDomain, nil, false, "longer than 253"},
		{`a\.example.net`, facts.NXDomain, nil, false, "octets"},
		{"bücher.example", facts.Temporary, nil, false, "octets"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := world(t)
				got := s.MX(t.Context(), c.name)
				if got.Status != c.status || !reflect.DeepEqual(got.Records, c.records) || got.Null != c.null {
					t.Errorf("got %v %v null=%v, want %v %v null=%v", got.Status, got.Records, got.Null, c.status, c.records, c.null)
				}
				if !strings.Contains(got.Detail, c.detail) {
					t.Errorf("detail %q lacks %q", got.Detail, c.detail)
				}
				if got.At.IsZero() || got.Source == "" {
					t.Errorf("origin %+v does not say whence and when", got.Origin)
				}
			})
		})
	}
}

// faults are row 11 of docs/faults.md and the packets of an attacker.
var faults = []struct {
	name   string
	script sim.DNSReply
	status facts.Status
	detail string
}{
	{"timeout", sim.DNSTimeout, facts.Temporary, "no answer from"},
	{"SERVFAIL", sim.DNSServFail, facts.Temporary, "SERVFAIL from"},
	{"SERVFAIL in a bare header", sim.DNSBareServFail, facts.Temporary, "SERVFAIL from"},
	{"REFUSED", sim.DNSRefused, facts.Temporary, "REFUSED from"},
	{"FORMERR", sim.DNSFormErr, facts.Temporary, "FORMERR from"},
	{"NOTIMP", sim.DNSNotImp, facts.Temporary, "NOTIMP from"},
	{"lame", sim.DNSReferral, facts.Temporary, "referral from"},
	{"malformed", sim.DNSMalformed, facts.Temporary, "malformed answer from"},
	{"NXDOMAIN", sim.DNSNXDomain, facts.NXDomain, "NXDOMAIN from"},
	{"empty", sim.DNSEmpty, facts.NoData, "no record from"},
	{"truncated", sim.DNSTruncate, facts.Found, "2 records from"},
	{"truncated, TCP closed", sim.DNSTruncateNoTCP, facts.Temporary, "by TCP: "},
	{"truncated, TCP silent", sim.DNSTruncateHangTCP, facts.Temporary, "no answer from"},
	{"forged: id", sim.DNSWrongID, facts.Temporary, "no answer from"},
	{"forged: name", sim.DNSWrongName, facts.Temporary, "no answer from"},
	{"forged: type", sim.DNSWrongType, facts.Temporary, "no answer from"},
	{"forged: before the true answer", sim.DNSForged("MX 0 evil.example."), facts.Found, "2 records from"},
	{"case of letters not kept", sim.DNSWrongCase, facts.Found, "2 records from"},
	{"records of another name", sim.DNSRecords("other.example. MX 0 evil.example."), facts.Temporary, "another name from"},
	{"slow but in time", sim.DNSAfter(time.Second, sim.DNSNormal), facts.Found, "2 records from"},
	{"slower than one try", sim.DNSAfter(3*time.Second, sim.DNSNormal), facts.Temporary, "no answer from"},
}

func TestFaults(t *testing.T) {
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dns := world(t)
				dns.Script("example.net", "MX", c.script)
				begun := time.Now()
				got := s.MX(t.Context(), "example.net")
				checkFault(t, got, c.status, c.detail)
				if spent := time.Since(begun); spent > defaultTotal {
					t.Errorf("took %v", spent)
				}
			})
		})
	}
}

// The same over sockets; those that wait for silence are left to the bubble.
func TestFaultsOverSockets(t *testing.T) {
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dns := sim.StartDNS(t, zones)
			dns.Script("example.net", "MX", c.script)
			cfg := Config{Servers: []string{dns.Addr()}}
			if strings.Contains(c.detail, "no answer") {
				cfg.Timeout = 20 * time.Millisecond
			}
			got := New(cfg, slog.New(slog.DiscardHandler)).MX(t.Context(), "example.net")
			checkFault(t, got, c.status, c.detail)
		})
	}
}

func checkFault(t *testing.T, got facts.MXAnswer, status facts.Status, detail string) {
	t.Helper()
	if got.Status != status || !strings.Contains(got.Detail, detail) {
		t.Errorf("got %v (%s), want %v (… %s …)", got.Status, got.Detail, status, detail)
	}
	for _, record := range got.Records {
		if record.Host == "evil.example" {
			t.Error("a forged record was believed")
		}
	}
	if status == facts.Found && len(got.Records) != 2 {
		t.Errorf("records %v", got.Records)
	}
}

func TestTruncatedAndTCPRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := world(t)
		dns.RefuseTCP()
		dns.Script("example.net", "MX", sim.DNSTruncate)
		if got := s.MX(t.Context(), "example.net"); got.Status != facts.Temporary || !strings.Contains(got.Detail, "refused") {
			t.Errorf("got %v (%s)", got.Status, got.Detail)
		}
	})
}

func TestLargeAnswerComesByTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := world(t)
		var text strings.Builder
		for i := range 21 {
			text.WriteString(`@ TXT "` + strings.Repeat(string(rune('a'+i)), 200) + "\"\n")
		}
		dns.SetZone("large.example", text.String())
		if got := s.TXT(t.Context(), "large.example"); got.Status != facts.Found || len(got.Records) != 21 {
			t.Errorf("got %v with %d records (%s)", got.Status, len(got.Records), got.Detail)
		}
		if got := s.Stats().TCP; got != 1 {
			t.Errorf("%d questions by TCP, want 1", got)
		}
	})
}

func TestManyWrongAnswersLeadToTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := world(t)
		dns.Script("example.net", "MX", sim.DNSFlood)
		begun := time.Now()
		if got := s.MX(t.Context(), "example.net"); got.Status != facts.Found || s.Stats().TCP != 1 || time.Since(begun) > 0 {
			t.Errorf("%v after %v, %d questions by TCP (%s)", got.Status, time.Since(begun), s.Stats().TCP, got.Detail)
		}
	})
}

func TestForgedAnswersAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := world(t)
		dns.Script("example.net", "MX", sim.DNSForged("MX 0 evil.example."))
		for range 3 {
			s.MX(t.Context(), "example.net")
			s.Flush("example.net")
		}
		if got := s.Stats().Ignored; got != 9 {
			t.Errorf("%d datagrams ignored, want 9", got)
		}
	})
}

func TestQuestionsAreHardToGuess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := world(t)
		const name = "a-rather-long-name-with-many-letters.example.net"
		for range 20 {
			s.TXT(t.Context(), name)
			s.Flush(name)
		}
		spelled := map[string]bool{}
		for _, q := range dns.Questions() {
			if !strings.EqualFold(q.Name, name) {
				t.Fatalf("asked for %q", q.Name)
			}
			spelled[q.Name] = true
		}
		if len(spelled) < 20 {
			t.Errorf("20 questions in %d spellings only", len(spelled))
		}
	})
	ids := map[string]bool{}
	for range 200 {
		query, err := packQuery("example.net.", 15, recursive)
		if err != nil {
			t.Fatal(err)
		}
		ids[string(query[:2])] = true
	}
	if len(ids) < 150 {
		t.Errorf("200 questions with %d ids only", len(ids))
	}
}

func TestTXT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := world(t)
		got := s.TXT(t.Context(), "example.net")
		want := []string{"v=spf1 -all", "quote \" and \\ and \xc8"}
		if got.Status != facts.Found || !reflect.DeepEqual(got.Records, want) {
			t.Errorf("got %v %q, want %q", got.Status, got.Records, want)
		}
		if got := s.TXT(t.Context(), "o'brien.example.net"); got.Status != facts.Found {
			t.Errorf("a name that zone files quote: %v (%s)", got.Status, got.Detail)
		}
	})
}

func TestAddrs(t *testing.T) {
	a := netip.MustParseAddr
	for _, c := range []struct {
		name           string
		host           string
		six, four      sim.DNSReply
		status         facts.Status
		addrs          []netip.Addr
		partial, alias bool
	}{
		{name: "both families", host: "mx1.example.net", status: facts.Found, addrs: []netip.Addr{a("2001:db8::25"), a("192.0.2.25")}},
		{name: "one family", host: "mx2.example.net", status: facts.Found, addrs: []netip.Addr{a("192.0.2.26")}},
		{name: "alias", host: "hostname.example.net", status: facts.Found, addrs: []netip.Addr{a("2001:db8::25"), a("192.0.2.25")}, alias: true},
		{name: "no such host", host: "nobody.example.net", status: facts.NXDomain},
		{name: "no address", host: "example.net", status: facts.NoData},
		{name: "one family fails", host: "mx1.example.net", six: sim.DNSServFail, status: facts.Found, addrs: []netip.Addr{a("192.0.2.25")}, partial: true},
		{name: "one fails, the other has none", host: "example.net", six: sim.DNSTimeout, status: facts.Temporary},
		{name: "one fails, the other denies the name", host: "nobody.example.net", four: sim.DNSServFail, status: facts.Temporary},
		{name: "both fail", host: "mx1.example.net", six: sim.DNSTimeout, four: sim.DNSRefused, status: facts.Temporary},
		{name: "one denies the name, the other only the type", host: "example.net", six: sim.DNSNXDomain, status: facts.NoData},
		{name: "literal", host: "192.0.2.7", status: facts.Found, addrs: []netip.Addr{a("192.0.2.7")}},
		{name: "localhost", host: "Mail.LocalHost.", status: facts.Found, addrs: []netip.Addr{a("::1"), a("127.0.0.1")}},
		{name: "what is not public is told as it is", host: "x.example", six: sim.DNSRecords("AAAA ::ffff:10.0.0.1"), four: sim.DNSRecords("A 127.0.0.1"), status: facts.Found, addrs: []netip.Addr{a("::ffff:10.0.0.1"), a("127.0.0.1")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dns := world(t)
				if c.six != "" {
					dns.Script(c.host, "AAAA", c.six)
				}
				if c.four != "" {
					dns.Script(c.host, "A", c.four)
				}
				got := s.Addrs(t.Context(), c.host)
				if got.Status != c.status || !reflect.DeepEqual(got.Addrs, c.addrs) || got.Partial != c.partial || got.Alias != c.alias {
					t.Errorf("got %v %v partial=%v alias=%v (%s)", got.Status, got.Addrs, got.Partial, got.Alias, got.Detail)
				}
			})
		})
	}
}

func TestFirstPublicThenPrivate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := world(t)
		dns.Script("rebind.example", "A", sim.DNSRecords("1 A 192.0.2.80"), sim.DNSRecords("1 A 10.0.0.5"))
		dns.Script("rebind.example", "AAAA", sim.DNSEmpty)
		first := s.Addrs(t.Context(), "rebind.example").Addrs
		pass(2 * time.Second)
		second := s.Addrs(t.Context(), "rebind.example").Addrs
		if len(first) != 1 || first[0].String() != "192.0.2.80" || len(second) != 1 || second[0].String() != "10.0.0.5" {
			t.Errorf("first %v, then %v", first, second)
		}
	})
}

func TestAliasWithoutItsTargetIsAskedFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := world(t)
		dns.Script("far.example", "MX", sim.DNSRecords("60 CNAME example.net."))
		got := s.MX(t.Context(), "far.example")
		if got.Status != facts.Found || len(got.Records) != 2 || got.TTL != time.Minute {
			t.Errorf("got %v %v for %v (%s)", got.Status, got.Records, got.TTL, got.Detail)
		}
		dns.Script("*", "MX", sim.DNSRecords("CNAME again.example."))
		if got := s.MX(t.Context(), "endless.example"); got.Status != facts.Temporary || dns.Asked("again.example", "MX") > chainMax+1 {
			t.Errorf("got %v after %d questions", got.Status, dns.Asked("again.example", "MX"))
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := world(t)
		dns.Script("example.net", "*", sim.DNSAfter(1500*time.Millisecond, sim.DNSNormal))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if got := s.MX(ctx, "example.net"); got.Status != facts.Temporary || !strings.Contains(got.Detail, "given up") {
			t.Errorf("got %v (%s)", got.Status, got.Detail)
		}
		if spent := time.Since(begun); spent != time.Second {
			t.Errorf("came back after %v", spent)
		}
		pass(time.Second) // the look-up goes on for whoever asks next
		if got := s.MX(t.Context(), "example.net"); got.Status != facts.Found || got.Source != "cache" {
			t.Errorf("then %v from %s", got.Status, got.Source)
		}
		cancelled, stop := context.WithCancel(t.Context())
		stop()
		if got := s.Addrs(cancelled, "example.net"); got.Status != facts.Temporary {
			t.Errorf("with a context that has ended %v", got.Status)
		}
	})
}

func TestNamesOfAddressesAndOneFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dns := world(t)
		for addr, want := range map[string]string{
			"192.0.2.25": "found mx1.example.net", "::ffff:192.0.2.26": "found mx1.example.net", "192.0.2.27": "no data ", "192.0.2.28": "no such domain ",
			"2001:db8::25": "found mx1.example.net",
		} {
			got := s.Names(t.Context(), netip.MustParseAddr(addr))
			if text := got.Status.String() + " " + strings.Join(got.Hosts, " "); text != want {
				t.Errorf("%s: %q, want %q (%s)", addr, text, want, got.Detail)
			}
		}
		if got := s.Names(t.Context(), netip.Addr{}); got.Status != facts.NXDomain {
			t.Errorf("no address: %v", got)
		}
		for _, six := range []bool{false, true} {
			got := s.Family(t.Context(), "mx1.example.net", six)
			if len(got.Addrs) != 1 || got.Addrs[0].Is6() != six {
				t.Errorf("IPv6 %v: %v", six, got.Addrs)
			}
		}
		if got := s.Family(t.Context(), "mx2.example.net", true); got.Status != facts.NoData {
			t.Errorf("without IPv6: %v", got)
		}
		asked := len(dns.Questions())
		s.Names(t.Context(), netip.MustParseAddr("192.0.2.25"))
		s.Family(t.Context(), "mx1.example.net", false)
		if len(dns.Questions()) != asked {
			t.Error("what is known is asked for again")
		}
	})
}
