package control_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

func TestExplainHasTheKeysOfTheInterface(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	e, err := w.Explain(t.Context(), control.Operator(), control.ExplainRequest{Address: "Al@Ann.example"})
	if err != nil {
		t.Fatal(err)
	}
	if e.EffectiveMode != "local" || e.Class != "local" || e.Reply.Code != 250 || e.Reply.Enhanced != "2.1.5" || !e.DeliverHere ||
		!cmp.Equal(e.Mailboxes, []string{"box@ann.example"}) || len(e.NextHops) != 0 || len(e.Reasons) < 3 {
		t.Errorf("%+v", e)
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"effective_mode", "class", "reply", "deliver_here", "next_hops", "reasons"} {
		if _, ok := all[key]; !ok {
			t.Errorf("no %q in %s", key, text)
		}
	}
	for _, want := range []string{`"next_hops":[]`, `"rule":"alias","fact":"al@ann.example","age":0`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestExplainShowsWhereMailWouldGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	w.ok(w.PlanOutboundRemove(control.Operator(), "ann.example", false))
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "relay.example", DomainSettings: control.DomainSettings{
		Mode: new("relay"), NextHops: &[]string{"192.0.2.1:2500", "mail.relay.example"}, Recipients: new("accept"), Proved: new(true),
	}}))
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "lmtp.example", DomainSettings: control.DomainSettings{
		Mode: new("relay"), NextHops: &[]string{"lmtp://192.0.2.1", "lmtp:///run/lmtp"}, Recipients: new("accept"), Proved: new(true),
	}}))
	w.m.Exchangers["away.example"] = facts.MXAnswer{Status: facts.Found, Records: []facts.MX{{Preference: 20, Host: "b.away.example"}, {Preference: 10, Host: "a.away.example"}}}
	w.m.Exchangers["backup.example"] = facts.MXAnswer{Status: facts.Found, Records: []facts.MX{{Preference: 20, Host: "own.backup.example"}, {Preference: 30, Host: "c.backup.example"}, {Preference: 10, Host: "a.backup.example"}}}
	w.m.Exchangers["looping.example"] = facts.MXAnswer{Status: facts.Found, Records: []facts.MX{{Preference: 5, Host: "own.looping.example"}, {Preference: 10, Host: "b.looping.example"}}}
	w.m.Exchangers["nodata.example"] = facts.MXAnswer{Status: facts.NoData}
	w.m.Exchangers["null.example"] = facts.MXAnswer{Status: facts.Found, Null: true}
	w.m.Exchangers["broken.example"] = facts.MXAnswer{Status: facts.Temporary, Origin: facts.Origin{Detail: "SERVFAIL"}}
	type hops = []control.ExplainHop
	for _, tt := range []struct {
		address, as string
		code        int
		hops        hops
		says        string
	}{
		{"x@relay.example", "", 250, hops{{Host: "192.0.2.1", Port: 2500, TLS: "opportunistic", Transport: "relay"}, {Host: "mail.relay.example", Port: 25, TLS: "opportunistic", Transport: "relay"}}, "given"},
		{"x@lmtp.example", "", 250, hops{{Host: "192.0.2.1", Port: 24, TLS: "opportunistic", Transport: "lmtp"}, {Host: "/run/lmtp", TLS: "none", Transport: "lmtp"}}, "LMTP"},
		{"x@away.example", "", 550, hops{}, "Strangers"},
		{"x@away.example", "box@ann.example", 250, hops{{Host: "a.away.example", Port: 25, Preference: 10, TLS: "opportunistic", Transport: "remote"}, {Host: "b.away.example", Port: 25, Preference: 20, TLS: "opportunistic", Transport: "remote"}}, "2 exchangers"},
		{"x@backup.example", "local", 250, hops{{Host: "a.backup.example", Port: 25, Preference: 10, TLS: "opportunistic", Transport: "remote"}}, "the best is a.backup.example"},
		{"x@looping.example", "local", 250, hops{}, "554 5.4.6"},
		{"x@nodata.example", "box@ann.example", 250, hops{{Host: "nodata.example", Port: 25, TLS: "opportunistic", Transport: "remote"}}, "own address"},
		{"x@null.example", "box@ann.example", 250, hops{}, "takes no mail"},
		{"x@broken.example", "box@ann.example", 250, hops{}, "cannot be learned"},
		{"x@nx.example", "local", 250, hops{}, "no domain nx.example"},
		{"nobody@ann.example", "stranger", 550, hops{}, "no mailbox"},
	} {
		e, err := w.Explain(t.Context(), control.Operator(), control.ExplainRequest{Address: tt.address, As: tt.as})
		if err != nil || e.Reply.Code != tt.code || !cmp.Equal(e.NextHops, tt.hops) {
			t.Errorf("%s as %q: %+v %v", tt.address, tt.as, e, err)
		}
		var all []string
		for _, r := range e.Reasons {
			all = append(all, r.Sentence)
		}
		if !strings.Contains(strings.Join(all, " "), tt.says) {
			t.Errorf("%s as %q says %q, want %q", tt.address, tt.as, all, tt.says)
		}
	}
}

func TestExplainKnowsTrustedNetworks(t *testing.T) {
	t.Parallel()
	o := controltest.Options(controltest.NewMemory())
	o.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	s := control.New(o)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for client, code := range map[string]int{"": 550, "192.0.2.7": 250, "::ffff:192.0.2.7": 250, "198.51.100.1": 550} {
		e, err := s.Explain(t.Context(), control.Operator(), control.ExplainRequest{Address: "x@away.example", Client: client})
		if err != nil || e.Reply.Code != code {
			t.Errorf("%q: %+v %v", client, e.Reply, err)
		}
	}
}

func TestExplainShowsNothingOfWhatOthersAddressesStandFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	w.rule(directory.RuleForward, "f@bob.example", "box@bob.example", "private@away.example")
	w.rule(directory.RuleForward, "f@ann.example", "f@bob.example")
	e, err := w.Explain(t.Context(), w.ann, control.ExplainRequest{Address: "f@ann.example"})
	if err != nil || e.Reply.Code != 250 {
		t.Fatal(e, err)
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"box@bob.example", "private@away.example"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("ann is shown %s: %s", secret, text)
		}
	}
}

func TestExplainTellsWhyNotOtherwise(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	domain := func(name string, set control.DomainSettings) {
		set.Proved = new(true)
		w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: name, DomainSettings: set}))
	}
	domain("relay.example", control.DomainSettings{Mode: new("relay"), NextHops: &[]string{"mail.relay.example"}, Recipients: new("accept")})
	domain("probed.example", control.DomainSettings{Mode: new("split"), NextHops: &[]string{"mail.probed.example"}})
	w.box("kim@relay.example")
	w.rule(directory.RuleForward, "fw@ann.example", "x@away.example")
	w.ok(w.PlanOutboundSet(t.Context(), control.Operator(), control.OutboundSpec{Hop: "smart.example:587", Domain: "ann.example", User: "u", Password: control.NewSecret("smart secret")}))
	for _, tt := range []struct{ address, as, way, says string }{
		{"nobody@bob.example", "", "here", "nobody of this name is here, and the domain has no catch-all"},
		{"nobody@bob.example", "", "mx", "the mode is local"},
		{"box@ann.example", "", "outbound", "for foreign domains only"},
		{"kim@relay.example", "", "here", "the mode is relay, so that the mailbox of this name gets nothing"},
		{"kim@relay.example", "", "mx", "a next hop is named"},
		{"x@away.example", "", "here", "not hosted here"},
		{"x@away.example", "box@ann.example", "mx", "leaves through the smart host"},
		{"fw@ann.example", "", "here", "led elsewhere"},
		{"x@probed.example", "", "here", "nobody of this name is here"},
	} {
		e, err := w.Explain(t.Context(), control.Operator(), control.ExplainRequest{Address: tt.address, As: tt.as})
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, n := range e.WhyNot {
			if n.Way == tt.way {
				said = n.Sentence
			}
		}
		if !strings.Contains(said, tt.says) {
			t.Errorf("%s as %q, not %s: %q, want %q", tt.address, tt.as, tt.way, said, tt.says)
		}
	}
	e, err := w.Explain(t.Context(), control.Operator(), control.ExplainRequest{Address: "x@probed.example"})
	if err != nil || e.Reply.Code/100 != 4 || len(e.NextHops) != 1 || e.NextHops[0].Host != "mail.probed.example" || len(e.Destinations) != 0 {
		t.Errorf("who is refused for now: %+v %v", e, err)
	}
	e, err = w.Explain(t.Context(), control.Operator(), control.ExplainRequest{Address: "x@away.example", As: "box@ann.example"})
	if err != nil || len(e.NextHops) != 1 || e.NextHops[0].TLS != "verified" {
		t.Errorf("through a smart host with login: %+v %v", e, err)
	}
}
