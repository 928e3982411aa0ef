package resolver

import (
	"bytes"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"postroad/internal/core/facts"
)

// FuzzAnswer gives any octets as a response, once as they are and once behind a header and question that fit:
// nothing panics, nothing is taken that does not repeat id and question, and what is taken is clean.
func FuzzAnswer(f *testing.F) {
	const name = "mx.example.net."
	query, err := packQuery(name, dns.TypeMX, recursive)
	if err != nil {
		f.Fatal(err)
	}
	question := questionOf(query)
	for _, records := range [][]string{
		nil,
		{"mx.example.net. 60 IN MX 0 ."},
		{"mx.example.net. 60 IN MX 10 a.example.", "mx.example.net. 60 IN MX 10 192.0.2.1."},
		{"mx.example.net. 60 IN CNAME b.example.", "b.example. 5 IN MX 1 c.example."},
		{"mx.example.net. 60 IN CNAME mx.example.net."},
		{"mx.example.net. 60 IN TXT \"a\\200\" \"b\""},
		{"mx.example.net. 60 IN AAAA ::1", "mx.example.net. 60 IN A 127.0.0.1"},
	} {
		var seed dns.Msg
		seed.SetQuestion(name, dns.TypeMX)
		seed.Response = true
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				f.Fatal(err)
			}
			seed.Answer = append(seed.Answer, rr)
		}
		packet, err := seed.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet, dns.TypeMX)
		f.Add(packet[headerSize+len(question):], dns.TypeTXT)
	}
	f.Add([]byte{0xc0, 0x0c, 0, 15, 0, 1, 0, 0, 0, 60, 0, 0}, dns.TypeMX)
	f.Fuzz(func(t *testing.T, octets []byte, kind uint16) {
		check := func(packet []byte) {
			switch judge(query, packet) {
			case complete, truncated:
				if !bytes.Equal(packet[:2], query[:2]) || !bytes.Equal(packet[headerSize:headerSize+len(question)], question) {
					t.Fatalf("taken with another id or question: %x", packet)
				}
			case otherCase:
				if !bytes.Equal(packet[:2], query[:2]) || !strings.EqualFold(string(packet[headerSize:headerSize+len(question)-4]), string(question[:len(question)-4])) {
					t.Fatalf("taken with another id or name: %x", packet)
				}
			case bareRefusal:
				if !bytes.Equal(packet[:2], query[:2]) || packet[3]&15 == dns.RcodeSuccess || packet[3]&15 == dns.RcodeNameError {
					t.Fatalf("a header alone says that something is so: %x", packet)
				}
			case foreign:
			}
			checkOutcome(t, interpret(packet, name, kind))
		}
		check(octets)
		if len(octets) >= 6 {
			packet := bytes.Clone(query[:headerSize])
			packet[2], packet[3] = 0x80|octets[0]&0x02, octets[1]
			copy(packet[6:], []byte{0, octets[2] % 8, 0, octets[3] % 4, 0, octets[4] % 4})
			check(append(append(packet, question...), octets[5:]...))
		}
	})
}

func checkOutcome(t *testing.T, out outcome) {
	t.Helper()
	if out.status != facts.Found && (len(out.mx) > 0 || len(out.addrs) > 0 || len(out.txt) > 0 || out.null) {
		t.Fatalf("%v with records", out.status)
	}
	if out.status == 0 && out.next == "" {
		t.Fatal("an answer that says nothing")
	}
	if out.ttl < 0 || out.ttl > positiveMax || out.aliases > chainMax {
		t.Fatalf("kept for %v after %d aliases", out.ttl, out.aliases)
	}
	if out.null && len(out.mx) > 0 {
		t.Fatal("null MX beside others")
	}
	for _, record := range out.mx {
		if again, ok := hostName(record.Host); !ok || again != record.Host {
			t.Fatalf("exchanger %q", record.Host)
		}
	}
	for _, addr := range out.addrs {
		if !addr.IsValid() {
			t.Fatal("an address that is none")
		}
	}
	if strings.ContainsFunc(out.heard, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Fatalf("said %q", out.heard)
	}
}
