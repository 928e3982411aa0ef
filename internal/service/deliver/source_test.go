package deliver_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/service/deliver"
	"postroad/internal/sim"
)

// leaving makes outbound routes o1, o2 … without smart hosts from addresses.
func (w *world) leaving(sources ...string) {
	w.t.Helper()
	var list []directory.Outbound
	for i, text := range sources {
		source, ok := directory.ParseSource(text)
		if !ok {
			w.t.Fatal(text)
		}
		list = append(list, directory.Outbound{ID: fmt.Sprintf("o%d", i+1), Domain: fmt.Sprintf("d%d.example", i+1), Source: source})
	}
	w.directory = directory.NewSnapshot(1, nil, nil, nil, list)
}

// clients are the addresses from which messages came to a peer, by sender.
func clients(p *sim.Peer) map[string]string {
	out := map[string]string{}
	for _, m := range p.Messages() {
		out[strings.TrimSuffix(m.From, "@sender.example")] = m.Client.String()
	}
	return out
}

// exchanger is a peer on loopback that example.net's MX record names.
func exchanger(t *testing.T, script sim.Script) (*sim.Peer, *world) {
	t.Helper()
	p := sim.StartPeer(t, script)
	port := netip.MustParseAddrPort(p.Addr()).Port()
	return p, onLoopback(t, sim.Zones{"example.net": "@ MX 10 mx1\nmx1 A 127.0.0.1"}, func(c *deliver.Config) { c.Port = port })
}

func TestMailLeavesFromTheAddressOfItsRoute(t *testing.T) {
	t.Parallel()
	p, w := exchanger(t, sim.Script{})
	w.leaving("127.0.0.2=two.sender.example", "127.0.0.3,::1=six.sender.example")
	for i, lane := range []string{"example.net#o1", "example.net#o2", "example.net", "example.net#o1", "example.net#o2"} {
		w.expect(w.deliver(remote(lane), message(fmt.Sprintf("m%d", i+1), "a@example.net")), okMX1)
	}
	want := map[string]string{"m1": "127.0.0.2", "m2": "127.0.0.3", "m3": "127.0.0.1", "m4": "127.0.0.2", "m5": "127.0.0.3"}
	if got := clients(p); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("it came from %v, want %v", got, want)
	}
	if n := p.Connections(); n != 3 {
		t.Errorf("%d connections, want one for each route", n)
	}
	for _, m := range p.Messages() {
		if named := m.Hello == "two.sender.example"; named != (m.Client.String() == "127.0.0.2") || m.Hello == "six.sender.example" {
			t.Errorf("from %v it said EHLO %s", m.Client, m.Hello)
		}
	}
}

func TestMailLeavesFromTheAddressOfItsRouteThroughASmartHost(t *testing.T) {
	t.Parallel()
	p := sim.StartPeer(t, sim.Script{})
	w := onLoopback(t, nil, nil)
	at := netip.MustParseAddrPort(p.Addr())
	route := directory.Outbound{ID: "o1", Hop: directory.HostPort{Host: "127.0.0.1", Port: at.Port()}, Operator: true, Source: directory.Source{V4: netip.MustParseAddr("127.0.0.2")}}
	w.directory = directory.NewSnapshot(1, nil, nil, nil, []directory.Outbound{route})
	for _, lane := range []mail.Lane{relay(p.Addr() + "!#o1"), remote("example.net#o1")} { // it was by MX when the mail was taken
		w.expect(w.deliver(lane, message("m1", "a@example.net")), "delivered 250 2.0.0 127.0.0.1")
	}
	if err := w.service.Probe(t.Context(), relay(p.Addr()+"!#o1")); err != nil {
		t.Error(err)
	}
	for _, m := range p.Messages() {
		if m.Client.String() != "127.0.0.2" {
			t.Errorf("it came from %v", m.Client)
		}
	}
	if len(p.Messages()) != 2 {
		t.Errorf("%d messages", len(p.Messages()))
	}
}

func TestAnotherAddressIsAnotherConnection(t *testing.T) {
	t.Parallel()
	p, w := exchanger(t, sim.Script{})
	for i, source := range []string{"127.0.0.2", "127.0.0.3", ""} {
		w.leaving(source)
		w.expect(w.deliver(remote("example.net#o1"), message(fmt.Sprintf("m%d", i+1), "a@example.net")), okMX1)
	}
	w.directory = directory.NewSnapshot(2, nil, nil, nil, nil) // the route was removed
	w.expect(w.deliver(remote("example.net#o1"), message("m4", "a@example.net")), okMX1)
	want := map[string]string{"m1": "127.0.0.2", "m2": "127.0.0.3", "m3": "127.0.0.1", "m4": "127.0.0.1"}
	if got := clients(p); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("it came from %v, want %v", got, want)
	}
}

func TestAnAddressThatIsNotHereDefersAndNothingLeavesFromAnother(t *testing.T) {
	t.Parallel()
	p, w := exchanger(t, sim.Script{})
	w.leaving("192.0.2.7", "::1")
	for lane, want := range map[string][2]string{
		"example.net#o1": {"- | down 4.3.5 mx1.example.net", "mail of this sender leaves from 192.0.2.7, which this machine does not have now"},
		"example.net#o2": {"- | down 4.4.4 us.example", "no host of the destination has an address of the family from which this mail leaves: ::1"},
	} {
		r := w.deliver(remote(lane), message("m1", "a@example.net"))
		w.expect(r, want[0])
		if !strings.Contains(r.reason(), want[1]) {
			t.Errorf("%s: the reason is %q", lane, r.reason())
		}
		if err := w.service.Probe(t.Context(), remote(lane)); err == nil {
			t.Errorf("%s: a probe finds it in order", lane)
		}
	}
	if n := p.Connections(); n != 0 {
		t.Errorf("%d connections from another address", n)
	}
	w.expect(w.deliver(remote("example.net"), message("m2", "a@example.net")), okMX1)
}

func TestARefusalFromAnAddressNamesIt(t *testing.T) {
	t.Parallel()
	_, port, _ := net.SplitHostPort(sim.FreeAddress(t))
	w := onLoopback(t, nil, nil)
	w.directory = directory.NewSnapshot(1, nil, nil, nil, []directory.Outbound{{
		ID: "o1", Hop: directory.HostPort{Host: "127.0.0.1", Port: netip.MustParseAddrPort("127.0.0.1:" + port).Port()}, Operator: true,
		Source: directory.Source{V4: netip.MustParseAddr("127.0.0.2")},
	}})
	r := w.deliver(relay("127.0.0.1:"+port+"!#o1"), message("m1", "a@example.net"))
	w.expect(r, "- | down 4.4.1 127.0.0.1")
	if !strings.Contains(r.reason(), "from 127.0.0.2: ") {
		t.Errorf("the reason is %q", r.reason())
	}
}
