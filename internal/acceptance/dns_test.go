package acceptance

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// dig asks our name server and gives all that dig shows.
func (n *named) dig(args ...string) string {
	n.t.Helper()
	host, port, err := net.SplitHostPort(n.dns)
	if err != nil {
		n.t.Fatal(err)
	}
	args = append([]string{"@" + host, "-p", port, "+norecurse", "+time=2", "+tries=2", "+nocookie"}, args...)
	out, err := exec.Command("dig", args...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("dig %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// shows wants parts of what dig shows, spaces being equal.
func (n *named) shows(args string, want ...string) {
	n.t.Helper()
	shown := strings.Join(strings.Fields(n.dig(strings.Fields(args)...)), " ")
	for _, w := range want {
		if !strings.Contains(shown, w) {
			n.t.Errorf("dig %s: no %q in\n%s", args, w, shown)
		}
	}
}

// serving is a name server with the zone acme.example, whose servers and exchangers are in the zone.
func serving(t *testing.T, env ...string) *named {
	t.Helper()
	n := newOutside(t).naming(env...)
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.run("record", "add", "acme.example", "mail", "A", "192.0.2.25", "--yes")
	n.run("mx", "replace", "acme.example", "mail.acme.example", "--yes")
	n.run("record", "add", "acme.example", "*.dev", "TXT", "any", "--yes")
	return n
}

func TestS4_11TargetsAndNameServersStandBeside(t *testing.T) {
	t.Parallel()
	n := serving(t)
	n.shows("acme.example MX",
		"status: NOERROR", "flags: qr aa;", "ANSWER: 1, AUTHORITY: 1, ADDITIONAL: 2",
		"AUTHORITY SECTION: acme.example.", "IN NS mx.test.example.",
		"ADDITIONAL SECTION: mail.acme.example.", "IN A 192.0.2.25")
	n.shows("+tcp mail.acme.example A", "ANSWER: 1, AUTHORITY: 1, ADDITIONAL: 1", "IN NS mx.test.example.")
}

func TestS1_3WhatWasAnsweredFromTheZoneIsShown(t *testing.T) {
	t.Parallel()
	n := serving(t)
	n.run("record", "add", "acme.example", "sub", "NS", "ns.other.example", "--yes")
	n.run("domain", "add", "quiet.example", "--zone", "hosted", "--proved")
	n.run("domain", "add", "away.example", "--proved")
	n.shows("mail.acme.example A", "192.0.2.25")
	n.shows("+tcp mail.acme.example A", "192.0.2.25")
	n.shows("mail.acme.example AAAA", "ANSWER: 0")
	n.shows("nothing.acme.example A", "NXDOMAIN")
	n.shows("www.sub.acme.example A", "ANSWER: 0", "ns.other.example.")
	z := ask[struct {
		Serial     uint32
		Statistics *struct {
			Serial, Answers, Referrals, NXDomain uint64
			NoData                               uint64 `json:"no_data"`
		}
	}](n.instance, "zone", "show", "acme.example")
	if s := z.Statistics; s == nil || s.Serial != uint64(z.Serial) || s.Answers != 2 || s.Referrals != 1 || s.NoData != 1 || s.NXDomain != 1 {
		t.Errorf("shown of the zone: %+v, want serial %d, 2 answers and one each of all else", s, z.Serial)
	}
	n.run("record", "add", "acme.example", "www", "A", "192.0.2.26", "--yes") // a change begins nothing anew
	n.shows("www.acme.example A", "192.0.2.26")
	if out := n.run("zone", "show", "acme.example"); !strings.Contains(out, "3 with records, 1 referred on, 1 without such records, 1 for names that are not there") {
		t.Errorf("zone show says\n%s", out)
	}
	if out := n.run("zone", "show", "quiet.example"); !strings.Contains(out, "0 with records") {
		t.Errorf("zone show says of a zone that nobody asked for\n%s", out)
	}
}

func TestS4_11TheNameServerAnswersAsItShould(t *testing.T) {
	t.Parallel()
	n := serving(t)
	for _, transport := range []string{"+notcp", "+tcp"} {
		n.shows(transport+" nothing.acme.example A", "status: NXDOMAIN", "flags: qr aa;", "ANSWER: 0, AUTHORITY: 1", "IN SOA")
		n.shows(transport+" mail.acme.example AAAA", "status: NOERROR", "ANSWER: 0, AUTHORITY: 1", "IN SOA")
		n.shows(transport+" x.y.dev.acme.example TXT", `"any"`)
		n.shows(transport+" MAIL.aCme.example A", "MAIL.aCme.example. ", "192.0.2.25")
		n.shows(transport+" acme.example ANY", "ANSWER: 1,")
		n.shows(transport+" other.example MX", "status: REFUSED", "ANSWER: 0, AUTHORITY: 0")
		n.shows(transport+" version.bind CH TXT", "status: REFUSED")
		n.shows(transport+" +edns=1 +noednsnegotiation acme.example MX", "status: BADVERS")
		n.shows(transport+" +cookie=0102030405060708 acme.example MX", "COOKIE: 010203040506070801000000", "(good)")
	}
	if out := n.dig("+tcp", "acme.example", "AXFR"); !strings.Contains(out, "Transfer failed") {
		t.Errorf("the zone is handed to strangers:\n%s", out)
	}
	n.run("domain", "remove", "acme.example", "--yes")
	n.shows("acme.example MX", "status: REFUSED")
}

// An account cannot have a domain answered for before it has shown that it is its own.
func TestWhatIsNotProvedIsAnsweredWithSOAAndNSAlone(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "bank.example", "--zone", "hosted")
	n.shows("bank.example SOA", "status: NOERROR", "ANSWER: 1")
	n.shows("bank.example NS", "status: NOERROR", "ANSWER: 1")
	for _, question := range []string{"bank.example MX", "bank.example ANY", "www.bank.example A", "www.bank.example NS"} {
		n.shows(question, "status: REFUSED", "ANSWER: 0, AUTHORITY: 0")
	}
}

// Somebody who forges addresses gets little of what he asks for sent to others, and those others still get theirs by TCP.
func TestTheRateLimitHoldsAFloodBack(t *testing.T) {
	t.Parallel()
	n := serving(t, "POSTROAD_DNS_RATE_LIMIT=50")
	conn, err := net.Dial("udp", n.dns)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	question := append([]byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, "\x04acme\x07example\x00\x00\x0f\x00\x01"...)
	whole, empty := 0, 0
	in := make([]byte, 4096)
	for range 50 {
		for range 20 {
			if _, err := conn.Write(question); err != nil {
				t.Fatal(err)
			}
		}
		for { // what comes at once
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			size, err := conn.Read(in)
			if err != nil {
				break
			}
			if size == len(question) && in[2]&2 != 0 {
				empty++
			} else {
				whole++
			}
		}
	}
	// A second's share at once, and what grows while this goes on.
	if whole < 50 || whole > 250 || empty < 100 || whole+empty > 700 {
		t.Errorf("%d answers and %d empty ones to 1,000 questions", whole, empty)
	}
	n.shows("+tcp acme.example MX", "ANSWER: 1")
	if shown := n.metric(`postroad_dns_dropped_total{reason="limited",transport="udp"}`); shown == "" || strings.HasSuffix(shown, " 0\n") {
		t.Errorf("the metric says %q", shown)
	}
}

// Junk, answers that nobody asked for and half-sent messages stop nobody.
func TestTheNameServerBearsJunk(t *testing.T) {
	t.Parallel()
	n := serving(t)
	conn, err := net.Dial("udp", n.dns)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	question := append([]byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, "\x04acme\x07example\x00\x00\x0f\x00\x01"...)
	random := rand.New(rand.NewPCG(5, 5)) //nolint:gosec // junk
	for i := range 5000 {
		packet := bytes.Clone(question)
		switch i % 4 {
		case 0: // an answer
			packet[2] |= 0x80
		case 1:
			packet = packet[:random.IntN(len(packet))]
			if len(packet) > 2 {
				packet[2] |= 0x80 // so that whatever comes back is wrong
			}
		default:
			for range 1 + random.IntN(8) {
				packet[2+random.IntN(len(packet)-2)] = byte(random.Uint32())
			}
			packet[2] |= 0x80
		}
		if _, err := conn.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if size, err := conn.Read(make([]byte, 4096)); err == nil {
		t.Errorf("%d octets for what is no question", size)
	}
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(question)))
	framed = append(framed, question...)
	for range 200 {
		half, err := net.Dial("tcp", n.dns)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = half.Close() }()
		if _, err := half.Write(framed[:len(framed)/2]); err != nil {
			t.Fatal(err)
		}
	}
	n.shows("+tcp acme.example MX", "ANSWER: 1")
	n.shows("acme.example MX", "ANSWER: 1")
	junk, err := net.Dial("tcp", n.dns)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = junk.Close() }()
	_, _ = junk.Write([]byte{0, 4, 1, 2, 3, 4})
	_ = junk.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(junk); err != nil {
		t.Errorf("a connection that speaks no DNS stays open: %v", err)
	}
	if shown := n.metric("postroad_dns_panics_total"); shown != "postroad_dns_panics_total 0\n" {
		t.Errorf("a question made the program fail: %s", shown)
	}
}
