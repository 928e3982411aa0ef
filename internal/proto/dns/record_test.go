package dns

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	codec "github.com/miekg/dns"
)

func TestDataIsReadAndShown(t *testing.T) {
	for _, c := range []struct {
		kind, text, shown string
		octets            int
	}{
		{"A", "192.0.2.1", "192.0.2.1", 4},
		{"AAAA", "2001:db8::1", "2001:db8::1", 16},
		{"MX", "10 mx", "10 mx.example.net.", 2 + 16},
		{"mx", "0 Mail.Example.ORG.", "0 Mail.Example.ORG.", 2 + 18},
		{"TXT", `"v=spf1 mx" " -all"`, `"v=spf1 mx" " -all"`, 10 + 6},
		{"CAA", `0 issue "ca.example"`, `0 issue "ca.example"`, 2 + 5 + 10},
		{"SRV", "0 5 993 imap", "0 5 993 imap.example.net.", 6 + 18},
		{"TYPE65400", `\# 3 0A0B0C`, `\# 3 0A0B0C`, 3},
		{"A", `\# 4 C0000201`, "192.0.2.1", 4},
		{"SOA", "ns. host 1 2 3 4 5", "ns. host.example.net. 1 2 3 4 5", 4 + 18 + 20},
	} {
		kind, err := ParseType(c.kind)
		if err != nil {
			t.Fatal(err)
		}
		data, err := Data(kind, c.text, "example.net.")
		if err != nil {
			t.Errorf("%s %s: %v", c.kind, c.text, err)
			continue
		}
		r := Record{Name: "www.example.net.", Type: kind, TTL: 300, Data: data}
		if got := r.Text(); got != c.shown || len(data) != c.octets {
			t.Errorf("%s %s: shown as %q with %d octets, want %q with %d", c.kind, c.text, got, len(data), c.shown, c.octets)
		}
		if want := "www.example.net.\t300\tIN\t" + kind.String() + "\t" + c.shown; r.String() != want {
			t.Errorf("line %q, want %q", r.String(), want)
		}
		if again, err := Data(kind, r.Text(), "."); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s read again: %x, %v; want %x", r.Text(), again, err, data)
		}
	}
}

func TestDataThatIsNoneIsRefused(t *testing.T) {
	for _, c := range [][2]string{
		{"A", "mail"},
		{"A", `\# 5 C000020101`},
		{"A", `\# 0`},
		{"MX", `\# 2 000A`},
		{"MX", "mx"},
		{"MX", "70000 mx"},
		{"A", "192.0.2.1\n. 0 IN A 192.0.2.2"},
		{"TXT", ""},
		{"AAAA", "1.2.3.4"},
		{"TXT", `"unclosed`},
		{"CNAME", "a b"},
		{"MX", "10 " + strings.Repeat("a", 64) + ".example."},
	} {
		kind, err := ParseType(c[0])
		if err != nil {
			t.Fatal(err)
		}
		if data, err := Data(kind, c[1], "example.net."); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s %q: %x, %v; want ErrSyntax", c[0], c[1], data, err)
		}
	}
}

func TestNamesAreCompletedAndCompared(t *testing.T) {
	for text, want := range map[string]string{
		"WWW": "www.example.net.", "www.": "www.", "@": "example.net.", "*": "*.example.net.", `a\.b`: `a\.b.example.net.`, `\065`: "a.example.net.",
	} {
		if got, err := Name(text, "example.net."); err != nil || got != want {
			t.Errorf("Name(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "..", "a..b.", strings.Repeat("a", 64), strings.Repeat("a.", 130)} {
		if got, err := Name(text, "example.net."); !errors.Is(err, ErrSyntax) {
			t.Errorf("Name(%q) = %q, %v; want ErrSyntax", text, got, err)
		}
	}
	// The order of RFC 4034 §6.1.
	want := []string{"example.", "a.example.", "yljkjljk.a.example.", "z.a.example.", "zabc.a.example.", "z.example.", `\001.z.example.`, "*.z.example.", `\200.z.example.`}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, CompareNames)
	if !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
	if !Below("a.example.", "example.") || !Below("example.", "example.") || Below("anexample.", "example.") || Parent("a.example.") != "example." || Parent(".") != "." {
		t.Error("Below or Parent")
	}
}

func FuzzData(f *testing.F) {
	f.Add(uint16(15), "10 mx")
	f.Add(uint16(16), `"a" b \034`)
	f.Add(uint16(64), `1 . alpn="h2,h3"`)
	f.Fuzz(func(t *testing.T, kind uint16, text string) {
		data, err := Data(Type(kind), text, "example.net.")
		if err != nil {
			return
		}
		r := Record{Name: "a.example.net.", Type: Type(kind), Data: data}
		again, err := Data(Type(kind), r.Text(), ".")
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s %q is %x, shown as %q, read again as %x, %v", Type(kind), text, data, r.Text(), again, err)
		}
	})
}

func TestNamesOnTheWire(t *testing.T) {
	every := make([]byte, 0, 256)
	for c := range 256 {
		every = append(every, byte(c))
	}
	for from := 0; from < 256; from += 60 {
		label := every[from:min(from+60, 256)]
		wire := append(append([]byte{byte(len(label))}, label...), 0)
		name, n, err := ReadName(append(wire, 7))
		again, errAgain := AppendName(nil, name)
		if want, _, _ := codec.UnpackDomainName(wire, 0); err != nil || n != len(wire) || name != want || errAgain != nil || !bytes.Equal(again, wire) {
			t.Errorf("%x read as %s, %d, %v, again %x, %v; the library says %s", wire, name, n, err, again, errAgain, want)
		}
	}
	long := strings.Repeat("\x3f"+strings.Repeat("a", 63), 3)
	for wire, want := range map[string]string{
		"\x00": ".", "\x00\x00": ".", "\x01A\x00": "A.",
		long + "\x3d" + strings.Repeat("b", 61) + "\x00": strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("b", 61) + ".",
	} {
		if name, _, err := ReadName([]byte(wire)); err != nil || name != want {
			t.Errorf("%x: %s, %v", wire, name, err)
		}
	}
	for _, wire := range []string{"", "\x01", "\x01a", "\x02a\x00", "\x40", "\x80\x00", "\xc0\x00", "\x01a\xc0\x00", long + "\x3e" + strings.Repeat("b", 62) + "\x00"} {
		if name, _, err := ReadName([]byte(wire)); !errors.Is(err, ErrSyntax) {
			t.Errorf("%x: %s, %v", wire, name, err)
		}
	}
}
