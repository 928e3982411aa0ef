package message

import (
	"bytes"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFromAddresses(t *testing.T) {
	const me = "From: me@mine.example\r\n"
	tests := []struct {
		name, header string
		from, sender []string
	}{
		{"bare", me, []string{"me@mine.example"}, nil},
		{"domain in lower case, local part kept", "from : Me@Mine.Example\r\n", []string{"Me@mine.example"}, nil},
		{"display name", "From: John Q. Public <me@a.b>\r\n", []string{"me@a.b"}, nil},
		{"quoted display name with another address", "From: \"x@y <z@z>, \\\" \" <me@a.b>\r\n", []string{"me@a.b"}, nil},
		{"comments and folding", "From: (a (b) \\) <x@y>) me\r\n (c) @ (d) a (e) . b (f)\r\n", []string{"me@a.b"}, nil},
		{"space around dots", "From: me . too @ a . b\r\n", []string{"me.too@a.b"}, nil},
		{"needless quotes", "From: \"me\"@a.b\r\n", []string{"me@a.b"}, nil},
		{"quotes in half of it", "From: \"a b\".c@d.e\r\n", []string{`"a b.c"@d.e`}, nil},
		{"needed quotes", "From: \"a\\\"@x\"@d.e\r\n", []string{`"a\"@x"@d.e`}, nil},
		{"obsolete route", "From: x <@a.b,@c.d:me@e.f>\r\n", []string{"me@e.f"}, nil},
		{"several", "From: a@b, , x <c@d>,\r\nSender: a@b\r\n", []string{"a@b", "c@d"}, []string{"a@b"}},
		{"group", "From: team: a@b, \"c\" <c@d>;, e@f\r\n", []string{"a@b", "c@d", "e@f"}, nil},
		{"group and empty group", "From: none:;, e@f\r\n", []string{"e@f"}, nil},
		{"literal", "From: me@[192.0.2.1]\r\n", []string{"me@[192.0.2.1]"}, nil},
		{"IPv6 literal", "From: me@[IPv6:2001:DB8::1]\r\n", []string{"me@[ipv6:2001:db8::1]"}, nil},
		{"UTF-8", "From: Jürgen <jürgen@MÜNCHEN.example>\r\n", []string{"jürgen@münchen.example"}, nil},
		{"encoded display name", "From: =?utf-8?q?J=C3=BCrgen_=40_home?= <me@a.b>\r\n", []string{"me@a.b"}, nil},
		{"resent", me + "Resent-From: a@b\r\nResent-Sender: c@d\r\nResent-From: e@f\r\n", []string{"me@mine.example", "a@b", "e@f"}, []string{"c@d"}},
		{"other fields do not count", "X-From: a@b\r\nFrom-: b@c\r\n" + me + "To: x@y, z\r\n", []string{"me@mine.example"}, nil},
		{"odd lines elsewhere", "From x@y Thu Nov 22\r\n" + me, []string{"me@mine.example"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from, sender, ok := FromAddresses([]byte(tt.header))
			if !ok || !slices.Equal(from, tt.from) || !slices.Equal(sender, tt.sender) {
				t.Errorf("FromAddresses(%q) = %q, %q, %v", tt.header, from, sender, ok)
			}
		})
	}
}

func TestFromAddressesReportsDoubt(t *testing.T) {
	const me = "From: me@a.b\r\n"
	for name, header := range map[string]string{
		"missing":                        "To: me@a.b\r\n",
		"empty header":                   "",
		"empty field":                    "From:\r\n",
		"repeated":                       me + "fRoM: ceo@bank.example\r\n",
		"repeated, obsolete":             me + "From : ceo@bank.example\r\n",
		"repeated, the same":             me + me,
		"no address":                     "From: John\r\n",
		"empty group":                    "From: undisclosed:;\r\n",
		"null":                           "From: <>\r\n",
		"two without a comma":            "From: a@b c@d\r\n",
		"two in angle brackets":          "From: <a@b> <c@d>\r\n",
		"address as a bare name":         "From: ceo@bank.example <me@a.b>\r\n",
		"nested angle brackets":          "From: <<me@a.b>>\r\n",
		"two at signs":                   "From: a@b@c\r\n",
		"open angle bracket":             "From: x <me@a.b\r\n",
		"open quote":                     "From: \"x <me@a.b>\r\n",
		"open comment":                   "From: (x <me@a.b>\r\n",
		"open comment, quoted":           "From: me@a.b (\\\r\n",
		"open group":                     "From: x: me@a.b\r\n",
		"nested group":                   "From: x: y: me@a.b;;\r\n",
		"group end without group":        "From: me@a.b;\r\n",
		"nameless group":                 "From: : me@a.b;\r\n",
		"no local part":                  "From: @a.b\r\n",
		"no domain":                      "From: me@\r\n",
		"empty label":                    "From: me@a..b\r\n",
		"dot at the end":                 "From: me@a.b.\r\n",
		"dot before the at sign":         "From: me.@a.b\r\n",
		"two dots":                       "From: m..e@a.b\r\n",
		"odd domain":                     "From: me@a!b\r\n",
		"empty literal":                  "From: me@[]\r\n",
		"open literal":                   "From: me@[1.2.3.4\r\n",
		"literal with comment":           "From: me@[(x)]\r\n",
		"route without address":          "From: <@a.b:>\r\n",
		"route without colon":            "From: <@a.b me@c.d>\r\n",
		"NUL":                            "From: me@a.b\x00\r\n",
		"bare CR":                        "From: me@a.b\rFrom: x@y\r\n",
		"not UTF-8":                      "From: J\xfcrgen <me@a.b>\r\n",
		"encoded word as local part":     "From: =?utf-8?b?Y2VvQGJhbms=?=@a.b\r\n",
		"encoded word in angle brackets": "From: x <=?utf-8?q?ceo=40bank=00?=@a.b>\r\n",
		"encoded word as domain":         "From: me@=?utf-8?q?a?=\r\n",
		"name decodes to NUL":            "From: =?utf-8?q?ceo=40bank.example=00?= <me@a.b>\r\n",
		"name decodes to line end":       "From: =?utf-8?q?x=0D=0AFrom:_y?= <me@a.b>\r\n",
		"name decodes to brackets":       "From: =?utf-8?q?ceo_=3Cceo=40bank.example=3E?= <me@a.b>\r\n",
		"group name decodes to brackets": "From: =?utf-8?q?=3Cceo=40bank.example=3E?=: me@a.b;\r\n",
		"line of white space":            "From: \"x\r\n \r\n\" <me@a.b>\r\n",
		"sender repeated":                me + "Sender: a@b\r\nSender: a@b\r\n",
		"two senders":                    me + "Sender: a@b, c@d\r\n",
		"sender empty":                   me + "Sender:\r\n",
		"sender unparsable":              me + "Sender: x\r\n",
		"resent-from unparsable":         me + "Resent-From: x\r\n",
		"resent-from empty":              me + "Resent-From:\r\n",
		"From after a byte order mark":   "\xef\xbb\xbfFrom: ceo@bank.example\r\n" + me,
		"From begins folded":             " From: ceo@bank.example\r\n" + me,
		"From with NUL in the name":      me + "Fr\x00om: ceo@bank.example\r\n",
		"Sender with a space inside":     me + "Sen der: ceo@bank.example\r\n",
		"header too large":               me + "X: " + strings.Repeat("x", MaxHeader) + "\r\n",
		"too many":                       "From: " + strings.Repeat("a@b,", maxAddresses+1) + "\r\n",
		"long encoded name":              "From: =?utf-8?q?x?= " + strings.Repeat("x ", maxDecoded) + "<me@a.b>\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			if from, sender, ok := FromAddresses([]byte(header)); ok {
				t.Errorf("FromAddresses(%.200q) = %q, %q, ok", header, from, sender)
			}
		})
	}
}

// Each input makes a parser that goes back, or copies per character, take
// minutes.
func TestDomainsIn(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                 nil,
		"a@b.example <c@D.example.>, x@ y": {"b.example", "d.example", "y"},
		"a@b@c (@) \"@d\" @":               {"b", "c", "d"},
		"ü@Bücher.example\xff":             {"bücher.example\ufffd"},
	} {
		if got := DomainsIn(text); !slices.Equal(got, want) {
			t.Errorf("DomainsIn(%q) = %q", text, got)
		}
	}
}

func TestFromAddressesTakesLinearTime(t *testing.T) {
	const n = 250_000
	start := time.Now()
	for _, s := range []string{"(", "\"", "<", "a.", "@", "a@b,", "a:", "=?a?q?", "\\", ",", "a ", "(\\", "@a,", "=?utf-8?q?", "[", " \r\n "} {
		FromAddresses([]byte("From: " + strings.Repeat(s, n/len(s)) + "\r\n"))
		FromAddresses([]byte("From: x <" + strings.Repeat(s, n/len(s)) + "\r\n"))
		DomainsIn(strings.Repeat(s, n/len(s)))
		FromAddresses([]byte(strings.Repeat("From: "+s+"\r\n", n/(8+len(s)))))
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

func FuzzFromAddresses(f *testing.F) {
	for _, s := range []string{
		"a@b", "\"x\" <a@b>, c: d@e;", "(c) <@r,@s:a@b>", "=?utf-8?q?x?= <a@b>", "\"a b\".c@[1.2.3.4]", "ü@ü",
	} {
		f.Add([]byte("From: " + s + "\r\nSender: a@b\r\n"))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		from, sender, ok := FromAddresses(header)
		if ok && (len(from) == 0 || Count(header, "From") != 1) {
			t.Fatalf("%q is ok: %q", header, from)
		}
		for _, address := range slices.Concat(from, sender) {
			i := strings.LastIndexByte(address, '@')
			if i <= 0 || i == len(address)-1 || strings.ContainsAny(address, "\r\n\x00") {
				t.Fatalf("address %q from %q", address, header)
			}
			// An address written anew must be read as the same one.
			again, _, ok := FromAddresses([]byte("From: <" + address + ">\r\n"))
			if !ok && !strings.Contains(address, "=?") || len(again) != 1 || again[0] != address {
				t.Fatalf("%q is read as %q, %v", address, again, ok)
			}
		}
		if !ok || bytes.Contains(header, []byte("=?")) || Count(header, "From")+len(sender) != 1 || HasField(header, "Resent-From") {
			return
		}
		// Where the standard library understands the field, it must agree.
		list, err := mail.ParseAddressList(Values(header, "From")[0])
		if err != nil {
			return
		}
		if len(list) != len(from) {
			t.Fatalf("%q: %q, net/mail has %v", header, from, list)
		}
		for i, a := range list {
			at := strings.LastIndexByte(a.Address, '@')
			if quoteLocal(a.Address[:at])+"@"+strings.ToLower(a.Address[at+1:]) != from[i] {
				t.Fatalf("%q: %q, net/mail has %q", header, from[i], a.Address)
			}
		}
	})
}
