package resolver

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/sim"
)

func TestConfigValidate(t *testing.T) {
	for _, good := range []string{"192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:53", "fe80::1%eth0"} {
		if err := (Config{Servers: []string{good}}).Validate(); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	bad := []string{"", "dns.example", "dns.example:53", "192.0.2.53:0", "192.0.2.53:66000", "192.0.2.53:x", ":53"}
	err := Config{Servers: bad}.Validate()
	if !errors.Is(err, ErrServer) {
		t.Fatalf("got %v", err)
	}
	if got := strings.Count(err.Error(), "\n") + 1; got != len(bad) {
		t.Errorf("%d problems told of %d:\n%v", got, len(bad), err)
	}
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
}

func TestParseResolvConf(t *testing.T) {
	list, err := parseResolvConf(strings.NewReader("# c\nsearch example.net\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 # x\n" +
		"nameserver dns.example\nnameserver\nnameservers 192.0.2.9\nnameserver fe80::1%eth0\noptions ndots:5\n" + strings.Repeat("nameserver 192.0.2.2\n", 20)))
	want := []string{"192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%eth0]:53", "192.0.2.2:53"}
	if err != nil || len(list) != serversMax || !reflect.DeepEqual(list[:4], want) {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestResolvConfIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "resolv.conf")
		list := newServers(nil, path, slog.New(slog.DiscardHandler))
		check := func(want string) {
			t.Helper()
			pass(2 * resolvConfCheck)
			if got := list.order(time.Now()); len(got) != 1 || got[0] != want {
				t.Errorf("asks %v, want %s", got, want)
			}
		}
		check("127.0.0.1:53")
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("nameserver 192.0.2.1\n")
		check("192.0.2.1:53")
		write("nameserver 192.0.2.200\n")
		check("192.0.2.200:53")
		write("# none\n")
		check("127.0.0.1:53")
		write("nameserver 192.0.2.3\n")
		check("192.0.2.3:53")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		check("192.0.2.3:53")
	})
}

func TestServersInTurn(t *testing.T) {
	list := newServers([]string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, "", slog.New(slog.DiscardHandler))
	now := time.Now()
	first := map[string]int{}
	for range 30 {
		order := list.order(now)
		if len(order) != 3 {
			t.Fatalf("order %v", order)
		}
		first[order[0]]++
	}
	for server, times := range first {
		if times != 10 {
			t.Errorf("%s was first %d times of 30", server, times)
		}
	}
	list.heard("192.0.2.2:53", false, now)
	for range 30 {
		if order := list.order(now.Add(silentFor - 1)); order[2] != "192.0.2.2:53" {
			t.Fatalf("the silent one is not last: %v", order)
		}
	}
	list.heard("192.0.2.2:53", true, now)
	leads := 0
	for range 30 {
		if list.order(now)[0] == "192.0.2.2:53" {
			leads++
		}
	}
	if leads != 10 {
		t.Errorf("one that answers again is first %d times of 30", leads)
	}
}

func TestOneServerAnswers(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*sim.Network, *sim.DNS)
		first time.Duration // what the first look-up may cost
	}{
		{"the other is silent", func(_ *sim.Network, d *sim.DNS) { d.Script("*", "*", sim.DNSTimeout) }, defaultTimeout},
		{"the other says SERVFAIL", func(_ *sim.Network, d *sim.DNS) { d.Script("*", "*", sim.DNSServFail) }, 0},
		{"the other is gone", func(n *sim.Network, _ *sim.DNS) { n.Refuse("192.0.2.54:53") }, 0},
		{"the other cannot be reached", func(n *sim.Network, _ *sim.DNS) { n.BlackHole("192.0.2.54:53") }, defaultTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good, bad := sim.NewDNS(t, zones), sim.NewDNS(t, zones)
				network := sim.NewNetwork(t)
				network.DNS(server, good)
				network.DNS("192.0.2.54:53", bad)
				c.spoil(network, bad)
				s := New(Config{Servers: []string{"192.0.2.54", server}}, slog.New(slog.DiscardHandler), WithDialer(network))
				begun := time.Now()
				for _, name := range []string{"example.net", "alias.example.net", "c0.example.net", "both.example.net"} {
					if got := s.MX(t.Context(), name); got.Status != facts.Found {
						t.Errorf("%s: %v (%s)", name, got.Status, got.Detail)
					}
				}
				if spent := time.Since(begun); spent > c.first {
					t.Errorf("four look-ups took %v", spent)
				}
			})
		})
	}
}

func TestAllServersFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := sim.NewDNS(t, zones), sim.NewDNS(t, zones)
		network := sim.NewNetwork(t)
		network.DNS(server, one)
		network.DNS("192.0.2.54:53", two)
		one.Script("*", "*", sim.DNSServFail)
		two.Script("*", "*", sim.DNSTimeout)
		s := New(Config{Servers: []string{server, "192.0.2.54"}}, slog.New(slog.DiscardHandler), WithDialer(network))
		got := s.MX(t.Context(), "example.net")
		if got.Status != facts.Temporary || !strings.Contains(got.Detail, "SERVFAIL from 192.0.2.53:53") || !strings.Contains(got.Detail, "no answer from 192.0.2.54:53") {
			t.Errorf("%v (%s)", got.Status, got.Detail)
		}
		if one.Asked("*", "*") != 1 || two.Asked("*", "*") != rounds {
			t.Errorf("who said SERVFAIL was asked %d times, who said nothing %d times", one.Asked("*", "*"), two.Asked("*", "*"))
		}
	})
}

func TestInvalidServerAnswersNothing(t *testing.T) {
	s := New(Config{Servers: []string{"not an address"}}, slog.New(slog.DiscardHandler))
	if got := s.MX(t.Context(), "example.net"); got.Status != facts.Temporary {
		t.Errorf("%v (%s)", got.Status, got.Detail)
	}
}

func TestResolvConfOfAProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte("nameserver 192.0.2.53\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		network := sim.NewNetwork(t)
		network.DNS(server, sim.NewDNS(t, zones))
		s := New(Config{}, slog.New(slog.DiscardHandler), WithDialer(network), withResolvConf(path))
		if got := s.MX(t.Context(), "example.net"); got.Status != facts.Found {
			t.Errorf("%v (%s)", got.Status, got.Detail)
		}
	})
}
