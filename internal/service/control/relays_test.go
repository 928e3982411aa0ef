package control_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// confirmed has a mailbox send as an address.
func (w *world) confirmed(l *letters, mailbox, address string) {
	w.t.Helper()
	w.ok(w.PlanIdentityAdd(w.t.Context(), control.Operator(), mailbox, address))
	w.ok(w.PlanIdentityConfirm(w.t.Context(), control.Operator(), mailbox, address, l.code()))
}

// relays lists the routes for identities as an actor sees them.
func (w *world) relays(actor control.Actor) string {
	var out []string
	for _, o := range w.Outbounds(actor) {
		if o.Identity != "" {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", o.Identity, o.Way(), o.TLS, o.User)))
		}
	}
	return strings.Join(out, "; ")
}

func TestARouteForAddressesElsewhere(t *testing.T) {
	t.Parallel()
	w, l, d := newIdentities(t)
	ctx, op := t.Context(), control.Operator()
	d.answers["far.example TXT"] = `"v=spf1 -all"`
	spec := func(identity string) control.OutboundSpec {
		return control.OutboundSpec{Hop: "mail.far.example:465", Identity: identity, User: "u", Password: control.NewSecret("a long secret")}
	}
	for _, identity := range []string{"far.example", "ann@far.example"} {
		if _, err := w.PlanOutboundSet(t.Context(), w.ann, spec(identity)); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s without proof: %v", identity, err)
		}
	}
	w.ok(w.PlanIdentityAdd(ctx, op, "box@ann.example", "ann@far.example"))
	if _, err := w.PlanOutboundSet(t.Context(), w.ann, spec("far.example")); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("before the proof: %v", err)
	}
	w.ok(w.PlanIdentityConfirm(ctx, op, "box@ann.example", "ann@far.example", l.code()))
	w.confirmed(l, "box@bob.example", "bob@far.example")
	if _, err := w.CheckIdentities(ctx, "ann.example"); err != nil || len(w.m.Found) != 1 || w.m.Found[0].Name != finding.IdentityNotAuthorised {
		t.Fatalf("%v %+v", err, w.m.Found)
	}
	// Each account has its own, of which the other sees nothing.
	w.by(w.ann, planOf(t)(w.PlanOutboundSet(t.Context(), w.ann, spec("Far.Example"))), nil)
	if got := w.relays(w.ann); got != "far.example through mail.far.example:465 verified u" || w.relays(w.bob) != "" {
		t.Errorf("%q, %q", got, w.relays(w.bob))
	}
	if len(w.m.Found) != 0 {
		t.Errorf("the finding stands: %+v", w.m.Found)
	}
	if _, err := w.CheckIdentities(ctx, "ann.example"); err != nil || len(w.m.Found) != 0 {
		t.Errorf("it is found again: %v %+v", err, w.m.Found)
	}
	if p, err := w.PlanIdentityAdd(ctx, w.ann, "box@ann.example", "sales@far.example"); err != nil || !strings.Contains(strings.Join(p.Sentences, " "), "it: mail as sales@far.example leaves through mail.far.example:465.") {
		t.Errorf("%v %q", err, p.Sentences)
	}
	if _, err := w.PlanOutboundSet(t.Context(), op, spec("far.example")); !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), "More than one account") {
		t.Errorf("the operator names no account: %v", err)
	}
	if _, err := w.PlanOutboundSet(t.Context(), w.bob, control.OutboundSpec{Hop: "x.example:25", Identity: "ann@far.example"}); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("another account's address: %v", err)
	}
	if _, err := w.PlanOutboundSet(t.Context(), w.bob, control.OutboundSpec{Hop: "x.example:25", Identity: "far.example", Account: "ann"}); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("another account's route: %v", err)
	}
	w.by(w.bob, planOf(t)(w.PlanOutboundSet(t.Context(), w.bob, control.OutboundSpec{Hop: "bobs.example:25", Identity: "far.example"})), nil)
	w.ok(w.PlanOutboundSet(t.Context(), op, control.OutboundSpec{Hop: "127.0.0.1:2525", Identity: "ann@far.example", TLS: "verified"}))
	if got := w.relays(op); got != "ann@far.example through 127.0.0.1:2525 verified; far.example through mail.far.example:465 verified u; far.example through bobs.example:25 opportunistic" &&
		got != "ann@far.example through 127.0.0.1:2525 verified; far.example through bobs.example:25 opportunistic; far.example through mail.far.example:465 verified u" {
		t.Errorf("%q", got)
	}
	lane := func(as, sender string) string {
		t.Helper()
		e, err := w.Explain(ctx, op, control.ExplainRequest{Address: "x@else.example", As: as, Sender: sender})
		if err != nil || len(e.NextHops) != 1 || !strings.Contains(fmt.Sprint(e.Reasons), "identity-route") {
			t.Fatalf("%v %+v", err, e)
		}
		return fmt.Sprintf("%s:%d %s", e.NextHops[0].Host, e.NextHops[0].Port, e.NextHops[0].TLS)
	}
	if got := lane("box@ann.example", "ann@far.example") + ", " + lane("box@bob.example", "bob@far.example"); got != "127.0.0.1:2525 verified, bobs.example:25 opportunistic" {
		t.Errorf("explained as %s", got)
	}
	if list, err := w.Identities(w.ann, ""); err != nil || list[0].Relay != "127.0.0.1:2525" {
		t.Errorf("%v %+v", err, list)
	}
	// Nothing that is stored or told has the password.
	for id, o := range w.m.Outbounds {
		if o.Password != "" || o.User != "" && o.Sealed == "" {
			t.Errorf("%s is stored as %+v", id, o)
		}
	}
	for _, e := range w.m.Entries {
		if strings.Contains(e.Before+e.After, "a long secret") {
			t.Errorf("the audit log has it: %+v", e)
		}
	}
	// An account's domain that is here has --domain for that.
	yes := true
	w.ok(w.PlanDomainAdd(ctx, op, control.DomainSpec{Name: "own.example", Account: "ann", DomainSettings: control.DomainSettings{Proved: &yes}}))
	w.ok(w.PlanIdentityAdd(ctx, op, "box@ann.example", "ann@own.example"))
	if _, err := w.PlanOutboundSet(t.Context(), w.ann, spec("own.example")); err == nil || !strings.Contains(err.Error()+fmt.Sprint(hintOf(err)), "--domain own.example") {
		t.Errorf("an own domain: %v", err)
	}
	for _, bad := range []control.OutboundSpec{
		{Hop: "x.example:25", Identity: "x y"},
		{Hop: "x.example:25", Identity: "x@[192.0.2.1]"},
		{Identity: "far.example"},
		{Hop: "lmtp://x.example:24", Identity: "far.example"},
		{Hop: "127.0.0.1:25", Identity: "far.example"},
		{Hop: "x.example:26", Identity: "far.example"},
		{Hop: "x.example:25", Identity: "far.example", Domain: "ann.example"},
		{Hop: "x.example:25", Identity: "far.example", Source: new("192.0.2.7")},
		{Hop: "x.example:25", Identity: "far.example", TLS: "opportunistic", User: "u", Password: control.NewSecret("a long secret")},
		{Hop: "x.example:25", Identity: "far.example", User: "u"},
	} {
		if _, err := w.PlanOutboundSet(t.Context(), w.ann, bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	// What a relay has refused is forgotten with the last identity that leaves by one.
	refused := finding.Finding{Name: finding.IdentityRelayRefused, Domain: "bob.example", Evidence: "e", Since: time.Now()}
	found := func() bool {
		return slices.ContainsFunc(w.m.Found, func(f finding.Finding) bool { return f.Name == refused.Name && f.Domain == refused.Domain })
	}
	if err := w.m.Find(ctx, account.System(), refused, false); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CheckIdentities(ctx, "bob.example"); err != nil || !found() {
		t.Errorf("%v: it is forgotten", err)
	}
	w.ok(w.PlanIdentityRemove(ctx, op, "box@bob.example", "bob@far.example"))
	if _, err := w.CheckIdentities(ctx, "bob.example"); err != nil || found() {
		t.Errorf("%v: it stays", err)
	}
	// The end: of one, then of the account with all that it has.
	if _, err := w.PlanRelayRemove(op, "far.example", ""); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("of which account: %v", err)
	}
	if _, err := w.PlanRelayRemove(w.bob, "ann@far.example", ""); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("another account's: %v", err)
	}
	w.by(w.ann, planOf(t)(w.PlanRelayRemove(w.ann, "far.example", "")), nil)
	w.ok(w.PlanDomainRemove(ctx, op, "ann.example"))
	w.ok(w.PlanDomainRemove(ctx, op, "own.example"))
	w.ok(w.PlanAccountRemove(ctx, op, "ann"))
	if got := w.relays(op); got != "far.example through bobs.example:25 opportunistic" || len(w.m.Outbounds) != 1 {
		t.Errorf("%q %+v", got, w.m.Outbounds)
	}
}

func hintOf(err error) string {
	if r := (*control.RefusedError)(nil); errors.As(err, &r) {
		return r.Hint
	}
	return ""
}

func TestARouteForAddressesElsewhereIsTakenBack(t *testing.T) {
	t.Parallel()
	w, l, _ := newIdentities(t)
	w.confirmed(l, "box@ann.example", "ann@far.example")
	set := func(hop string) {
		w.by(w.ann, planOf(t)(w.PlanOutboundSet(t.Context(), w.ann, control.OutboundSpec{Hop: hop, Identity: "far.example", TLS: "verified"})), nil)
	}
	want := func(text string) {
		t.Helper()
		if got := w.relays(w.ann); got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
	set("a.example:25")
	id := w.Directory().Outbounds()[0].ID
	set("b.example:25")
	w.back(w.ann, "outbound set")
	want("far.example through a.example:25 verified")
	w.by(w.ann, planOf(t)(w.PlanRelayRemove(w.ann, "far.example", "")), nil)
	want("")
	w.back(w.ann, "outbound remove")
	want("far.example through a.example:25 verified")
	if again := w.Directory().Outbounds()[0].ID; again != id {
		t.Errorf("the route is %s, and was %s: mail that waits for it finds it no more", again, id)
	}
	w.by(w.ann, planOf(t)(w.PlanOutboundSet(t.Context(), w.ann, control.OutboundSpec{Hop: "c.example:25", Identity: "far.example", User: "u", Password: control.NewSecret("a long secret")})), nil)
	w.back(w.ann, "outbound set")
	want("far.example through a.example:25 verified")
	w.stays("outbound set", "password of the route that was there is not kept")
	w.by(w.ann, planOf(t)(w.PlanRelayRemove(w.ann, "far.example", "")), nil)
	set("d.example:25")
	w.stays("outbound remove", "since")
	// Nobody who lost the proof gets the route back.
	w.by(w.ann, planOf(t)(w.PlanRelayRemove(w.ann, "far.example", "")), nil)
	w.ok(w.PlanIdentityRemove(t.Context(), control.Operator(), "box@ann.example", "ann@far.example"))
	if _, err := w.PlanUndo(t.Context(), w.ann, w.last("outbound remove").ID); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("without a proof: %v", err)
	}
}

// sealedNow seals by a mark, under a secret that may be lost.
type sealedNow struct{ lost bool }

func (*sealedNow) Seal(plain []byte, what string) []byte {
	return []byte("sealed for " + what + ": " + string(plain))
}

func (s *sealedNow) Open(sealed []byte, what string) ([]byte, error) {
	plain, ok := strings.CutPrefix(string(sealed), "sealed for "+what+": ")
	if !ok || s.lost {
		return nil, errors.New("it does not open")
	}
	return []byte(plain), nil
}

func TestPasswordsOfRoutesLieSealedInTheStore(t *testing.T) {
	t.Parallel()
	m, seal := controltest.NewMemory(), &sealedNow{}
	o := controltest.Options(m)
	o.Seal = seal
	m.Outbounds["old"] = directory.Outbound{ID: "old", Account: "operator", Hop: directory.HostPort{Host: "h.example", Port: 587}, User: "u", Password: "of an earlier program"}
	w := openWorld(t, m, o)
	if old := m.Outbounds["old"]; old.Password != "" || old.Sealed != "sealed for outbound old: of an earlier program" {
		t.Errorf("%+v", old)
	}
	way := func() directory.Outbound { out, _ := w.Directory().Outbound(""); return out }
	if got := way(); got.Password != "of an earlier program" || got.Sealed != "" {
		t.Errorf("%+v", got)
	}
	w.ok(w.PlanOutboundSet(t.Context(), control.Operator(), control.OutboundSpec{Hop: "h.example:465", User: "u", Password: control.NewSecret("a new one")}))
	if got := m.Outbounds["old"]; got.Sealed != "sealed for outbound old: a new one" || got.Password != "" || way().Password != "a new one" {
		t.Errorf("%+v %+v", got, way())
	}
	// What does not open stays as it is, whatever else of the route changes.
	seal.lost = true
	again := &world{Service: control.New(o), m: m, t: t}
	if err := again.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	again.ok(again.PlanOutboundSet(t.Context(), control.Operator(), control.OutboundSpec{Source: new("192.0.2.7")}))
	out, _ := again.Directory().Outbound("")
	if kept := m.Outbounds["old"]; out.Password != "" || kept.Sealed != "sealed for outbound old: a new one" || kept.Source.V4 != netip.MustParseAddr("192.0.2.7") {
		t.Errorf("%+v %+v", out, kept)
	}
}
