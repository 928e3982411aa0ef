package control_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// hosting plans other hosting for a domain.
func hosting(w *world, name, where string) (control.Plan, error) {
	return w.PlanDomainSet(w.t.Context(), control.Operator(), name, control.DomainSettings{Zone: &where})
}

// answered is what is answered for a domain's zone, as lines of a zone file; empty when nothing is.
func answered(w *world, domain string) string {
	z, ok := w.m.Answered[domain]
	if !ok {
		return ""
	}
	var b strings.Builder
	for _, r := range z.Records {
		b.WriteString(r.Name + " " + r.Type.String() + " " + r.Text() + "\n")
	}
	return b.String()
}

func TestAHostedDomainHasAZone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok(hosting(w, "ann.example", "hosted"))
	first := w.m.Answered["ann.example"].Serial
	if day := time.Now().UTC(); first%100 != 1 || first/100 > uint32(day.Year()*10000+int(day.Month())*100+day.Day()) {
		t.Errorf("the first serial is %d", first)
	}
	want := fmt.Sprintf("ann.example. NS mx.host.example.\nann.example. SOA mx.host.example. hostmaster.ann.example. %d 7200 900 1209600 300\n"+
		"ann.example. MX 10 mx.host.example.\nann.example. TXT \"v=spf1 mx ~all\"\n", first)
	if got := answered(w, "ann.example"); got != want {
		t.Errorf("answered:\n%s", got)
	}
	if z := w.m.Answered["ann.example"]; z.Pending || z.Account != w.annID {
		t.Errorf("%+v", z)
	}
	if kept := w.m.Hosted["ann.example"]; kept.Serial != first || len(kept.Records) != 4 {
		t.Errorf("stored: %+v", kept)
	}

	// The name server's addresses where its name lies in the zone, and an unproved domain.
	hosted := "hosted"
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "host.example", DomainSettings: control.DomainSettings{Zone: &hosted}}))
	if got := answered(w, "host.example"); !strings.HasPrefix(got, "host.example. NS mx.host.example.\nhost.example. SOA ") || strings.Count(got, "\n") != 2 {
		t.Errorf("answered before the proof:\n%s", got)
	}
	if !w.m.Answered["host.example"].Pending {
		t.Error("the zone of an inert domain is answered as a whole")
	}
	yes := true
	w.ok(w.PlanDomainSet(t.Context(), control.Operator(), "host.example", control.DomainSettings{Proved: &yes}))
	if z := w.m.Answered["host.example"]; z.Pending || z.Serial <= first || !strings.Contains(answered(w, "host.example"), fmt.Sprintf(" %d 7200 ", z.Serial)) {
		t.Errorf("after the proof: %+v", z)
	}
	if got := answered(w, "host.example"); !strings.Contains(got, "\nmx.host.example. A 203.0.113.5\n") {
		t.Errorf("answered:\n%s", got)
	}
}

func TestAZoneThatIsHostedElsewhereIsKeptAndComesBackWithAHigherSerial(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok(hosting(w, "ann.example", "hosted"))
	first := w.m.Answered["ann.example"].Serial
	p, err := hosting(w, "ann.example", "external")
	if err != nil || len(p.Warnings) != 1 || !p.Asks {
		t.Fatalf("%+v, %v", p, err)
	}
	w.ok(p, err)
	if got := answered(w, "ann.example"); got != "" {
		t.Errorf("answered:\n%s", got)
	}
	list, err := w.Audit(t.Context(), control.Operator(), "ann.example", 0, 1)
	if err != nil || len(list) != 1 {
		t.Fatal(err)
	}
	w.ok(w.PlanUndo(t.Context(), control.Operator(), list[0].ID))
	if z := w.m.Answered["ann.example"]; z.Serial != first+1 {
		t.Errorf("after undo: %+v", z)
	}

	// While nobody answers for it, a change of the domain leaves it alone.
	w.ok(hosting(w, "ann.example", "external"))
	w.ok(w.PlanDomainSet(t.Context(), control.Operator(), "ann.example", control.DomainSettings{Proved: new(bool)}))
	if got := answered(w, "ann.example"); got != "" {
		t.Errorf("answered:\n%s", got)
	}
	w.ok(hosting(w, "ann.example", "hosted"))
	if z := w.m.Answered["ann.example"]; z.Serial != first+2 || !z.Pending {
		t.Errorf("back: %+v", z)
	}
}

func TestARemovedDomainIsNotAnsweredFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok(hosting(w, "ann.example", "hosted"))
	w.ok(w.PlanDomainRemove(t.Context(), control.Operator(), "ann.example"))
	if len(w.m.Answered) != 0 || len(w.m.Hosted) != 0 {
		t.Errorf("answered %v, stored %v", w.m.Answered, w.m.Hosted)
	}
}

func TestAZoneThatCannotBeAnsweredForIsNotStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.m.FailPrepare = errors.New("a reason")
	p, err := hosting(w, "ann.example", "hosted")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Apply(t.Context(), control.Operator(), p); !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), "a reason") {
		t.Errorf("applied: %v", err)
	}
	if len(w.m.Hosted) != 0 || w.Version() != p.Version {
		t.Error("it is stored")
	}
}

func TestWhatACommitDidThatFailedIsAnsweredAsItIsStored(t *testing.T) {
	t.Parallel()
	for name, took := range map[string]bool{"it took place": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ok(hosting(w, "ann.example", "hosted"))
			w.ok(hosting(w, "bob.example", "hosted"))
			next := w.m.Hosted["ann.example"]
			before := next.Serial
			next.SetSerial(before + 7)
			p, err := hosting(w, "ann.example", "external")
			if err != nil {
				t.Fatal(err)
			}
			w.m.FailUpdate = errors.New("the disk says nothing")
			w.m.BeforeUpdate = func() {
				if took {
					w.m.Hosted["ann.example"] = next
				}
			}
			if _, err := w.Apply(t.Context(), control.Operator(), p); !errors.Is(err, w.m.FailUpdate) {
				t.Fatal(err)
			}
			want := before
			if took {
				want += 7
			}
			if z := w.m.Answered["ann.example"]; z.Serial != want {
				t.Errorf("serial %d is answered, %d is stored", z.Serial, want)
			}
		})
	}
}

// A start answers for all zones but those that are damaged, and makes those that an earlier program did not.
func TestAStartAnswersForWhatIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"a.example", "b.example", "c.example", "old.example"} {
		hosted, yes := "hosted", true
		w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: name, DomainSettings: control.DomainSettings{Zone: &hosted, Proved: &yes}}))
	}
	w.ok(hosting(w, "c.example", "external"))
	delete(w.m.Hosted, "old.example")
	broken := w.m.Hosted["a.example"]
	w.m.Hosted["a.example"] = zone.Zone{Domain: "a.example", Account: broken.Account, Serial: 1}
	clear(w.m.Answered)
	restart(t, w.m)
	if len(w.m.Answered) != 2 || answered(w, "b.example") == "" || answered(w, "old.example") == "" {
		t.Errorf("answered: %v", w.m.Answered)
	}
	if len(w.m.Found) != 1 || w.m.Found[0].Name != finding.ZoneNotServed || w.m.Found[0].Domain != "a.example" || w.m.Found[0].Evidence == "" {
		t.Errorf("found: %+v", w.m.Found)
	}
	w.m.Hosted["a.example"] = broken
	restart(t, w.m)
	if answered(w, "a.example") == "" || len(w.m.Found) != 0 {
		t.Errorf("mended: %v, %+v", w.m.Answered, w.m.Found)
	}
}

func TestWhoeverChangedTheStoreMeanwhileIsAnsweredFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok(hosting(w, "ann.example", "hosted"))
	w.ok(hosting(w, "bob.example", "hosted"))
	other := control.New(controltest.Options(w.m))
	if err := other.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	external := "external"
	p, err := other.PlanDomainSet(t.Context(), control.Operator(), "bob.example", control.DomainSettings{Zone: &external})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Apply(t.Context(), control.Operator(), p); err != nil {
		t.Fatal(err)
	}
	w.m.Answered["bob.example"] = w.m.Hosted["bob.example"] // as this node still answers
	if p, err = w.PlanAccountAdd(control.Operator(), "carol"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Apply(t.Context(), control.Operator(), p); !errors.Is(err, control.ErrVersion) {
		t.Fatal(err)
	}
	if answered(w, "bob.example") != "" || answered(w, "ann.example") == "" {
		t.Errorf("answered: %v", w.m.Answered)
	}
}

func TestAZoneWithoutSOAIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := hosting(w, "ann.example", "hosted")
	if err != nil {
		t.Fatal(err)
	}
	p.Tx.PutZones[0].Records = []dns.Record{}
	if _, err := w.Apply(t.Context(), control.Operator(), p); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("applied: %v", err)
	}
}

func TestAPendingZoneNamesNoServersOfItsAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.by(w.bob, p(t)(w.PlanNameServerSetAdd(w.bob, control.NameServerSetSpec{Name: "default", Hosts: []string{"ns.bob.example", "ns.far.example"}})), nil)
	hosted := "hosted"
	w.by(w.bob, p(t)(w.PlanDomainAdd(t.Context(), w.bob, control.DomainSpec{Name: "bank.example", DomainSettings: control.DomainSettings{Zone: &hosted}})), nil)
	servers := func() (out []string) {
		for _, r := range w.m.Answered["bank.example"].Records {
			if r.Type == dns.TypeNS {
				out = append(out, r.Text())
			}
		}
		return out
	}
	if got := servers(); !slices.Equal(got, []string{"mx.host.example."}) {
		t.Errorf("before the proof the world is led to %q", got)
	}
	w.ok(w.PlanDomainSet(t.Context(), control.Operator(), "bank.example", control.DomainSettings{Proved: new(true)}))
	if got := servers(); !slices.Equal(got, []string{"ns.bob.example.", "ns.far.example."}) {
		t.Errorf("after the proof: %q", got)
	}
}
