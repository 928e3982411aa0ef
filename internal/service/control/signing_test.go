package control_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/dnssec"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// signedWorld has ann.example hosted and signed.
func signedWorld(t *testing.T) (*world, *controltest.Pen) {
	t.Helper()
	m := controltest.NewMemory()
	o := controltest.Options(m)
	p := &controltest.Pen{}
	o.Signer, o.Parents = p, p
	w := openWorld(t, m, o)
	w.ok(hosting(w, "ann.example", "hosted"))
	z := m.Hosted["ann.example"]
	z.Signing = &dnssec.Signing{}
	plan := control.Plan{Version: w.Version(), Actor: control.Operator().Name, Upkeep: true, Tx: control.Tx{PutZones: []zone.Zone{z}}}
	w.ok(plan, nil)
	return w, p
}

func TestAZoneIsSignedAsItIsPublished(t *testing.T) {
	t.Parallel()
	w, p := signedWorld(t)
	serial := w.m.Answered["ann.example"].Serial
	if want := []string{fmt.Sprintf("ann.example mx.host.example. hostmaster.ann.example. %d 7200 900 1209600 300", serial)}; !slices.Equal(p.Signed(), want) {
		t.Errorf("signed %q", p.Signed())
	}
	for what, z := range map[string]zone.Zone{"answered": w.m.Answered["ann.example"], "stored": w.m.Hosted["ann.example"]} {
		if len(z.Signatures) != 1 || z.Signing == nil || len(z.Signing.Keys) != 1 || z.Serial != serial || serial%100 != 2 {
			t.Errorf("%s: %+v", what, z)
		}
	}
	list, err := w.Audit(t.Context(), control.Operator(), "ann.example", 0, 1)
	if err != nil || len(list) != 1 || list[0].Action != "zone-key set" || string(list[0].After) != `["1038 csk active"]` {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := w.PlanUndo(t.Context(), control.Operator(), list[0].ID); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("the steps of a key are taken back: %v", err)
	}
}

func TestWhatCannotBeSignedStaysAsItWas(t *testing.T) {
	t.Parallel()
	w, p := signedWorld(t)
	before := w.m.Answered["ann.example"]
	p.Fail = errors.New("its key is not there")
	plan, err := w.PlanDomainSet(t.Context(), control.Operator(), "ann.example", control.DomainSettings{Proved: new(bool)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Apply(t.Context(), control.Operator(), plan); !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), "its key is not there") {
		t.Errorf("applied: %v", err)
	}
	if z := w.m.Answered["ann.example"]; z.Serial != before.Serial || w.Version() != plan.Version {
		t.Errorf("answered: %+v", z)
	}
}

func TestASignedZoneIsNotAnsweredForUnsigned(t *testing.T) {
	t.Parallel()
	w, _ := signedWorld(t)
	z := w.m.Hosted["ann.example"]
	z.Signatures = nil
	w.m.Hosted["ann.example"] = z
	clear(w.m.Answered)
	again := controltest.Options(w.m)
	again.Signer = nil
	next := control.New(again)
	if err := next.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := answered(w, "ann.example"); got != "" {
		t.Errorf("answered without its signatures:\n%s", got)
	}
	list, err := w.m.Findings(t.Context(), control.System().Scope, "ann.example")
	if err != nil || len(list) != 1 || list[0].Name != finding.ZoneNotServed || !strings.Contains(list[0].Evidence, "signatures") {
		t.Errorf("%+v, %v", list, err)
	}
	plan, err := next.PlanDomainSet(t.Context(), control.Operator(), "ann.example", control.DomainSettings{Proved: new(bool)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := next.Apply(t.Context(), control.Operator(), plan); !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), "nothing is signed here") {
		t.Errorf("applied without a signer: %v", err)
	}
}
