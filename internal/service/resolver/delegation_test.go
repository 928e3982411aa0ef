package resolver

import (
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/facts"
	"postroad/internal/proto/dns"
	"postroad/internal/sim"
)

// tree is a world with a root, top-level zones and servers of their own, each at its address.
type tree struct {
	t       *testing.T
	net     *sim.Network
	servers map[string]*sim.DNS
	s       *Service
}

// Addresses are public ones: nothing is dialled but within the bubble.
const (
	rootAt = "198.41.0.4"
	tldAt  = "192.5.6.30"
	oneAt  = "9.9.9.1"
	twoAt  = "9.9.9.2"
)

func newTree(t *testing.T) *tree {
	t.Helper()
	w := &tree{t: t, net: sim.NewNetwork(t), servers: map[string]*sim.DNS{}}
	w.at(rootAt, sim.Zones{".": `
		.       NS a.root.
		a.root. A  198.41.0.4
		test.   NS a.tld.test.
		a.tld.test. A 192.5.6.30
		other.  NS a.tld.test.
	`})
	w.at(tldAt, sim.Zones{
		"test": `
			@          NS a.tld
			a.tld      A  192.5.6.30
			example    NS ns1.example
			example    NS ns2.host.other.
			example    DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
			ns1.example A 9.9.9.1
			ns2.host.other. A 6.6.6.6
		`,
		"other": `
			@          NS a.tld.test.
			host       NS ns1.host
			ns1.host   A  9.9.9.2
		`,
	})
	w.at(oneAt, sim.Zones{"example.test": `
		@   NS  ns1
		@   NS  ns2.host.other.
		@   MX  10 mx
		ns1 A   9.9.9.1
		mx  A   9.9.9.25
		@   TXT "here"
		a.b TXT "deep"
		far CNAME www.other.
	`})
	w.at(twoAt, sim.Zones{
		"example.test": `
			@   NS  ns1
			@   NS  ns2.host.other.
			@   MX  10 mx
			ns1 A   9.9.9.1
			mx  A   9.9.9.25
			@   TXT "here"
			a.b TXT "deep"
			far CNAME www.other.
		`,
		"host.other": "@ NS ns1\nns1 A 9.9.9.2\nns2 A 9.9.9.2\n",
	})
	w.s = New(Config{Servers: []string{server}, Roots: []string{rootAt}}, slog.New(slog.DiscardHandler), WithDialer(w.net))
	return w
}

// at puts an authoritative server at an address; zones outside of their own are taken out of the text's way.
func (w *tree) at(address string, zones sim.Zones) *sim.DNS {
	w.t.Helper()
	d := sim.NewAuthority(w.t, zones)
	w.servers[address] = d
	w.net.DNS(address+":53", d)
	return d
}

func (w *tree) questions() int {
	n := 0
	for _, d := range w.servers {
		n += d.Asked("*", "*")
	}
	return n
}

func inTree(t *testing.T, f func(t *testing.T, w *tree)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newTree(t)) })
}

func TestDelegationIsFollowedFromTheRoot(t *testing.T) {
	inTree(t, func(t *testing.T, w *tree) {
		for _, c := range []struct {
			name, zone string
			status     facts.Status
		}{
			{"example.test", "example.test", facts.Found},
			{"EXAMPLE.test.", "example.test", facts.Found},
			{"a.b.example.test", "example.test", facts.Found},
			{"b.example.test", "example.test", facts.Found},
			{"nobody.example.test", "example.test", facts.NXDomain},
			{"deep.nobody.example.test", "example.test", facts.NXDomain},
			{"nobody.test", "test", facts.NXDomain},
			{"host.other", "host.other", facts.Found},
			{"nowhere", "", facts.NXDomain},
		} {
			d := w.s.Delegation(t.Context(), c.name)
			if d.Zone != c.zone || d.Status != c.status {
				t.Errorf("%s: zone %q %v (%s), want %q %v", c.name, d.Zone, d.Status, d.Detail, c.zone, c.status)
			}
		}
		d := w.s.Delegation(t.Context(), "example.test")
		if !d.Delegated() || d.Parent != "test" || !slices.Equal(d.NS, []string{"ns1.example.test", "ns2.host.other"}) || !d.Whole {
			t.Errorf("%+v", d)
		}
		if len(d.DS) != 1 || d.DS[0].Type != dns.TypeDS {
			t.Errorf("DS %v", d.DS)
		}
		want := []facts.NameServer{
			{Name: "ns1.example.test", Addrs: []netip.Addr{netip.MustParseAddr(oneAt)}},
			{Name: "ns2.host.other", Addrs: []netip.Addr{netip.MustParseAddr(twoAt)}},
		}
		if !reflect.DeepEqual(d.Servers, want) {
			t.Errorf("servers %+v, want %+v", d.Servers, want)
		}
		handed := w.s.Everywhere(t.Context(), d.Above, "example.test", dns.TypeNS)
		if len(handed) != 1 || !slices.Equal(handed[0].Refers, d.NS) || handed[0].Grants() || handed[0].Denies() {
			t.Errorf("what the zone above says: %+v", handed)
		}
		if len(d.Above) != 1 || d.Above[0].Name != "a.tld.test" {
			t.Errorf("above %+v", d.Above)
		}
	})
}

func TestEveryNameServerOfAZoneIsAsked(t *testing.T) {
	inTree(t, func(t *testing.T, w *tree) {
		d := w.s.Delegation(t.Context(), "example.test")
		w.servers[twoAt].Script("example.test", "MX", sim.DNSAfter(300*time.Millisecond, sim.DNSNormal))
		answers := w.s.Everywhere(t.Context(), d.Servers, "example.test", dns.TypeMX)
		if len(answers) != 2 {
			t.Fatalf("%+v", answers)
		}
		for _, a := range answers {
			if !a.Grants() || a.Lame() || !reflect.DeepEqual(a.MX(), []facts.MX{{Preference: 10, Host: "mx.example.test"}}) {
				t.Errorf("%+v", a)
			}
		}
		if answers[0].Server != "ns1.example.test" || answers[0].Address != oneAt+":53" || answers[1].Took < 300*time.Millisecond {
			t.Errorf("%+v", answers)
		}
		w.servers[twoAt].Script("*", "*", sim.DNSRefused)
		answers = w.s.Everywhere(t.Context(), append(d.Servers, facts.NameServer{Name: "gone.test", Problem: "no address was found"}), "example.test", dns.TypeTXT)
		if len(answers) != 3 || !answers[1].Lame() || answers[1].Denies() || answers[2].Status != facts.Temporary || !strings.Contains(answers[2].Detail, "no address was found") {
			t.Errorf("%+v", answers)
		}
		if got := answers[0].Texts(); !slices.Equal(got, []string{"here"}) {
			t.Errorf("texts %q", got)
		}
	})
}

func TestAnAnswerThatLeadsOutOfTheZoneDeniesNothing(t *testing.T) {
	inTree(t, func(t *testing.T, w *tree) {
		a := w.s.At(t.Context(), oneAt+":53", "far.example.test", dns.TypeTXT)
		if a.Denies() || a.Grants() || a.Status != facts.Temporary || len(a.Aliases) != 1 {
			t.Errorf("%+v", a)
		}
		a = w.s.At(t.Context(), oneAt+":53", "no.example.test", dns.TypeTXT)
		if !a.Denies() || a.Code != "NXDOMAIN" {
			t.Errorf("%+v", a)
		}
	})
}

// A referral may name servers in other zones, whose addresses come from there and not from who refers.
func TestAddressesOutsideTheZoneThatRefersAreNotTakenFromIt(t *testing.T) {
	inTree(t, func(t *testing.T, w *tree) {
		evil := sim.NewAuthority(t, sim.Zones{"example.test": "@ TXT \"forged\"\n@ NS ns2.host.other.\n"})
		w.net.DNS("6.6.6.6:53", evil)
		d := w.s.Delegation(t.Context(), "example.test")
		if evil.Asked("*", "*") != 0 || d.Servers[1].Addrs[0].String() != twoAt {
			t.Errorf("the address of a referral from elsewhere was used: %+v", d.Servers)
		}
	})
}

func TestAReferralToManyNameServersAsksForFewOfThem(t *testing.T) {
	inTree(t, func(t *testing.T, w *tree) {
		var zone strings.Builder
		zone.WriteString("@ NS a.tld\na.tld A 192.5.6.30\n")
		for i := range 100 {
			fmt.Fprintf(&zone, "victims NS n%d.host.other.\n", i)
		}
		w.servers[tldAt].SetZone("test", zone.String())
		d := w.s.Delegation(t.Context(), "www.victims.test")
		if d.Status != facts.Temporary || d.Whole {
			t.Errorf("%+v", d)
		}
		if n := w.servers[twoAt].Asked("*", "*"); n > 5 {
			t.Errorf("%d questions went to the name servers' zone", n)
		}
	})
}

func TestWalkingEnds(t *testing.T) {
	for _, c := range []struct{ name, zone string }{
		{"name servers that wait for each other", "loop NS ns.pool\npool NS ns.loop\n"},
		{"a name server below itself without address", "loop NS ns.loop\n"},
		{"a chain of zones without addresses", chain(40)},
		{"loopback", "loop NS ns.loop\nns.loop A 127.0.0.1\n"},
		{"a private address", "loop NS ns.loop\nns.loop A 10.0.0.1\n"},
		{"metadata", "loop NS ns.loop\nns.loop A 169.254.169.254\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inTree(t, func(t *testing.T, w *tree) {
				w.servers[tldAt].SetZone("test", "@ NS a.tld\na.tld A 192.5.6.30\n"+c.zone)
				inside := sim.NewAuthority(t, sim.Zones{"loop.test": "@ NS ns\nns A 127.0.0.1\n"})
				for _, a := range []string{"127.0.0.1:53", "10.0.0.1:53", "169.254.169.254:53"} {
					w.net.DNS(a, inside)
				}
				d := w.s.Delegation(t.Context(), "www.loop.test")
				if d.Status != facts.Temporary {
					t.Errorf("%+v", d)
				}
				if n := w.questions(); n > 110 {
					t.Errorf("%d questions", n)
				}
				if inside.Asked("*", "*") != 0 {
					t.Error("an address that is not public was asked")
				}
			})
		})
	}
}

// chain has each zone's name servers in the next zone.
func chain(n int) string {
	var b strings.Builder
	for _, first := range []string{"loop NS a.z0\nloop NS b.z0\n"} {
		b.WriteString(first)
	}
	for i := range n {
		fmt.Fprintf(&b, "z%d NS a.z%d\nz%d NS b.z%d\nz%d NS c.z%d\n", i, i+1, i, i+1, i, i+1)
	}
	return b.String()
}

func TestAllowedNetworksMayBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTree(t)
		w.servers[tldAt].SetZone("test", "@ NS a.tld\na.tld A 192.5.6.30\nloop NS ns.loop\nns.loop A 10.0.0.1\n")
		w.net.DNS("10.0.0.1:53", sim.NewAuthority(t, sim.Zones{"loop.test": "@ NS ns\nns A 10.0.0.1\n"}))
		w.s = New(Config{Roots: []string{rootAt}, Allow: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}}, slog.New(slog.DiscardHandler), WithDialer(w.net))
		if d := w.s.Delegation(t.Context(), "loop.test"); !d.Delegated() {
			t.Errorf("%+v", d)
		}
	})
}

func TestALameServerIsPassedOver(t *testing.T) {
	inTree(t, func(t *testing.T, w *tree) {
		for _, reply := range []sim.DNSReply{sim.DNSRefused, sim.DNSServFail, sim.DNSReferral, sim.DNSTimeout, sim.DNSMalformed} {
			w.servers[oneAt].Script("*", "*", reply)
			if d := w.s.Delegation(t.Context(), "b.example.test"); d.Status != facts.Found || d.Zone != "example.test" {
				t.Errorf("%s: %+v", reply, d)
			}
		}
		w.servers[twoAt].Script("*", "*", sim.DNSReferral)
		if d := w.s.Delegation(t.Context(), "b.example.test"); d.Status != facts.Temporary || d.Zone != "example.test" {
			t.Errorf("all lame: %+v", d)
		}
	})
}

func TestZonesOnOneServerAreSeen(t *testing.T) {
	inTree(t, func(t *testing.T, w *tree) {
		w.servers[oneAt].SetZone("sub.example.test", "@ NS ns1.example.test.\n@ TXT \"sub\"\n")
		w.servers[twoAt].SetZone("sub.example.test", "@ NS ns1.example.test.\n@ TXT \"sub\"\n")
		d := w.s.Delegation(t.Context(), "www.sub.example.test")
		if d.Zone != "sub.example.test" || d.Parent != "example.test" || len(d.Servers) != 1 || d.Servers[0].Addrs[0].String() != oneAt {
			t.Errorf("%+v", d)
		}
	})
}

func TestEachResolverIsAskedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := sim.NewNetwork(t)
		good, old := sim.NewDNS(t, zones), sim.NewDNS(t, sim.Zones{"example.net": "@ MX 5 old\n"})
		net.DNS("192.0.2.53:53", good)
		net.DNS("192.0.2.54:53", old)
		s := New(Config{Servers: []string{"192.0.2.53", "192.0.2.54"}}, slog.New(slog.DiscardHandler), WithDialer(net))
		got := s.Public(t.Context(), "example.net", dns.TypeMX)
		if len(got) != 2 || got[0].MX()[0].Host != "mx2.example.net" || got[1].MX()[0].Host != "old.example.net" || got[0].Address != "192.0.2.53:53" {
			t.Errorf("%+v", got)
		}
		old.Script("*", "*", sim.DNSServFail)
		for range 3 {
			if a := s.Recursive(t.Context(), "example.net", dns.TypeSOA); a.Status != facts.Found || a.TTLOfRecords() != 300*time.Second {
				t.Errorf("%+v", a)
			} else if serial, ok := a.Serial(); !ok || serial != 1 {
				t.Errorf("serial %d %v", serial, ok)
			}
		}
	})
}

// Without a way to the root not everything waits for that, again and again.
func TestARootThatCannotBeAskedIsLeftAloneForAWhile(t *testing.T) {
	inTree(t, func(t *testing.T, w *tree) {
		w.servers[rootAt].Script("*", "*", sim.DNSTimeout)
		if d := w.s.Delegation(t.Context(), "example.test"); d.Status != facts.Temporary {
			t.Errorf("%+v", d)
		}
		w.servers[rootAt].Script("*", "*")
		begun, asked := time.Now(), w.questions()
		if d := w.s.Delegation(t.Context(), "example.test"); d.Status != facts.Temporary || time.Since(begun) != 0 || w.questions() != asked {
			t.Errorf("%+v after %v", d, time.Since(begun))
		}
		pass(rootsRest)
		if d := w.s.Delegation(t.Context(), "example.test"); !d.Delegated() {
			t.Errorf("%+v", d)
		}
	})
}
