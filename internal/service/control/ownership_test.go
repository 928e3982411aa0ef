package control_test

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/routing"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/proto/idna"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
	"postroad/internal/service/resolver"
	"postroad/internal/sim"
)

// named is a world with a public name space: the zone "example" above, and acme.example on two name servers.
type named struct {
	*world

	net      *sim.Network
	top      *sim.DNS
	servers  [2]*sim.DNS
	resolver [2]*sim.DNS
}

// Addresses of the name space; nothing is dialled but within the bubble.
var serverAddrs = [2]string{"9.9.1.1", "9.9.2.1"}

func inNamed(t *testing.T, f func(t *testing.T, w *named)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &named{net: sim.NewNetwork(t)}
		w.net.DNS("198.41.0.4:53", sim.NewAuthority(t, sim.Zones{".": "@ NS a.root.\na.root. A 198.41.0.4\nexample. NS a.top.example.\na.top.example. A 9.9.0.1\n"}))
		w.top = sim.NewAuthority(t, nil)
		w.net.DNS("9.9.0.1:53", w.top)
		for i := range w.servers {
			w.servers[i], w.resolver[i] = sim.NewAuthority(t, nil), sim.NewDNS(t, nil)
			w.net.DNS(net.JoinHostPort(serverAddrs[i], "53"), w.servers[i])
			w.net.DNS(net.JoinHostPort("192.0.2.5"+string(rune('1'+i)), "53"), w.resolver[i])
		}
		m := controltest.NewMemory()
		o := controltest.Options(m)
		o.ProofSecret = "the installation's secret"
		o.DNS = resolver.New(resolver.Config{Servers: []string{"192.0.2.51", "192.0.2.52"}, Roots: []string{"198.41.0.4"}}, slog.New(slog.DiscardHandler), resolver.WithDialer(w.net))
		w.world = openWorld(t, m, o)
		w.hand("acme.example", "ns1.acme.example", "ns2.acme.example")
		w.publish("", "")
		f(t, w)
	})
}

// hand delegates a zone to name servers with the addresses of the two servers, in this order.
func (w *named) hand(zone string, names ...string) {
	var text strings.Builder
	text.WriteString("@ NS a.top\na.top A 9.9.0.1\n")
	for i, name := range names {
		text.WriteString(zone + ". NS " + name + ".\n" + name + ". A " + serverAddrs[i%2] + "\n")
	}
	w.top.SetZone("example", text.String())
}

// publish has both name servers and both resolvers say the same of acme.example, but for a text of each of the servers.
func (w *named) publish(first, second string) {
	for i, text := range []string{first, second} {
		z := "$TTL 60\n@ SOA ns x 1 60 60 60 60\n@ NS ns1\n@ NS ns2\nns1 A 9.9.1.1\nns2 A 9.9.2.1\n"
		if text != "" {
			z += "_postroad-challenge TXT \"" + text + "\"\n"
		}
		w.servers[i].SetZone("acme.example", z)
		w.resolver[i].SetZone("acme.example", z)
	}
}

func (w *named) proof(a control.Actor, name string) control.DomainProof {
	w.t.Helper()
	p, err := w.Proof(w.t.Context(), a, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *named) add(a control.Actor, name string, set control.DomainSettings) {
	w.t.Helper()
	p, err := w.PlanDomainAdd(w.t.Context(), a, control.DomainSpec{Name: name, DomainSettings: set})
	w.by(a, p, err)
}

func (w *named) domain(name string) *directory.Domain {
	w.t.Helper()
	d, ok := w.Directory().Domain(name)
	if !ok {
		w.t.Fatalf("there is no %s", name)
	}
	return d
}

// unproved says that nothing proves a domain now, for a reason.
func (w *named) unproved(a control.Actor, name, because string) {
	w.t.Helper()
	_, err := w.PlanDomainProve(w.t.Context(), a, name)
	if err == nil || !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), because) {
		w.t.Errorf("%s is not refused because of %q: %v", name, because, err)
	}
}

func (w *named) prove(a control.Actor, name string) {
	w.t.Helper()
	p, err := w.PlanDomainProve(w.t.Context(), a, name)
	w.by(a, p, err)
	if !w.domain(name).Proved {
		w.t.Errorf("%s is not proved", name)
	}
}

func TestATextProvesADomain(t *testing.T) {
	inNamed(t, func(t *testing.T, w *named) {
		p, err := w.PlanDomainAdd(t.Context(), w.ann, control.DomainSpec{Name: "acme.example"})
		if err != nil || !strings.Contains(strings.Join(p.Sentences, " "), "_postroad-challenge.acme.example") {
			t.Fatalf("%v %v", p.Sentences, err)
		}
		w.by(w.ann, p, err)
		want := w.proof(w.ann, "acme.example").TXT.Value
		if w.domain("acme.example").Proved || !strings.Contains(strings.Join(p.Sentences, " "), want) {
			t.Error("it is not told what shows the ownership")
		}
		w.unproved(w.ann, "acme.example", "ns1.acme.example does not have it")
		w.publish(want, "")
		w.unproved(w.ann, "acme.example", "ns2.acme.example does not have it")
		w.publish(want+"x", want+"x")
		w.unproved(w.ann, "acme.example", "does not have it")
		w.publish(want, want)
		w.servers[1].Script("_postroad-challenge.acme.example", "TXT", sim.DNSServFail)
		w.unproved(w.ann, "acme.example", "ns2.acme.example does not say")
		w.servers[1].Script("_postroad-challenge.acme.example", "TXT")
		w.resolver[1].Script("_postroad-challenge.acme.example", "TXT", sim.DNSNXDomain)
		w.unproved(w.ann, "acme.example", "not every resolver sees it yet")
		w.resolver[1].Script("_postroad-challenge.acme.example", "TXT")
		w.prove(w.ann, "acme.example")
		d := w.domain("acme.example")
		if d.Proof.By != directory.ProofTXT || d.Proof.NS != "ns1.acme.example ns2.acme.example" || d.Proof.At.IsZero() {
			t.Errorf("%+v", d.Proof)
		}
		if e, err := w.Audit(t.Context(), w.ann, "acme.example", 0, 10); err != nil || len(e) != 2 || e[0].Action != "domain set" {
			t.Errorf("audit %+v %v", e, err)
		}
	})
}

// A text is its account's and its domain's.
func TestATextOfSomebodyElseProvesNothing(t *testing.T) {
	inNamed(t, func(t *testing.T, w *named) {
		w.add(w.ann, "acme.example", control.DomainSettings{})
		w.add(w.bob, "other.example", control.DomainSettings{})
		w.add(w.ann, "third.example", control.DomainSettings{})
		texts := []string{w.proof(w.ann, "acme.example").TXT.Value, w.proof(w.bob, "other.example").TXT.Value, w.proof(w.ann, "third.example").TXT.Value}
		slices.Sort(texts)
		if len(slices.Compact(texts)) != 3 {
			t.Errorf("texts are alike: %v", texts)
		}
		for _, text := range []string{w.proof(w.bob, "other.example").TXT.Value, w.proof(w.ann, "third.example").TXT.Value, ""} {
			w.publish(text, text)
			w.unproved(w.ann, "acme.example", "is not shown")
		}
	})
}

func TestAProofIsLostByTheWordOfEveryNameServerOnly(t *testing.T) {
	inNamed(t, func(t *testing.T, w *named) {
		w.add(w.ann, "acme.example", control.DomainSettings{})
		text := w.proof(w.ann, "acme.example").TXT.Value
		w.publish(text, text)
		w.prove(w.ann, "acme.example")
		const day = 24 * time.Hour
		challenge := "_postroad-challenge.acme.example"
		check := func(step string, proved, lost bool) {
			t.Helper()
			if err := w.CheckProof(t.Context(), "acme.example"); err != nil {
				t.Fatal(err)
			}
			if d := w.domain("acme.example"); d.Proved != proved || d.Proof.Lost.IsZero() == lost {
				t.Errorf("%s: proved %v, %+v", step, d.Proved, d.Proof)
			}
			found, err := w.Findings(t.Context(), w.ann, "acme.example")
			if is := slices.ContainsFunc(found, func(f control.FindingInfo) bool { return f.Name == finding.OwnershipLost }); err != nil || is != lost {
				t.Errorf("%s: findings %+v %v", step, found, err)
			}
		}
		first := w.domain("acme.example").Proof.At
		w.publish("", "")
		check("before its time nobody looks", true, false)
		<-time.After(31 * day)
		w.publish(text, "")
		check("one server has it", true, false)
		w.publish("", "")
		w.servers[1].Script(challenge, "TXT", sim.DNSTimeout)
		check("one server is silent", true, false)
		w.servers[1].Script(challenge, "TXT", sim.DNSServFail)
		check("one server fails", true, false)
		w.servers[1].Script(challenge, "TXT", sim.DNSRefused)
		check("one server refuses", true, false)
		w.top.Script("*", "*", sim.DNSTimeout)
		check("the way there is silent", true, false)
		w.top.Script("*", "*")
		w.servers[1].Script(challenge, "TXT")
		w.publish(text, text)
		check("it is there again", true, false)
		if again := w.domain("acme.example").Proof.At; !again.After(first) {
			t.Errorf("seen last at %v", again)
		}

		w.publish("", "")
		check("just seen", true, false)
		<-time.After(31 * day)
		check("both deny it", true, true)
		<-time.After(6 * day)
		check("in the grace period", true, true)
		<-time.After(day)
		w.servers[0].Script(challenge, "TXT", sim.DNSServFail)
		check("over, but one server fails", true, true)
		w.servers[0].Script(challenge, "TXT")
		check("over", false, true)
		w.publish(text, text)
		check("it comes back while senders are told to try again", true, false)

		w.publish("", "")
		<-time.After(31 * day)
		check("gone once more", true, true)
		<-time.After(7 * day)
		check("and over", false, true)
		<-time.After(7 * day)
		w.publish(text, text)
		check("nobody looks any more", false, true)
		w.prove(w.ann, "acme.example")
		check("but whoever owns it may prove it", true, false)
	})
}

func TestOtherNameServersAreAReasonToLookAtOnce(t *testing.T) {
	inNamed(t, func(t *testing.T, w *named) {
		w.add(w.ann, "acme.example", control.DomainSettings{})
		text := w.proof(w.ann, "acme.example").TXT.Value
		w.publish(text, text)
		w.prove(w.ann, "acme.example")
		w.hand("acme.example", "ns1.thief.example", "ns2.thief.example")
		w.publish("", "")
		if err := w.CheckProof(t.Context(), "acme.example"); err != nil {
			t.Fatal(err)
		}
		if d := w.domain("acme.example"); !d.Proved || d.Proof.Lost.IsZero() {
			t.Errorf("%+v", d.Proof)
		}
		p := w.proof(w.ann, "acme.example")
		if p.LostAt == nil || p.EndsAt == nil || !strings.Contains(p.Sentence, "is gone") {
			t.Errorf("%+v", p)
		}
	})
}

// servers gives an account a name-server set of its own.
func (w *named) own(id account.ID, hosts ...string) {
	w.t.Helper()
	m := w.m
	m.Lock()
	for old, set := range m.Servers {
		if set.Account == id && set.Name == zone.DefaultNameServerSet {
			delete(m.Servers, old)
		}
	}
	m.Servers["set-"+string(id)] = zone.NameServerSet{ID: "set-" + string(id), Account: id, Name: zone.DefaultNameServerSet, Hosts: hosts}
	m.Unlock()
	if err := w.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// answerOurs has the two servers answer with a domain's zone as it is stored here.
func (w *named) answerOurs(name string) {
	w.t.Helper()
	z, err := w.m.Zone(w.t.Context(), account.System(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	var text strings.Builder
	for _, r := range z.Records {
		if r.Type == dns.TypeSOA || r.Type == dns.TypeNS {
			text.WriteString(r.String() + "\n")
		}
	}
	for i := range w.servers {
		w.servers[i].SetZone(name, text.String())
	}
}

func TestADelegationToNameServersOfItsAccountsOwnProvesADomain(t *testing.T) {
	hosted := control.DomainSettings{Zone: new("hosted")}
	inNamed(t, func(t *testing.T, w *named) {
		w.own(w.annID, "ns1.ann-dns.example", "ns2.ann-dns.example")
		w.add(w.ann, "acme.example", hosted)
		w.unproved(w.ann, "acme.example", "is not shown")
		w.hand("acme.example", "ns1.ann-dns.example", "ns2.ann-dns.example")
		w.unproved(w.ann, "acme.example", "the SOA record that stands here") // they are not ours yet
		w.answerOurs("acme.example")
		w.hand("acme.example", "ns1.ann-dns.example", "ns2.other.example")
		w.unproved(w.ann, "acme.example", "is not shown")
		w.hand("acme.example", "ns1.ann-dns.example", "ns2.ann-dns.example")
		w.prove(w.ann, "acme.example")
		if d := w.domain("acme.example"); d.Proof.By != directory.ProofDelegation {
			t.Errorf("%+v", d.Proof)
		}
		<-time.After(31 * 24 * time.Hour)
		if err := w.CheckProof(t.Context(), "acme.example"); err != nil || !w.domain("acme.example").Proof.Lost.IsZero() {
			t.Errorf("%v %+v", err, w.domain("acme.example").Proof)
		}
		w.hand("acme.example", "ns1.new.example", "ns2.new.example")
		w.publish("", "")
		if err := w.CheckProof(t.Context(), "acme.example"); err != nil || w.domain("acme.example").Proof.Lost.IsZero() {
			t.Errorf("handed to others: %v %+v", err, w.domain("acme.example").Proof)
		}
	})
}

// A delegation that is older than the domain here, or leads to name servers that others have too, proves nothing.
func TestDelegationsThatProveNothing(t *testing.T) {
	hosted := control.DomainSettings{Zone: new("hosted")}
	ns := []string{"ns1.ann-dns.example", "ns2.ann-dns.example"}
	for _, c := range []struct {
		name    string
		prepare func(w *named)
		before  bool // the delegation is there first
	}{
		{"it was there first", func(w *named) { w.own(w.annID, ns...) }, true},
		{"nobody could tell whether it was there first", func(w *named) {
			w.own(w.annID, ns...)
			w.top.Script("*", "*", sim.DNSTimeout)
		}, false},
		{"the name servers are the operator's", func(w *named) { w.own(account.Operator, ns...) }, false},
		{"the name servers are another account's too", func(w *named) {
			w.own(w.annID, ns...)
			w.own(w.bobID, "ns1.bob-dns.example", ns[1])
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inNamed(t, func(t *testing.T, w *named) {
				c.prepare(w)
				if c.before {
					w.hand("acme.example", ns...)
				}
				w.add(w.ann, "acme.example", hosted)
				w.top.Script("*", "*")
				w.hand("acme.example", ns...)
				w.answerOurs("acme.example")
				w.unproved(w.ann, "acme.example", "is not shown")
				if p := w.proof(w.ann, "acme.example"); p.Shown != "" || p.Proved {
					t.Errorf("%+v", p)
				}
			})
		})
	}
}

// What was proved by a text stands as long as its zone is in our hands, although the text did not move with it.
func TestAZoneInOurHandsKeepsItsProof(t *testing.T) {
	inNamed(t, func(t *testing.T, w *named) {
		w.own(account.Operator, "ns1.host.example", "ns2.host.example")
		w.add(w.ann, "acme.example", control.DomainSettings{Zone: new("hosted")})
		text := w.proof(w.ann, "acme.example").TXT.Value
		w.publish(text, text)
		w.prove(w.ann, "acme.example")
		w.hand("acme.example", "ns1.host.example", "ns2.host.example")
		w.answerOurs("acme.example")
		if err := w.CheckProof(t.Context(), "acme.example"); err != nil {
			t.Fatal(err)
		}
		if d := w.domain("acme.example"); !d.Proved || !d.Proof.Lost.IsZero() || d.Proof.NS != "ns1.host.example ns2.host.example" {
			t.Errorf("%+v", d.Proof)
		}
	})
}

// threats.md: whatever another account adds of somebody's domain is refused.
func TestNobodyTakesAnothersDomain(t *testing.T) {
	inNamed(t, func(t *testing.T, w *named) {
		w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "bücher.example", Account: "ann"}))
		w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "shop.corp.example", Account: "ann"}))
		twin, err := idna.ToASCII("аnn.example")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{
			"ann.example",           // the domain
			"ann.example.",          // with a trailing dot
			"ANN.Example",           // in other letters
			"sub.ann.example",       // below it
			"a.b.ann.example",       // further below
			"corp.example",          // above one
			"example",               // far above
			"bücher.example",        // by its U-label
			"xn--bcher-kva.example", // by its A-label
			"XN--BCHER-KVA.EXAMPLE.",
			"bu\u0308cher.example", // composed otherwise
			"аnn.example",          // a twin, of Cyrillic and Latin letters
			"\u0430nn.example",     // the same
			"ɑnn.example",          // a twin of Latin letters
			"ann\u3002example",     // with an ideographic full stop
			"mail.аnn.example",     // below a twin
			twin,                   // a twin by its A-label
			"ѕhop.corp.example",    // a twin deeper down
			"\uff41nn.example",     // fullwidth
			"mx.host.example",      // the installation's own name
			"x.in.mx.host.example", // below routing addresses
		} {
			if p, err := w.PlanDomainAdd(t.Context(), w.bob, control.DomainSpec{Name: name}); err == nil {
				t.Errorf("%q was taken: %v", name, p.Sentences)
			}
		}
		for _, name := range []string{"bucher.example", "joann.example", "annie.example", "дом.example"} {
			if _, err := w.PlanDomainAdd(t.Context(), w.bob, control.DomainSpec{Name: name}); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}

// A domain that its account has removed is not for others to take without a proof for a while.
func TestARemovedDomainsNameIsReserved(t *testing.T) {
	inNamed(t, func(t *testing.T, w *named) {
		w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "acme.example", Account: "ann", DomainSettings: control.DomainSettings{Proved: new(true)}}))
		p, err := w.PlanDomainRemove(t.Context(), w.ann, "acme.example")
		w.by(w.ann, p, err)
		spec := control.DomainSpec{Name: "acme.example"}
		_, err = w.PlanDomainAdd(t.Context(), w.bob, spec)
		if !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), "_postroad-challenge.acme.example") {
			t.Fatalf("%v", err)
		}
		if _, err := w.PlanDomainAdd(t.Context(), w.ann, spec); err != nil {
			t.Errorf("its former owner: %v", err)
		}
		_, text, _ := strings.Cut(err.Error(), "with the text ")
		text, _, _ = strings.Cut(text, " ")
		w.publish(text, text)
		p, err = w.PlanDomainAdd(t.Context(), w.bob, spec)
		w.by(w.bob, p, err)
		if d := w.domain("acme.example"); !d.Proved || d.Account != w.bobID || d.Proof.By != directory.ProofTXT || !d.Proof.TXTOnly {
			t.Errorf("%+v", d)
		}
	})
	inNamed(t, func(t *testing.T, w *named) {
		w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "acme.example", Account: "ann", DomainSettings: control.DomainSettings{Proved: new(true)}}))
		p, err := w.PlanDomainRemove(t.Context(), w.ann, "acme.example")
		w.by(w.ann, p, err)
		<-time.After(30 * 24 * time.Hour)
		if err := w.ForgetDeparted(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.add(w.bob, "acme.example", control.DomainSettings{})
	})
}

// Until its ownership is shown, an account's mail to a domain that it has added leaves by public MX records.
func TestMailToAnUnprovedDomainLeaves(t *testing.T) {
	inNamed(t, func(t *testing.T, w *named) {
		w.add(w.bob, "acme.example", control.DomainSettings{})
		p, err := w.PlanMailboxAdd(w.bob, control.MailboxSpec{Address: "boss@acme.example"})
		w.by(w.bob, p, err)
		w.box("box@bob.example")
		e, err := w.Explain(t.Context(), control.Operator(), control.ExplainRequest{Address: "boss@acme.example", Sender: "box@bob.example", As: "box@bob.example"})
		if err != nil || len(e.Mailboxes) != 0 || e.Class != string(routing.ClassForeign) {
			t.Errorf("%+v %v", e, err)
		}
	})
}

func TestAServedZoneCountsWhereTheWorldIsLedToItAlone(t *testing.T) {
	inNamed(t, func(t *testing.T, w *named) {
		w.own(account.Operator, "ns1.host.example", "ns2.host.example")
		w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "acme.example", DomainSettings: control.DomainSettings{Zone: new("hosted"), Proved: new(true)}}))
		for _, c := range []struct {
			names   []string
			served  bool
			finding finding.Name
		}{
			{[]string{"ns1.acme.example", "ns2.acme.example"}, false, finding.NSNotDelegated},
			{[]string{"ns1.host.example", "ns2.acme.example"}, false, finding.NSPartial},
			{[]string{"ns1.host.example", "ns2.host.example"}, true, ""},
			{[]string{"ns1.acme.example"}, false, finding.NSNotDelegated},
		} {
			w.hand("acme.example", c.names...)
			if _, err := w.CheckDelegation(t.Context(), "acme.example"); err != nil {
				t.Fatal(err)
			}
			a, ok := w.ServedMX(t.Context(), "acme.example")
			if ok != c.served || ok && (a.Status.String() != "found" && a.Status.String() != "no data" || a.Source != "zone") {
				t.Errorf("%v: %v %+v", c.names, ok, a)
			}
			found, err := w.Findings(t.Context(), control.Operator(), "acme.example")
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []finding.Name{finding.NSNotDelegated, finding.NSPartial} {
				if is := slices.ContainsFunc(found, func(f control.FindingInfo) bool { return f.Name == name }); is != (name == c.finding) {
					t.Errorf("%v: %s %v", c.names, name, is)
				}
			}
		}
		w.top.Script("*", "*", sim.DNSTimeout)
		before, _ := w.Findings(t.Context(), control.Operator(), "acme.example")
		if _, err := w.CheckDelegation(t.Context(), "acme.example"); err != nil {
			t.Fatal(err)
		}
		if after, _ := w.Findings(t.Context(), control.Operator(), "acme.example"); len(after) != len(before) {
			t.Errorf("silence changed what is found: %+v", after)
		}
	})
}
