package message

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.FixedZone("", 3600))

func TestReceived(t *testing.T) {
	tests := []struct {
		name string
		in   Received
		want string
	}{
		{
			"everything",
			Received{
				Helo: "client.example", ClientName: "mail.client.example", ClientAddr: netip.MustParseAddr("192.0.2.1"),
				By: "mx.example", With: "ESMTPS", TLS: "TLS1.3 TLS_AES_128_GCM_SHA256", ID: "abc123", For: "user@example.org", Time: noon,
			},
			"Received: from client.example (mail.client.example [192.0.2.1])\r\n" +
				"\tby mx.example with ESMTPS id abc123\r\n\tfor <user@example.org>\r\n" +
				"\ttls TLS_AES_128_GCM_SHA256 (TLS1.3);\r\n\tSun, 22 Nov 2026 12:00:00 +0100\r\n",
		},
		{
			"IPv6, name unknown",
			Received{Helo: "[IPv6:2001:db8::1]", ClientAddr: netip.MustParseAddr("2001:db8::1%eth0"), By: "mx.example", With: "SMTP", Time: noon},
			"Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n\tby mx.example with SMTP;\r\n\tSun, 22 Nov 2026 12:00:00 +0100\r\n",
		},
		{
			"mapped IPv4",
			Received{Helo: "a", ClientAddr: netip.MustParseAddr("::ffff:192.0.2.1"), By: "b", Time: noon},
			"Received: from a ([192.0.2.1])\r\n\tby b;\r\n\tSun, 22 Nov 2026 12:00:00 +0100\r\n",
		},
		{
			"made here",
			Received{By: "mx.example", ID: "1", Time: noon},
			"Received: by mx.example id 1;\r\n\tSun, 22 Nov 2026 12:00:00 +0100\r\n",
		},
		{
			"empty HELO",
			Received{ClientAddr: netip.MustParseAddr("192.0.2.1"), By: "mx.example", Time: noon},
			"Received: from unknown ([192.0.2.1])\r\n\tby mx.example;\r\n\tSun, 22 Nov 2026 12:00:00 +0100\r\n",
		},
		{
			"hostile values",
			Received{
				Helo: "a\r\nBcc: x@y\x00(;", ClientName: "b) by evil", By: "m x", With: "ESMTP\r\n", TLS: "TLS1.2) \r\nX: y",
				ID: "1;2", For: "a@b>\r\nTo: <c@d", Time: noon,
			},
			"Received: from a??Bcc:?x?y??? (b??by?evil)\r\n\tby m?x;\r\n\tSun, 22 Nov 2026 12:00:00 +0100\r\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(tt.in.AppendTo([]byte("X: y\r\n")))
			if got != "X: y\r\n"+tt.want {
				t.Errorf("got\n%q, want\n%q", got, tt.want)
			}
			if n := Count([]byte(got), "Received"); n != 1 {
				t.Errorf("%d Received fields", n)
			}
		})
	}
}

func TestReceivedFor(t *testing.T) {
	for address, written := range map[string]bool{
		"user@example.org":                true,
		"üser@exämple.org":                true,
		`"a b"@example.org`:               true,
		"user@[192.0.2.1]":                true,
		"":                                false,
		"user":                            false,
		"a@b, c@d":                        false,
		"a@b (comment)":                   false,
		`"<x>"@b`:                         false,
		"a@b\x00":                         false,
		"a@b ":                            true,
		strings.Repeat("a", 600) + "@b.c": false,
	} {
		got := string(Received{By: "mx", For: address, Time: noon}.AppendTo(nil))
		if strings.Contains(got, "for <"+address+">") != written {
			t.Errorf("For %q: %q", address, got)
		}
	}
}

func TestWithProtocol(t *testing.T) {
	tests := []struct {
		esmtp, tls, auth, utf8, lmtp bool
		want                         string
	}{
		{want: "SMTP"},
		{esmtp: true, want: "ESMTP"},
		{esmtp: true, auth: true, want: "ESMTPA"},
		{esmtp: true, tls: true, want: "ESMTPS"},
		{esmtp: true, tls: true, auth: true, want: "ESMTPSA"},
		{tls: true, want: "ESMTPS"},
		{lmtp: true, want: "LMTP"},
		{lmtp: true, tls: true, auth: true, want: "LMTPSA"},
		{esmtp: true, utf8: true, want: "UTF8SMTP"},
		{esmtp: true, utf8: true, tls: true, auth: true, want: "UTF8SMTPSA"},
		{utf8: true, lmtp: true, tls: true, want: "UTF8LMTPS"},
	}
	for _, tt := range tests {
		if got := WithProtocol(tt.esmtp, tt.tls, tt.auth, tt.utf8, tt.lmtp); got != tt.want {
			t.Errorf("WithProtocol(%+v) = %s", tt, got)
		}
	}
}

func FuzzReceived(f *testing.F) {
	f.Add("helo", "name", "by", "ESMTP", "TLS1.3 X", "id", "a@b")
	f.Add("a\r\nb", "\n", "\x00", "\r", "a b\r\n", "\t", `"\\"@b`)
	f.Fuzz(func(t *testing.T, helo, name, by, with, tls, id, rcpt string) {
		got := Received{Helo: helo, ClientName: name, By: by, With: with, TLS: tls, ID: id, For: rcpt, Time: noon}.AppendTo(nil)
		checkLines(t, got)
		n := 0
		for field := range Fields(got) {
			n++
			if !field.Is("Received") {
				t.Fatalf("%q", got)
			}
		}
		if n != 1 {
			t.Fatalf("%d fields: %q", n, got)
		}
	})
}

// checkLines fails when b has a bare CR or LF, a NUL or a line over 998 octets.
func checkLines(t *testing.T, b []byte) {
	t.Helper()
	if len(b) == 0 || b[len(b)-1] != '\n' {
		t.Fatalf("last line not ended: %q", b)
	}
	if _, travels := inspect(b); !travels {
		t.Fatalf("bare CR or LF, NUL or a long line: %q", b)
	}
}
