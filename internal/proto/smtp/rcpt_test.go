package smtp

import (
	"strings"
	"testing"
)

func TestParseRcpt(t *testing.T) {
	to := Path{Address: Address{"a", "b.example"}}
	tests := []struct {
		arg  string
		utf8 bool
		want RcptCommand
	}{
		{"TO:<a@b.example>", false, RcptCommand{To: to}},
		{"to: <a@B.EXAMPLE> ", false, RcptCommand{To: to}},
		{"TO:<Postmaster>", false, RcptCommand{To: Path{Address: Address{"postmaster", ""}}}},
		{"TO:<postmaster@b.example>", false, RcptCommand{To: Path{Address: Address{"postmaster", "b.example"}}}},
		{"TO:<@x.example,@y.example:a@b.example>", false, RcptCommand{To: Path{Address: to.Address, SourceRoute: true}}},
		{"TO:<a@[IPv6:::1]>", false, RcptCommand{To: Path{Address: Address{"a", "[IPv6:::1]"}, Literal: true}}},
		{`TO:<"a@c.example"@b.example>`, false, RcptCommand{To: Path{Address: Address{"a@c.example", "b.example"}}}},
		{"TO:<a%c.example@b.example>", false, RcptCommand{To: Path{Address: Address{"a%c.example", "b.example"}}}},
		{"TO:<a@b.example> NOTIFY=NEVER", false, RcptCommand{To: to, Notify: NotifyNever}},
		{"TO:<a@b.example> NOTIFY=success,Delay,FAILURE", false, RcptCommand{To: to, Notify: NotifySuccess | NotifyFailure | NotifyDelay}},
		{"TO:<a@b.example> ORCPT=RFC822;x+2By@c.example", false, RcptCommand{To: to, ORcpt: "rfc822;x+y@c.example"}},
		{`TO:<a@b.example> ORCPT=rfc822;"x+20y"@c.example`, false, RcptCommand{To: to, ORcpt: `rfc822;"x y"@c.example`}},
		{`TO:<a@b.example> ORCPT=utf-8;\x{FC}x@c.example`, false, RcptCommand{To: to, ORcpt: "utf-8;üx@c.example"}},
		{"TO:<ü@b.example> ORCPT=utf-8;üx@c.example", true, RcptCommand{To: Path{Address: Address{"ü", "b.example"}}, ORcpt: "utf-8;üx@c.example"}},
	}
	for _, tt := range tests {
		if got, err := ParseRcpt([]byte(tt.arg), tt.utf8); got != tt.want || err != nil {
			t.Errorf("ParseRcpt(%q) = %+v, %v; want %+v", tt.arg, got, err, tt.want)
		}
	}
	refusals := []struct {
		arg  string
		utf8 bool
		code string
	}{
		{"", false, "501 5.5.2"},
		{"FROM:<a@b.example>", false, "501 5.5.2"},
		{"TO:<>", false, "501 5.1.3"},
		{"TO:a@b.example", false, "501 5.1.3"},
		{"TO:<a@b.example", false, "501 5.1.3"},
		{"TO:<a>", false, "501 5.1.3"},
		{"TO:<postmaster@>", false, "501 5.1.3"},
		{"TO:<postmasterx>", false, "501 5.1.3"},
		{"TO:<a@b.example@c.example>", false, "501 5.1.3"},
		{"TO:<a@@b.example>", false, "501 5.1.3"},
		{"TO:<a@b.example.>", false, "501 5.1.3"},
		{"TO:<a@b.example:25>", false, "501 5.1.3"},
		{"TO:<a@b.example,c@d.example>", false, "501 5.1.3"},
		{"TO:<a@b.example><c@d.example>", false, "501 5.5.2"},
		{"TO:<\"a\rb\"@b.example>", false, "501 5.1.3"},
		{"TO:<\x01\x7f@b.example>", false, "501 5.1.3"},
		{"TO:<" + strings.Repeat("l", 65) + "@b.example>", false, "501 5.1.3"},
		{"TO:<" + strings.Repeat("l", 900) + "@b.example>", false, "501 5.1.3"},
		{"TO:<a@" + strings.Repeat("d", 255) + ">", false, "501 5.1.3"},
		{"TO:<ü@b.example>", false, "553 5.6.7"},
		{"TO:<a@bücher.example>", false, "553 5.6.7"},
		{"TO:<a@b.example> SIZE=1", false, "555 5.5.4"},
		{"TO:<a@b.example> NOTIFY", false, "501 5.5.4"},
		{"TO:<a@b.example> NOTIFY=", false, "501 5.5.4"},
		{"TO:<a@b.example> NOTIFY=NEVER,DELAY", false, "501 5.5.4"},
		{"TO:<a@b.example> NOTIFY=DELAY,", false, "501 5.5.4"},
		{"TO:<a@b.example> NOTIFY=DELAY NOTIFY=DELAY", false, "555 5.5.4"},
		{"TO:<a@b.example> ORCPT=rfc822;a ORCPT=rfc822;a", false, "555 5.5.4"},
		{"TO:<a@b.example> ORCPT=rfc822", false, "501 5.5.4"},
		{"TO:<a@b.example> ORCPT=rfc822;", false, "501 5.5.4"},
		{"TO:<a@b.example> ORCPT=;a", false, "501 5.5.4"},
		{"TO:<a@b.example> ORCPT=rfc822;a+0D+0AX:b", false, "501 5.5.4"},
		{"TO:<a@b.example> ORCPT=rfc822;a+C3+BC", false, "501 5.5.4"},
		{"TO:<a@b.example> ORCPT=rfc822;ü", false, "501 5.5.4"},
		{`TO:<a@b.example> ORCPT=utf-8;\x{D}`, false, "501 5.5.4"},
		{`TO:<a@b.example> ORCPT=utf-8;\x{0D}`, false, "501 5.5.4"},
		{`TO:<a@b.example> ORCPT=utf-8;\x{D800}`, false, "501 5.5.4"},
		{`TO:<a@b.example> ORCPT=utf-8;\y`, false, "501 5.5.4"},
		{"TO:<a@b.example> ORCPT=rfc822;" + strings.Repeat("a", 500), false, "501 5.5.4"},
	}
	for _, tt := range refusals {
		got, err := ParseRcpt([]byte(tt.arg), tt.utf8)
		if code(err) != tt.code || got != (RcptCommand{}) {
			t.Errorf("ParseRcpt(%.80q) = %+v, %v; want %s", tt.arg, got, err, tt.code)
		}
	}
}

func TestNotifyString(t *testing.T) {
	for n, want := range map[Notify]string{
		0: "", NotifyNever: "NEVER", NotifyDelay: "DELAY", NotifySuccess | NotifyFailure | NotifyDelay: "SUCCESS,FAILURE,DELAY",
	} {
		if got := n.String(); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}

func FuzzParseRcpt(f *testing.F) {
	for _, s := range []string{"TO:<a@b.example> NOTIFY=DELAY", `TO:<"a\ b"@c> ORCPT=rfc822;a+2Bb`, `TO:<ü@ü.example> ORCPT=utf-8;\x{FC}`, "TO:<@a:b@c>"} {
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, arg []byte, utf8 bool) {
		cmd, err := ParseRcpt(arg, utf8)
		if err != nil {
			if code(err) == "" {
				t.Fatalf("%v carries no reply", err)
			}
			return
		}
		if !sendablePath(cmd.To.String()) || cmd.To.IsNull() || strings.ContainsAny(cmd.ORcpt, "\r\n\x00") {
			t.Fatalf("ParseRcpt(%q) = %+v", arg, cmd)
		}
		if cmd.To.NeedsUTF8() && !utf8 {
			t.Fatalf("ParseRcpt(%q) = %+v", arg, cmd)
		}
		if cmd.ORcpt == "" {
			return
		}
		wire, ok := appendORcpt(nil, cmd.ORcpt)
		if again, valid := parseORcpt(string(wire)); ok && (!valid || again != cmd.ORcpt) {
			t.Fatalf("ORCPT %q is sent as %q, which is read as %q, %v", cmd.ORcpt, wire, again, valid)
		}
	})
}
