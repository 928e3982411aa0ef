package control_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

func TestHostileDomainNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{
		"", ".", "..", "a..b", "-a.example", "a-.example", "a b.example", "a_b.example", "[192.0.2.1]", "192.0.2.1", "1.2.3", "x.example\r\nBcc: y",
		"x.example,y.example", "x.example:25", "<x.example>", "@x.example", "a@x.example", "x.example..", strings.Repeat("a", 64) + ".example",
		strings.Repeat("a.", 130) + "example", "x\x00.example", "xn--a.example", "x.example/../y", "\xff.example", "\u202e.example", "in.mx.host.example",
	} {
		if p, err := w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: name}); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%q: %+v %v", name, p.Changes, err)
		}
	}
}

func TestOneDomainUnderItsManySpellings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "Bücher.Example."}))
	if _, ok := w.Directory().Domain("xn--bcher-kva.example"); !ok {
		t.Fatal("not under its A-label")
	}
	for _, name := range []string{"bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "XN--BCHER-KVA.EXAMPLE.", "bu\u0308cher.example", "bücher。example"} {
		if _, err := w.PlanDomainAdd(t.Context(), w.ann, control.DomainSpec{Name: name}); !errors.Is(err, control.ErrExists) {
			t.Errorf("%q was free: %v", name, err)
		}
		if d, err := w.Domain(t.Context(), control.Operator(), name); err != nil || d.Unicode != "bücher.example" {
			t.Errorf("%q is not found: %v", name, err)
		}
	}
}

func TestACustomerGetsNoNameAboveOrBelowOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "deep.sub.corp.example", Account: "bob"}))
	for _, name := range []string{"x.bob.example", "a.b.bob.example", "sub.corp.example", "corp.example", "example", "mx.host.example", "host.example", "x.mx.host.example"} {
		if _, err := w.PlanDomainAdd(t.Context(), w.ann, control.DomainSpec{Name: name}); !errors.Is(err, control.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"x.ann.example", "notbob.example", "free.example"} {
		if p, err := w.PlanDomainAdd(t.Context(), w.ann, control.DomainSpec{Name: name}); err != nil || p.Asks {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "x.bob.example"}); err != nil {
		t.Errorf("the operator may: %v", err)
	}
}

func TestHostileAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, a := range []string{
		"", "@", "x", "x@", "@ann.example", "a b@ann.example", "a%b@ann.example", "a!b@ann.example", `"a@b"@ann.example`, `"a b"@ann.example`, "a@b@ann.example",
		"a..b@ann.example", ".a@ann.example", "../a@ann.example", "a/b@ann.example", "a\r\n@ann.example", "a\x00@ann.example", "<a@ann.example>", "a@[192.0.2.1]",
		strings.Repeat("a", 65) + "@ann.example", "a@ann.example ", "a@ann.example,b@ann.example", "\xff@ann.example",
	} {
		if _, err := w.PlanMailboxAdd(control.Operator(), control.MailboxSpec{Address: a}); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("mailbox %q: %v", a, err)
		}
		if _, err := w.PlanRuleAdd(control.Operator(), control.RuleSpec{Kind: directory.RuleAlias, Address: a, Targets: []string{"x@ann.example"}}); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("alias %q: %v", a, err)
		}
	}
	w.box("Ann.Lee+news@ANN.example")
	if _, ok := w.Directory().Mailbox("ann.example", "ann.lee+news"); !ok {
		t.Error("the local part is not folded")
	}
	w.box("jörg@ann.example")
}

func TestHostileTargets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, to := range []string{"", "x", "x@[127.0.0.1]", "a@b@c.example", "|/bin/sh", "/var/mail/x", "x@y.example\r\nBcc: z", "a%b@ann.example"} {
		if _, err := w.PlanRuleAdd(control.Operator(), control.RuleSpec{Kind: directory.RuleForward, Address: "f@ann.example", Targets: []string{to}}); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%q: %v", to, err)
		}
	}
	if _, err := w.PlanRuleAdd(control.Operator(), control.RuleSpec{Kind: directory.RuleAlias, Address: "f@ann.example", Targets: []string{"x@elsewhere.example"}}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("an alias to elsewhere: %v", err)
	}
	if _, err := w.PlanRuleAdd(control.Operator(), control.RuleSpec{Kind: directory.RuleGroup, Address: "f@ann.example", Targets: make([]string, 501)}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("501 targets: %v", err)
	}
}

func TestNextHopsOfCustomersAndOfTheOperator(t *testing.T) {
	t.Parallel()
	o := controltest.Options(controltest.NewMemory())
	o.Addresses = []netip.Addr{netip.MustParseAddr("203.0.113.5")}
	o.Listeners = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:2525"), netip.MustParseAddrPort("0.0.0.0:2526")}
	s := control.New(o)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	customer := control.Customer("token", "someone")
	plan := func(a control.Actor, hop string) error {
		set := control.DomainSettings{Mode: new("relay"), NextHops: &[]string{hop}, Recipients: new("accept")}
		_, err := s.PlanDomainAdd(t.Context(), a, control.DomainSpec{Name: "x.example", DomainSettings: set})
		var r *control.RefusedError
		if errors.As(err, &r) && r.Finding == finding.RouteLoopSelf {
			return errLoop
		}
		return err
	}
	for _, tt := range []struct {
		hop                string
		customer, operator error
	}{
		{"mail.corp.example:25", nil, nil},
		{"mail.corp.example", nil, nil},
		{"8.8.8.8:587", nil, nil},
		{"[2a00::1]:25", nil, nil},
		{"2a00::1", nil, nil},
		{"mail.corp.example:2525", control.ErrDenied, nil},
		{"10.0.0.5:25", control.ErrDenied, nil},
		{"127.0.0.1:25", control.ErrDenied, nil},
		{"[::1]:25", control.ErrDenied, nil},
		{"[::ffff:10.0.0.1]:25", control.ErrDenied, nil},
		{"169.254.169.254:25", control.ErrDenied, nil},
		{"100.64.1.1:25", control.ErrDenied, nil},
		{"0.0.0.0:25", control.ErrDenied, nil},
		{"224.0.0.1:25", control.ErrDenied, nil},
		{"[fe80::1]:25", control.ErrDenied, nil},
		{"[fd00::1]:25", control.ErrDenied, nil},
		{"[64:ff9b::a00:1]:25", control.ErrDenied, nil},
		{"localhost:25", control.ErrDenied, nil},
		{"a.localhost:25", control.ErrDenied, nil},
		{"mx.host.example:25", errLoop, errLoop},
		{"203.0.113.5:25", errLoop, errLoop},
		{"127.0.0.1:2525", errLoop, errLoop},
		{"127.0.0.1:2526", errLoop, errLoop},
		{"", control.ErrInvalid, control.ErrInvalid},
		{"2130706433:25", control.ErrInvalid, control.ErrInvalid},
		{"0x7f000001:25", control.ErrInvalid, control.ErrInvalid},
		{"0177.0.0.1:25", control.ErrInvalid, control.ErrInvalid},
		{"127.1:25", control.ErrInvalid, control.ErrInvalid},
		{"mail.corp.example:0", control.ErrInvalid, control.ErrInvalid},
		{"mail.corp.example:65536", control.ErrInvalid, control.ErrInvalid},
		{"mail.corp.example:smtp", control.ErrInvalid, control.ErrInvalid},
		{"mail corp:25", control.ErrInvalid, control.ErrInvalid},
		{"[fe80::1%eth0]:25", control.ErrInvalid, control.ErrInvalid},
		{"a,b:25", control.ErrInvalid, control.ErrInvalid},
		{"a#b:25", control.ErrInvalid, control.ErrInvalid},
		{"lmtp://mail.corp.example:587", nil, nil},
		{"lmtp://mail.corp.example", control.ErrDenied, nil},
		{"lmtp://127.0.0.1:24", control.ErrDenied, nil},
		{"lmtp://127.0.0.1:2526", errLoop, errLoop},
		{"lmtp://mail.corp.example:25", control.ErrInvalid, control.ErrInvalid},
		{"lmtp://", control.ErrInvalid, control.ErrInvalid},
		{"lmtp:///run/dovecot/lmtp", control.ErrDenied, nil},
		{"lmtp:///", control.ErrDenied, control.ErrInvalid},
		{"lmtp:///run/../etc", control.ErrDenied, control.ErrInvalid},
		{"lmtp:///run/a,b", control.ErrDenied, control.ErrInvalid},
		{"lmtp:///run/a#b", control.ErrDenied, control.ErrInvalid},
		{"lmtp:///run/a b", control.ErrDenied, control.ErrInvalid},
		{"/run/dovecot/lmtp", control.ErrInvalid, control.ErrInvalid},
		{"smtp://mail.corp.example:25", control.ErrInvalid, control.ErrInvalid},
	} {
		if err := plan(customer, tt.hop); !errors.Is(err, tt.customer) {
			t.Errorf("customer, %q: %v, want %v", tt.hop, err, tt.customer)
		}
		if err := plan(control.Operator(), tt.hop); !errors.Is(err, tt.operator) {
			t.Errorf("operator, %q: %v, want %v", tt.hop, err, tt.operator)
		}
	}
}

var errLoop = errors.New("loop")

func TestNamesOfAccountsAndTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"", " ", " x", "x\n", "x\x1b[31m", "\xff", strings.Repeat("x", 101), "ann", "a\u202eb"} {
		if _, err := w.PlanAccountAdd(control.Operator(), name); err == nil {
			t.Errorf("account %q was taken", name)
		}
	}
	if _, err := w.PlanAccountAdd(control.Operator(), "Müller & Söhne"); err != nil {
		t.Error(err)
	}
}
