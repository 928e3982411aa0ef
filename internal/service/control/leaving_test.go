package control_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/routing"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// asking lets a test say what public DNS answers for domains: "servfail", or exchangers of which those called own are
// this installation.
type asking struct {
	m       *controltest.Memory
	learned map[string]facts.ExchangersAnswer
}

func (a *asking) Exchangers(domain string) (facts.ExchangersAnswer, bool) {
	x, ok := a.learned[domain]
	return x, ok
}

func (a *asking) Recipient(string, string) (facts.RecipientAnswer, bool) {
	return facts.RecipientAnswer{}, false
}

func (a *asking) Fetch(ctx context.Context, need routing.Need) {
	dns := controltest.Options(a.m).Resolver
	x := facts.ExchangersAnswer{MX: dns.MX(ctx, need.Domain), Addrs: map[string]facts.AddrAnswer{}}
	for _, mx := range x.MX.Records {
		x.Addrs[mx.Host] = dns.Addrs(ctx, mx.Host)
	}
	a.learned[need.Domain] = x
}

// newAskingWorld is newWorld with a public DNS in which each domain is its own.
func newAskingWorld(t *testing.T, exchangers map[string]facts.MXAnswer) *world {
	t.Helper()
	m := controltest.NewMemory()
	m.Exchangers = exchangers
	o := controltest.Options(m)
	o.Facts = &asking{m, map[string]facts.ExchangersAnswer{}}
	return openWorld(t, m, o)
}

// mxs is an MX answer with exchangers in the order of their preference.
func mxs(ttl time.Duration, hosts ...string) facts.MXAnswer {
	a := facts.MXAnswer{Status: facts.Found, Origin: facts.Origin{TTL: ttl}}
	for i, h := range hosts {
		a.Records = append(a.Records, facts.MX{Preference: uint16(10 * (i + 1)), Host: h})
	}
	return a
}

// findings are those of ann.example.
func (w *world) findings() string {
	w.t.Helper()
	list, err := w.Findings(w.t.Context(), control.Operator(), "ann.example")
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, f := range list {
		names = append(names, string(f.Name)+" "+f.Evidence)
	}
	return strings.Join(names, "; ")
}

func TestADomainThatLeavesIsHandedOnForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newAskingWorld(t, map[string]facts.MXAnswer{"ann.example": mxs(72*time.Hour, "other.ann.example"), "bob.example": mxs(time.Minute, "own.bob.example", "other.bob.example")})
		ctx, op := t.Context(), control.Operator()
		set := func(mode string) control.Plan {
			t.Helper()
			p, err := w.PlanDomainSet(ctx, op, "ann.example", control.DomainSettings{Mode: &mode})
			w.ok(p, err)
			return p
		}
		p := set("remote")
		d, err := w.Domain(ctx, op, "ann.example")
		if err != nil || d.LeavingUntil == nil || !d.LeavingUntil.Equal(time.Now().UTC().Add(72*time.Hour).Truncate(time.Second)) || d.LeavingFrom != "local" {
			t.Errorf("%+v %v", d.DomainInfo, err)
		}
		if said := strings.Join(p.Sentences, " "); !p.Asks || !strings.Contains(said, "handed on until "+d.LeavingUntil.Format("2006-01-02 15:04")) {
			t.Errorf("%q", said)
		}
		set("backup")
		if d, _ := w.Domain(ctx, op, "ann.example"); d.LeavingUntil != nil {
			t.Errorf("the window of a domain that came back: %+v", d.DomainInfo)
		}
		w.box("box@bob.example")
		w.rule(directory.RuleAlias, "info@bob.example", "box@bob.example")
		p, err = w.PlanDomainRemove(ctx, w.bob, "bob.example")
		w.by(w.bob, p, err)
		list := func(a control.Actor, f control.DomainFilter) string {
			t.Helper()
			all, err := w.Domains(a, f)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, d := range all {
				names = append(names, d.Name+" "+d.Mode)
			}
			return strings.Join(names, ", ")
		}
		if got := list(op, control.DomainFilter{}); got != "ann.example backup" {
			t.Errorf("domains: %s", got)
		}
		for actor, want := range map[string]string{"operator": "bob.example removed", "bob": "bob.example removed", "ann": ""} {
			a := map[string]control.Actor{"operator": op, "ann": w.ann, "bob": w.bob}[actor]
			if got := list(a, control.DomainFilter{Leaving: true}); got != want {
				t.Errorf("leaving, to %s: %q, want %q", actor, got, want)
			}
		}
		left, ok := w.Directory().Departed("bob.example")
		if !ok || strings.Join(left.Former, " ") != "box info" || !left.Leaving.Until.Equal(time.Now().UTC().Add(48*time.Hour).Truncate(time.Second)) {
			t.Errorf("%+v", left)
		}
		if err := w.ForgetDeparted(ctx); err != nil || len(w.m.Departed) != 1 {
			t.Errorf("forgotten before its time: %v", err)
		}
		again := control.New(controltest.Options(w.m))
		if err := again.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if _, ok := again.Directory().Departed("bob.example"); !ok {
			t.Error("a restart forgets it")
		}
		time.Sleep(48 * time.Hour)
		if err := w.ForgetDeparted(ctx); err != nil || len(w.m.Departed) != 1 {
			t.Errorf("its name is not reserved any more: %v", err)
		}
		if got := list(w.bob, control.DomainFilter{Leaving: true}); got != "" {
			t.Errorf("leaving: %s", got)
		}
		time.Sleep(28 * 24 * time.Hour)
		if err := w.ForgetDeparted(ctx); err != nil || len(w.m.Departed) != 0 {
			t.Errorf("%v, %d left", err, len(w.m.Departed))
		}
		if _, ok := w.Directory().Departed("bob.example"); ok {
			t.Error("it is not forgotten in its time")
		}
	})
}

func TestADomainAddedAgainTakesThePlaceOfWhatIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.box("box@bob.example")
	w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), "bob.example"))
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "bob.example", Account: "ann"}))
	if _, ok := w.Directory().Departed("bob.example"); !ok || len(w.m.Departed) != 1 {
		t.Error("a domain that is not proved takes the place of another's")
	}
	e, err := w.Explain(t.Context(), w.ann, control.ExplainRequest{Address: "box@bob.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range e.Reasons {
		if strings.Contains(r.Fact, "box@") {
			t.Errorf("the new owner is told of the old one's addresses: %+v", r)
		}
	}
	w.ok(w.PlanDomainSet(t.Context(), control.Operator(), "bob.example", control.DomainSettings{Proved: new(true)}))
	if _, ok := w.Directory().Departed("bob.example"); ok || len(w.m.Departed) != 0 {
		t.Error("it is remembered beside the domain that took its place")
	}
}

func TestStrandedMailboxesAreFoundByTheChangeItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, op := t.Context(), control.Operator()
	set := func(mode string) { w.ok(w.PlanDomainSet(ctx, op, "ann.example", control.DomainSettings{Mode: &mode})) }
	set("remote")
	if got := w.findings(); got != "" {
		t.Errorf("no mailbox is here: %s", got)
	}
	set("local")
	w.box("a@ann.example")
	w.box("b@ann.example")
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"local", func() {}, ""},
		{"remote", func() { set("remote") }, "STRANDED_MAILBOXES 2 mailboxes here, mode remote"},
		{"backup", func() { set("backup") }, "STRANDED_MAILBOXES 2 mailboxes here, mode backup"},
		{"one less", func() { w.ok(w.PlanMailboxRemove(ctx, op, "a@ann.example")) }, "STRANDED_MAILBOXES 1 mailbox here, mode backup"},
		{"none", func() { w.ok(w.PlanMailboxRemove(ctx, op, "b@ann.example")) }, ""},
		{"one more", func() { w.box("c@ann.example") }, "STRANDED_MAILBOXES 1 mailbox here, mode backup"},
		{"split", func() { set("split") }, ""},
		{"remote again", func() { set("remote") }, "STRANDED_MAILBOXES 1 mailbox here, mode remote"},
	} {
		if step.do(); w.findings() != step.want {
			t.Errorf("%s: %q, want %q", step.what, w.findings(), step.want)
		}
	}
}

func TestAWayThatPublicDNSDoesNotShowIsRefusedUnlessOverridden(t *testing.T) {
	t.Parallel()
	w := newAskingWorld(t, map[string]facts.MXAnswer{
		"ann.example": mxs(0, "own.ann.example"), "good.example": mxs(0, "other.good.example"), "slow.example": {Status: facts.Temporary},
		"behind.example": mxs(0, "own.behind.example", "other.behind.example"), "none.example": {Status: facts.Found, Null: true},
	})
	ctx, op := t.Context(), control.Operator()
	for _, tt := range []struct {
		domain, mode string
		finding      finding.Name
		warns        string
	}{
		{"good.example", "remote", "", ""},
		{"good.example", "backup", "", ""},
		{"good.example", "split", "", ""},
		{"new.example", "remote", finding.PrimaryMXMissing, "no other server"}, // NXDOMAIN
		{"none.example", "backup", finding.PrimaryMXMissing, "no other server"},
		{"none.example", "split", finding.PrimaryMXMissing, "no other server"},
		{"behind.example", "backup", finding.PrimaryMXMissing, "no other server"},
		{"behind.example", "split", "", ""},
		{"slow.example", "remote", "", "no answer just now"},
		{"none.example", "local", "", ""},
		{"none.example", "auto", "", ""},
	} {
		p, err := w.PlanDomainAdd(ctx, op, control.DomainSpec{Name: tt.domain, DomainSettings: control.DomainSettings{Mode: &tt.mode, Proved: new(true)}})
		var got finding.Name
		if len(p.Overrides) > 0 {
			got = p.Overrides[0].Finding
		}
		if err != nil || got != tt.finding || p.Asks != (got != "") || !strings.Contains(strings.Join(p.Warnings, " "), tt.warns) || (tt.warns == "") != (len(p.Warnings) == 0) {
			t.Errorf("%s %s: %q, asks %v, warns %q, %v", tt.mode, tt.domain, got, p.Asks, p.Warnings, err)
		}
	}
	split := control.DomainSettings{Mode: new("split")}
	var refused *control.RefusedError
	if _, err := w.PlanDomainSet(ctx, w.ann, "ann.example", split); !errors.As(err, &refused) || refused.Finding != finding.RouteLoopSelf || !strings.Contains(refused.Hint, "--next-hop") {
		t.Errorf("a customer is told %v", err)
	}
	if p, err := w.PlanDomainSet(ctx, w.ann, "ann.example", control.DomainSettings{Mode: new("split"), NextHops: &[]string{"mail.corp.example"}}); err != nil || len(p.Overrides) > 0 {
		t.Errorf("with a next hop: %+v %v", p.Overrides, err)
	}
	w.ok(w.PlanDomainSet(ctx, op, "ann.example", split))
	if got := w.findings(); !strings.HasPrefix(got, "ROUTE_LOOP_SELF ") || !strings.Contains(got, "own.ann.example") {
		t.Errorf("after the override: %q", got)
	}
	if e := w.m.Entries[len(w.m.Entries)-1]; !strings.Contains(e.Overridden, "ROUTE_LOOP_SELF") {
		t.Errorf("the audit log does not tell of the override: %s", e.Overridden)
	}
	if p, err := w.PlanDomainSet(ctx, op, "ann.example", control.DomainSettings{Hold: new(time.Hour)}); err != nil || len(p.Overrides) > 0 {
		t.Errorf("what is overridden is asked for again: %+v %v", p.Overrides, err)
	}
}

func TestALeavingWindowIsAsLongAsTheLargestTTLThatWasSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for seen, want := range map[time.Duration]time.Duration{0: 72 * time.Hour, time.Hour: 72 * time.Hour, 7 * 24 * time.Hour: 7 * 24 * time.Hour} {
			w := newAskingWorld(t, map[string]facts.MXAnswer{"ann.example": mxs(72*time.Hour, "mx.far.example"), "bob.example": mxs(0, "mx.far.example")})
			w.m.TTLs = map[string]time.Duration{"ann.example": seen, "bob.example": seen}
			w.ok(w.PlanDomainSet(t.Context(), control.Operator(), "ann.example", control.DomainSettings{Mode: new("remote")}))
			d, _ := w.Directory().Domain("ann.example")
			if got := time.Until(d.Leaving.Until); got < want-time.Second || got > want {
				t.Errorf("seen %v: the window is %v", seen, got)
			}
			w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), "bob.example"))
			left, _ := w.Directory().Departed("bob.example")
			if got := time.Until(left.Leaving.Until); got < max(seen, directory.MinLeaving)-time.Second {
				t.Errorf("seen %v: the window of a removed domain is %v", seen, got)
			}
		}
	})
}
