package zone

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestExchangersAsPeopleTypeThem(t *testing.T) {
	typing := &Typing{
		Zone:  testZone(t, "@ NS ns1", "mail A 192.0.2.2", "mx.eu A 192.0.2.3", "mx.meant.com A 192.0.2.4", "*.wild.net A 192.0.2.5"),
		Known: []string{"mx.host.brand"},
	}
	for _, c := range []struct{ typed, want string }{
		// Taken.
		{"mail.example.net", "mail.example.net"},
		{"mail.example.net.", "mail.example.net"},
		{"  Mail.Example.NET. ", "mail.example.net"},
		{"mail", "mail.acme.example, completed"},
		{"new", "new.acme.example, completed"},
		{"@", "acme.example, completed"},
		{"acme.example", "acme.example"},
		{"mail.acme.example", "mail.acme.example"},
		{"bücher.example", "xn--bcher-kva.example"},
		{"mx.host.brand", "mx.host.brand"},
		{"mx.eu.acme.example", "mx.eu.acme.example"},
		{"mx.eu.", "mx.eu"},
		{"mx.meant.com.acme.example", "mx.meant.com.acme.example"},
		{"mx.wild.net.acme.example", "mx.wild.net.acme.example"},
		{"deep.new.acme.example", "deep.new.acme.example"},
		{"tld.", "tld"},
		{"a-1.b2.example", "a-1.b2.example"},
		// An address in place of a name.
		{"192.0.2.1", "MX_TARGET_IS_IP: make an A record, such as mail.acme.example with 192.0.2.1, and name mail.acme.example here"},
		{"192.0.2.1.", "MX_TARGET_IS_IP: make an A record"},
		{"[192.0.2.1]", "MX_TARGET_IS_IP: make an A record, such as mail.acme.example with 192.0.2.1,"},
		{"192.0.2.1:25", "MX_TARGET_IS_IP: make an A record"},
		{"192.0.2.0/24", "MX_TARGET_IS_IP: make an A record"},
		{"192.0.2.1.acme.example", "MX_TARGET_IS_IP: make an A record, such as mail.acme.example with 192.0.2.1,"},
		{"2001:db8::1", "MX_TARGET_IS_IP: make an AAAA record, such as mail.acme.example with 2001:db8::1,"},
		{"[2001:db8::1]", "MX_TARGET_IS_IP: make an AAAA record"},
		{"[IPv6:2001:db8::1]", "MX_TARGET_IS_IP: make an AAAA record"},
		{"::ffff:192.0.2.1", "MX_TARGET_IS_IP: make an A record, such as mail.acme.example with 192.0.2.1,"},
		{"192.0.2", "MX_TARGET_IS_IP: name the host"},
		{"300.1.1.1", "MX_TARGET_IS_IP: name the host"},
		// The preference in the field of the host.
		{"10 mail.example.com", "the host is mail.example.com and the preference 10"},
		{"10\tmail.example.com.", "the host is mail.example.com. and the preference 10"},
		{"mail.example.com 10", "the host is mail.example.com and the preference 10"},
		{"10,mail.example.com", "the host is mail.example.com and the preference 10"},
		{"@ IN MX 10 mail.example.com.", "the host is mail.example.com. and the preference 10"},
		{"acme.example. 3600 IN MX 5 mail.example.com.", "the host is mail.example.com. and the preference 5"},
		{"10", "no name of a host"},
		// The name of the zone added.
		{"mx.host.brand.acme.example", "MX_TARGET_APPENDED_ORIGIN: write mx.host.brand;"},
		{"mx.host.brand.acme.example.", "MX_TARGET_APPENDED_ORIGIN: write mx.host.brand;"},
		{"aspmx.l.other.com.acme.example", "MX_TARGET_APPENDED_ORIGIN: write aspmx.l.other.com;"},
		{"mx.other.example.acme.example", "MX_TARGET_APPENDED_ORIGIN: write mx.other.example;"},
		{"mail.acme.example.acme.example", "MX_TARGET_APPENDED_ORIGIN: write mail.acme.example;"},
		// Other things than a host.
		{"", "is empty"},
		{".", "postroad mx replace acme.example none"},
		{"none", "postroad mx replace acme.example none"},
		{"mx.eu", "write mx.eu.acme.example for that one, or mx.eu. with the last dot"},
		{"http://mail.example.com/", "only the name of the server"},
		{"mail.example.com/", "only the name of the server"},
		{"ann@example.com", "the exchanger is the server"},
		{"mail.example.com:25", "has a port"},
		{"*.acme.example", "is a wildcard"},
		{"my_mail.example.com", "has an underscore"},
		{"localhost", "sender's own machine"},
		{"mail.localhost", "sender's own machine"},
		{"localhost.", "sender's own machine"},
		{"mail..example.com", "is no name of a host"},
		{"mail.example.com..", "is no name of a host"},
		{"-mail.example.com", "is no name of a host"},
		{"mail.example.123", "is no name of a host"},
		{"mail.example.com mail2.example.com", "one host at a time"},
		{strings.Repeat("a", 64) + ".example", "is no name of a host"},
		{"a\x00b.example", "is no name of a host"},
	} {
		x, err := typing.Exchanger(c.typed, 10)
		got := x.Host
		if x.Completed {
			got += ", completed"
		}
		if fault := (*FaultError)(nil); errors.As(err, &fault) {
			if got = fault.Sentence + " " + fault.Hint; fault.Finding != "" {
				got = string(fault.Finding) + ": " + fault.Hint
			}
			if !strings.Contains(got, c.want) || fault.Sentence == "" || fault.Hint == "" {
				t.Errorf("%q: %q, want %q", c.typed, got, c.want)
			}
			continue
		}
		if got != c.want || err != nil || x.Preference != 10 {
			t.Errorf("%q: %q %v, want %q", c.typed, got, err, c.want)
		}
	}
}

func TestNamesOfAZoneThatIsElsewhere(t *testing.T) {
	typing := &Typing{Zone: &Zone{Domain: "acme.example"}, Known: []string{"mx.host.brand"}}
	for typed, want := range map[string]string{
		"mail": "mail.acme.example", "a.b.acme.example": "a.b.acme.example", "mx.host.brand.acme.example": "", "mx.other.org.acme.example": "",
	} {
		if x, err := typing.Exchanger(typed, 0); x.Host != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", typed, x.Host, err, want)
		}
	}
}

func TestNamesWithoutAZoneMustBeWhole(t *testing.T) {
	typing := &Typing{Zone: &Zone{}}
	for typed, want := range map[string]string{
		"mx.host.brand": "mx.host.brand", "mx.host.brand.": "mx.host.brand", "mail": "", "@": "", ".": "", "none": "", "192.0.2.1": "", "192.0.2": "", "2001:db8::1": "", "10 mx.host.brand": "",
	} {
		if x, err := typing.Exchanger(typed, 0); x.Host != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", typed, x.Host, err, want)
		}
	}
	for typed, want := range map[string]string{
		"ns1.host.brand": "ns1.host.brand", " NS1.Host.Brand. ": "ns1.host.brand", "ns1": "", "": "", "192.0.2.1": "", "[2001:db8::1]": "", "ns_1.host.brand": "", "ns1.host.1": "", "ns1..brand": "",
	} {
		if host, err := NameServer(typed); host != want || (err == nil) != (want != "") {
			t.Errorf("name server %q: %q, %v, want %q", typed, host, err, want)
		}
	}
}

func TestPreferences(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "10": "10", "65535": "65535", "010": "10", " 5 ": "5",
		"": "refused", "-1": "refused", "65536": "refused", "10.5": "refused", "ten": "refused", "+1": "refused", "1e2": "refused", "0x10": "refused", "99999999999999999999": "refused",
	} {
		n, err := ReadPreference(text)
		got := (Exchanger{Preference: n}).String()
		if err != nil {
			got = "refused "
			if !strings.Contains(err.Error(), "a whole number from 0 to 65535") {
				t.Errorf("%q: %v", text, err)
			}
		}
		if got != want+" " {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	typing := &Typing{Zone: &Zone{Domain: "acme.example"}}
	for _, n := range []int{-1, 65536} {
		if _, err := typing.Exchanger("mail.example.net", n); err == nil {
			t.Errorf("preference %d is taken", n)
		}
	}
}

func TestListsOfExchangers(t *testing.T) {
	typing := &Typing{Zone: testZone(t, "mail A 192.0.2.2")}
	for _, c := range []struct{ typed, want string }{
		{"mail.example.net", "10 mail.example.net"},
		{"a.example.net b.example.net c.example.net", "10 a.example.net, 20 b.example.net, 30 c.example.net"},
		{"a.example.net:5 b.example.net c.example.net:0 d.example.net.:65535", "5 a.example.net, 15 b.example.net, 0 c.example.net, 65535 d.example.net"},
		{"a.example.net:65530 b.example.net", "65530 a.example.net, 65535 b.example.net"},
		{"a.example.net:10 b.example.net:10", "10 a.example.net, 10 b.example.net"},
		{"mail:0", "0 mail.acme.example"},
		{"none", "0 ."},
		{"none mail", "stands alone"},
		{"mail none", "stands alone"},
		{"mail mail.acme.example:20", "named twice"},
		{"mail.example.net:65536", "a whole number from 0 to 65535"},
		{"mail.example.net:-1", "a whole number from 0 to 65535"},
		{"mail.example.net:99999999999999999999", "a whole number from 0 to 65535"},
		{"mail.example.net:ten", "has a port"},
		{"10:mail.example.net", "the host is mail.example.net and the preference 10"},
		{"2001:db8::1", "make an AAAA record"},
		{"[2001:db8::1]:10", "make an AAAA record"},
		{"192.0.2.1:10", "make an A record"},
		{strings.Repeat("a.example.net ", 51), "There are 51 exchangers"},
	} {
		list, err := typing.List(strings.Fields(c.typed))
		var all []string
		for _, x := range list {
			all = append(all, x.String())
		}
		got := strings.Join(all, ", ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%.80s: %s, want %s", c.typed, got, c.want)
		}
	}
}

func FuzzTyping(f *testing.F) {
	for _, text := range []string{"mail", "10 mail.example.com", "[IPv6:2001:db8::1]", "mx.host.tld.acme.example", "a:b", "@", "xn--", "::"} {
		f.Add(text)
	}
	typing := &Typing{Zone: &Zone{Domain: "acme.example"}, Known: []string{"mx.host.tld"}}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := typing.List([]string{text})
		if err != nil {
			if fault := (*FaultError)(nil); !errors.As(err, &fault) || fault.Sentence == "" || !utf8.ValidString(fault.Sentence) && utf8.ValidString(text) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		for _, x := range list {
			// What was taken can be served, and reads as itself.
			z, err := typing.Zone.WithExchangers(typing.Zone.Apex(), []Exchanger{x.Exchanger})
			if err != nil {
				t.Fatalf("%q gives %v: %v", text, x, err)
			}
			if back := z.Exchangers(z.Apex()); len(back) != 1 || back[0] != x.Exchanger {
				t.Errorf("%q gives %v, served as %v", text, x, back)
			}
		}
	})
}
