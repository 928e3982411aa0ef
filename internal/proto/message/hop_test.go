package message_test

import (
	"net/netip"
	"strings"
	"testing"

	"postroad/internal/proto/message"
)

// TestReadHop reads the client from Received fields as servers write them, and from none that a client could have dressed up.
func TestReadHop(t *testing.T) {
	for name, c := range map[string]struct{ field, helo, addr string }{
		"Postfix":              {"from mx.far.test (mail.far.test [203.0.113.5]) by primary.acme.test (Postfix) with ESMTPS id 4X; Sat, 28 Nov 2026 12:00:00 +0000", "mx.far.test", "203.0.113.5"},
		"Postfix, IPv6":        {"from mx.far.test (unknown [IPv6:2001:db8::5]) (using TLSv1.3 with cipher X) by primary.acme.test; x", "mx.far.test", "2001:db8::5"},
		"Sendmail":             {"from mx.far.test (mail.far.test [203.0.113.5] (may be forged)) by primary.acme.test (8.17); x", "mx.far.test", "203.0.113.5"},
		"Exim":                 {"from mail.far.test ([203.0.113.5] helo=mx.far.test) by primary.acme.test with esmtps; x", "mx.far.test", "203.0.113.5"},
		"Exim, no name":        {"from [203.0.113.5] (helo=mx.far.test) by primary.acme.test with esmtp; x", "mx.far.test", "203.0.113.5"},
		"Exim, dressed up":     {"from mail.far.test ([203.0.113.5] helo=[198.51.100.1]) by primary.acme.test; x", "[198.51.100.1]", "203.0.113.5"},
		"Exchange":             {"from mx.far.test (203.0.113.5) by primary.acme.test (10.0.0.2) with Microsoft SMTP Server; x", "mx.far.test", "203.0.113.5"},
		"qmail":                {"from unknown (HELO mx.far.test) (203.0.113.5) by primary.acme.test with SMTP; x", "mx.far.test", "203.0.113.5"},
		"ours":                 {"from mx.far.test ([203.0.113.5])\tby mx.postroad.example with ESMTP id 01; x", "mx.far.test", "203.0.113.5"},
		"HELO of an address":   {"from [198.51.100.1] (unknown [203.0.113.5]) by primary.acme.test; x", "[198.51.100.1]", "203.0.113.5"},
		"no from clause":       {"by primary.acme.test (Postfix, from userid 33) id 4X; x", "", ""},
		"two addresses":        {"from mx.far.test (a.test [203.0.113.5]) (b.test [198.51.100.1]) by primary.acme.test; x", "", "bad"},
		"only what it says":    {"from [198.51.100.1] by primary.acme.test; x", "", "bad"},
		"a name is no address": {"from mx.far.test (mail.far.test) by primary.acme.test; x", "", "bad"},
		"no end":               {"from mx.far.test (mail.far.test [203.0.113.5]", "", "bad"},
		"hidden in a comment":  {"from mx.far.test (x=[198.51.100.1] [203.0.113.5]) by primary.acme.test; x", "", "bad"},
		"nothing behind":       {"from mx.far.test (mail.far.test [203.0.113.5])", "", "bad"},
		"zone":                 {"from mx.far.test (x [fe80::1%eth0]) by primary.acme.test", "", "bad"},
		"too long":             {"from mx.far.test (x [203.0.113.5]) by " + strings.Repeat("x", 5000), "", "bad"},
	} {
		h, ok := message.ReadHop(c.field)
		want := netip.Addr{}
		if c.addr != "bad" && c.addr != "" {
			want = netip.MustParseAddr(c.addr)
		}
		if ok != (c.addr != "bad") || ok && (h.Addr != want || h.Helo != c.helo || h.From != want.IsValid()) {
			t.Errorf("%s: %+v, %v", name, h, ok)
		}
	}
}

func FuzzReadHop(f *testing.F) {
	f.Add("from a (b [1.2.3.4]) by c; d")
	f.Add("from [1.2.3.4] (helo=x) (y\\)) by z")
	f.Fuzz(func(t *testing.T, body string) {
		if h, ok := message.ReadHop(body); ok && h.From != h.Addr.IsValid() {
			t.Fatalf("%q: %+v", body, h)
		}
	})
}
