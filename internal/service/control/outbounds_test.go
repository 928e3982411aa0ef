package control_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/service/control"
)

// out is a domain's outbound route in one line.
func (w *world) out(domain string) string {
	w.t.Helper()
	for _, o := range w.Outbounds(control.Operator()) {
		if o.Domain == domain {
			return strings.TrimSpace(o.Way() + " " + o.TLS + " " + o.User)
		}
	}
	return ""
}

// planOf is a plan that must be possible.
func planOf(t *testing.T) func(control.Plan, error) control.Plan {
	return func(p control.Plan, err error) control.Plan {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func TestTheAddressFromWhichMailLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	p, err := w.PlanOutboundSet(t.Context(), op, control.OutboundSpec{Domain: "ann.example", Source: new("2001:DB8::7, 192.0.2.7")})
	if err != nil || !p.Asks {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, want := range []string{"leaves from 192.0.2.7,2001:db8::7, and from no other address.", "does not have the address 192.0.2.7 now", "does not have the address 2001:db8::7 now"} {
		if !strings.Contains(strings.Join(slices.Concat(p.Sentences, p.Warnings), "\n"), want) {
			t.Errorf("it does not say %q: %q %q", want, p.Sentences, p.Warnings)
		}
	}
	w.ok(p, nil)
	if got := w.out("ann.example"); got != "from 192.0.2.7,2001:db8::7" {
		t.Errorf("set: %s", got)
	}
	e, err := w.Explain(t.Context(), op, control.ExplainRequest{Address: "x@far.example", As: "local", Sender: "x@ann.example"})
	if err != nil || !strings.HasPrefix(e.Destinations[0].Lane, "remote/far.example#") || !strings.Contains(fmt.Sprint(e.Reasons), "192.0.2.7,2001:db8::7") {
		t.Errorf("explained as %+v, %v", e, err)
	}

	// A customer's smart host leaves the address as it is, and so does its end.
	w.by(w.ann, planOf(t)(w.PlanOutboundSet(t.Context(), w.ann, control.OutboundSpec{Hop: "smart.corp.example:587", Domain: "ann.example"})), nil)
	if got := w.out("ann.example"); got != "through smart.corp.example:587 from 192.0.2.7,2001:db8::7 opportunistic" {
		t.Errorf("with a smart host: %s", got)
	}
	w.back(w.ann, "outbound set")
	if got := w.out("ann.example"); got != "from 192.0.2.7,2001:db8::7" {
		t.Errorf("undone: %s", got)
	}
	w.by(w.ann, planOf(t)(w.PlanOutboundSet(t.Context(), w.ann, control.OutboundSpec{Hop: "smart.corp.example:587", Domain: "ann.example", User: "u", Password: control.NewSecret("a long secret")})), nil)
	w.ok(w.PlanOutboundSet(t.Context(), op, control.OutboundSpec{Domain: "ann.example", Source: new("192.0.2.8")}))
	if got := w.out("ann.example"); got != "through smart.corp.example:587 from 192.0.2.8 verified u" {
		t.Errorf("with a login: %s", got)
	}
	w.back(op, "outbound set")
	if got := w.out("ann.example"); got != "through smart.corp.example:587 from 192.0.2.7,2001:db8::7 verified u" {
		t.Errorf("undone with a login: %s", got)
	}
	w.by(w.ann, planOf(t)(w.PlanOutboundRemove(w.ann, "ann.example", false)), nil)
	if got := w.out("ann.example"); got != "from 192.0.2.7,2001:db8::7" {
		t.Errorf("without it again: %s", got)
	}
	if _, err := w.PlanOutboundRemove(w.ann, "ann.example", false); !errors.Is(err, control.ErrDenied) {
		t.Errorf("a customer removes the address: %v", err)
	}
	w.ok(w.PlanOutboundRemove(op, "ann.example", false))
	if got := w.out("ann.example"); got != "" {
		t.Errorf("removed: %s", got)
	}
	w.back(op, "outbound remove")
	if got := w.out("ann.example"); got != "from 192.0.2.7,2001:db8::7" {
		t.Errorf("brought back: %s", got)
	}
	if _, err := w.PlanOutboundSet(t.Context(), op, control.OutboundSpec{Domain: "ann.example", Source: new("")}); err == nil || !strings.Contains(err.Error(), "Nothing would be left") {
		t.Errorf("emptied: %v", err)
	}
}

func TestAddressesFromWhichNoMailCanLeaveAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for text, want := range map[string]string{
		"host.example": "is \"host.example\"", "192.0.2.7,192.0.2.8": "192.0.2.8", "0.0.0.0": "0.0.0.0", "::": "leave from ::",
		"224.0.0.1": "224.0.0.1", "fe80::1": "fe80::1", "": "Nothing would be left",
	} {
		if _, err := w.PlanOutboundSet(t.Context(), control.Operator(), control.OutboundSpec{Source: &text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, spec := range []control.OutboundSpec{{}, {Source: new("192.0.2.7"), User: "u", Password: control.NewSecret("a long secret")}, {Source: new("192.0.2.7"), TLS: "verified"}} {
		if _, err := w.PlanOutboundSet(t.Context(), control.Operator(), spec); err == nil {
			t.Errorf("%+v is taken", spec)
		}
	}
}

func TestWhetherSPFCoversTheAddressFromWhichMailLeaves(t *testing.T) {
	t.Parallel()
	w, _, d := newIdentities(t)
	ctx, op := t.Context(), control.Operator()
	source := func(domain, text string) control.Plan {
		return planOf(t)(w.PlanOutboundSet(ctx, op, control.OutboundSpec{Domain: domain, Source: &text}))
	}
	for _, c := range []struct{ name, spf, source, warns, says string }{
		{"none", "", "192.0.2.7", "SPF of ann.example for 192.0.2.7: none", ""},
		{"another address", `"v=spf1 ip4:192.0.2.8 ~all"`, "192.0.2.7", "192.0.2.7: softfail by ~all. Receivers may take mail of ann.example from there for forged: add ip4:192.0.2.7 to", ""},
		{"one of two", `"v=spf1 ip4:192.0.2.7 -all"`, "192.0.2.7,2001:db8::7", "add ip6:2001:db8::7 to the SPF record of ann.example", ""},
		{"covered", `"v=spf1 ip4:192.0.2.7 ip6:2001:db8::/32 -all"`, "192.0.2.7,2001:db8::7", "", "The SPF record of ann.example covers it."},
		{"DNS is down", "down", "192.0.2.7", "", "covers it (ip4:192.0.2.7) is not known"},
		{"behind a translator", `"v=spf1 -all"`, "192.168.0.7", "", "leaves from 192.168.0.7"},
	} {
		d.answers["ann.example TXT"] = c.spf
		if c.spf == "" {
			delete(d.answers, "ann.example TXT")
		}
		p := source("ann.example", c.source)
		if warned := strings.Join(p.Warnings, " "); strings.Contains(warned, "SOURCE_NOT_AUTHORISED") != (c.warns != "") || !strings.Contains(warned, c.warns) {
			t.Errorf("%s: it warns %q", c.name, p.Warnings)
		}
		if said := strings.Join(p.Sentences, " "); !strings.Contains(said, c.says) {
			t.Errorf("%s: it says %q", c.name, p.Sentences)
		}
	}
	if p := source("", "192.0.2.7"); !strings.Contains(strings.Join(p.Sentences, " "), "(ip4:192.0.2.7)") {
		t.Errorf("of the installation it says %q", p.Sentences)
	}
}

func TestAnAddressThatSPFDoesNotCoverIsFound(t *testing.T) {
	t.Parallel()
	w, _, d := newIdentities(t)
	ctx, op := t.Context(), control.Operator()
	check := func(name, spf string, again time.Duration, found string) {
		t.Helper()
		d.answers["ann.example TXT"] = spf
		got, err := w.CheckIdentities(ctx, "ann.example")
		if err != nil || got != again {
			t.Errorf("%s: again in %s, %v", name, got, err)
		}
		var is strings.Builder
		for _, f := range w.m.Found {
			is.WriteString(string(f.Name) + " " + f.Domain + " " + f.Evidence)
		}
		if is.String() != found {
			t.Errorf("%s: found %q", name, is.String())
		}
	}
	const usual, soon = 6 * time.Hour, time.Hour
	const missing = "SOURCE_NOT_AUTHORISED ann.example SPF of ann.example for 192.0.2.7: softfail by ~all"
	check("nothing chosen", `"v=spf1 ~all"`, usual, "")
	w.ok(w.PlanOutboundSet(ctx, op, control.OutboundSpec{Domain: "ann.example", Source: new("192.0.2.7")}))
	check("not covered", `"v=spf1 ~all"`, usual, missing)
	check("DNS is down", "down", soon, missing)
	check("covered", `"v=spf1 ip4:192.0.2.7 ~all"`, usual, "")
	check("not covered again", `"v=spf1 ~all"`, usual, missing)
	w.ok(w.PlanOutboundRemove(op, "ann.example", false))
	if len(w.m.Found) != 0 {
		t.Errorf("removed: %+v", w.m.Found)
	}
	w.ok(w.PlanOutboundSet(ctx, op, control.OutboundSpec{Source: new("192.0.2.7")}))
	check("of the installation", `"v=spf1 ~all"`, usual, missing)
	w.ok(w.PlanOutboundSet(ctx, op, control.OutboundSpec{Domain: "ann.example", Hop: "smart.example:587"}))
	check("through a smart host", `"v=spf1 ~all"`, usual, "")
	w.ok(w.PlanOutboundRemove(op, "ann.example", false))
	w.ok(w.PlanMailboxRemove(ctx, op, "box@ann.example"))
	check("nobody sends", `"v=spf1 ~all"`, usual, "")
}
