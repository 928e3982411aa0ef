package smtp

import (
	"strings"
	"testing"
)

func TestParseHelo(t *testing.T) {
	for _, name := range []string{
		"example.org", "mail", "MAIL.Example.Org", "my_host.example", "-host-.example", "example.org.",
		"192.0.2.1", "[192.0.2.1]", "[IPv6:2001:db8::1]", "[ipv6:::1]", "[2001:db8::1]", strings.Repeat("a", 255),
	} {
		if got, err := ParseHelo([]byte(name)); got != name || err != nil {
			t.Errorf("ParseHelo(%q) = %q, %v", name, got, err)
		}
	}
	for _, name := range []string{
		"", "a b", "a\x00b", "a\rb", "a\x7fb", "bücher.example", ".", ".a", "a..b", "<script>", "a@b", "a/b", "a;b", "[", "[]",
		"[192.0.2.1", "[192.0.2.300]", "[fe80::1%eth0]", "[a]", "[192.0.2.1]x", "\"a\"", strings.Repeat("a", 256),
	} {
		if got, err := ParseHelo([]byte(name)); code(err) != "501 5.5.4" {
			t.Errorf("ParseHelo(%q) = %q, %v; want a refusal", name, got, err)
		}
	}
}

func TestSendablePath(t *testing.T) {
	for _, s := range []string{"", "postmaster", "a@b", `"a b>"@c`, `"a\"b"@c`, "SRS0=" + strings.Repeat("x", 80) + "@c", "ü@c"} {
		if !sendablePath(s) {
			t.Errorf("%q can't be sent", s)
		}
	}
	for _, s := range []string{
		"a@b>", "a@b> NOTIFY=NEVER", "a b@c", "a@b\r\nRCPT TO:<c@d", "a\x00@b", `"a@b`, `a\"b@c`, `"a\`, "\xff@b", "a\u0085@b",
		strings.Repeat("a", MaxPath+1),
	} {
		if sendablePath(s) {
			t.Errorf("%q is sent", s)
		}
	}
}
