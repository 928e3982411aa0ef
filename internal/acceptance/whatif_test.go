package acceptance

import (
	"strings"
	"testing"
)

// altered are the routes that a plan alters, as --json shows them.
type altered struct {
	Count  int `json:"count"`
	Stops  int `json:"stops"`
	Routes []struct {
		Address string `json:"address"`
		From    string `json:"from"`
		Harm    string `json:"harm"`
		Before  string `json:"before"`
		After   string `json:"after"`
	} `json:"routes"`
}

// twoDomains is an installation in which an alias leads from one domain into another.
func twoDomains(t *testing.T) *instance {
	t.Helper()
	i := newInstance(t, "")
	for _, domain := range []string{"here.example", "there.example"} {
		i.run("domain", "add", domain, "--proved")
	}
	i.run("mailbox", "add", "ann@here.example")
	i.run("alias", "add", "sales@there.example", "ann@here.example")
	return i
}

func TestS5_3WhatCouldStopMailWarnsAndListsWhoseRouteChanges(t *testing.T) {
	t.Parallel()
	i := twoDomains(t)
	out, errs, code := i.try("mailbox", "remove", "ann@here.example")
	if code != 1 || !strings.Contains(errs, "say --yes") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	for _, want := range []string{
		"Warning: Mail that is received now would be refused, for ",
		"ann@here.example stops being received (from anybody)", "sales@there.example stops being received (from anybody)",
		"before  into the mailbox ann@here.example", "after   refused: 550 5.1.1",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
	plan := ask[struct {
		Plan struct {
			AlteredRoutes altered `json:"altered_routes"`
		} `json:"plan"`
	}](i, "mailbox", "remove", "ann@here.example", "--plan").Plan.AlteredRoutes
	if plan.Stops < 2 || plan.Count != len(plan.Routes) || plan.Routes[0].Harm != "stops being received" {
		t.Errorf("%+v", plan)
	}
	if c := dialSMTP(t, i.smtp); c.say("EHLO client.example", "250") != "" {
		c.say("MAIL FROM:<x@far.example>", "250")
		c.say("RCPT TO:<sales@there.example>", "250")
	}
	i.run("mailbox", "remove", "ann@here.example", "--yes")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO client.example", "250")
	c.say("MAIL FROM:<x@far.example>", "250")
	c.say("RCPT TO:<sales@there.example>", "550 5.1.1")
	log := i.run("audit", "--json")
	if !strings.Contains(log, `"overridden": [`) || !strings.Contains(log, "Mail that is received now would be refused") {
		t.Errorf("the audit log does not say what was overridden:\n%s", log)
	}
	if out, _, code := i.try("alias", "add", "info@here.example", "nobody@there.example"); code != 0 {
		t.Errorf("what only adds asks: %s", out)
	}
}

func TestS5_3AProposedChangeIsExplainedBeforeAndAfter(t *testing.T) {
	t.Parallel()
	i := twoDomains(t)
	out := i.run("explain", "sales@there.example", "--change", "postroad mailbox remove 'ann@here.example'")
	before, after, _ := strings.Cut(out, "\nAfter\n")
	if !strings.Contains(before, "sales@there.example: accepted") || !strings.Contains(after, "sales@there.example: refused, 550 5.1.1") {
		t.Errorf("not before and after:\n%s", out)
	}
	if !strings.Contains(after, "ann@here.example stops being received") || !strings.Contains(after, "Nothing is done yet.") {
		t.Errorf("not whose route changes:\n%s", out)
	}
	i.run("explain", "x@far.example", "--change", "domain add far.example --proved")
	for _, line := range []string{"domain list", "serve", "domain set here.example", "nonsense", "mailbox remove 'ann", "mailbox remove ann@here.example --sideways"} {
		if out, errs, code := i.try("explain", "ann@here.example", "--change", line); code != 2 {
			t.Errorf("--change %q: exit %d: %s%s", line, code, out, errs)
		}
	}
	if out, errs, code := i.try("explain", "ann@here.example", "--change", "mailbox remove none@here.example"); code != 1 || !strings.Contains(errs, "There is no mailbox") {
		t.Errorf("what cannot be planned: exit %d: %s%s", code, out, errs)
	}
	if list := i.run("mailbox", "list"); !strings.Contains(list, "ann@here.example") || strings.Contains(i.run("domain", "list"), "far.example") {
		t.Error("explaining changed something")
	}
}

func TestS1_26AnotherArrangementShowsItsEffectFirst(t *testing.T) {
	t.Parallel()
	i := twoDomains(t)
	out, _, code := i.try("domain", "set", "here.example", "--mode", "relay", "--recipients", "accept", "--next-hop", "192.0.2.9:25")
	if code != 1 || !strings.Contains(out, "ann@here.example goes elsewhere") || !strings.Contains(out, "*@here.example is newly received") {
		t.Errorf("another mode: exit %d\n%s", code, out)
	}
	out, _, code = i.try("domain", "set", "here.example", "--proved=false")
	if code != 1 || !strings.Contains(out, "would be refused") || !strings.Contains(out, "ann@here.example stops being received (from strangers)") {
		t.Errorf("what loses mail: exit %d\n%s", code, out)
	}
	if d := i.run("domain", "show", "here.example"); !strings.Contains(d, "EMAIL") {
		t.Errorf("something was changed:\n%s", d)
	}
	i.run("domain", "set", "here.example", "--proved=false", "--yes")
	if log := i.run("audit", "--domain", "here.example", "--json"); !strings.Contains(log, "would be refused") {
		t.Errorf("the override is not recorded:\n%s", log)
	}
}
