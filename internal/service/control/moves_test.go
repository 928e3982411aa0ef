package control_test

import (
	"errors"
	"strings"
	"testing"

	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// strangeDS is a DS record of a key that no zone here has.
var strangeDS = append([]byte{9, 9, 13, 2}, make([]byte, 32)...)

// penWorld has a Pen as signer and as the zone above.
func penWorld(t *testing.T) (*world, *controltest.Pen) {
	t.Helper()
	m := controltest.NewMemory()
	o := controltest.Options(m)
	p := &controltest.Pen{}
	o.Signer, o.Parents = p, p
	return openWorld(t, m, o), p
}

// stale wants that a plan of ann's is refused for the DS above, and that the operator overrides it.
func (w *world) stale(what string, plan func(actor control.Actor) (control.Plan, error)) {
	w.t.Helper()
	var refused *control.RefusedError
	if _, err := plan(w.ann); !errors.As(err, &refused) || refused.Finding != finding.DNSSECDSStale || !strings.Contains(refused.Hint, "ask the operator") {
		w.t.Errorf("%s: %v", what, err)
	}
	p, err := plan(control.Operator())
	if err != nil || !p.Asks || len(p.Overrides) != 1 || p.Overrides[0].Finding != finding.DNSSECDSStale || len(p.Tx.PutFindings) != 0 {
		w.t.Fatalf("%s: the operator: %v, %+v", what, err, p.Overrides)
	}
}

// free wants that a plan is not held up by the zone above.
func (w *world) free(what string, plan func(actor control.Actor) (control.Plan, error)) {
	w.t.Helper()
	if p, err := plan(w.ann); err != nil || strings.Contains(strings.Join(p.Warnings, " "), "DNSSEC_DS_STALE") {
		w.t.Errorf("%s: %v, %q", what, err, p.Warnings)
	}
}

func TestNameServersDoNotChangeUnderADSOfAnotherKey(t *testing.T) {
	t.Parallel()
	w, above := penWorld(t)
	ctx := t.Context()
	set := func(s control.DomainSettings) func(control.Actor) (control.Plan, error) {
		return func(actor control.Actor) (control.Plan, error) {
			return w.PlanDomainSet(ctx, actor, "ann.example", s)
		}
	}
	hosted, external := set(control.DomainSettings{Zone: new("hosted")}), set(control.DomainSettings{Zone: new("external")})
	w.ok(w.PlanNameServerSetAdd(control.Operator(), control.NameServerSetSpec{Name: "own", Account: "ann", Hosts: []string{"ns1.own.example", "ns2.own.example"}}))
	own := set(control.DomainSettings{NameServerSet: new("own")})
	changes := map[string]func(control.Actor) (control.Plan, error){
		"a name-server set": own,
		"an NS record": func(actor control.Actor) (control.Plan, error) {
			return w.PlanRecordAdd(ctx, actor, "ann.example", control.RecordSpec{Owner: "@", Type: "NS", Data: "ns.far.example."})
		},
		"a zone file": func(actor control.Actor) (control.Plan, error) {
			return w.PlanZoneImport(ctx, actor, control.ZoneText{Domain: "ann.example", Text: "$ORIGIN ann.example.\n$TTL 3600\n@ NS ns.far.example.\n"})
		},
	}
	address := func(actor control.Actor) (control.Plan, error) {
		return w.PlanRecordAdd(ctx, actor, "ann.example", control.RecordSpec{Owner: "www", Type: "A", Data: "192.0.2.1"})
	}

	above.SetDS("ann.example", strangeDS)
	w.stale("hosting", hosted)
	above.SetDS("ann.example", nil)
	w.free("hosting without a DS", hosted)
	w.ok(hosted(control.Operator()))

	above.SetDS("ann.example", strangeDS)
	for what, change := range changes {
		w.stale(what, change)
	}
	w.free("an address", address)
	w.free("leaving with a DS of another host", external) // nothing here is believed, so nothing is lost

	// Once the zone is signed and its DS stands above, its name servers may change, and it may not leave.
	w.ok(w.PlanDNSSECOn(ctx, control.Operator(), "ann.example", control.DNSSECChoice{}))
	z := w.m.Hosted["ann.example"]
	ds, err := dns.DS("ann.example.", z.Signing.Keys[0].DNSKEY, dns.DigestSHA256)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range changes {
		w.stale(what+" of a signed zone", change)
	}
	above.SetDS("ann.example", ds)
	for what, change := range changes {
		w.free(what+" with the zone's own DS", change)
	}
	w.stale("leaving", external)
	led := finding.Finding{Name: finding.NSNotDelegated, Domain: "ann.example"}
	if err := w.m.Find(ctx, control.System().Scope, led, false); err != nil {
		t.Fatal(err)
	}
	w.free("leaving where the world is led elsewhere", external)
	if err := w.m.Find(ctx, control.System().Scope, led, true); err != nil {
		t.Fatal(err)
	}
	p, err := external(control.Operator())
	w.ok(p, err)
	if list, err := w.Audit(ctx, control.Operator(), "ann.example", 0, 1); err != nil || len(list) != 1 || !strings.Contains(string(list[0].Overridden), "DNSSEC_DS_STALE") {
		t.Errorf("the override is not recorded: %+v, %v", list, err)
	}
	w.free("coming back with its own DS", hosted)
}

func TestWhatTheZoneAboveSaidLastCountsWhileItIsSilent(t *testing.T) {
	t.Parallel()
	w, above := penWorld(t)
	w.ok(hosting(w, "ann.example", "hosted"))
	above.Mute = errors.New("nobody answers")
	add := func(actor control.Actor) (control.Plan, error) {
		return w.PlanRecordAdd(t.Context(), actor, "ann.example", control.RecordSpec{Owner: "@", Type: "NS", Data: "ns.far.example."})
	}
	w.free("with nothing known", add)
	f := finding.Finding{Name: finding.DNSSECDSStale, Domain: "ann.example", Evidence: "ns.top has DS records"}
	if err := w.m.Find(t.Context(), control.System().Scope, f, false); err != nil {
		t.Fatal(err)
	}
	w.stale("with a finding", add)
}

func TestASetOfManyZonesGoesByWhatWasFound(t *testing.T) {
	t.Parallel()
	w, _ := penWorld(t)
	w.ok(w.PlanNameServerSetAdd(control.Operator(), control.NameServerSetSpec{Name: "default", Account: "ann", Hosts: []string{"ns1.own.example", "ns2.own.example"}}))
	hosted, yes := "hosted", true
	for name := range strings.FieldsSeq("a b c d e f g h i j") {
		w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: name + ".example", Account: "ann", DomainSettings: control.DomainSettings{Proved: &yes, Zone: &hosted}}))
	}
	change := func(actor control.Actor) (control.Plan, error) {
		return w.PlanNameServerSetSet(t.Context(), actor, control.NameServerSetSpec{Name: "default", Account: "ann", Hosts: []string{"ns3.own.example", "ns4.own.example"}})
	}
	w.free("no finding", change)
	if err := w.m.Find(t.Context(), control.System().Scope, finding.Finding{Name: finding.DNSSECDSStale, Domain: "j.example", Evidence: "seen"}, false); err != nil {
		t.Fatal(err)
	}
	w.stale("one of ten", change)
}

func TestANewHostedDomainIsWarnedOfADSAbove(t *testing.T) {
	t.Parallel()
	w, above := penWorld(t)
	above.SetDS("new.example", strangeDS)
	p, err := w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "new.example", DomainSettings: control.DomainSettings{Zone: new("hosted"), Proved: new(true)}})
	if err != nil || !p.Asks || !strings.Contains(strings.Join(p.Warnings, " "), "DNSSEC_DS_STALE: the zone above new.example has a DS record (key 2313)") {
		t.Errorf("%v, %q", err, p.Warnings)
	}
}
