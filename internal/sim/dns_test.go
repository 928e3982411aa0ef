package sim

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

var testZones = Zones{
	"example.net": `
		@      MX    10 mx
		mx     A     192.0.2.25
		www    CNAME mx
		a.b.c  A     192.0.2.1
		*.wild TXT   "any"
	`,
	"sub.example.net": "@ A 192.0.2.77",
}

// ask asks over real sockets by the library's own client.
func ask(t *testing.T, d *DNS, network, name string, kind uint16) *dns.Msg {
	t.Helper()
	query := new(dns.Msg)
	query.SetQuestion(name, kind)
	client := &dns.Client{Net: network, Timeout: time.Second}
	reply, _, err := client.Exchange(query, d.Addr())
	if err != nil {
		t.Fatalf("%s %s: %v", name, dns.TypeToString[kind], err)
	}
	return reply
}

func TestDNSZones(t *testing.T) {
	d := StartDNS(t, testZones)
	for _, c := range []struct {
		name   string
		kind   uint16
		code   int
		answer []string
		soa    string
	}{
		{"example.net.", dns.TypeMX, dns.RcodeSuccess, []string{"example.net.\t300\tIN\tMX\t10 mx.example.net."}, ""},
		{"WWW.Example.Net.", dns.TypeA, dns.RcodeSuccess, []string{"www.example.net.\t300\tIN\tCNAME\tmx.example.net.", "mx.example.net.\t300\tIN\tA\t192.0.2.25"}, ""},
		{"mx.example.net.", dns.TypeMX, dns.RcodeSuccess, nil, "example.net."},
		{"b.c.example.net.", dns.TypeA, dns.RcodeSuccess, nil, "example.net."},
		{"nobody.example.net.", dns.TypeA, dns.RcodeNameError, nil, "example.net."},
		{"x.y.wild.example.net.", dns.TypeTXT, dns.RcodeSuccess, []string{"x.y.wild.example.net.\t300\tIN\tTXT\t\"any\""}, ""},
		{"sub.example.net.", dns.TypeA, dns.RcodeSuccess, []string{"sub.example.net.\t300\tIN\tA\t192.0.2.77"}, ""},
		{"nowhere.example.", dns.TypeA, dns.RcodeNameError, nil, "."},
	} {
		for _, network := range []string{"udp", "tcp"} {
			reply := ask(t, d, network, c.name, c.kind)
			var answer []string
			for _, rr := range reply.Answer {
				answer = append(answer, rr.String())
			}
			if reply.Rcode != c.code || strings.Join(answer, "|") != strings.Join(c.answer, "|") {
				t.Errorf("%s by %s: %s %q, want %s %q", c.name, network, dns.RcodeToString[reply.Rcode], answer, dns.RcodeToString[c.code], c.answer)
			}
			if c.soa != "" && (len(reply.Ns) != 1 || reply.Ns[0].Header().Name != c.soa) {
				t.Errorf("%s: authority %v, want the SOA of %s", c.name, reply.Ns, c.soa)
			}
		}
	}
	if got := d.Asked("www.example.NET.", "A"); got != 2 {
		t.Errorf("counted %d questions for www, want 2", got)
	}
	if got := d.Asked("*", "MX"); got != 4 {
		t.Errorf("counted %d MX questions, want 4", got)
	}
	d.RemoveZone("sub.example.net")
	if reply := ask(t, d, "udp", "sub.example.net.", dns.TypeA); reply.Rcode != dns.RcodeNameError {
		t.Error("a removed zone answers")
	}
}

func TestDNSScriptInTurn(t *testing.T) {
	d := StartDNS(t, testZones)
	d.Script("mx.example.net", "A", DNSRecords("5 A 192.0.2.80"), DNSServFail, DNSRecords("A 10.0.0.5"))
	var got []string
	for range 4 {
		reply := ask(t, d, "udp", "mx.example.net.", dns.TypeA)
		said := dns.RcodeToString[reply.Rcode]
		for _, rr := range reply.Answer {
			said = rr.(*dns.A).A.String()
		}
		got = append(got, said)
	}
	if want := "192.0.2.80 SERVFAIL 10.0.0.5 10.0.0.5"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	d.Script("mx.example.net", "A")
	if reply := ask(t, d, "udp", "mx.example.net.", dns.TypeA); len(reply.Answer) != 1 || reply.Answer[0].(*dns.A).A.String() != "192.0.2.25" {
		t.Errorf("without script %v", reply.Answer)
	}
	d.Script("*", "*", DNSRefused)
	if reply := ask(t, d, "udp", "example.net.", dns.TypeMX); reply.Rcode != dns.RcodeRefused {
		t.Errorf("a script for all gave %s", dns.RcodeToString[reply.Rcode])
	}
}

func TestDNSTruncatesLargeAnswers(t *testing.T) {
	d := StartDNS(t, Zones{"large.example": "@ TXT " + strings.Repeat("x", 200) + "\n@ TXT " + strings.Repeat("y", 200) + "\n@ TXT " + strings.Repeat("z", 200) + "\n"})
	if reply := ask(t, d, "udp", "large.example.", dns.TypeTXT); !reply.Truncated || len(reply.Answer) != 0 {
		t.Errorf("by UDP: TC %v, %d records", reply.Truncated, len(reply.Answer))
	}
	if reply := ask(t, d, "tcp", "large.example.", dns.TypeTXT); reply.Truncated || len(reply.Answer) != 3 {
		t.Errorf("by TCP: TC %v, %d records", reply.Truncated, len(reply.Answer))
	}
}

func TestDNSListensWhereItIsTold(t *testing.T) {
	address := strings.Replace(FreeAddress(t), "127.0.0.1", "127.0.53.1", 1)
	d := NewDNS(t, testZones)
	if got := d.Listen(address); got != address {
		t.Fatalf("listens on %s, want %s", got, address)
	}
	if reply := ask(t, d, "tcp", "example.net.", dns.TypeMX); len(reply.Answer) != 1 {
		t.Errorf("answer %v", reply.Answer)
	}
	d.RefuseTCP()
	query := new(dns.Msg)
	query.SetQuestion("example.net.", dns.TypeMX)
	if _, _, err := (&dns.Client{Net: "tcp", Timeout: time.Second}).Exchange(query, address); err == nil {
		t.Error("TCP is open after RefuseTCP")
	}
}

func TestDNSInsideABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDNS(t, testZones)
		n := NewNetwork(t)
		n.DNS("192.0.2.53:53", d)
		d.Script("example.net", "MX", DNSAfter(90*time.Second, DNSNormal))
		for _, network := range []string{"udp", "tcp"} {
			conn, err := n.DialContext(t.Context(), network, "192.0.2.53:53")
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			query := new(dns.Msg)
			query.SetQuestion("example.net.", dns.TypeMX)
			packed, err := query.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if network == "tcp" {
				packed = append([]byte{0, byte(len(packed))}, packed...)
			}
			if _, err := conn.Write(packed); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, 600)
			if n, err := conn.Read(answer); err != nil || n < 40 {
				t.Errorf("%s: %d octets, %v", network, n, err)
			}
			if spent := time.Since(begun); spent != 90*time.Second {
				t.Errorf("%s: answered after %v", network, spent)
			}
			_ = conn.Close()
		}
	})
}
