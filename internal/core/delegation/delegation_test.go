package delegation_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/delegation"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
)

// says is what one name server says of NS records.
func says(server, code string, aa bool, hosts ...string) facts.Answer {
	a := facts.Answer{Server: server, Address: server + ":53", Type: dns.TypeNS, Code: code, Authoritative: aa, Status: facts.Temporary}
	if code == "NOERROR" {
		a.Status = facts.NoData
	}
	for _, host := range hosts {
		data, err := dns.AppendName(nil, host+".")
		if err != nil {
			panic(err)
		}
		a.Status = facts.Found
		a.Records = append(a.Records, dns.Record{Name: "acme.example.", Type: dns.TypeNS, TTL: 300, Data: data})
	}
	return a
}

func serial(server string, n string) facts.Answer {
	data, err := dns.Data(dns.TypeSOA, "ns. host. "+n+" 1 1 1 1", "")
	if err != nil {
		panic(err)
	}
	return facts.Answer{
		Server: server, Code: "NOERROR", Authoritative: true, Status: facts.Found, Type: dns.TypeSOA,
		Records: []dns.Record{{Name: "acme.example.", Type: dns.TypeSOA, Data: data}},
	}
}

func zone(ns ...string) facts.Delegation {
	d := facts.Delegation{Name: "acme.example", Zone: "acme.example", Parent: "example", Status: facts.Found, NS: ns, Whole: true}
	for i, name := range ns {
		d.Servers = append(d.Servers, facts.NameServer{Name: name, Addrs: []netip.Addr{netip.AddrFrom4([4]byte{9, 9, byte(i), 1})}})
	}
	return d
}

func TestFaultsOfADelegation(t *testing.T) {
	t.Parallel()
	both := zone("ns1.x", "ns2.x")
	good := []facts.Answer{says("ns1.x", "NOERROR", true, "ns1.x", "ns2.x"), says("ns2.x", "NOERROR", true, "ns2.x", "ns1.x")}
	near := zone("ns1.x", "ns2.x")
	near.Servers[1].Addrs = []netip.Addr{netip.MustParseAddr("9.9.0.77")}
	spread := zone("ns1.x", "ns2.x")
	spread.Servers[1].Addrs = append(near.Servers[1].Addrs, netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db9::1"))
	silent := zone("ns1.x", "ns2.x")
	silent.Servers[1].Addrs, silent.Servers[1].Problem = nil, "no address was found"
	for _, c := range []struct {
		name     string
		seen     delegation.Seen
		want     []finding.Name
		evidence string
	}{
		{"nothing", delegation.Seen{Delegation: both, NS: good}, nil, ""},
		{"refused", delegation.Seen{Delegation: both, NS: []facts.Answer{good[0], says("ns2.x", "REFUSED", false)}}, []finding.Name{finding.NSLame}, "ns2.x (ns2.x:53) answers REFUSED for acme.example"},
		{"no authority", delegation.Seen{Delegation: both, NS: []facts.Answer{good[0], says("ns2.x", "NOERROR", false, "ns1.x", "ns2.x")}}, []finding.Name{finding.NSLame}, "without authority"},
		{"silent", delegation.Seen{Delegation: both, NS: []facts.Answer{good[0], says("ns2.x", "", false)}}, nil, ""},
		{"SERVFAIL", delegation.Seen{Delegation: both, NS: []facts.Answer{good[0], says("ns2.x", "SERVFAIL", false)}}, nil, ""},
		{"other names inside", delegation.Seen{Delegation: both, NS: []facts.Answer{good[0], says("ns2.x", "NOERROR", true, "ns1.x", "ns3.x")}}, []finding.Name{finding.NSInconsistent}, "the zone above names ns1.x, ns2.x; ns2.x name ns1.x, ns3.x"},
		{"other serial", delegation.Seen{Delegation: both, NS: good, SOA: []facts.Answer{serial("ns1.x", "7"), serial("ns2.x", "8")}}, []finding.Name{finding.NSInconsistent}, "ns1.x have serial 7; ns2.x have serial 8"},
		{"same serial", delegation.Seen{Delegation: both, NS: good, SOA: []facts.Answer{serial("ns1.x", "7"), serial("ns2.x", "7")}}, nil, ""},
		{"one network", delegation.Seen{Delegation: near, NS: good}, []finding.Name{finding.NSSameNetwork}, "all in 9.9.0.0/24"},
		{"one IPv4 network, two of IPv6", delegation.Seen{Delegation: spread, NS: good}, nil, ""},
		{"one address unknown", delegation.Seen{Delegation: silent, NS: good}, nil, ""},
		{"one server", delegation.Seen{Delegation: zone("ns1.x"), NS: []facts.Answer{says("ns1.x", "NOERROR", true, "ns1.x")}}, []finding.Name{finding.NSSameNetwork}, "ns1.x at 9.9.0.1"},
		{"no zone", delegation.Seen{}, nil, ""},
	} {
		var names []finding.Name
		var evidence []string
		for _, f := range c.seen.Faults() {
			names, evidence = append(names, f.Name), append(evidence, f.Evidence)
		}
		if !slices.Equal(names, c.want) || !strings.Contains(strings.Join(evidence, "\n"), c.evidence) {
			t.Errorf("%s: %v %q, want %v %q", c.name, names, evidence, c.want, c.evidence)
		}
	}
}

func TestHowFarAZoneIsHandedToUs(t *testing.T) {
	t.Parallel()
	given := []string{"ns1.host", "ns2.host"}
	part := zone("ns1.host", "ns2.host")
	part.Name = "sub.acme.example"
	for _, c := range []struct {
		name string
		d    facts.Delegation
		want delegation.Progress
	}{
		{"all", zone("ns1.host", "ns2.host"), delegation.Done},
		{"none", zone("ns.old", "ns2.old"), delegation.Waiting},
		{"one of ours", zone("ns1.host"), delegation.Partly},
		{"others too", zone("ns.old", "ns1.host", "ns2.host"), delegation.Partly},
		{"one of ours and another", zone("ns.old", "ns1.host"), delegation.Partly},
		{"a part of a zone of ours", part, delegation.Waiting},
		{"no such name", facts.Delegation{Name: "acme.example", Zone: "example", Status: facts.NXDomain}, delegation.Waiting},
		{"not known", facts.Delegation{Name: "acme.example", Zone: "example", Status: facts.Temporary}, ""},
	} {
		if got, evidence := delegation.Handed(&c.d, given); got != c.want {
			t.Errorf("%s: %q (%s), want %q", c.name, got, evidence, c.want)
		}
	}
	d := zone("ns.old")
	if got, _ := delegation.Handed(&d, nil); got != "" {
		t.Errorf("without names of ours: %q", got)
	}
}

// A proof is shown, and lost, by the word of every name server only.
func TestAProofNeedsEveryServersWord(t *testing.T) {
	t.Parallel()
	d := zone("ns1.x", "ns2.x")
	yes := func(server string) facts.Answer { return says(server, "NOERROR", true, "proof") }
	other := func(server string) facts.Answer { return says(server, "NOERROR", true, "else") }
	no := func(server string) facts.Answer { return says(server, "NOERROR", true) }
	for _, c := range []struct {
		name    string
		answers []facts.Answer
		whole   bool
		want    delegation.Proof
	}{
		{"all have it", []facts.Answer{yes("ns1.x"), yes("ns2.x")}, true, delegation.Shown},
		{"one silent", []facts.Answer{yes("ns1.x"), says("ns2.x", "", false)}, true, delegation.Unclear},
		{"one fails", []facts.Answer{yes("ns1.x"), says("ns2.x", "SERVFAIL", false)}, true, delegation.Unclear},
		{"one refuses", []facts.Answer{no("ns1.x"), says("ns2.x", "REFUSED", false)}, true, delegation.Unclear},
		{"one without authority", []facts.Answer{yes("ns1.x"), says("ns2.x", "NOERROR", false, "proof")}, true, delegation.Unclear},
		{"one not asked", []facts.Answer{yes("ns1.x")}, true, delegation.Unclear},
		{"one does not", []facts.Answer{yes("ns1.x"), no("ns2.x")}, true, delegation.Unclear},
		{"none", []facts.Answer{no("ns1.x"), no("ns2.x")}, true, delegation.Lost},
		{"none, but others", []facts.Answer{other("ns1.x"), no("ns2.x")}, true, delegation.Lost},
		{"one address silent", []facts.Answer{yes("ns1.x"), says("ns1.x", "", false), yes("ns2.x")}, true, delegation.Shown},
		{"one address without", []facts.Answer{yes("ns1.x"), no("ns1.x"), yes("ns2.x")}, true, delegation.Unclear},
		{"more servers than are asked", []facts.Answer{no("ns1.x"), no("ns2.x")}, false, delegation.Unclear},
	} {
		has := func(a *facts.Answer) bool { return slices.Contains(a.Hosts(), "proof") }
		if got, detail := delegation.Everywhere(d.Servers, c.answers, c.whole, delegation.Has(has)); got != c.want {
			t.Errorf("%s: %d (%s), want %d", c.name, got, detail, c.want)
		}
	}
	if got, _ := delegation.Everywhere(nil, nil, true, func(*facts.Answer) delegation.Word { return delegation.Yes }); got != delegation.Unclear {
		t.Errorf("no servers: %d", got)
	}
}

func TestWhatTheZoneAboveHandsOn(t *testing.T) {
	t.Parallel()
	given := []string{"ns1.host", "ns2.host"}
	for _, c := range []struct {
		name string
		a    facts.Answer
		want delegation.Word
	}{
		{"all", facts.Answer{Code: "NOERROR", Status: facts.Temporary, Refers: given}, delegation.Yes},
		{"more", facts.Answer{Code: "NOERROR", Refers: []string{"ns.else", "ns1.host", "ns2.host"}}, delegation.Yes},
		{"some", facts.Answer{Code: "NOERROR", Refers: []string{"ns1.host"}}, 0},
		{"others", facts.Answer{Code: "NOERROR", Refers: []string{"ns.else"}}, delegation.No},
		{"its own answer", says("x", "NOERROR", true, "ns1.host", "ns2.host"), delegation.Yes},
		{"its own answer, others", says("x", "NOERROR", true, "ns.else"), delegation.No},
		{"no such name", facts.Answer{Code: "NXDOMAIN", Status: facts.NXDomain, Authoritative: true}, delegation.No},
		{"no delegation", says("x", "NOERROR", true), delegation.No},
		{"silence", facts.Answer{}, 0},
		{"refused", facts.Answer{Code: "REFUSED"}, 0},
	} {
		if got := delegation.Hands(given)(&c.a); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if got := delegation.Hands(nil)(&facts.Answer{Code: "NXDOMAIN", Status: facts.NXDomain, Authoritative: true}); got != 0 {
		t.Errorf("nothing was given: %d", got)
	}
}
