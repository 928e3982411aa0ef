package mime

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAddresses(t *testing.T) {
	box := func(name, local, domain string) Address { return Address{Name: name, Local: local, Domain: domain} }
	start := func(name string) Address { return Address{Kind: GroupStart, Name: name} }
	end := Address{Kind: GroupEnd}
	tests := []struct {
		in   string
		want []Address
	}{
		{"", nil},
		{"a@b.example", []Address{box("", "a", "b.example")}},
		{"Ann  Bee <a@b>, c@d", []Address{box("Ann Bee", "a", "b"), box("", "c", "d")}},
		{`"Bee, Ann" <a@b>`, []Address{box("Bee, Ann", "a", "b")}},
		{`"a \"q\"" <"x y"@b>`, []Address{box(`a "q"`, "x y", "b")}},
		{"a@b (Ann (Bee))", []Address{box("Ann (Bee)", "a", "b")}},
		{"<a@b> (Ann)", []Address{box("Ann", "a", "b")}},
		{"a @ c . d", []Address{box("", "a", "c.d")}},
		{"=?utf-8?q?J=C3=BCrgen?= Bee <a@b>", []Address{box("=?utf-8?q?J=C3=BCrgen?= Bee", "a", "b")}},
		{"<@x,@y:a@b>", []Address{{Route: "@x,@y", Local: "a", Domain: "b"}}},
		{"undisclosed-recipients:;", []Address{start("undisclosed-recipients"), end}},
		{"A group: Ann <a@b>, c@d;, e@f", []Address{start("A group"), box("Ann", "a", "b"), box("", "c", "d"), end, box("", "e", "f")}},
		{"A group: a@b", []Address{start("A group"), box("", "a", "b"), end}},
		{"a@[IPv6:::1]", []Address{box("", "a", "[IPv6:::1]")}},
		// what is wrong is kept
		{"Ann", []Address{box("", "Ann", "")}},
		{"Ann Bee <ann>", []Address{box("Ann Bee", "ann", "")}},
		{"a@b@c", []Address{box("", "a@b", "c")}},
		{"Ann <a@b", []Address{box("Ann", "a", "b")}},
		{"<a@b> rest, c@d", []Address{box("", "a", "b"), box("", "c", "d")}},
		{"<a@b> <c@d>", []Address{box("", "a", "b"), box("", "c", "d")}},
		{"(never closed", nil},
		{`"never closed`, []Address{box("", "never closed", "")}},
		{",,;,", nil},
		{"a@", []Address{box("", "a", "")}},
		{"ü@ü", []Address{box("", "ü", "ü")}},
		{"\x00\xff", []Address{box("", "\x00\xff", "")}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, appendAddresses(nil, tt.in)); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadEnvelope(t *testing.T) {
	a := []Address{{Local: "a", Domain: "x"}}
	b := []Address{{Local: "b", Domain: "x"}}
	got := ReadEnvelope([]byte(crlf("Subject: one\n  two\nsubject: three\nFrom: a@x\nTo: b@x\nTO: a@x\nDate: never\nMessage-Id: <1>\nIn-Reply-To: <0>\nBcc: b@x\nReply-To:\n")))
	want := Envelope{
		Date: "never", Subject: "one  two", From: a, Sender: a, ReplyTo: a, To: []Address{b[0], a[0]}, Bcc: b, InReplyTo: "<0>", MessageID: "<1>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}
}

func TestHostileAddressLists(t *testing.T) {
	for _, unit := range []string{"<", "(", ":", ";", ",", "@", "\"", "a:", "a:;", "<a@b", "((", "\\", "[", "a ", "a@b,", "<@a:"} {
		s := strings.Repeat(unit, 256<<10/len(unit))
		if got := appendAddresses(nil, s); len(got) > len(s) {
			t.Errorf("%q: %d addresses", unit, len(got))
		}
	}
}
