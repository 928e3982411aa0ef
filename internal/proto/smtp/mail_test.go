package smtp

import (
	"math"
	"strings"
	"testing"
)

func TestParseMail(t *testing.T) {
	from := Path{Address: Address{"a", "b.example"}}
	with := func(f func(*MailCommand)) MailCommand {
		m := MailCommand{From: from, Size: -1}
		f(&m)
		return m
	}
	tests := []struct {
		arg  string
		want MailCommand
	}{
		{"FROM:<a@b.example>", MailCommand{From: from, Size: -1}},
		{"from: <a@B.example>  ", MailCommand{From: from, Size: -1}},
		{"FROM:<>", MailCommand{Size: -1}},
		{"FROM:<> SIZE=0", MailCommand{}},
		{`FROM:<"a>b"@b.example>`, MailCommand{From: Path{Address: Address{"a>b", "b.example"}}, Size: -1}},
		{"FROM:<@x.example:a@b.example>", MailCommand{From: Path{Address: from.Address, SourceRoute: true}, Size: -1}},
		{"FROM:<@x.example,@[192.0.2.1]:a@b.example>", MailCommand{From: Path{Address: from.Address, SourceRoute: true}, Size: -1}},
		{"FROM:<a@[192.0.2.1]>", MailCommand{From: Path{Address: Address{"a", "[192.0.2.1]"}, Literal: true}, Size: -1}},
		{"FROM:<a@b.example> SIZE=123", with(func(m *MailCommand) { m.Size = 123 })},
		{"FROM:<a@b.example>  size=0012", with(func(m *MailCommand) { m.Size = 12 })},
		{"FROM:<a@b.example> SIZE=99999999999999999999", with(func(m *MailCommand) { m.Size = math.MaxInt64 })},
		{"FROM:<a@b.example> BODY=8bitmime", with(func(m *MailCommand) { m.Body = Body8BitMIME })},
		{"FROM:<a@b.example> BODY=7BIT", MailCommand{From: from, Size: -1}},
		{"FROM:<a@b.example> RET=HDRS ENVID=QQ+2B314", with(func(m *MailCommand) { m.Ret, m.EnvID = RetHdrs, "QQ+314" })},
		{"FROM:<a@b.example> RET=full", with(func(m *MailCommand) { m.Ret = RetFull })},
		{"FROM:<a@b.example> AUTH=<>", with(func(m *MailCommand) { m.HasAuth = true })},
		{"FROM:<a@b.example> AUTH=e+3Dmc2@example.com", with(func(m *MailCommand) { m.HasAuth, m.Auth = true, "e=mc2@example.com" })},
		{"FROM:<ü@bücher.example> SMTPUTF8", MailCommand{From: Path{Address: Address{"ü", "xn--bcher-kva.example"}}, Size: -1, UTF8: true}},
	}
	for _, tt := range tests {
		if got, err := ParseMail([]byte(tt.arg)); got != tt.want || err != nil {
			t.Errorf("ParseMail(%q) = %+v, %v; want %+v", tt.arg, got, err, tt.want)
		}
	}
	refusals := []struct{ arg, code string }{
		{"", "501 5.5.2"},
		{"<a@b.example>", "501 5.5.2"},
		{"TO:<a@b.example>", "501 5.5.2"},
		{"FROM", "501 5.5.2"},
		{"FROM:", "501 5.1.7"},
		{"FROM:a@b.example", "501 5.1.7"},
		{"FROM:<a@b.example", "501 5.1.7"},
		{"FROM:<a>", "501 5.1.7"},
		{"FROM:<postmaster>", "501 5.1.7"},
		{"FROM:< a@b.example>", "501 5.1.7"},
		{"FROM:<a@b.example >", "501 5.1.7"},
		{"FROM:<a@b@c.example>", "501 5.1.7"},
		{"FROM:<a@b.example.>", "501 5.1.7"},
		{"FROM:<<a@b.example>>", "501 5.1.7"},
		{"FROM:<@x.example>", "501 5.1.7"},
		{"FROM:<@x.example:>", "501 5.1.7"},
		{"FROM:<@:a@b.example>", "501 5.1.7"},
		{"FROM:<@x.example,a@b.example>", "501 5.1.7"},
		{"FROM:<\"a\rb\"@b.example>", "501 5.1.7"},
		{"FROM:<" + strings.Repeat("l", 900) + "@b.example>", "501 5.1.7"},
		{"FROM:<" + strings.Repeat("@x.example,", 200) + "@x.example:a@b.example>", "501 5.1.7"},
		{"FROM:<a@b.example>SIZE=1", "501 5.5.2"},
		{"FROM:<a@b.example>\tSIZE=1", "501 5.5.2"},
		{"FROM:<a@b.example>>", "501 5.5.2"},
		{"FROM:<a@b.example> SIZE", "501 5.5.4"},
		{"FROM:<a@b.example> SIZE=", "501 5.5.4"},
		{"FROM:<a@b.example> SIZE=-1", "501 5.5.4"},
		{"FROM:<a@b.example> SIZE=+1", "501 5.5.4"},
		{"FROM:<a@b.example> SIZE=0x10", "501 5.5.4"},
		{"FROM:<a@b.example> SIZE=1=2", "501 5.5.4"},
		{"FROM:<a@b.example> SIZE=123456789012345678901", "501 5.5.4"},
		{"FROM:<a@b.example> SIZE=1 SIZE=1", "555 5.5.4"},
		{"FROM:<a@b.example> size=1 BODY=7BIT Size=2", "555 5.5.4"},
		{"FROM:<a@b.example> BODY=7BIT BODY=7BIT", "555 5.5.4"},
		{"FROM:<a@b.example> BODY=BINARYMIME", "555 5.5.4"},
		{"FROM:<a@b.example> BODY=9BIT", "501 5.5.4"},
		{"FROM:<a@b.example> FOO=1", "555 5.5.4"},
		{"FROM:<a@b.example> NOTIFY=NEVER", "555 5.5.4"},
		{"FROM:<a@b.example> =1", "501 5.5.4"},
		{"FROM:<a@b.example> -A=1", "501 5.5.4"},
		{"FROM:<a@b.example> SMTPUTF8=1", "501 5.5.4"},
		{"FROM:<a@b.example> RET=ALL", "501 5.5.4"},
		{"FROM:<a@b.example> ENVID", "501 5.5.4"},
		{"FROM:<a@b.example> ENVID=a+0D+0Ab", "501 5.5.4"},
		{"FROM:<a@b.example> ENVID=a+4", "501 5.5.4"},
		{"FROM:<a@b.example> ENVID=a+4g", "501 5.5.4"},
		{"FROM:<a@b.example> ENVID=" + strings.Repeat("e", 101), "501 5.5.4"},
		{"FROM:<a@b.example> AUTH", "501 5.5.4"},
		{"FROM:<a@b.example> AUTH=a+0Db", "501 5.5.4"},
		{"FROM:<a@b.example> ENVID=ü", "501 5.5.4"},
		{"FROM:<ü@b.example>", "553 5.6.7"},
		{"FROM:<a@bücher.example> SIZE=1", "553 5.6.7"},
		{"FROM:<\xff@b.example> SMTPUTF8", "501 5.1.7"},
	}
	for _, tt := range refusals {
		got, err := ParseMail([]byte(tt.arg))
		if code(err) != tt.code || got != (MailCommand{Size: -1}) {
			t.Errorf("ParseMail(%.80q) = %+v, %v; want %s", tt.arg, got, err, tt.code)
		}
	}
}

func FuzzParseMail(f *testing.F) {
	for _, s := range []string{
		"FROM:<a@b.example> SIZE=1 BODY=8BITMIME", "FROM:<> RET=FULL ENVID=a+2Bb", "FROM:<ü@ü.example> SMTPUTF8", `FROM:<"a\>b"@c> AUTH=<>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, arg []byte) {
		cmd, err := ParseMail(arg)
		if err != nil {
			if code(err) == "" {
				t.Fatalf("%v carries no reply", err)
			}
			return
		}
		if !sendablePath(cmd.From.String()) || strings.ContainsAny(cmd.EnvID+cmd.Auth, "\r\n\x00") || cmd.Size < -1 {
			t.Fatalf("ParseMail(%q) = %+v", arg, cmd)
		}
		if cmd.From.NeedsUTF8() && !cmd.UTF8 {
			t.Fatalf("ParseMail(%q) = %+v", arg, cmd)
		}
	})
}
