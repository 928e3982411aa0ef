package control_test

import (
	"errors"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/service/control"
)

// deed is something that can be asked of the service.
type deed struct {
	name string
	try  func(w *world, a control.Actor) error
}

func planned(_ control.Plan, err error) error { return err }

func only[T any](_ T, err error) error { return err }

// deedsOnAnn are all deeds that touch things of ann's.
func deedsOnAnn(t *testing.T) []deed {
	t.Helper()
	ctx := t.Context()
	rule := func(kind directory.RuleKind, address string) control.RuleSpec {
		return control.RuleSpec{Kind: kind, Address: address, Targets: []string{"box@ann.example"}}
	}
	return []deed{
		{"domain show", func(w *world, a control.Actor) error { return only(w.Domain(ctx, a, "ann.example")) }},
		{"domain findings", func(w *world, a control.Actor) error { return only(w.Findings(ctx, a, "ann.example")) }},
		{"domain set", func(w *world, a control.Actor) error {
			return planned(w.PlanDomainSet(t.Context(), a, "ann.example", control.DomainSettings{Mode: new("remote")}))
		}},
		{"domain proof", func(w *world, a control.Actor) error { return only(w.Proof(ctx, a, "ann.example")) }},
		{"domain prove", func(w *world, a control.Actor) error { return planned(w.PlanDomainProve(ctx, a, "ann.example")) }},
		{"domain remove", func(w *world, a control.Actor) error { return planned(w.PlanDomainRemove(ctx, a, "ann.example")) }},
		{"mailbox list", func(w *world, a control.Actor) error { return only(w.Mailboxes(ctx, a, "ann.example")) }},
		{"mailbox add", func(w *world, a control.Actor) error {
			return planned(w.PlanMailboxAdd(a, control.MailboxSpec{Address: "new@ann.example"}))
		}},
		{"mailbox set", func(w *world, a control.Actor) error {
			return planned(w.PlanMailboxSet(a, "box@ann.example", control.MailboxSettings{Password: control.NewSecret("12345678")}))
		}},
		{"mailbox pause", func(w *world, a control.Actor) error { return planned(w.PlanMailboxPause(a, "box@ann.example", "")) }},
		{"mailbox resume", func(w *world, a control.Actor) error { return planned(w.PlanMailboxResume(a, "box@ann.example")) }},
		{"mailbox remove", func(w *world, a control.Actor) error { return planned(w.PlanMailboxRemove(ctx, a, "box@ann.example")) }},
		{"mailbox messages", func(w *world, a control.Actor) error {
			return only(w.Messages(ctx, a, "box@ann.example", "INBOX", 0, 10))
		}},
		{"mailbox message", func(w *world, a control.Actor) error { return only(w.Message(ctx, a, "box@ann.example", "INBOX", 1)) }},
		{"alias list", func(w *world, a control.Actor) error {
			return only(w.Rules(a, directory.RuleAlias, "ann.example"))
		}},
		{"alias add", func(w *world, a control.Actor) error {
			return planned(w.PlanRuleAdd(a, rule(directory.RuleAlias, "new@ann.example")))
		}},
		{"alias set", func(w *world, a control.Actor) error {
			return planned(w.PlanRuleSet(a, rule(directory.RuleAlias, "al@ann.example")))
		}},
		{"alias remove", func(w *world, a control.Actor) error {
			return planned(w.PlanRuleRemove(a, directory.RuleAlias, "al@ann.example"))
		}},
		{"catch-all set", func(w *world, a control.Actor) error {
			return planned(w.PlanRuleSet(a, rule(directory.RuleCatchAll, "ann.example")))
		}},
		{"outbound set", func(w *world, a control.Actor) error {
			return planned(w.PlanOutboundSet(t.Context(), a, control.OutboundSpec{Hop: "smart.example:587", Domain: "ann.example"}))
		}},
		{"outbound remove", func(w *world, a control.Actor) error { return planned(w.PlanOutboundRemove(a, "ann.example", false)) }},
		{"token add", func(w *world, a control.Actor) error { return planned(w.PlanTokenAdd(a, "x", string(w.annID))) }},
		{"token remove", func(w *world, a control.Actor) error {
			return planned(w.PlanTokenRemove(ctx, a, w.token(w.annID)))
		}},
		{"domain add for ann", func(w *world, a control.Actor) error {
			return planned(w.PlanDomainAdd(t.Context(), a, control.DomainSpec{Name: "more.example", Account: "ann"}))
		}},
		{"explain", func(w *world, a control.Actor) error {
			return only(w.Explain(ctx, a, control.ExplainRequest{Address: "box@ann.example"}))
		}},
		{"explain as", func(w *world, a control.Actor) error {
			return only(w.Explain(ctx, a, control.ExplainRequest{Address: "x@away.example", As: "box@ann.example"}))
		}},
		{"queue show", func(w *world, a control.Actor) error { return only(w.QueueShow(ctx, a, string(queuedID))) }},
		{"queue content", func(w *world, a control.Actor) error { return only(w.QueueContent(ctx, a, string(queuedID))) }},
		{"queue drop", func(w *world, a control.Actor) error {
			return planned(w.PlanQueue(ctx, a, control.VerbDrop, control.QueueFilter{IDs: []string{string(queuedID)}}))
		}},
	}
}

const queuedID = mail.ID("01j00000000000000000000000")

func (w *world) token(owner account.ID) string {
	for _, t := range w.m.Given {
		if t.Account == owner {
			return t.ID
		}
	}
	return "none"
}

// furnish gives ann one of everything.
func (w *world) furnish() {
	w.t.Helper()
	w.box("box@ann.example")
	w.box("box@bob.example")
	w.rule(directory.RuleAlias, "al@ann.example", "box@ann.example")
	w.ok(w.PlanOutboundSet(w.t.Context(), control.Operator(), control.OutboundSpec{Hop: "smart.example:587", Domain: "ann.example"}))
	w.ok(w.PlanTokenAdd(control.Operator(), "t", "ann"))
	w.m.Queued = []mail.Listed{{
		Message: mail.Message{ID: queuedID, Root: queuedID, Account: w.annID, Sender: "box@ann.example"},
		Rows:    []mail.Recipient{{Row: mail.Row{ID: queuedID}, Account: w.annID, Destination: "x@away.example", Lane: "remote/away.example", State: mail.StateDeferred}},
	}}
	for id, b := range w.m.Mailboxes {
		if b.Address() == "box@ann.example" {
			w.m.Stored[id] = append(w.m.Stored[id], mailboxMessage)
			w.m.Bodies[id+"/1"] = "Subject: hello\r\n\r\nhi\r\n"
		}
	}
}

func TestNobodyButOwnerAndOperatorTouchesAnAccountsThings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	for _, d := range deedsOnAnn(t) {
		if err := d.try(w, w.ann); err != nil {
			t.Errorf("%s by the owner: %v", d.name, err)
		}
		if err := d.try(w, control.Operator()); err != nil {
			t.Errorf("%s by the operator: %v", d.name, err)
		}
		if err := d.try(w, w.bob); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s by another customer: %v, want not found", d.name, err)
		}
		if err := d.try(w, control.Actor{Name: "nobody"}); !errors.Is(err, control.ErrNotFound) && !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%s by nobody: %v", d.name, err)
		}
	}
}

func TestWhatOnlyTheOperatorMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	ctx := t.Context()
	for _, d := range []deed{
		{"account add", func(w *world, a control.Actor) error { return planned(w.PlanAccountAdd(a, "new")) }},
		{"account set", func(w *world, a control.Actor) error {
			return planned(w.PlanAccountSet(a, string(w.annID), control.AccountSettings{Name: new("new")}))
		}},
		{"account remove", func(w *world, a control.Actor) error { return planned(w.PlanAccountRemove(ctx, a, string(w.annID))) }},
		{"domain add --proved", func(w *world, a control.Actor) error {
			return planned(w.PlanDomainAdd(t.Context(), a, control.DomainSpec{Name: "p.example", DomainSettings: control.DomainSettings{Proved: new(true)}}))
		}},
		{"domain set --proved", func(w *world, a control.Actor) error {
			return planned(w.PlanDomainSet(t.Context(), a, "ann.example", control.DomainSettings{Proved: new(false)}))
		}},
		{"outbound set of all", func(w *world, a control.Actor) error {
			return planned(w.PlanOutboundSet(t.Context(), a, control.OutboundSpec{Hop: "smart.example:587"}))
		}},
		{"outbound set --source", func(w *world, a control.Actor) error {
			return planned(w.PlanOutboundSet(t.Context(), a, control.OutboundSpec{Domain: "ann.example", Source: new("192.0.2.7")}))
		}},
		{"outbound set --source with a smart host", func(w *world, a control.Actor) error {
			return planned(w.PlanOutboundSet(t.Context(), a, control.OutboundSpec{Hop: "smart.example:587", Domain: "ann.example", Source: new("")}))
		}},
		{"outbound remove of all", func(w *world, a control.Actor) error { return planned(w.PlanOutboundRemove(a, "", false)) }},
		{"domain without a dot", func(w *world, a control.Actor) error {
			return planned(w.PlanDomainAdd(t.Context(), a, control.DomainSpec{Name: "intranet"}))
		}},
		{"explain as local", func(w *world, a control.Actor) error {
			return only(w.Explain(ctx, a, control.ExplainRequest{Address: "x@away.example", As: "local"}))
		}},
	} {
		if err := d.try(w, w.ann); !errors.Is(err, control.ErrDenied) {
			t.Errorf("%s by a customer: %v, want denied", d.name, err)
		}
		if err := d.try(w, control.Operator()); errors.Is(err, control.ErrDenied) {
			t.Errorf("%s by the operator: %v", d.name, err)
		}
	}
	if _, err := w.PlanTokenAdd(w.ann, "x", "operator"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("a customer's token for the operator: %v", err)
	}
}

func TestListingsShowOnlyWhatIsInScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.furnish()
	ctx := t.Context()
	if l, err := w.Domains(w.bob, control.DomainFilter{}); err != nil || len(l) != 1 || l[0].Name != "bob.example" {
		t.Errorf("domains %+v", l)
	}
	if l := w.Accounts(w.bob); len(l) != 1 || l[0].ID != w.bobID {
		t.Errorf("accounts %+v", l)
	}
	if l, err := w.Mailboxes(ctx, w.bob, ""); err != nil || len(l) != 1 || l[0].Address != "box@bob.example" {
		t.Errorf("mailboxes %+v %v", l, err)
	}
	if l, err := w.Rules(w.bob, directory.RuleAlias, ""); err != nil || len(l) != 0 {
		t.Errorf("aliases %+v %v", l, err)
	}
	if l := w.Outbounds(w.bob); len(l) != 0 {
		t.Errorf("outbounds %+v", l)
	}
	if l, err := w.Tokens(ctx, w.bob); err != nil || len(l) != 0 {
		t.Errorf("tokens %+v %v", l, err)
	}
	if l, err := w.QueueList(ctx, w.bob, control.QueueFilter{}, "", 10); err != nil || len(l) != 0 {
		t.Errorf("queue %+v %v", l, err)
	}
	if c, err := w.QueueCount(ctx, w.bob, control.QueueFilter{}); err != nil || c.Messages != 0 {
		t.Errorf("count %+v %v", c, err)
	}
}
