package directory_test

import (
	"net/netip"
	"testing"

	"postroad/internal/core/directory"
)

func TestSourcesAreOneAddressOfEachFamily(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "192.0.2.7": "192.0.2.7", "2001:db8::7": "2001:db8::7", "2001:DB8::7, 192.0.2.7": "192.0.2.7,2001:db8::7",
		"::ffff:192.0.2.7": "192.0.2.7", "192.0.2.7=Mx2.Host.example": "192.0.2.7=mx2.host.example",
		"2001:db8::7=six.host.example, 192.0.2.7=four.host.example": "192.0.2.7=four.host.example,2001:db8::7=six.host.example", "192.0.2.7,::7=m.bücher.example": "192.0.2.7,::7=m.xn--bcher-kva.example",
	} {
		s, ok := directory.ParseSource(text)
		if !ok || s.String() != want || s.IsZero() != (want == "") {
			t.Errorf("%q is %q, %v; want %q", text, s, ok, want)
		}
		if again, ok := directory.ParseSource(s.String()); !ok || again != s {
			t.Errorf("%q is read back as %q", s, again)
		}
	}
	for _, text := range []string{"192.0.2.7,192.0.2.8", "::1,::2", "host.example", "192.0.2.7,", ",", "fe80::1%eth0", "192.0.2.7 192.0.2.8", "192.0.2.0/24", "192.0.2.7=", "192.0.2.7=localhost", "192.0.2.7=a b.example", "192.0.2.7=a.example=b.example", "=a.example", "192.0.2.7=a\r\n.example"} {
		if s, ok := directory.ParseSource(text); ok || !s.IsZero() {
			t.Errorf("%q is taken as %q", text, s)
		}
	}
	s, _ := directory.ParseSource("192.0.2.7=four.host.example,::7")
	if four, six := s.Helo(netip.MustParseAddr("::ffff:198.51.100.1")), s.Helo(netip.MustParseAddr("2001:db8::1")); four != "four.host.example" || six != "" {
		t.Errorf("EHLO %q and %q", four, six)
	}
	s, _ = directory.ParseSource("192.0.2.7")
	if got := s.For(netip.MustParseAddr("::ffff:198.51.100.1")); got != s.V4 {
		t.Errorf("an IPv4 host is dialled from %v", got)
	}
	if got := s.For(netip.MustParseAddr("2001:db8::1")); got.IsValid() {
		t.Errorf("an IPv6 host is dialled from %v", got)
	}
}

func TestARouteOfADomainIsCompletedByTheInstallations(t *testing.T) {
	t.Parallel()
	seven, _ := directory.ParseSource("192.0.2.7")
	one, _ := directory.ParseSource("192.0.2.1")
	all := directory.Outbound{ID: "all", Hop: directory.HostPort{Host: "smart.example", Port: 25}, Operator: true, TLS: directory.TLSVerified, User: "u", Password: "p", Source: one}
	sourced := directory.Outbound{ID: "a", Domain: "a.example", TLS: directory.TLSOpportunistic, Source: seven}
	hopped := directory.Outbound{ID: "b", Domain: "b.example", Hop: directory.HostPort{Host: "own.example", Port: 25}, TLS: directory.TLSOpportunistic}
	s := directory.NewSnapshot(1, nil, nil, nil, []directory.Outbound{sourced, all, hopped})
	both := all
	both.ID, both.Domain, both.Source = "a", "a.example", seven
	own := hopped
	own.Source = one
	for domain, want := range map[string]directory.Outbound{"a.example": both, "b.example": own, "c.example": all, "": all} {
		if got, ok := s.Outbound(domain); !ok || got != want {
			t.Errorf("%q: %+v, want %+v", domain, got, want)
		}
		if got, ok := s.OutboundByID(want.ID); !ok || got != want {
			t.Errorf("%q by id: %+v, want %+v", domain, got, want)
		}
	}
	if got, ok := s.OutboundByID("gone"); ok {
		t.Errorf("a route that is not there: %+v", got)
	}
}
