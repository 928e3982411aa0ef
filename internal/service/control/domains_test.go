package control_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/mailbox"
	"postroad/internal/service/control"
)

var mailboxMessage = mailbox.Message{UID: 1, From: "x@away.example", Subject: "hello", Size: 22, At: time.Unix(1, 0).UTC()}

func TestDomainSettingsMustFitTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hops := &[]string{"mail.corp.example:25"}
	for _, tt := range []struct {
		name string
		set  control.DomainSettings
		says string // part of the refusal; empty when it is taken
	}{
		{"nothing", control.DomainSettings{}, ""},
		{"relay", control.DomainSettings{Mode: new("relay"), NextHops: hops, Recipients: new("accept")}, ""},
		{"relay without next hop", control.DomainSettings{Mode: new("relay"), Recipients: new("accept")}, "--next-hop"},
		{"relay without policy", control.DomainSettings{Mode: new("relay"), NextHops: hops}, ""},
		{"relay with probe", control.DomainSettings{Mode: new("relay"), NextHops: hops, Recipients: new("probe")}, ""},
		{"relay with list", control.DomainSettings{Mode: new("relay"), NextHops: hops, Recipients: new("list")}, ""},
		{"relay that guesses", control.DomainSettings{Mode: new("relay"), NextHops: hops, Recipients: new("guess")}, `"guess"`},
		{"local with next hop", control.DomainSettings{NextHops: hops}, "--mode relay"},
		{"local with policy", control.DomainSettings{Recipients: new("accept")}, "--recipients"},
		{"remote", control.DomainSettings{Mode: new("remote")}, ""},
		{"remote with next hop", control.DomainSettings{Mode: new("remote"), NextHops: hops}, ""},
		{"remote with policy", control.DomainSettings{Mode: new("remote"), Recipients: new("accept")}, "--recipients"},
		{"remote with gateways", control.DomainSettings{Mode: new("remote"), Gateways: &[]string{"192.0.2.0/24"}}, "gateways are for"},
		{"remote with onboarding", control.DomainSettings{Mode: new("remote"), Onboarding: new(time.Hour)}, "another mode"},
		{"split", control.DomainSettings{Mode: new("split")}, ""},
		{"split with everything", control.DomainSettings{
			Mode: new("split"), NextHops: hops, Recipients: new("probe"), Unreachable: new("queue"), Gateways: &[]string{"192.0.2.0/24", "2001:db8::1"},
			Onboarding: new(time.Hour),
		}, ""},
		{"backup", control.DomainSettings{Mode: new("backup"), Unreachable: new("450"), Hold: new(30 * 24 * time.Hour)}, ""},
		{"auto", control.DomainSettings{Mode: new("auto"), Dual: new(true)}, ""},
		{"auto with next hop", control.DomainSettings{Mode: new("auto"), NextHops: hops}, "--mode backup"},
		{"auto with gateways", control.DomainSettings{Mode: new("auto"), Gateways: &[]string{"192.0.2.0/24"}}, "--gateway none"},
		{"dual", control.DomainSettings{Dual: new(true)}, ""},
		{"dual with next hop", control.DomainSettings{Dual: new(true), NextHops: hops}, ""},
		{"dual relay", control.DomainSettings{Mode: new("relay"), NextHops: hops, Dual: new(true)}, "for mode local"},
		{"unreachable", control.DomainSettings{Mode: new("split"), Unreachable: new("wait")}, "queue takes"},
		{"unreachable of all", control.DomainSettings{Mode: new("split"), Recipients: new("accept"), Unreachable: new("450")}, "--recipients probe"},
		{"local and unreachable", control.DomainSettings{Unreachable: new("450")}, "--unreachable"},
		{"no gateway", control.DomainSettings{Gateways: &[]string{"none"}}, ""},
		{"a name as gateway", control.DomainSettings{Gateways: &[]string{"filter.example"}}, "192.0.2.0/24"},
		{"everybody as gateway", control.DomainSettings{Gateways: &[]string{"0.0.0.0/0"}}, "say none"},
		{"onboarding for ever", control.DomainSettings{Onboarding: new(31 * 24 * time.Hour)}, "30 days"},
		{"no mode", control.DomainSettings{Mode: new("")}, "auto follows"},
		{"zone", control.DomainSettings{Zone: new("elsewhere")}, "hosted or external"},
		{"same hop twice", control.DomainSettings{Mode: new("relay"), NextHops: &[]string{"a.example", "A.example:25"}, Recipients: new("accept")}, "twice"},
		{"hops by LMTP", control.DomainSettings{Mode: new("relay"), NextHops: &[]string{"lmtp://a.example", "lmtp:///run/lmtp"}, Recipients: new("accept")}, ""},
		{"remote by LMTP", control.DomainSettings{Mode: new("remote"), NextHops: &[]string{"lmtp://a.example:24"}}, ""},
		{"hops of both kinds", control.DomainSettings{Mode: new("relay"), NextHops: &[]string{"lmtp://a.example", "b.example"}, Recipients: new("accept")}, "before all of them or before none"},
		{"held for ever", control.DomainSettings{Hold: new(31 * 24 * time.Hour)}, "30 days"},
		{"held for long", control.DomainSettings{Hold: new(30 * 24 * time.Hour)}, ""},
	} {
		p, err := w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "new.example", DomainSettings: tt.set})
		switch {
		case tt.says == "" && (err != nil || p.Asks || len(p.Changes) != 1):
			t.Errorf("%s: %+v %v", tt.name, p, err)
		case tt.says != "" && (!errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
}

func TestWhoNamedANextHopIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	hop := control.DomainSettings{Mode: new("relay"), NextHops: &[]string{"mail.corp.example:25"}, Recipients: new("accept")}
	lane := func(address string) string {
		t.Helper()
		e, err := w.Explain(t.Context(), control.Operator(), control.ExplainRequest{Address: address, As: "local"})
		if err != nil || len(e.Destinations) != 1 {
			t.Fatalf("explain %s: %+v %v", address, e, err)
		}
		return e.Destinations[0].Lane
	}
	ann := func(p control.Plan, err error) { t.Helper(); w.by(w.ann, p, err) }
	const plain, marked = "relay/mail.corp.example:25", "relay/mail.corp.example:25!"
	ann(w.PlanDomainSet(t.Context(), w.ann, "ann.example", hop))
	if got := lane("x@ann.example"); got != plain {
		t.Errorf("a customer's next hop: %s", got)
	}
	if d, err := w.Domain(t.Context(), w.ann, "ann.example"); err != nil || d.OperatorHops {
		t.Errorf("shown as %+v %v", d, err)
	}
	w.ok(w.PlanDomainSet(t.Context(), control.Operator(), "ann.example", hop))
	if got := lane("x@ann.example"); got != marked {
		t.Errorf("the same one, named by the operator: %s", got)
	}
	ann(w.PlanDomainSet(t.Context(), w.ann, "ann.example", control.DomainSettings{Hold: new(time.Hour)}))
	if got := lane("x@ann.example"); got != marked {
		t.Errorf("after another change by the customer: %s", got)
	}
	ann(w.PlanDomainSet(t.Context(), w.ann, "ann.example", hop))
	if got := lane("x@ann.example"); got != plain {
		t.Errorf("named by the customer again: %s", got)
	}
	ann(w.PlanOutboundSet(t.Context(), w.ann, control.OutboundSpec{Hop: "smart.corp.example:587", Domain: "ann.example"}))
	w.ok(w.PlanOutboundSet(t.Context(), control.Operator(), control.OutboundSpec{Hop: "smart.corp.example:587"}))
	for sender, want := range map[string]string{"": "relay/smart.corp.example:587!", "x@ann.example": "relay/smart.corp.example:587"} {
		e, err := w.Explain(t.Context(), control.Operator(), control.ExplainRequest{Address: "x@far.example", As: "local", Sender: sender})
		if err != nil || e.Destinations[0].Lane != want {
			t.Errorf("smart host of %q: %+v %v", sender, e.Destinations, err)
		}
	}
}

func TestTheTLSOfASmartHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, tt := range []struct {
		tls, user string
		want      string // empty when it is refused
		says      string
	}{
		{"", "", "opportunistic", "nobody verifies"},
		{"opportunistic", "", "opportunistic", "nobody verifies"},
		{"verified", "", "verified", "Nothing is sent there but under verified TLS"},
		{"", "u", "verified", "logs in there as u, over verified TLS only"},
		{"verified", "u", "verified", "logs in there as u, over verified TLS only"},
		{"opportunistic", "u", "", "over verified TLS only"},
		{"none", "", "", "verified demands it"},
	} {
		spec := control.OutboundSpec{Hop: fmt.Sprintf("smart%d.example:587", i), TLS: tt.tls, User: tt.user}
		if tt.user != "" {
			spec.Password = control.NewSecret("hunter four")
		}
		p, err := w.PlanOutboundSet(t.Context(), control.Operator(), spec)
		if tt.want == "" {
			if !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%+v: %v", tt, err)
			}
			continue
		}
		if said := strings.Join(p.Sentences, " "); err != nil || !strings.Contains(said, tt.says) {
			t.Errorf("%+v: %q %v", tt, said, err)
		}
		w.ok(p, err)
		if got := w.Outbounds(control.Operator())[0].TLS; got != tt.want {
			t.Errorf("%+v is listed as %s", tt, got)
		}
		e, err := w.Explain(t.Context(), control.Operator(), control.ExplainRequest{Address: "x@far.example", As: "local"})
		verified := strings.Contains(e.Reasons[len(e.Reasons)-1].Sentence, "under verified TLS only")
		if err != nil || verified != (tt.want == "verified") {
			t.Errorf("%+v is explained as %+v %v", tt, e.Reasons, err)
		}
	}
}

func TestWhatAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "inert.example"}))
	op, ctx := control.Operator(), t.Context()
	hops := &[]string{"mail.corp.example:25"}
	relay := control.DomainSettings{Mode: new("relay"), NextHops: hops, Recipients: new("accept")}
	for _, tt := range []struct {
		name string
		asks bool
		warn string
		plan func() (control.Plan, error)
	}{
		{"mailbox add", false, "", func() (control.Plan, error) {
			return w.PlanMailboxAdd(op, control.MailboxSpec{Address: "n@ann.example"})
		}},
		{"alias add", false, "", func() (control.Plan, error) {
			return w.PlanRuleAdd(op, control.RuleSpec{Kind: directory.RuleAlias, Address: "n@ann.example", Targets: []string{"nobody@ann.example"}})
		}},
		{"forward beside a mailbox, kept", false, "", func() (control.Plan, error) {
			return w.PlanRuleAdd(op, control.RuleSpec{Kind: directory.RuleForward, Address: "box@ann.example", Targets: []string{"x@away.example"}, Keep: true})
		}},
		{"forward beside a mailbox, not kept", true, "gets no mail any more", func() (control.Plan, error) {
			return w.PlanRuleAdd(op, control.RuleSpec{Kind: directory.RuleForward, Address: "box@ann.example", Targets: []string{"x@away.example"}})
		}},
		{"alias set", true, "", func() (control.Plan, error) {
			return w.PlanRuleSet(op, control.RuleSpec{Kind: directory.RuleAlias, Address: "al@ann.example", Targets: []string{"box@bob.example"}})
		}},
		{"alias remove", true, "al@ann.example", func() (control.Plan, error) {
			return w.PlanRuleRemove(op, directory.RuleAlias, "al@ann.example")
		}},
		{"first catch-all", false, "", func() (control.Plan, error) {
			return w.PlanRuleSet(op, control.RuleSpec{Kind: directory.RuleCatchAll, Address: "@ann.example", Targets: []string{"box@ann.example"}})
		}},
		{"mailbox remove", true, "1 message", func() (control.Plan, error) { return w.PlanMailboxRemove(ctx, op, "box@ann.example") }},
		{"password", true, "", func() (control.Plan, error) {
			return w.PlanMailboxSet(op, "box@ann.example", control.MailboxSettings{Password: control.NewSecret("another one")})
		}},
		{"domain to relay", true, "No mail comes any more", func() (control.Plan, error) { return w.PlanDomainSet(t.Context(), op, "ann.example", relay) }},
		{"domain to remote", true, "strangers", func() (control.Plan, error) {
			return w.PlanDomainSet(t.Context(), op, "bob.example", control.DomainSettings{Mode: new("remote")})
		}},
		{"inert domain to relay", false, "", func() (control.Plan, error) { return w.PlanDomainSet(t.Context(), op, "inert.example", relay) }},
		{"domain proved", false, "", func() (control.Plan, error) {
			return w.PlanDomainSet(t.Context(), op, "inert.example", control.DomainSettings{Proved: new(true)})
		}},
		{"domain no longer proved", true, "inert", func() (control.Plan, error) {
			return w.PlanDomainSet(t.Context(), op, "ann.example", control.DomainSettings{Proved: new(false)})
		}},
		{"domain remove", true, "1 mailbox with 1 message", func() (control.Plan, error) { return w.PlanDomainRemove(ctx, op, "ann.example") }},
		{"token add", false, "", func() (control.Plan, error) { return w.PlanTokenAdd(op, "n", "ann") }},
		{"outbound set", true, "", func() (control.Plan, error) {
			return w.PlanOutboundSet(t.Context(), op, control.OutboundSpec{Hop: "smart.example:587"})
		}},
		{"queue retry", false, "", func() (control.Plan, error) {
			return w.PlanQueue(ctx, op, control.VerbRetry, control.QueueFilter{})
		}},
		{"queue drop", true, "nobody is told", func() (control.Plan, error) {
			return w.PlanQueue(ctx, op, control.VerbDrop, control.QueueFilter{To: "away.example"})
		}},
	} {
		p, err := tt.plan()
		if err != nil || p.Empty() {
			t.Errorf("%s: %v, %d changes", tt.name, err, len(p.Changes))
			continue
		}
		if p.Asks != tt.asks {
			t.Errorf("%s: asks %v: %v %v", tt.name, p.Asks, p.Sentences, p.Warnings)
		}
		if all := strings.Join(p.Warnings, " "); (tt.warn == "") != (all == "") || !strings.Contains(all, tt.warn) {
			t.Errorf("%s: warns %q, want %q", tt.name, all, tt.warn)
		}
		for _, s := range append(p.Sentences, p.Warnings...) {
			if !strings.HasSuffix(s, ".") {
				t.Errorf("%s: %q is no sentence", tt.name, s)
			}
		}
	}
}

func TestDomainRemoveTakesEverythingInItAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), "ann.example"))
	if len(w.m.Boxes) != 1 || len(w.m.Mailboxes) != 1 || len(w.m.Rules) != 0 || len(w.m.Outbounds) != 0 {
		t.Errorf("%d boxes, %d mailboxes, %d rules, %d outbounds", len(w.m.Boxes), len(w.m.Mailboxes), len(w.m.Rules), len(w.m.Outbounds))
	}
	e := w.m.Entries[len(w.m.Entries)-1]
	if e.Action != "domain remove" || !strings.Contains(e.Before, `"address":"box@ann.example"`) || !strings.Contains(e.Before, `"address":"al@ann.example","kind":"alias"`) {
		t.Errorf("%+v", e)
	}
	if list, err := w.Audit(t.Context(), w.ann, "ann.example", 0, 10); err != nil || len(list) == 0 {
		t.Errorf("the log of a domain that is gone: %v %v", list, err)
	}
	if len(w.Directory().Outbounds()) != 0 {
		t.Error("its outbound route is still used")
	}
}

func TestAddressesStandForOneThing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	op := control.Operator()
	add := func(kind directory.RuleKind, a string) error {
		_, err := w.PlanRuleAdd(op, control.RuleSpec{Kind: kind, Address: a, Targets: []string{"box@bob.example"}})
		return err
	}
	for _, err := range []error{
		add(directory.RuleAlias, "box@ann.example"), add(directory.RuleGroup, "box@ann.example"), add(directory.RuleForward, "al@ann.example"),
		planned(w.PlanMailboxAdd(op, control.MailboxSpec{Address: "al@ann.example"})),
		planned(w.PlanMailboxAdd(op, control.MailboxSpec{Address: "BOX@ann.example"})),
		planned(w.PlanMailboxImport(op, []control.MailboxSpec{{Address: "n@ann.example"}, {Address: "N@ann.example"}})),
	} {
		if !errors.Is(err, control.ErrExists) {
			t.Errorf("%v", err)
		}
	}
	if err := planned(w.PlanRuleSet(op, control.RuleSpec{Kind: directory.RuleGroup, Address: "al@ann.example", Targets: []string{"box@ann.example"}})); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("an alias was changed as a group: %v", err)
	}
}

func TestAccountsWithDomainsStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	if _, err := w.PlanAccountRemove(t.Context(), control.Operator(), "ann"); !errors.Is(err, control.ErrInUse) {
		t.Errorf("%v", err)
	}
	w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), "ann.example"))
	w.ok(w.PlanAccountRemove(t.Context(), control.Operator(), "ann"))
	if len(w.m.Given) != 0 || len(w.Accounts(control.Operator())) != 2 {
		t.Error("the account or its token is still there")
	}
	if _, err := w.PlanAccountRemove(t.Context(), control.Operator(), "operator"); !errors.Is(err, control.ErrDenied) {
		t.Errorf("%v", err)
	}
}

func TestDomainShow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "inert.example"}))
	w.m.Found = []finding.Finding{{Name: finding.PrimaryMXMissing, Domain: "ann.example", Evidence: "e"}}
	d, err := w.Domain(t.Context(), w.ann, "ann.example")
	if err != nil || d.Arrangement != "EMAIL" || d.EffectiveMode != "local" || d.Mailboxes != 1 || d.Addresses != 1 || len(d.Findings) != 1 || d.Findings[0].Sentence == "" {
		t.Errorf("%+v %v", d, err)
	}
	d, err = w.Domain(t.Context(), control.Operator(), "inert.example")
	if err != nil || d.EffectiveMode != "inert" || d.Mode != "local" || d.Arrangement != "none" || !strings.Contains(d.Why, "not shown") {
		t.Errorf("%+v %v", d, err)
	}
}

func TestMailboxListingsAndMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	list, err := w.Mailboxes(t.Context(), control.Operator(), "ann.example")
	if d := cmp.Diff([]control.MailboxUsage{{Address: "box@ann.example", Routing: "box=ann.example@in.mx.host.example", Messages: 1, Bytes: 22}}, list); d != "" || err != nil {
		t.Error(d, err)
	}
	msgs, err := w.Messages(t.Context(), w.ann, "box@ann.example", "INBOX", 0, 10)
	want := []control.MessageInfo{{UID: 1, From: "x@away.example", Subject: "hello", Date: time.Unix(1, 0).UTC(), Size: 22, Flags: []string{}}}
	if d := cmp.Diff(want, msgs); d != "" || err != nil {
		t.Error(d, err)
	}
	body, err := w.Message(t.Context(), w.ann, "box@ann.example", "INBOX", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
	shown, err := w.Mailbox(t.Context(), w.ann, "box@ann.example")
	folders := []control.MailboxFolder{{Name: "INBOX", Messages: 1, Unseen: 1, Subscribed: true}, {Name: "Junk", SpecialUse: `\Junk`}}
	if d := cmp.Diff(folders, shown.Folders); d != "" || err != nil || shown.Bytes != 22 {
		t.Error(d, err)
	}
	if msgs, err = w.Messages(t.Context(), w.ann, "box@ann.example", "Junk", 0, 10); err != nil || len(msgs) != 0 {
		t.Error(msgs, err)
	}
	if _, err = w.Messages(t.Context(), w.ann, "box@ann.example", "Nowhere", 0, 10); !errors.Is(err, control.ErrNotFound) {
		t.Error(err)
	}
	if _, err = w.Message(t.Context(), w.ann, "box@ann.example", "Nowhere", 1); !errors.Is(err, control.ErrNotFound) {
		t.Error(err)
	}
	for _, uid := range []uint32{0, 2, 1 << 31} {
		if _, err := w.Message(t.Context(), w.ann, "box@ann.example", "INBOX", uid); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("uid %d: %v", uid, err)
		}
	}
}
