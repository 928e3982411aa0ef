package acceptance

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"postroad/internal/sim"
)

// proof is what `domain prove --json` tells.
type proof struct {
	Proved bool   `json:"proved"`
	By     string `json:"by"`
	LostAt string `json:"lost_at"`
	TXT    struct{ Name, Label, Type, Value string }
	Shown  string `json:"shown"`
	Found  []struct{ How, State, Evidence string }
}

// tenant is an account with a token, by whom commands are run from afar.
type tenant struct {
	i     *instance
	token string
}

func (i *instance) tenant(name string) *tenant {
	i.t.Helper()
	i.run("account", "add", name)
	return &tenant{i, ask[struct{ Secret string }](i, "token", "add", name+"'s", "--account", name).Secret}
}

// try runs a command as the customer.
func (c *tenant) try(args ...string) (out, errs string, code int) {
	c.i.t.Helper()
	return c.i.try(append([]string{"--server", "http://" + c.i.http, "--token", c.token}, args...)...)
}

func (c *tenant) run(args ...string) string {
	c.i.t.Helper()
	return c.i.run(append([]string{"--server", "http://" + c.i.http, "--token", c.token}, args...)...)
}

func TestADomainIsProvedByATextThatEveryNameServerHas(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	acme(w, "@ MX 10 mx\nmx A 127.0.0.21\n")
	i := newInstance(t, w.config())
	ann := i.tenant("ann")
	if out := ann.run("domain", "add", "acme.example"); !strings.Contains(out, "_postroad-challenge.acme.example") || !strings.Contains(out, "postroad-proof=") {
		t.Errorf("the proof is not told:\n%s", out)
	}
	ann.run("mailbox", "add", "ann@acme.example")
	stranger := func(code string) {
		t.Helper()
		c := dialSMTP(t, i.smtp)
		c.say("EHLO far.example", "250")
		c.say("MAIL FROM:<x@far.example>", "250")
		c.say("RCPT TO:<ann@acme.example>", code)
	}
	stranger("550 5.7.1")
	p := ask[proof](i, "domain", "prove", "acme.example")
	if p.Proved || p.TXT.Name != "_postroad-challenge.acme.example" || p.TXT.Label != "_postroad-challenge" || p.Found[0].State != "not shown" {
		t.Errorf("%+v", p)
	}
	text := "_postroad-challenge TXT \"" + p.TXT.Value + "\"\n"
	acme(w, "@ MX 10 mx\nmx A 127.0.0.21\n"+text)
	w.server("127.1.2.1").SetZone("acme.example", "@ NS ns1\n@ NS ns2\n") // the second server is late
	if out := ann.run("domain", "prove", "acme.example"); !strings.Contains(out, "ns2.acme.example does not have it") {
		t.Errorf("one server was enough:\n%s", out)
	}
	stranger("550 5.7.1")
	acme(w, "@ MX 10 mx\nmx A 127.0.0.21\n"+text)
	if out := ann.run("domain", "prove", "acme.example"); !strings.Contains(out, "counts as proved from now on") {
		t.Error(out)
	}
	stranger("250")
	if p := ask[proof](i, "domain", "prove", "acme.example"); !p.Proved || p.By != "txt" {
		t.Errorf("%+v", p)
	}

	// The name goes to other name servers, whose zone has no proof: after a restart it is seen at once.
	w.hosted("acme.example", "@ MX 10 mx\nmx A 127.0.0.21\n", [2]string{"ns3.acme.example", "127.1.3.1"}, [2]string{"ns4.acme.example", "127.1.4.1"})
	if err := i.kill(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	i.start()
	eventually(t, "the proof to be missed", func() bool {
		d := ask[shownDomain](i, "domain", "show", "acme.example")
		return slices.ContainsFunc(d.Findings, func(f struct{ Name, Evidence string }) bool { return f.Name == "OWNERSHIP_LOST" })
	})
	stranger("250") // the grace period
	if p := ask[proof](i, "domain", "prove", "acme.example"); !p.Proved || p.LostAt == "" {
		t.Errorf("%+v", p)
	}
}

func TestAnotherTenantTakesNoDomain(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	o := w.peer(21, sim.Script{})
	acme(w, "@ MX 10 mx\nmx A 127.0.0.21\n")
	i := newInstance(t, w.config())
	ann, bob := i.tenant("ann"), i.tenant("bob")
	i.run("domain", "add", "shop.corp.example", "--account", "ann", "--proved")
	for _, name := range []string{"shop.corp.example", "SHOP.corp.example.", "x.shop.corp.example", "corp.example", "ѕhop.corp.example", "xn--hop-ehd.corp.example"} {
		if out, errs, code := bob.try("domain", "add", name); code != 1 {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errs)
		}
	}
	// What bob adds and cannot prove keeps nobody's mail here.
	bob.run("domain", "add", "acme.example")
	bob.run("mailbox", "add", "boss@acme.example")
	i.run("domain", "add", "here.example", "--account", "bob", "--proved")
	bob.run("mailbox", "add", "bob@here.example")
	i.sender().send("bob@here.example", text("to a domain that is not proved"), "boss@acme.example")
	o.Await(1)
	if n := len(ask[[]message](i, "mailbox", "messages", "boss@acme.example")); n != 0 {
		t.Errorf("%d messages stayed here", n)
	}
	// A name that was ann's is not bob's without a proof.
	ann.run("domain", "remove", "shop.corp.example", "--yes")
	if _, errs, code := bob.try("domain", "add", "shop.corp.example"); code != 1 || !strings.Contains(errs, "_postroad-challenge.shop.corp.example") {
		t.Errorf("exit %d: %s", code, errs)
	}
	ann.run("domain", "add", "shop.corp.example")
}

// A registry that tests the name servers before it hands out the zone finds those that it was told, once their names are
// shown to be the reseller's.
func TestS1_28ARegistryFindsTheNameServersOfTheBrand(t *testing.T) {
	t.Parallel()
	w := newTree(t)
	acme(w, "@ MX 10 mx\nmx A 127.0.0.21\n")
	i := w.ours(treeOurs1)
	brand := i.tenant("brand")
	brand.run("domain", "add", "brand.example")
	brand.run("nameserver-set", "add", "default", "ns1.brand.example", "ns2.brand.example")
	brand.run("domain", "add", "acme.example", "--zone", "hosted")
	names := func(want ...string) {
		t.Helper()
		out := w.digAt(treeOurs1, "acme.example", "NS")
		for _, name := range []string{"ns1.brand.example.", "ns2.brand.example.", "mx.test.example."} {
			if strings.Contains(out, name) != slices.Contains(want, name) {
				t.Errorf("want %q of\n%s", want, out)
			}
		}
		if out := w.digAt(treeOurs1, "acme.example", "MX"); !strings.Contains(out, "REFUSED") {
			t.Errorf("more than SOA and NS is answered:\n%s", out)
		}
	}
	names("mx.test.example.")
	i.run("domain", "set", "brand.example", "--proved", "--yes")
	names("ns1.brand.example.", "ns2.brand.example.")
	i.run("domain", "set", "brand.example", "--proved=false", "--yes")
	names("mx.test.example.")
}
