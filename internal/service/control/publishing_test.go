package control_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/publish"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// foreignZone is a zone of somebody else: bob.example.
type foreignZone struct {
	records []dns.Record
	meddle  func(z *foreignZone) // before the next write
	access  []publish.Access
}

func (z *foreignZone) Read(_ context.Context, a publish.Access, sets []publish.Set) ([]dns.Record, error) {
	z.access = append(z.access, a)
	var out []dns.Record
	for _, s := range sets {
		out = append(out, zone.RRset(z.records, s.Name, s.Type)...)
	}
	return out, nil
}

func (z *foreignZone) Write(_ context.Context, _ publish.Access, d zone.Difference) error {
	if z.meddle != nil {
		z.meddle(z)
		z.meddle = nil
	}
	for _, c := range d {
		if len(zone.Plan(c.Before, zone.RRset(z.records, c.Name, c.Type))) > 0 {
			return publish.ErrChanged
		}
	}
	z.records = d.Apply(z.records)
	return nil
}

func (z *foreignZone) add(t *testing.T, name string, kind dns.Type, text string) {
	t.Helper()
	data, err := dns.Data(kind, text, "bob.example.")
	if err != nil {
		t.Fatal(err)
	}
	z.records = zone.Add(z.records, dns.Record{Name: name, Type: kind, TTL: 600, Data: data})
}

func newForeignWorld(t *testing.T) (*world, *foreignZone) {
	t.Helper()
	m, z := controltest.NewMemory(), &foreignZone{}
	z.add(t, "bob.example.", dns.TypeMX, "10 old.far.example.")
	z.add(t, "bob.example.", dns.TypeTXT, `"verification=1"`)
	o := controltest.Options(m)
	o.Writer = z
	return openWorld(t, m, o), z
}

func TestPublishPlansWritesAndTakesBack(t *testing.T) {
	t.Parallel()
	w, z := newForeignWorld(t)
	ctx := t.Context()
	spec := control.ProviderSpec{Kind: "rfc2136", Server: "ns.far.example", Key: "key", Secret: control.NewSecret("YWFhYWFhYWFhYWFhYWFhYQ==")}
	p, err := w.PlanProviderSet(ctx, w.bob, "bob.example", spec)
	w.by(w.bob, p, err)
	// A domain that follows no set is given what mx list shows it: the default of its account.
	if p, err := w.PlanPublish(ctx, w.bob, "bob.example"); err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "set direct") {
		t.Errorf("without a set: %+v, %v", p, err)
	}
	w.ok(w.PlanExchangerSetAdd(control.Operator(), control.ExchangerSetSpec{Name: "ours", Exchangers: &[]control.ExchangerTyped{{Host: "mx.host.example"}}, SPF: new("v=spf1 mx ~all")}))
	w.ok(w.PlanDomainSet(ctx, control.Operator(), "bob.example", control.DomainSettings{ExchangerSet: new("ours")}))
	before := slices.Clone(z.records)
	p, err = w.PlanPublish(ctx, w.bob, "bob.example")
	if err != nil || !p.Asks || len(p.Warnings) != 1 || len(zone.Plan(before, z.records)) > 0 {
		t.Fatalf("the plan: %+v, %v", p, err)
	}
	z.meddle = func(z *foreignZone) { z.add(t, "bob.example.", dns.TypeMX, "20 also.far.example.") }
	if _, err := w.Apply(ctx, w.bob, p); !errors.Is(err, control.ErrVersion) || len(zone.RRset(z.records, "bob.example.", dns.TypeMX)) != 2 {
		t.Errorf("somebody else's change: %v, %v", err, z.records)
	}
	p, err = w.PlanPublish(ctx, w.bob, "bob.example")
	w.by(w.bob, p, err)
	if got := zone.Plan(nil, z.records).Text(); !strings.Contains(got, "mx.host.example.") || strings.Contains(got, "far.example") || !strings.Contains(got, "verification=1") || !strings.Contains(got, "v=spf1") {
		t.Errorf("the zone is\n%s", got)
	}
	for _, a := range z.access {
		if a.Operator || a.Server != "ns.far.example:53" || a.Key != "key." || string(a.Secret) != "aaaaaaaaaaaaaaaa" {
			t.Errorf("it was asked by %+v", a)
		}
	}
	entries, err := w.Audit(ctx, w.bob, "bob.example", 0, 1)
	if err != nil || entries[0].Action != "publish set" || !entries[0].CanUndo {
		t.Fatalf("%+v, %v", entries, err)
	}
	if _, err := w.PlanUndo(ctx, w.ann, entries[0].ID); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("another account: %v", err)
	}
	p, err = w.PlanUndo(ctx, w.bob, entries[0].ID)
	w.by(w.bob, p, err)
	z.records = zone.Remove(z.records, zone.RRset(z.records, "bob.example.", dns.TypeMX)[1])
	if d := zone.Plan(before, z.records); len(d) > 0 {
		t.Errorf("taken back it differs: %s", d.Text())
	}
	if _, err := w.PlanUndo(ctx, w.bob, entries[0].ID); !errors.Is(err, control.ErrInUse) {
		t.Errorf("a second time: %v", err)
	}
}

func TestBeforeOwnershipIsShownTheProofAloneIsPublished(t *testing.T) {
	t.Parallel()
	w, z := newForeignWorld(t)
	ctx := t.Context()
	w.ok(w.PlanDomainSet(ctx, control.Operator(), "bob.example", control.DomainSettings{Proved: new(false)}))
	w.ok(w.PlanProviderSet(ctx, control.Operator(), "bob.example", control.ProviderSpec{Kind: "rfc2136", Server: "[::1]:5353", Key: "key", Secret: control.NewSecret("YWFhYWFhYWFhYWFhYWFhYQ==")}))
	before := slices.Clone(z.records)
	w.ok(w.PlanPublish(ctx, control.Operator(), "bob.example"))
	d := zone.Plan(before, z.records)
	if len(d) != 1 || d[0].Type != dns.TypeTXT || !strings.HasSuffix(d[0].Name, ".bob.example.") || len(d[0].After) != 1 {
		t.Errorf("written: %s", d.Text())
	}
	p, err := w.PlanPublish(ctx, control.Operator(), "bob.example")
	if err != nil || !p.Empty() || !strings.Contains(strings.Join(p.Sentences, " "), "postroad domain prove bob.example") {
		t.Errorf("a second time: %+v, %v", p, err)
	}
}

func TestWhatAProviderMayBe(t *testing.T) {
	t.Parallel()
	w, _ := newForeignWorld(t)
	good := control.ProviderSpec{Kind: "rfc2136", Server: "ns.far.example", Key: "key", Secret: control.NewSecret("YWFhYWFhYWFhYWFhYWFhYQ==")}
	for what, spoil := range map[string]func(s *control.ProviderSpec){
		"no such kind":    func(s *control.ProviderSpec) { s.Kind = "carrier pigeon" },
		"no server":       func(s *control.ProviderSpec) { s.Server = "" },
		"no key":          func(s *control.ProviderSpec) { s.Key = "" },
		"no secret":       func(s *control.ProviderSpec) { s.Secret = nil },
		"a short secret":  func(s *control.ProviderSpec) { s.Secret = control.NewSecret("YWFh") },
		"no base64":       func(s *control.ProviderSpec) { s.Secret = control.NewSecret("ü") },
		"no algorithm":    func(s *control.ProviderSpec) { s.Algorithm = "hmac-md5" },
		"another's zone":  func(s *control.ProviderSpec) { s.Zone = "ann.example" },
		"no name at all":  func(s *control.ProviderSpec) { s.Zone = "a b" },
		"a path":          func(s *control.ProviderSpec) { s.Server = "ns.far.example/x" },
		"a user's server": func(s *control.ProviderSpec) { s.Server = "user@ns.far.example" },
	} {
		s := good
		spoil(&s)
		if _, err := w.PlanProviderSet(t.Context(), w.bob, "bob.example", s); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.PlanProviderSet(t.Context(), w.ann, "bob.example", good); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("another account: %v", err)
	}
	good.Zone = "example"
	if _, err := w.PlanProviderSet(t.Context(), w.bob, "bob.example", good); err != nil {
		t.Errorf("a zone above: %v", err)
	}
}
