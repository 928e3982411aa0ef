package control_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/service/control"
)

func TestAListOfRecipientsIsReplacedByAPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spec := control.DomainSpec{Name: "list.example", Account: "ann", DomainSettings: control.DomainSettings{Mode: new("relay"), NextHops: &[]string{"mx.real.example:25"}, Recipients: new("list")}}
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), spec))
	plan := func(addresses ...string) control.Plan {
		t.Helper()
		p, err := w.PlanRecipientsImport(t.Context(), w.ann, "List.Example", addresses)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := plan("Ann@list.example", "ann@LIST.example", `"b c"@list.example`)
	if p.Asks || !strings.Contains(p.Sentences[0], "2 addresses: 2 added, 0 removed") || p.Changes[0].Action() != "recipients add" {
		t.Errorf("%+v", p)
	}
	w.by(w.ann, p, nil)
	p = plan("ann@list.example", "carol@list.example", "@list.example")
	if !p.Asks || !strings.Contains(p.Sentences[0], "3 addresses: 2 added, 1 removed") || p.Changes[0].Action() != "recipients set" {
		t.Errorf("%+v", p)
	}
	w.by(w.ann, p, nil)
	l, err := w.Recipients(t.Context(), w.ann, "list.example")
	if err != nil || !slices.Equal(l.Addresses, []string{"@list.example", "ann@list.example", "carol@list.example"}) || l.Outdated || l.Source != "upload" {
		t.Errorf("%+v, %v", l, err)
	}
	for _, bad := range [][]string{nil, {"ann@other.example"}, {"ann"}, {"@other.example"}, {"ann@list.example", "b c@list.example"}} {
		if _, err := w.PlanRecipientsImport(t.Context(), w.ann, "list.example", bad); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := w.PlanRecipientsImport(t.Context(), w.bob, "list.example", []string{"a@list.example"}); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("a stranger's import: %v", err)
	}
	if _, err := w.Recipients(t.Context(), w.bob, "list.example"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("shown to a stranger: %v", err)
	}
	if _, err := w.PlanRecipientsRemove(t.Context(), w.bob, "list.example"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("a stranger's removal: %v", err)
	}
	p, err = w.PlanRecipientsRemove(t.Context(), w.ann, "list.example")
	if err != nil || !p.Asks {
		t.Errorf("%+v, %v", p, err)
	}
	w.by(w.ann, p, nil)
	if _, err := w.Recipients(t.Context(), w.ann, "list.example"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("after its removal: %v", err)
	}
}

func TestAListIsFetchedFromAnotherInstallation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sync := control.RecipientSync{Domain: "ann.example", From: "https://mx.real.example/", Token: "secret"}
	for name, change := range map[string]func(s *control.RecipientSync){
		"no URL":    func(s *control.RecipientSync) { s.From = "mx.real.example" },
		"password":  func(s *control.RecipientSync) { s.From = "https://u:p@mx.real.example" },
		"query":     func(s *control.RecipientSync) { s.From += "?a=b" },
		"other":     func(s *control.RecipientSync) { s.From = "file:///etc/passwd" },
		"no token":  func(s *control.RecipientSync) { s.Token = "" },
		"too often": func(s *control.RecipientSync) { s.Every = time.Millisecond },
	} {
		bad := sync
		change(&bad)
		if _, err := w.PlanRecipientsSync(t.Context(), w.ann, bad); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := sync
	plain.From, plain.Plain = "http://127.0.0.1:80", true
	if _, err := w.PlanRecipientsSync(t.Context(), w.ann, plain); !errors.Is(err, control.ErrDenied) {
		t.Errorf("without TLS by a customer: %v", err)
	}
	if _, err := w.PlanRecipientsSync(t.Context(), w.bob, sync); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("by another customer: %v", err)
	}
	p, err := w.PlanRecipientsSync(t.Context(), w.ann, sync)
	w.by(w.ann, p, err)
	l, err := w.Recipients(t.Context(), w.ann, "ann.example")
	if err != nil || l.Source != "sync" || l.From != "https://mx.real.example" || l.EverySeconds != 60 || !slices.Equal(l.Addresses, []string{"somebody@ann.example"}) {
		t.Errorf("%+v, %v", l, err)
	}
	kept := w.m.Lists["ann.example"]
	if kept.Token != "secret" || kept.Operator {
		t.Errorf("%+v", kept)
	}
	text, err := json.Marshal(p)
	if err != nil || strings.Contains(string(text), "secret") || strings.Contains(w.m.Entries[len(w.m.Entries)-1].After, "secret") {
		t.Errorf("the token is shown: %s, %v", text, err)
	}
}
