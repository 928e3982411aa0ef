package control_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

func TestACustomerAddsNamesInProvedDomainsOfItsOwnOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	no := false
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "inert.ann.example", Account: "ann", DomainSettings: control.DomainSettings{Proved: &no}}))
	yes := true
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "sub.ann.example", Account: "bob", DomainSettings: control.DomainSettings{Proved: &yes}}))
	for name, c := range map[string]struct {
		name, domain string
		want         error
	}{
		"her own":                      {"mail.ann.example", "", nil},
		"the domain itself":            {"ANN.example", "ann.example", nil},
		"another's":                    {"mail.bob.example", "", control.ErrNotFound},
		"nobody's":                     {"mail.far.example", "", control.ErrNotFound},
		"another's below hers":         {"mail.sub.ann.example", "", control.ErrNotFound},
		"another's below hers, named":  {"mail.sub.ann.example", "ann.example", control.ErrNotFound},
		"one that is not proved":       {"mail.inert.ann.example", "", control.ErrInvalid},
		"in a domain that is not hers": {"mail.ann.example", "bob.example", control.ErrNotFound},
		"in the wrong domain":          {"mail.ann.example", "inert.ann.example", control.ErrInvalid},
		"a wildcard":                   {"*.ann.example", "", control.ErrInvalid},
		"no host":                      {"example", "", control.ErrInvalid},
	} {
		if _, err := w.PlanCertificateAdd(t.Context(), w.ann, c.name, c.domain); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestNamesAreAddedShownRenewedRemovedAndTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	add := func(actor control.Actor, name string) error {
		p, err := w.PlanCertificateAdd(ctx, actor, name, "")
		if err == nil {
			w.by(actor, p, err)
		}
		return err
	}
	if err := add(w.ann, "mail.ann.example"); err != nil {
		t.Fatal(err)
	}
	if err := add(w.ann, "mail.ann.example"); !errors.Is(err, control.ErrExists) {
		t.Errorf("twice: %v", err)
	}
	if err := add(w.ann, "imap.ann.example"); err != nil {
		t.Fatal(err)
	}
	if err := add(w.ann, "third.ann.example"); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("more than an account may add: %v", err)
	}
	if err := add(control.Operator(), "third.ann.example"); err != nil {
		t.Errorf("the operator, for an account that has all it may: %v", err)
	}
	for _, actor := range []control.Actor{w.bob, {}} {
		if list, err := w.Certificates(ctx, actor); len(list) != 0 || err != nil {
			t.Errorf("%s sees %v, %v", actor.Name, list, err)
		}
		if _, err := w.Certificate(ctx, actor, "mail.ann.example"); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s is told %v", actor.Name, err)
		}
		if _, err := w.PlanCertificateRemove(ctx, actor, "mail.ann.example"); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s is told %v", actor.Name, err)
		}
		if _, err := w.PlanCertificateRenew(ctx, actor, "mail.ann.example"); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s is told %v", actor.Name, err)
		}
	}
	now := time.Now().UTC()
	w.note("mail.ann.example", cert.Status{NotBefore: now, NotAfter: now.Add(90 * 24 * time.Hour), Given: now})
	if _, err := w.PlanCertificateRenew(ctx, w.ann, "mail.ann.example"); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("renewed on the day on which it came: %v", err)
	}
	w.note("mail.ann.example", cert.Status{NotBefore: now, NotAfter: now.Add(90 * 24 * time.Hour), Given: now.Add(-25 * time.Hour)})
	w.note("imap.ann.example", cert.Status{Problem: cert.Elsewhere, Detail: "It points to 192.0.2.9.", Next: now.Add(time.Hour)})
	c, err := w.Certificate(ctx, w.ann, "MAIL.ann.example")
	if err != nil || c.State != "valid" || c.Until == nil || c.Remedy != "" {
		t.Errorf("one that is there: %+v, %v", c, err)
	}
	c, err = w.Certificate(ctx, w.ann, "imap.ann.example")
	if err != nil || c.State != "failing" || c.Problem != "elsewhere" || !strings.Contains(c.Remedy, "203.0.113.5") || c.Next == nil {
		t.Errorf("one that failed: %+v, %v", c, err)
	}
	p, err := w.PlanCertificateRenew(ctx, w.ann, "mail.ann.example")
	w.by(w.ann, p, err)
	if x := w.m.Certified["mail.ann.example"]; !x.Due(time.Now()) {
		t.Errorf("after somebody asked: %+v", x)
	}
	if _, err := w.PlanCertificateRenew(ctx, w.ann, "mail.ann.example"); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("asked again at once: %v", err)
	}
	w.note("imap.ann.example", cert.Status{Problem: cert.RateLimited, Next: now.Add(time.Hour)})
	if _, err := w.PlanCertificateRenew(ctx, control.Operator(), "imap.ann.example"); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("asked while the authority wants to be left alone: %v", err)
	}
	p, err = w.PlanCertificateRemove(ctx, w.ann, "mail.ann.example")
	if w.by(w.ann, p, err); !p.Asks {
		t.Error("a removal does not ask")
	}
	if _, err := w.Certificate(ctx, w.ann, "mail.ann.example"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("after its removal: %v", err)
	}
	undo := func() {
		t.Helper()
		list, err := w.Audit(ctx, control.Operator(), "ann.example", 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		w.ok(w.PlanUndo(ctx, control.Operator(), list[0].ID))
	}
	undo()
	if _, err := w.Certificate(ctx, w.ann, "mail.ann.example"); err != nil {
		t.Errorf("after the removal is taken back: %v", err)
	}
	undo()
	if _, err := w.Certificate(ctx, w.ann, "mail.ann.example"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("after the addition is taken back: %v", err)
	}
}

func (w *world) note(name string, s cert.Status) {
	w.m.Lock()
	defer w.m.Unlock()
	c := w.m.Certified[name]
	c.Status = s
	w.m.Certified[name] = c
}

func TestNamesThatComeByThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	name := func(n string, owner account.ID, domain string, s cert.Source) cert.Name {
		return cert.Name{Name: n, Account: owner, Domain: domain, Source: s}
	}
	keep := func(drop []string, put ...cert.Name) string {
		t.Helper()
		if err := w.KeepCertificates(ctx, put, drop); err != nil {
			t.Fatal(err)
		}
		var out []string
		for n, c := range w.m.Certified {
			out = append(out, n+" "+string(c.Source))
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	entries := len(w.m.Entries)
	mail := name("mail.ann.example", w.annID, "ann.example", cert.Automatic)
	if got := keep(nil, mail, name("mail.bob.example", w.annID, "bob.example", cert.Automatic), name("mx.host.example", account.Operator, "", cert.Server)); got != "mail.ann.example automatic, mx.host.example server" {
		t.Errorf("one is of a domain that is another's: %s", got)
	}
	if len(w.m.Entries) != entries {
		t.Error("what the program keeps in order is in the audit log")
	}
	if _, err := w.PlanCertificateRemove(ctx, control.Operator(), "mx.host.example"); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("the server's own name is removed: %v", err)
	}
	p, err := w.PlanCertificateRemove(ctx, w.ann, "mail.ann.example")
	w.by(w.ann, p, err)
	if got := keep([]string{"mail.ann.example"}, mail); got != "mail.ann.example refused, mx.host.example server" {
		t.Errorf("one that a person has removed: %s", got)
	}
	p, err = w.PlanCertificateAdd(ctx, w.ann, "mail.ann.example", "")
	w.by(w.ann, p, err)
	if got := keep([]string{"mail.ann.example", "mx.host.example"}, mail); got != "mail.ann.example added" {
		t.Errorf("one that a person has added: %s", got)
	}
}

func TestNothingIsAddedWhereNobodyAgreed(t *testing.T) {
	t.Parallel()
	m := controltest.NewMemory()
	o := controltest.Options(m)
	o.Certificates.Agreed = false
	w := openWorld(t, m, o)
	if _, err := w.PlanCertificateAdd(t.Context(), w.ann, "mail.ann.example", ""); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("without agreement: %v", err)
	}
}

func TestARecordForAWhileIsInTheZoneAndInNoAuditEntry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	hosted := string(directory.ZoneHosted)
	w.ok(w.PlanDomainSet(ctx, control.Operator(), "ann.example", control.DomainSettings{Zone: &hosted}))
	texts := func() (out []string) {
		z := w.m.Answered["ann.example"]
		for _, r := range z.Records {
			if r.Type == dns.TypeTXT && strings.HasPrefix(r.Name, "_acme") {
				out = append(out, r.Name+" "+r.Text())
			}
		}
		return out
	}
	serial, entries := w.m.Answered["ann.example"].Serial, len(w.m.Entries)
	for range 2 { // the second time changes nothing
		if err := w.KeepText(ctx, "ann.example", "_acme-challenge.mail.ann.example", "abc", true); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.KeepText(ctx, "ann.example", "_acme-challenge.mail.ann.example", "def", true); err != nil {
		t.Fatal(err)
	}
	if got := texts(); !slices.Equal(got, []string{`_acme-challenge.mail.ann.example. "abc"`, `_acme-challenge.mail.ann.example. "def"`}) {
		t.Errorf("the zone has %q", got)
	}
	if now := w.m.Answered["ann.example"].Serial; now != serial+2 {
		t.Errorf("serial %d after %d", now, serial)
	}
	for _, text := range []string{"abc", "abc", "def"} {
		if err := w.KeepText(ctx, "ann.example", "_acme-challenge.mail.ann.example", text, false); err != nil {
			t.Fatal(err)
		}
	}
	if got := texts(); got != nil {
		t.Errorf("the zone still has %q", got)
	}
	if len(w.m.Entries) != entries {
		t.Error("it is in the audit log")
	}
	if err := w.KeepText(ctx, "bob.example", "_acme-challenge.bob.example", "abc", true); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("into a zone that is not here: %v", err)
	}
	for _, gone := range []string{"bob.example", "none.example"} {
		if err := w.KeepText(ctx, gone, "_acme-challenge."+gone, "abc", false); err != nil {
			t.Errorf("out of the zone of %s: %v", gone, err)
		}
	}
}
