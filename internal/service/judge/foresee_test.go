package judge_test

import (
	"net/netip"
	"strings"
	"testing"
)

// TestWhatIsForeseen: what is told of a client and a sender before there is a message.
func TestWhatIsForeseen(t *testing.T) {
	t.Parallel()
	s := service(dns(zones))
	for _, c := range []struct {
		name, client, domain, want string
	}{
		{"a stranger", "192.0.2.31", "plain.example", "SPF fail for far.test from 192.0.2.31"},
		{"a sender's own server", "203.0.113.5", "plain.example", "SPF pass for far.test from 203.0.113.5"},
		{"a trusted forwarder", "192.0.2.25", "addr.example", "192.0.2.25 is the trusted forwarder 192.0.2.25 of addr.example"},
		{"one trusted by its name", "192.0.2.25", "name.example", "192.0.2.25 is the trusted forwarder primary.acme.test of name.example"},
		{"one that says it has that name", "192.0.2.66", "name.example", "SPF fail for far.test from 192.0.2.66"},
		{"a gateway", "192.0.2.25", "gate.example", "192.0.2.25 is the gateway 192.0.2.25 of gate.example"},
		{"judged by nobody", "192.0.2.31", "off.example", "Strangers' mail for off.example is not judged."},
	} {
		d, ok := ours.View().Directory.Domain(c.domain)
		if !ok {
			t.Fatalf("there is no %s", c.domain)
		}
		if got := s.Foresee(t.Context(), d, netip.MustParseAddr(c.client), "bob@far.test"); !strings.HasPrefix(got[0], c.want) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
