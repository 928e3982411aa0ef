package acceptance

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"postroad/internal/sim"
)

// Addresses at which our own name servers answer in a tree.
const (
	treeOurs1 = "127.1.9.1"
	treeOurs2 = "127.1.10.1"
)

// ours starts an installation that answers in DNS at addresses of the tree, as ns1.host.example and so on.
func (w *tree) ours(addresses ...string) *instance {
	w.t.Helper()
	var records strings.Builder
	var names, listen []string
	for n, a := range addresses {
		name := fmt.Sprintf("ns%d", n+1)
		records.WriteString(name + " A " + a + "\n")
		names, listen = append(names, name+".host.example"), append(listen, net.JoinHostPort(a, w.dnsPort))
	}
	w.hosted("host.example", records.String(), [2]string{"a.host.example", "127.1.8.1"}, [2]string{"b.host.example", "127.1.7.1"})
	i := prepareInstance(w.t, w.t.TempDir(), w.config())
	i.env = append(i.env, "POSTROAD_LISTEN_DNS="+strings.Join(listen, ","))
	i.start()
	i.run(append(append([]string{"nameserver-set", "add", "ours"}, names...), "--yes")...)
	return i
}

// handedOver is what `domain show --json` tells of a delegation.
type handedOver struct {
	Delegation struct {
		State       string   `json:"state"`
		NameServers []string `json:"name_servers"`
		Named       []string `json:"named"`
		Sentence    string   `json:"sentence"`
	} `json:"delegation"`
	Findings []struct{ Name, Evidence string } `json:"findings"`
}

func (h *handedOver) has(finding string) bool {
	return slices.ContainsFunc(h.Findings, func(f struct{ Name, Evidence string }) bool { return f.Name == finding })
}

// digAt asks a name server of ours and gives dig's whole output.
func (w *tree) digAt(address, name, kind string) string {
	w.t.Helper()
	out, err := exec.Command("dig", "@"+address, "-p", w.dnsPort, "+norecurse", "+time=2", "+tries=2", name, kind).CombinedOutput()
	if err != nil {
		w.t.Fatalf("dig %s %s: %v\n%s", name, kind, err, out)
	}
	return string(out)
}

func TestS1_4TheNameServersToEnterAndHowFarThatIsDone(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	acme(w, "@ MX 10 mx\nmx A 127.0.0.21\n")
	i := w.ours(treeOurs1, treeOurs2)
	i.run("domain", "add", "acme.example", "--zone", "hosted", "--nameserver-set", "ours", "--proved", "--yes")
	old, one, two := [2]string{"ns1.acme.example", "127.1.1.1"}, [2]string{"ns1.host.example", ""}, [2]string{"ns2.host.example", ""}
	for _, c := range []struct {
		state string
		named [][2]string
	}{
		{"waiting", [][2]string{old}},
		{"waiting", nil},
		{"partly done", [][2]string{old, one, two}},
		{"partly done", [][2]string{one}},
		{"done", [][2]string{one, two}},
	} {
		w.hand("acme.example", c.named...)
		got := ask[handedOver](i, "domain", "show", "acme.example")
		if got.Delegation.State != c.state || !slices.Equal(got.Delegation.NameServers, []string{"ns1.host.example", "ns2.host.example"}) || len(got.Delegation.Named) != len(c.named) {
			t.Errorf("%v: %+v, want %s", c.named, got.Delegation, c.state)
		}
	}
	if out := i.run("domain", "show", "acme.example"); !strings.Contains(out, "ns1.host.example, ns2.host.example") || !strings.Contains(out, "done: ") {
		t.Error(out)
	}
	w.servers[treeTop].Script("acme.example", "NS", sim.DNSServFail)
	if got := ask[handedOver](i, "domain", "show", "acme.example"); got.Delegation.State != "unknown" {
		t.Errorf("while nobody can tell: %+v", got.Delegation)
	}
}

func TestS1_5AZoneThatTheWorldDoesNotAskIsNotCalledLive(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	acme(w, "@ MX 10 mx\nmx A 127.0.0.21\n")
	i := w.ours(treeOurs1, treeOurs2)
	i.run("domain", "add", "acme.example", "--zone", "hosted", "--nameserver-set", "ours", "--proved", "--yes")
	var got handedOver
	eventually(t, "the finding", func() bool {
		got = ask[handedOver](i, "domain", "show", "acme.example")
		return got.has("NS_NOT_DELEGATED")
	})
	if !strings.Contains(got.Delegation.Sentence, "its MX records neither") || got.has("NS_LAME") {
		t.Errorf("%+v", got)
	}
	for _, command := range [][]string{{"domain", "show", "acme.example"}, {"mx", "list", "acme.example"}, {"zone", "show", "acme.example"}} {
		if out := i.run(command...); strings.Contains(out, "here is live.") {
			t.Errorf("%v:\n%s", command, out)
		}
	}
	w.hand("acme.example", [2]string{"ns1.host.example", ""}, [2]string{"ns2.host.example", ""})
	if got := ask[handedOver](i, "domain", "show", "acme.example"); !strings.Contains(got.Delegation.Sentence, "here is live.") {
		t.Errorf("%+v", got)
	}
}

func TestS1_14AZoneElsewhereIsRefusedAndAStaleCopyIsFlagged(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	acme(w, "@ MX 10 mx\nmx A 127.0.0.21\n")
	i := w.ours(treeOurs1, treeOurs2)
	i.run("domain", "add", "acme.example", "--proved")
	if out := w.digAt(treeOurs1, "acme.example", "MX"); !strings.Contains(out, "status: REFUSED") {
		t.Errorf("an external zone:\n%s", out)
	}
	i.run("domain", "set", "acme.example", "--zone", "hosted", "--nameserver-set", "ours", "--yes")
	eventually(t, "the finding", func() bool {
		got := ask[handedOver](i, "domain", "show", "acme.example")
		return got.has("ZONE_SHADOWED")
	})
	if out := w.digAt(treeOurs1, "acme.example", "SOA"); !strings.Contains(out, "status: NOERROR") {
		t.Errorf("a hosted zone:\n%s", out)
	}
	i.run("domain", "set", "acme.example", "--zone", "external", "--yes")
	if got := ask[handedOver](i, "domain", "show", "acme.example"); got.has("ZONE_SHADOWED") || got.has("NS_NOT_DELEGATED") {
		t.Errorf("%+v", got.Findings)
	}
	if out := w.digAt(treeOurs1, "acme.example", "MX"); !strings.Contains(out, "status: REFUSED") {
		t.Errorf("an external zone again:\n%s", out)
	}
}

func TestS4_19NameServersInOneNetworkAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, second string
		found        bool
	}{{"one network", "127.1.9.2", true}, {"two networks", treeOurs2, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newTree(t)
			i := w.ours(treeOurs1, c.second)
			w.hand("acme.example", [2]string{"ns1.host.example", ""}, [2]string{"ns2.host.example", ""})
			w.hand("other.example", [2]string{"ns1.elsewhere.example", "127.1.3.1"})
			i.run("domain", "add", "acme.example", "--zone", "hosted", "--nameserver-set", "ours", "--proved", "--yes")
			i.run("domain", "add", "other.example", "--zone", "hosted", "--nameserver-set", "ours", "--proved", "--yes")
			eventually(t, "both to be looked at", func() bool { // the second is looked at after the first
				got := ask[handedOver](i, "domain", "show", "other.example")
				return got.has("NS_NOT_DELEGATED")
			})
			if !c.found {
				if got := ask[handedOver](i, "domain", "show", "acme.example"); got.has("NS_SAME_NETWORK") || got.has("NS_LAME") || got.has("NS_PARTIAL") {
					t.Errorf("%+v", got)
				}
				return
			}
			eventually(t, "the finding", func() bool {
				got := ask[handedOver](i, "domain", "show", "acme.example")
				return got.has("NS_SAME_NETWORK")
			})
		})
	}
}

func TestS1_8WhatIsThereIsTakenOverBeforeADomainsDNSMoves(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	records := "@ MX 10 mail\n@ TXT \"v=spf1 mx -all\"\n@ A 127.0.0.80\nwww CNAME shop\nshop A 127.0.0.81\nmail A 127.0.0.21\n_dmarc TXT \"v=DMARC1; p=none\"\n" +
		"autodiscover CNAME mail\n_imaps._tcp SRV 0 1 993 oddly-named\noddly-named A 127.0.0.22\nnobody-guesses-this A 127.0.0.99\n"
	acme(w, records)
	i := w.ours(treeOurs1, treeOurs2)
	i.run("domain", "add", "acme.example", "--zone", "hosted", "--nameserver-set", "ours", "--proved", "--yes")
	before := w.digAt(treeOurs1, "acme.example", "SOA")
	out := i.run("zone", "import", "acme.example", "--from-dns", "--plan")
	for _, want := range []string{"cannot find every name", "www", "shop", "_dmarc", "oddly-named", "mail"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if after := w.digAt(treeOurs1, "www.acme.example", "A"); !strings.Contains(after, "NXDOMAIN") || before == "" {
		t.Errorf("something was saved:\n%s", after)
	}
	i.run("zone", "import", "acme.example", "--from-dns", "--yes")
	for name, want := range map[string]string{
		"www.acme.example A": "127.0.0.81", "acme.example MX": "10 mail.acme.example", "_dmarc.acme.example TXT": "DMARC1", "oddly-named.acme.example A": "127.0.0.22",
		"acme.example NS": "ns2.host.example", "nobody-guesses-this.acme.example A": "NXDOMAIN", "autodiscover.acme.example CNAME": "mail.acme.example",
	} {
		owner, kind, _ := strings.Cut(name, " ")
		if out := w.digAt(treeOurs2, owner, kind); !strings.Contains(out, want) {
			t.Errorf("%s lacks %s:\n%s", name, want, out)
		}
	}
	// A server that gives the whole zone leaves nothing out.
	w.server("127.1.2.1").AllowTransfer()
	out = i.run("zone", "import", "acme.example", "--from-dns", "--at", "127.1.2.1", "--yes")
	if !strings.Contains(out, "whole zone") {
		t.Error(out)
	}
	if out := w.digAt(treeOurs1, "nobody-guesses-this.acme.example", "A"); !strings.Contains(out, "127.0.0.99") {
		t.Error(out)
	}
}
