package acceptance

import (
	"slices"
	"strings"
	"testing"

	"postroad/internal/sim"
)

// lookedUp is what `look-up --json` tells.
type lookedUp struct {
	Status        string `json:"status"`
	Authoritative bool   `json:"authoritative"`
	TTL           int64  `json:"ttl"`
	Security      string `json:"security"`
	Server        struct {
		Name, Address string
	} `json:"server"`
	Exchangers []struct {
		Preference int      `json:"preference"`
		Host       string   `json:"host"`
		TTL        int64    `json:"ttl"`
		Label      string   `json:"label"`
		Addresses  []string `json:"addresses"`
		Ours       bool     `json:"ours"`
	} `json:"exchangers"`
	Records     []string `json:"records"`
	Zone        string   `json:"zone"`
	NameServers []struct {
		Name          string   `json:"name"`
		Address       string   `json:"address"`
		Authoritative bool     `json:"authoritative"`
		Code          string   `json:"code"`
		Serial        uint32   `json:"serial"`
		Records       []string `json:"records"`
	} `json:"name_servers"`
	Differences []struct {
		Finding, Sentence, Evidence string
	} `json:"differences"`
	Verdict struct {
		Right, Sentence string
		Steps           []struct{ Step, Right, Sentence, Finding string }
	} `json:"verdict"`
	Commands struct{ Windows, Unix []string } `json:"commands"`
}

func (l *lookedUp) findings() string {
	var out []string
	for _, d := range l.Differences {
		out = append(out, d.Finding)
	}
	return strings.Join(out, " ")
}

func (l *lookedUp) steps() string {
	var out []string
	for _, s := range l.Verdict.Steps {
		out = append(out, s.Step+"="+s.Right)
	}
	return strings.Join(out, " ")
}

// acme is a domain with two name servers in two networks.
func acme(w *tree, records string) {
	w.hosted("acme.example", records, [2]string{"ns1.acme.example", "127.1.1.1"}, [2]string{"ns2.acme.example", "127.1.2.1"})
}

func TestS2_13AnMXLookUpOfAnyDomain(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	acme(w, "@ MX 20 mx2\n@ MX 10 mx1\n@ MX 10 mx0\nmx0 A 127.0.0.20\nmx1 A 127.0.0.21\nmx2 A 127.0.0.22\nwww A 127.0.0.80\n")
	i := newInstance(t, w.config())
	got := ask[lookedUp](i, "look-up", "Acme.Example.")
	if got.Server.Address != w.dns.Addr() || got.Authoritative || got.Status != "found" || got.TTL != 60 {
		t.Errorf("%+v", got)
	}
	var order []string
	for _, e := range got.Exchangers {
		order = append(order, e.Host+" "+e.Label)
		if e.TTL != 60 || len(e.Addresses) != 1 {
			t.Errorf("%+v", e)
		}
	}
	if want := []string{"mx0.acme.example primary", "mx1.acme.example primary", "mx2.acme.example backup"}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
	if l := ask[lookedUp](i, "look-up", "www.acme.example", "--type", "a"); !slices.Equal(l.Records, []string{"127.0.0.80"}) || l.Zone != "acme.example" {
		t.Errorf("%+v", l)
	}
	if l := ask[lookedUp](i, "look-up", "_dmarc.nobody.example", "--type", "TXT"); l.Status != "no such domain" {
		t.Errorf("%+v", l)
	}
	for _, words := range [][]string{{"look-up", "no name"}, {"look-up", "acme.example", "--type", "AXFR"}, {"look-up", "acme.example", "--at", "not/a/server"}, {"look-up", "acme.example", "--at", "nobody.example"}} {
		if _, errs, code := i.try(words...); code != 1 || errs == "" {
			t.Errorf("%q: exit %d, %s", words, code, errs)
		}
	}
}

func TestS2_14TheSameQuestionForAMachineOfOnesOwn(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	acme(w, "@ MX 10 mx1\nmx1 A 127.0.0.21\n")
	i := newInstance(t, w.config())
	public := ask[lookedUp](i, "look-up", "acme.example")
	if want := []string{"nslookup", "set type=mx", "acme.example.", "exit"}; !slices.Equal(public.Commands.Windows, want) {
		t.Errorf("windows %q", public.Commands.Windows)
	}
	if want := []string{"dig acme.example MX"}; !slices.Equal(public.Commands.Unix, want) {
		t.Errorf("unix %q", public.Commands.Unix)
	}
	one := ask[lookedUp](i, "look-up", "acme.example", "--at", "ns2.acme.example")
	if !slices.Contains(one.Commands.Windows, "server 127.1.2.1") || !slices.Equal(one.Commands.Unix, []string{"dig @127.1.2.1 acme.example MX +norecurse"}) {
		t.Errorf("%+v", one.Commands)
	}
	if out := i.run("look-up", "acme.example"); !strings.Contains(out, "Windows:  nslookup\n            set type=mx\n") || !strings.Contains(out, "dig acme.example MX") {
		t.Error(out)
	}
}

func TestS4_9TheLookUpShowsWhoWasAskedAndEverybodysAddress(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	acme(w, "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 127.0.0.21\nmx2 A 127.0.0.22\n")
	i := newInstance(t, w.config())
	out := i.run("look-up", "acme.example")
	for _, want := range []string{
		"Server:", w.dns.Addr(), "mx1.acme.example", "127.0.0.21", "10", "20", "Name servers of the zone acme.example:",
		"ns1.acme.example", "127.1.1.1:" + w.dnsPort, "ns2.acme.example", "127.1.2.1:" + w.dnsPort, "authoritative",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestS4_10OneNameServerOrThePublicViewIsAsked(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	acme(w, "@ MX 10 mx1\nmx1 A 127.0.0.21\n")
	w.dns.SetZone("acme.example", "$TTL 60\n@ SOA ns x 1 60 60 60 60\n@ MX 10 old\nold A 127.0.0.9\n@ NS ns1\n") // remembered
	i := newInstance(t, w.config())
	one := ask[lookedUp](i, "look-up", "acme.example", "--at", "127.1.1.1")
	if !one.Authoritative || one.Exchangers[0].Host != "mx1.acme.example" || one.Server.Address != "127.1.1.1:"+w.dnsPort {
		t.Errorf("%+v", one)
	}
	public := ask[lookedUp](i, "look-up", "acme.example")
	if public.Authoritative || public.Exchangers[0].Host != "old.acme.example" {
		t.Errorf("%+v", public)
	}
	if len(public.Differences) == 0 || !strings.Contains(public.Differences[len(public.Differences)-1].Sentence, "public view") {
		t.Errorf("%+v", public.Differences)
	}

	w.server("127.1.2.1").SetZone("acme.example", "$TTL 60\n@ SOA ns x 2 60 60 60 60\n@ NS ns1\n@ NS ns2\n@ MX 5 other\n")
	if l := ask[lookedUp](i, "look-up", "acme.example"); !strings.Contains(l.findings(), "NS_INCONSISTENT") {
		t.Errorf("%+v", l.Differences)
	}
	w.server("127.1.2.1").Script("*", "*", sim.DNSRefused)
	if l := ask[lookedUp](i, "look-up", "acme.example"); !strings.Contains(l.findings(), "NS_LAME") {
		t.Errorf("%+v", l.Differences)
	}
}

func TestS4_12DNSIsRightBeforeMailIsBlamed(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	acme(w, "@ MX 10 mx1\nmx1 A 127.0.0.42\n")
	i := newInstance(t, `addresses = ["127.0.0.42"]`+"\n"+w.config())
	i.run("domain", "add", "acme.example", "--proved")
	for _, c := range []struct{ name, records, right, steps, finding string }{
		{"all right", "@ MX 10 mx1\nmx1 A 127.0.0.42\n", "yes", "mx=yes name=yes address=yes", ""},
		{"no MX", "mx1 A 127.0.0.42\n", "no", "mx=no", "MX_NONE"},
		{"null MX", "@ MX 0 .\n", "no", "mx=no", "NULL_MX"},
		{"an address as a name", "@ MX 10 127.0.0.42.\n", "no", "mx=yes name=no", "MX_TARGET_IS_IP"},
		{"a name that does not exist", "@ MX 10 mx9\n", "no", "mx=yes name=no", "MX_TARGET_NXDOMAIN"},
		{"a name without address", "@ MX 10 mx1\nmx1 TXT x\n", "no", "mx=yes name=no", "MX_TARGET_NO_ADDRESS"},
		{"an alias", "@ MX 10 mx1\nmx1 CNAME mx2\nmx2 A 127.0.0.42\n", "no", "mx=yes name=no", "MX_TARGET_CNAME"},
		{"a wrong address", "@ MX 10 mx1\nmx1 A 127.0.0.43\n", "no", "mx=yes name=yes address=no", ""},
	} {
		acme(w, c.records)
		got := ask[lookedUp](i, "look-up", "acme.example")
		last := got.Verdict.Steps[len(got.Verdict.Steps)-1]
		if got.Verdict.Right != c.right || got.steps() != c.steps || last.Finding != c.finding {
			t.Errorf("%s: %+v", c.name, got.Verdict)
		}
		if blames := strings.Contains(got.Verdict.Sentence, "postroad explain"); blames != (c.right == "yes") {
			t.Errorf("%s: %s", c.name, got.Verdict.Sentence)
		}
	}
	w.dns.Script("acme.example", "MX", sim.DNSServFail)
	if got := ask[lookedUp](i, "look-up", "acme.example"); got.Verdict.Right != "unknown" || got.steps() != "mx=unknown" {
		t.Errorf("%+v", got.Verdict)
	}
}

// A customer may not have this installation ask what is not public.
func TestS4_10ACustomerChoosesPublicServersOnly(t *testing.T) {
	t.Parallel()
	i := newInstance(t, "")
	i.run("account", "add", "ann")
	token := ask[struct {
		Secret string `json:"secret"`
	}](i, "token", "add", "ann's", "--account", "ann").Secret
	for _, at := range []string{"127.0.0.1", "10.0.0.5", "169.254.169.254", "::1", "[::ffff:10.0.0.1]:53", "9.9.9.9:25"} {
		if _, errs, code := i.try("--server", "http://"+i.http, "--token", token, "look-up", "acme.example", "--at", at); code != 1 || errs == "" {
			t.Errorf("%s: exit %d, %s", at, code, errs)
		}
	}
}
