package resolver

import (
	"log/slog"
	"testing"
	"testing/synctest"

	"postroad/internal/core/facts"
	"postroad/internal/proto/dns"
	"postroad/internal/sim"
)

func TestSecurityIsWhatAValidatingResolverOnThisMachineSays(t *testing.T) {
	for _, c := range []struct {
		name         string
		server       string
		root, answer sim.DNSReply
		want         facts.Security
	}{
		{"validated", "127.0.0.1:53", sim.DNSSecure, sim.DNSSecure, facts.Secure},
		{"validated, by IPv6", "[::1]:53", sim.DNSSecure, sim.DNSSecure, facts.Secure},
		{"not signed", "127.0.0.1:53", sim.DNSSecure, sim.DNSNormal, facts.Insecure},
		{"does not validate", "127.0.0.1:53", sim.DNSSecure, sim.DNSBogus, facts.Bogus},
		{"broken, whoever asks", "127.0.0.1:53", sim.DNSSecure, sim.DNSServFail, facts.SecurityUnknown},
		{"silent", "127.0.0.1:53", sim.DNSSecure, sim.DNSTimeout, facts.SecurityUnknown},
		{"a resolver that does not validate", "127.0.0.1:53", sim.DNSNormal, sim.DNSNormal, facts.SecurityUnknown},
		{"a resolver that fails for its own reasons", "127.0.0.1:53", sim.DNSNormal, sim.DNSBogus, facts.SecurityUnknown},
		{"AD from afar", "192.0.2.53:53", sim.DNSSecure, sim.DNSSecure, facts.SecurityUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net, server := sim.NewNetwork(t), sim.NewDNS(t, zones)
				net.DNS(c.server, server)
				server.Script("", "SOA", c.root)
				server.Script("example.net", "MX", c.answer)
				s := New(Config{Servers: []string{c.server}}, slog.New(slog.DiscardHandler), WithDialer(net))
				if got, answer := s.Security(t.Context(), "example.net", dns.TypeMX); got != c.want || answer.Detail == "" {
					t.Errorf("%v (%s), want %v", got, answer.Detail, c.want)
				}
			})
		})
	}
}
