package control_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/facts"
	"postroad/internal/core/zone"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// sure asks for nothing that DNS says of hosts elsewhere.
var sure = control.ExchangerAsking{Confirmed: true}

// host adds a proved domain whose zone is hosted here.
func (w *world) host(name string, set control.DomainSettings) {
	w.t.Helper()
	hosted, yes := "hosted", true
	set.Zone, set.Proved = &hosted, &yes
	account := ""
	if strings.HasPrefix(name, "ann.") || strings.HasSuffix(name, ".ann.example") {
		account = string(w.annID)
	}
	if _, there := w.Directory().Domain(name); there {
		w.ok(w.PlanDomainSet(w.t.Context(), control.Operator(), name, set))
		return
	}
	w.ok(w.PlanDomainAdd(w.t.Context(), control.Operator(), control.DomainSpec{Name: name, Account: account, DomainSettings: set}))
}

// served is the exchangers that are answered for a name, with the SPF records and the serial of the zone.
func (w *world) served(domain string) string {
	z := w.m.Answered[domain]
	var parts []string
	for _, x := range z.Exchangers(z.Apex()) {
		parts = append(parts, x.String())
	}
	return fmt.Sprintf("%s; %s; serial %d", strings.Join(parts, ", "), strings.Join(z.SPF(), ", "), z.Serial%100) // it begins with the day
}

func (w *world) want(domain, want string) {
	w.t.Helper()
	if got := w.served(domain); got != want {
		w.t.Errorf("%s: %s, want %s", domain, got, want)
	}
}

func typed(hosts ...string) []control.ExchangerTyped {
	var out []control.ExchangerTyped
	for _, text := range hosts {
		host, preference, err := zone.SplitPreference(text)
		if err != nil {
			panic(err)
		}
		out = append(out, control.ExchangerTyped{Host: host, Preference: preference})
	}
	return out
}

// said reports whether a plan says all of these, in sentences or warnings.
func said(p control.Plan, texts ...string) string {
	all := strings.Join(slices.Concat(p.Sentences, p.Warnings), "\n")
	for _, text := range texts {
		if !strings.Contains(all, text) {
			return fmt.Sprintf("it does not say %q:\n%s", text, all)
		}
	}
	return ""
}

func TestANewHostedDomainTakesMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hosted := "hosted"
	p, err := w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "acme.example", DomainSettings: control.DomainSettings{Zone: &hosted}})
	if err != nil || p.Asks {
		t.Fatal(err, p.Asks)
	}
	if bad := said(p, "follows the exchanger set direct: mx.host.example (10, primary)", "Enter at the registrar, as the name servers of acme.example: mx.host.example.", "only one name server"); bad != "" {
		t.Error(bad)
	}
	w.ok(p, err)
	w.want("acme.example", "; ; serial 1") // nothing of it is for the world before its ownership is shown
	w.ok(w.PlanDomainSet(t.Context(), control.Operator(), "acme.example", control.DomainSettings{Proved: new(true)}))
	w.want("acme.example", "10 mx.host.example; v=spf1 mx ~all; serial 2")
	d, err := w.Domain(t.Context(), control.Operator(), "acme.example")
	if err != nil || d.Exchangers != "direct" || d.Servers != "default" || !slices.Equal(d.NameServers, []string{"mx.host.example"}) {
		t.Errorf("%+v, %v", d, err)
	}

	// Not where mail is none of ours, or comes through gateways of its own.
	remote, yes := "remote", true
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "away.example", DomainSettings: control.DomainSettings{Zone: &hosted, Mode: &remote, NextHops: &[]string{"mail.far.example"}, Proved: &yes}}))
	w.want("away.example", "; ; serial 1")
	w.host("gated.example", control.DomainSettings{Gateways: &[]string{"192.0.2.0/24"}})
	w.want("gated.example", "; ; serial 1")
	none := "none"
	w.host("bare.example", control.DomainSettings{ExchangerSet: &none, NameServerSet: &none})
	w.want("bare.example", "; ; serial 1")
}

func TestExchangersOfAHostedZone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.host("acme.example", control.DomainSettings{})
	op := control.Operator()
	ten, zero := 10, 0

	p, err := w.PlanMXAdd(t.Context(), op, "acme.example", control.ExchangerTyped{Host: "own.backup.example", Preference: &zero}, sure)
	if bad := said(p, "The exchangers of acme.example: own.backup.example (0, primary), mx.host.example (10, backup). Before: mx.host.example (10, primary).", "no longer follows the exchanger set direct"); bad != "" || !p.Asks {
		t.Error(bad, p.Asks)
	}
	w.ok(p, err)
	w.want("acme.example", "0 own.backup.example, 10 mx.host.example; v=spf1 mx ~all; serial 2")

	w.ok(w.PlanMXAdd(t.Context(), op, "acme.example", control.ExchangerTyped{Host: "mail"}, sure))
	w.want("acme.example", "0 own.backup.example, 10 mail.acme.example, 10 mx.host.example; v=spf1 mx ~all; serial 3")

	p, err = w.PlanMXEdit(t.Context(), op, "acme.example", "mx.host.example.", control.ExchangerTyped{Preference: &zero}, sure)
	if !p.Asks {
		t.Error("an edit does not ask")
	}
	w.ok(p, err)
	w.ok(w.PlanMXEdit(t.Context(), op, "acme.example", "mail", control.ExchangerTyped{Host: "other.example", Preference: &ten}, sure))
	w.want("acme.example", "0 mx.host.example, 0 own.backup.example, 10 other.example; v=spf1 mx ~all; serial 5")

	p, err = w.PlanMXReplace(t.Context(), op, "acme.example", typed("mx.host.example"), sure)
	if !p.Asks || len(p.Changes) != 1 {
		t.Errorf("asks %v, %d changes", p.Asks, len(p.Changes))
	}
	w.ok(p, err)
	w.want("acme.example", "10 mx.host.example; v=spf1 mx ~all; serial 6")
	if p, err = w.PlanMXReplace(t.Context(), op, "acme.example", typed("mx.host.example:10"), sure); err != nil || !p.Empty() {
		t.Errorf("the same again: %v, %v", p.Changes, err)
	}

	p, err = w.PlanMXRemove(t.Context(), op, "acme.example", "mx.host.example", sure)
	if bad := said(p, "MX_NONE", "implicit rule", "it has no address", "postroad mx replace acme.example none"); bad != "" || !p.Asks {
		t.Error(bad, p.Asks)
	}
	w.ok(p, err)
	w.want("acme.example", "; v=spf1 mx ~all; serial 7")

	p, err = w.PlanMXReplace(t.Context(), op, "acme.example", nil, sure)
	if bad := said(p, "NULL_MX", "RFC 7505"); bad != "" || !p.Asks {
		t.Error(bad, p.Asks)
	}
	w.ok(p, err)
	w.want("acme.example", "0 .; v=spf1 mx ~all; serial 8")
	p, err = w.PlanMXAdd(t.Context(), op, "acme.example", control.ExchangerTyped{Host: "mx.host.example"}, sure)
	if bad := said(p, "The null MX goes"); bad != "" {
		t.Error(bad)
	}
	w.ok(p, err)
	w.want("acme.example", "10 mx.host.example; v=spf1 mx ~all; serial 9")

	// Every step is in the audit log and can be taken back.
	entry := w.m.Entries[len(w.m.Entries)-1]
	if entry.Action != "mx add" || entry.Subject != "acme.example" || entry.Domain != "acme.example" {
		t.Errorf("entry %+v", entry)
	}
	w.ok(w.PlanUndo(t.Context(), op, entry.ID))
	w.want("acme.example", "0 .; v=spf1 mx ~all; serial 10")
	if _, err := w.PlanUndo(t.Context(), op, entry.ID); !errors.Is(err, control.ErrInUse) {
		t.Errorf("undone twice: %v", err)
	}
}

func TestFaultsOfTypingAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.host("acme.example", control.DomainSettings{})
	op := control.Operator()
	add := func(domain, host string) error {
		_, err := w.PlanMXAdd(t.Context(), op, domain, control.ExchangerTyped{Host: host}, sure)
		return err
	}
	bad := 70000
	_, tooHigh := w.PlanMXAdd(t.Context(), op, "acme.example", control.ExchangerTyped{Host: "mail.far.example", Preference: &bad}, sure)
	_, editAddress := w.PlanMXEdit(t.Context(), op, "acme.example", "mx.host.example", control.ExchangerTyped{Host: "192.0.2.1"}, sure)
	_, editNone := w.PlanMXEdit(t.Context(), op, "acme.example", "mail.far.example", control.ExchangerTyped{Host: "x.far.example"}, sure)
	_, removeNone := w.PlanMXRemove(t.Context(), op, "acme.example", "mail.far.example", sure)
	_, replaced := w.PlanMXReplace(t.Context(), op, "acme.example", typed("mail.far.example", "mail.far.example."), sure)
	for want, err := range map[string]error{
		"MX_TARGET_IS_IP":           add("acme.example", "192.0.2.1"),
		"MX_TARGET_IS_IP: ":         editAddress,
		"MX_TARGET_APPENDED_ORIGIN": add("acme.example", "mx.host.example.acme.example"),
		"MX_WRONG_OWNER":            add("www.acme.example", "mail.far.example"),
		"MX_WRONG_OWNER: ":          add("www.ann.example", "mail.far.example"),
		"the preference 10":         add("acme.example", "10 mail.far.example"),
		"is there already":          add("acme.example", "mx.host.example"),
		"0 to 65535":                tooHigh,
		"There is no exchanger":     editNone,
		"its exchangers: mx.host":   removeNone,
		"named twice":               replaced,
		"There is no domain":        add("else.example", "mail.far.example"),
	} {
		if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	w.want("acme.example", "10 mx.host.example; v=spf1 mx ~all; serial 1")
}

func TestOwnersBelowTheZone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.host("acme.example", control.DomainSettings{})
	p, err := w.PlanMXAdd(t.Context(), control.Operator(), "lists.acme.example", control.ExchangerTyped{Host: "mx.host.example"}, sure)
	if bad := said(p, "They are those of addresses at lists.acme.example alone."); bad != "" {
		t.Error(bad)
	}
	w.ok(p, err)
	z := w.m.Answered["acme.example"]
	if got := z.Exchangers("lists.acme.example."); len(got) != 1 {
		t.Errorf("lists.acme.example has %v", got)
	}
	w.want("acme.example", "10 mx.host.example; v=spf1 mx ~all; serial 2")
	l, err := w.MX(t.Context(), control.Operator(), "lists.acme.example")
	if err != nil || l.Domain != "acme.example" || l.Owner != "lists.acme.example" || l.Set != "" || len(l.Exchangers) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	if d, _ := w.Directory().Domain("acme.example"); d.ExchangerSet == "" {
		t.Error("the domain no longer follows its set, and its own exchangers did not change")
	}
	// Nobody else sees or changes it.
	if _, err := w.PlanMXAdd(t.Context(), w.bob, "lists.acme.example", control.ExchangerTyped{Host: "mx.host.example"}, sure); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("by another: %v", err)
	}
}

func TestWhatDNSSaysOfHostsElsewhereIsAWarning(t *testing.T) {
	t.Parallel()
	m := controltest.NewMemory()
	o := controltest.Options(m)
	asked := &hosts{
		"alias.far.example": {Status: facts.Found, Alias: true, Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.1")}},
		"empty.far.example": {Status: facts.NoData}, "fine.far.example": {Status: facts.Found, Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.1")}},
		"quiet.far.example": {Status: facts.Temporary},
	}
	o.Resolver = asked
	w := openWorld(t, m, o)
	w.host("acme.example", control.DomainSettings{})
	for host, want := range map[string]string{
		"alias.far.example": "MX_TARGET_CNAME", "empty.far.example": "MX_TARGET_NO_ADDRESS", "none.far.example": "MX_TARGET_NXDOMAIN",
		"fine.far.example": "", "quiet.far.example": "", "mail.acme.example": "MX_TARGET_NXDOMAIN",
	} {
		p, err := w.PlanMXAdd(t.Context(), control.Operator(), "acme.example", control.ExchangerTyped{Host: host}, control.ExchangerAsking{})
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(p.Warnings, "\n"); want == "" && strings.Contains(all, "MX_") || !strings.Contains(all, want) {
			t.Errorf("%s: %q, want %s", host, all, want)
		}
		// Whoever confirms does not wait for DNS.
		p, err = w.PlanMXAdd(t.Context(), control.Operator(), "acme.example", control.ExchangerTyped{Host: host}, sure)
		if all := strings.Join(p.Warnings, "\n"); err != nil || strings.Contains(host, ".far.") && strings.Contains(all, "MX_") {
			t.Errorf("%s, confirmed: %q, %v", host, all, err)
		}
	}
}

// hosts is a resolver that knows some hosts.
type hosts map[string]facts.AddrAnswer

func (h hosts) MX(_ context.Context, name string) facts.MXAnswer {
	return facts.MXAnswer{Name: name, Status: facts.NXDomain}
}

func (h hosts) Addrs(_ context.Context, host string) facts.AddrAnswer {
	a, ok := h[host]
	if !ok {
		a.Status = facts.NXDomain
	}
	a.Name = host
	return a
}

// Toggling the filter changes MX, accepted gateways and SPF as one change with one serial.
func TestTheFilterIsSwitchedInOneStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	w.ok(w.PlanExchangerSetAdd(op, control.ExchangerSetSpec{Name: "filtered", Exchangers: new(typed("mx1.filter.example", "mx2.filter.example")), Gateways: &[]string{"198.51.100.0/24"}}))
	w.host("acme.example", control.DomainSettings{})
	before := w.Version()
	filtered, direct := "filtered", "direct"
	p, err := w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{ExchangerSet: &filtered})
	if bad := said(p, "follows the exchanger set filtered: mx1.filter.example (10, primary), mx2.filter.example (20, backup). Only 198.51.100.0/24 may deliver for it.", "The exchangers before: mx.host.example (10, primary)."); bad != "" || !p.Asks {
		t.Error(bad, p.Asks)
	}
	w.ok(p, err)
	w.want("acme.example", "10 mx1.filter.example, 20 mx2.filter.example; v=spf1 mx a:mx.host.example ~all; serial 2")
	d, _ := w.Directory().Domain("acme.example")
	if len(d.Gateways) != 1 || d.Admits(netip.MustParseAddr("192.0.2.1")) || !d.Admits(netip.MustParseAddr("198.51.100.9")) || w.Version() != before+1 {
		t.Errorf("gateways %v, version %d after %d", d.Gateways, w.Version(), before)
	}

	// The set says who may deliver.
	if _, err := w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{Gateways: &[]string{"none"}}); !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), "--exchanger-set none") {
		t.Errorf("gateways by hand: %v", err)
	}
	auto := "auto"
	if _, err := w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{Mode: &auto}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("mode auto: %v", err)
	}

	w.ok(w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{ExchangerSet: &direct}))
	w.want("acme.example", "10 mx.host.example; v=spf1 mx ~all; serial 3")
	if d, _ := w.Directory().Domain("acme.example"); len(d.Gateways) != 0 {
		t.Errorf("gateways %v", d.Gateways)
	}

	// Undone as one change too.
	for _, e := range slices.Backward(w.m.Entries) {
		if e.Action == "domain set" {
			w.ok(w.PlanUndo(t.Context(), op, e.ID))
			break
		}
	}
	w.want("acme.example", "10 mx1.filter.example, 20 mx2.filter.example; v=spf1 mx a:mx.host.example ~all; serial 4")
	if d, _ := w.Directory().Domain("acme.example"); len(d.Gateways) != 1 {
		t.Errorf("gateways after undo %v", d.Gateways)
	}

	// Other exchangers by hand are of no use while only the filter may deliver.
	p, err = w.PlanMXReplace(t.Context(), op, "acme.example", typed("mx.host.example"), sure)
	if bad := said(p, "no longer follows the exchanger set filtered", "Only 198.51.100.0/24 may deliver for it still", "--gateway none"); bad != "" || err != nil {
		t.Error(bad, err)
	}

	// Following nothing leaves all as it is.
	none := "none"
	w.ok(w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{ExchangerSet: &none}))
	if z := w.m.Hosted["acme.example"]; len(z.Exchangers(z.Apex())) != 2 {
		t.Errorf("%v", z.Records)
	}
}

func TestAnSPFRecordOfTheirOwnStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	w.host("acme.example", control.DomainSettings{})
	own := w.m.Hosted["acme.example"]
	w.m.Hosted["acme.example"] = own.WithSPF("v=spf1 include:shop.example -all")
	w.ok(w.PlanExchangerSetAdd(op, control.ExchangerSetSpec{Name: "filtered", Exchangers: new(typed("mx.filter.example")), SPF: new("v=spf1 include:spf.filter.example ~all")}))
	p, err := w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{ExchangerSet: new("filtered")})
	if bad := said(p, `"v=spf1 include:shop.example include:spf.filter.example -all"`); bad != "" {
		t.Error(bad)
	}
	w.ok(p, err)
	w.want("acme.example", "10 mx.filter.example; v=spf1 include:shop.example -all; serial 2")
}

// A set that is changed changes all domains that follow it, in one transaction.
func TestAChangedSetReachesItsFollowers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	const many = 300
	for i := range many {
		w.host(fmt.Sprintf("d%d.example", i), control.DomainSettings{})
	}
	w.host("ann.example", control.DomainSettings{})
	w.ok(w.PlanDomainSet(t.Context(), op, "bob.example", control.DomainSettings{ExchangerSet: new("direct")})) // its zone is elsewhere
	w.host("own.example", control.DomainSettings{})
	w.ok(w.PlanMXReplace(t.Context(), op, "own.example", typed("mail.own.example"), sure))
	version := w.Version()
	p, err := w.PlanExchangerSetSet(t.Context(), op, control.ExchangerSetSpec{Name: "direct", Exchangers: new(typed("mx.host.example", "mx2.host.example:20")), Gateways: &[]string{"198.51.100.0/24"}})
	if len(p.Changes) != 1 || len(p.Spread) != 302+301 {
		t.Errorf("%d changes are shown, %d recorded beside", len(p.Changes), len(p.Spread))
	}
	if bad := said(p, "302 domains follow it, and 301 zones here change with it at once; of 1 domain the zone is elsewhere"); bad != "" || !p.Asks {
		t.Error(bad, p.Asks)
	}
	w.ok(p, err)
	if w.Version() != version+1 {
		t.Errorf("version %d after %d", w.Version(), version)
	}
	for _, name := range []string{"d0.example", "d299.example", "ann.example"} {
		w.want(name, "10 mx.host.example, 20 mx2.host.example; v=spf1 mx ~all; serial 2")
		if d, _ := w.Directory().Domain(name); len(d.Gateways) != 1 {
			t.Errorf("%s has gateways %v", name, d.Gateways)
		}
	}
	w.want("own.example", "10 mail.own.example; v=spf1 mx ~all; serial 2")
	if d, _ := w.Directory().Domain("bob.example"); len(d.Gateways) != 1 {
		t.Errorf("bob.example has gateways %v", d.Gateways)
	}
	// It concerns each account, which sees it in its own log.
	list, err := w.Audit(t.Context(), w.ann, "ann.example", 0, 10)
	if err != nil || !slices.ContainsFunc(list, func(e control.EntryInfo) bool { return e.Action == "mx set" && e.Actor == "operator" }) {
		t.Errorf("%+v, %v", list, err)
	}
	for _, e := range slices.Backward(w.m.Entries) {
		if e.Action == "exchanger-set set" {
			w.ok(w.PlanUndo(t.Context(), op, e.ID))
			break
		}
	}
	w.want("d7.example", "10 mx.host.example; v=spf1 mx ~all; serial 3")
	if d, _ := w.Directory().Domain("d7.example"); len(d.Gateways) != 0 {
		t.Errorf("gateways after undo %v", d.Gateways)
	}
}

func TestSetsBelongToAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	w.by(w.ann, p(t)(w.PlanExchangerSetAdd(w.ann, control.ExchangerSetSpec{Name: "direct", Exchangers: new(typed("mx.brand.example"))})), nil)
	w.by(w.ann, p(t)(w.PlanNameServerSetAdd(w.ann, control.NameServerSetSpec{Name: "default", Hosts: []string{"ns1.brand.example", "ns2.brand.example."}})), nil)
	w.host("ann.example", control.DomainSettings{})
	w.host("bob.example", control.DomainSettings{})
	w.want("ann.example", "10 mx.brand.example; v=spf1 mx a:mx.host.example ~all; serial 1")
	w.want("bob.example", "10 mx.host.example; v=spf1 mx ~all; serial 1")
	z := w.m.Answered["ann.example"]
	if got := z.NameServers(); !slices.Equal(got, []string{"ns1.brand.example", "ns2.brand.example"}) {
		t.Errorf("name servers %v", got)
	}
	if names := setNames(w.ExchangerSets(w.ann)); names != "direct direct" {
		t.Errorf("ann sees %s", names)
	}
	if names := setNames(w.ExchangerSets(w.bob)); names != "direct" {
		t.Errorf("bob sees %s", names)
	}
	brand, _ := w.Directory().Domain("ann.example")
	for what, err := range map[string]error{
		"bob changes the operator's": e(w.PlanExchangerSetSet(t.Context(), w.bob, control.ExchangerSetSpec{Name: "direct", Exchangers: new(typed("mx.bob.example"))})),
		"bob removes it":             e(w.PlanExchangerSetRemove(w.bob, "direct", "")),
		"bob changes name servers":   e(w.PlanNameServerSetSet(t.Context(), w.bob, control.NameServerSetSpec{Name: "default", Hosts: []string{"ns.bob.example"}})),
		"the operator removes it":    e(w.PlanExchangerSetRemove(op, "direct", "")),
		"and the name servers":       e(w.PlanNameServerSetRemove(op, "default", "")),
	} {
		if !errors.Is(err, control.ErrDenied) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"bob follows ann's":   e(w.PlanDomainSet(t.Context(), w.bob, "bob.example", control.DomainSettings{ExchangerSet: &brand.ExchangerSet})),
		"bob changes ann's":   e(w.PlanExchangerSetSet(t.Context(), w.bob, control.ExchangerSetSpec{Name: brand.ExchangerSet, SPF: new("none")})),
		"one that is not":     e(w.PlanDomainSet(t.Context(), w.bob, "bob.example", control.DomainSettings{ExchangerSet: new("gone")})),
		"for ann by bob":      e(w.PlanExchangerSetAdd(w.bob, control.ExchangerSetSpec{Name: "x", Account: "ann", Exchangers: new(typed("mx.bob.example"))})),
		"name servers of ann": e(w.PlanDomainSet(t.Context(), w.bob, "bob.example", control.DomainSettings{NameServerSet: &brand.NameServerSet})),
	} {
		if !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"followed":            e(w.PlanExchangerSetRemove(w.ann, "direct", "")),
		"followed by a zone":  e(w.PlanNameServerSetRemove(w.ann, "default", "")),
		"there already":       e(w.PlanExchangerSetAdd(w.ann, control.ExchangerSetSpec{Name: "direct", Exchangers: new(typed("mx.brand.example"))})),
		"there already too":   e(w.PlanNameServerSetAdd(w.ann, control.NameServerSetSpec{Name: "default", Hosts: []string{"ns.brand.example"}})),
		"no name":             e(w.PlanExchangerSetAdd(w.ann, control.ExchangerSetSpec{Name: "none", Exchangers: new(typed("mx.brand.example"))})),
		"no host":             e(w.PlanExchangerSetAdd(w.ann, control.ExchangerSetSpec{Name: "x"})),
		"null MX":             e(w.PlanExchangerSetAdd(w.ann, control.ExchangerSetSpec{Name: "x", Exchangers: new(typed())})),
		"an address":          e(w.PlanExchangerSetAdd(w.ann, control.ExchangerSetSpec{Name: "x", Exchangers: new(typed("192.0.2.1"))})),
		"no whole name":       e(w.PlanExchangerSetAdd(w.ann, control.ExchangerSetSpec{Name: "x", Exchangers: new(typed("mail"))})),
		"no SPF":              e(w.PlanExchangerSetSet(t.Context(), w.ann, control.ExchangerSetSpec{Name: "direct", SPF: new("mx ~all")})),
		"everybody":           e(w.PlanExchangerSetSet(t.Context(), w.ann, control.ExchangerSetSpec{Name: "direct", Gateways: &[]string{"0.0.0.0/0"}})),
		"an address as NS":    e(w.PlanNameServerSetSet(t.Context(), w.ann, control.NameServerSetSpec{Name: "default", Hosts: []string{"192.0.2.1"}})),
		"one NS twice":        e(w.PlanNameServerSetSet(t.Context(), w.ann, control.NameServerSetSpec{Name: "default", Hosts: []string{"ns.brand.example", "NS.brand.example."}})),
		"no name server":      e(w.PlanNameServerSetSet(t.Context(), w.ann, control.NameServerSetSpec{Name: "default"})),
		"too many of them":    e(w.PlanNameServerSetAdd(w.ann, control.NameServerSetSpec{Name: "x", Hosts: make([]string, 14)})),
		"unreadable SPF text": e(w.PlanExchangerSetAdd(w.ann, control.ExchangerSetSpec{Name: "x", Exchangers: new(typed("mx.brand.example")), SPF: new("v=spf1 ipv4:1")})),
	} {
		if !errors.Is(err, control.ErrInvalid) && !errors.Is(err, control.ErrInUse) && !errors.Is(err, control.ErrExists) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// e is the error of a plan.
func e(_ control.Plan, err error) error { return err }

// p takes the plan of one that can be made.
func p(t *testing.T) func(control.Plan, error) control.Plan {
	t.Helper()
	return func(p control.Plan, err error) control.Plan {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func setNames(list []control.ExchangerSet) string {
	var out []string
	for _, s := range list {
		out = append(out, s.Name)
	}
	return strings.Join(out, " ")
}

func TestNameServersFollowTheirSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	w.host("acme.example", control.DomainSettings{})
	w.host("ann.example", control.DomainSettings{})
	p, err := w.PlanNameServerSetSet(t.Context(), op, control.NameServerSetSpec{Name: "default", Hosts: []string{"ns1.host.example", "ns2.host.example"}})
	if bad := said(p, "The NS records of 2 zones change, and must be entered anew at the registrars"); bad != "" || !p.Asks {
		t.Error(bad, p.Asks)
	}
	w.ok(p, err)
	for _, name := range []string{"acme.example", "ann.example"} {
		z := w.m.Answered[name]
		soa, _ := zone.SOARecord(z.Records, z.Apex())
		if got := z.NameServers(); !slices.Equal(got, []string{"ns1.host.example", "ns2.host.example"}) || z.Serial%100 != 2 || !strings.HasPrefix(soa.Text(), "ns1.host.example. ") {
			t.Errorf("%s: %v, serial %d, %s", name, got, z.Serial, soa.Text())
		}
	}
	// NS records of their own end the following.
	z := w.m.Hosted["acme.example"]
	own, err := z.WithNameServers([]string{"ns.own.example"})
	if err != nil {
		t.Fatal(err)
	}
	w.m.Hosted["acme.example"] = own
	w.ok(w.PlanMXAdd(t.Context(), op, "acme.example", control.ExchangerTyped{Host: "mx2.host.example"}, sure))
	if d, _ := w.Directory().Domain("acme.example"); d.NameServerSet != "" || d.ExchangerSet != "" {
		t.Errorf("it still follows %q and %q", d.NameServerSet, d.ExchangerSet)
	}
	w.ok(w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{NameServerSet: new("default")}))
	again := w.m.Answered["acme.example"]
	if got := again.NameServers(); len(got) != 2 {
		t.Errorf("%v", got)
	}
	for _, entry := range slices.Backward(w.m.Entries) {
		if entry.Action == "nameserver-set set" {
			w.ok(w.PlanUndo(t.Context(), op, entry.ID))
			break
		}
	}
	undone := w.m.Answered["ann.example"]
	if got := undone.NameServers(); !slices.Equal(got, []string{"mx.host.example"}) {
		t.Errorf("%v", got)
	}
}

func TestWhatToEnterWhereAZoneIsElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	yes := true
	w.ok(w.PlanDomainAdd(t.Context(), op, control.DomainSpec{Name: "crm.acme.example", DomainSettings: control.DomainSettings{Proved: &yes}}))
	l, err := w.MX(t.Context(), op, "crm.acme.example")
	if err != nil || l.Zone != "external" || l.Set != "direct" || len(l.Enter) != 2 {
		t.Fatalf("%+v, %v", l, err)
	}
	mx := l.Enter[0]
	if mx.Type != "MX" || mx.Owner != "@" || mx.Name != "crm.acme.example" || mx.Parent != "acme.example" || mx.ParentOwner != "crm" || *mx.Preference != 10 ||
		mx.Target != "mx.host.example" || mx.Line != "crm.acme.example. 3600 IN MX 10 mx.host.example." {
		t.Errorf("%+v", mx)
	}
	if txt := l.Enter[1]; txt.Value != "v=spf1 mx ~all" || txt.Line != `crm.acme.example. 3600 IN TXT "v=spf1 mx ~all"` {
		t.Errorf("%+v", txt)
	}
	plans := map[string]control.Plan{}
	plans["add"], _ = w.PlanMXAdd(t.Context(), op, "crm.acme.example", control.ExchangerTyped{Host: "mail.far.example"}, sure)
	plans["edit"], _ = w.PlanMXEdit(t.Context(), op, "crm.acme.example", "mail.far.example", control.ExchangerTyped{Host: "x.far.example"}, sure)
	plans["remove"], _ = w.PlanMXRemove(t.Context(), op, "crm.acme.example", "mail.far.example", sure)
	plans["replace"], _ = w.PlanMXReplace(t.Context(), op, "crm.acme.example", typed("mail.far.example"), sure)
	for what, p := range plans {
		if bad := said(p, "not hosted here", "crm.acme.example. 3600 IN MX 10 mx.host.example."); bad != "" || !p.Empty() {
			t.Errorf("%s: %s", what, bad)
		}
	}
	// Below a zone that is hosted here the records are ours to write.
	w.host("acme.example", control.DomainSettings{})
	w.ok(w.PlanMXAdd(t.Context(), op, "crm.acme.example", control.ExchangerTyped{Host: "mx.host.example"}, sure))
	z := w.m.Answered["acme.example"]
	if len(z.Exchangers("crm.acme.example.")) != 1 {
		t.Errorf("%v", z.Records)
	}
}

// Of a domain of mode auto the plan tells the mode to come, and whose mail it alters.
func TestModeAutoIsForeseen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	w.host("acme.example", control.DomainSettings{Mode: new("auto")})
	w.box("box@acme.example")
	p, err := w.PlanMXReplace(t.Context(), op, "acme.example", typed("mail.far.example"), control.ExchangerAsking{})
	if err != nil {
		t.Fatal(err)
	}
	if bad := said(p, "The mode of acme.example is auto: once public DNS shows this, local becomes remote."); bad != "" || p.AlteredRoutes == nil || !p.Asks {
		t.Errorf("%s, %+v", bad, p.AlteredRoutes)
	}
	x, err := w.ExplainChange(t.Context(), op, control.ExplainRequest{Address: "box@acme.example"}, p)
	if err != nil || x.AlteredRoutes.Count == 0 || x.Before.EffectiveMode != "local" || x.After.EffectiveMode != "remote" {
		t.Errorf("explained: %+v, %v", x, err)
	}
	p, err = w.PlanMXReplace(t.Context(), op, "acme.example", typed("mail.far.example:5", "mx.host.example:10"), control.ExchangerAsking{})
	if bad := said(p, "local becomes backup"); bad != "" || err != nil {
		t.Error(bad, err)
	}
	p, err = w.PlanMXReplace(t.Context(), op, "acme.example", typed("mx.host.example:5", "mail.far.example:10"), control.ExchangerAsking{})
	if err != nil || p.AlteredRoutes != nil || strings.Contains(strings.Join(p.Sentences, " "), "becomes") {
		t.Errorf("%q, %v", p.Sentences, err)
	}
	// A domain that delivers here and whose mail goes elsewhere.
	w.host("local.example", control.DomainSettings{})
	p, err = w.PlanMXReplace(t.Context(), op, "local.example", typed("mail.far.example"), control.ExchangerAsking{})
	if bad := said(p, "None of these exchangers is this installation"); bad != "" || err != nil {
		t.Error(bad, err)
	}
}

func TestARemovedDomainFollowsAgainWhatIsStillThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	w.ok(w.PlanExchangerSetAdd(op, control.ExchangerSetSpec{Name: "filtered", Exchangers: new(typed("mx.filter.example")), Gateways: &[]string{"198.51.100.0/24"}}))
	for _, name := range []string{"a.example", "b.example"} {
		w.host(name, control.DomainSettings{ExchangerSet: new("filtered")})
		w.ok(w.PlanDomainRemove(t.Context(), op, name))
	}
	removed := map[string]int64{}
	for _, entry := range w.m.Entries {
		if entry.Action == "domain remove" {
			removed[entry.Subject] = entry.ID
		}
	}
	w.ok(w.PlanUndo(t.Context(), op, removed["a.example"]))
	d, _ := w.Directory().Domain("a.example")
	if d.ExchangerSet == "" || d.NameServerSet == "" || len(d.Gateways) != 1 {
		t.Errorf("%+v", d)
	}
	w.ok(w.PlanDomainRemove(t.Context(), op, "a.example"))
	w.ok(w.PlanExchangerSetRemove(op, "filtered", ""))
	w.ok(w.PlanUndo(t.Context(), op, removed["b.example"]))
	d, _ = w.Directory().Domain("b.example")
	if d.ExchangerSet != "" || d.NameServerSet == "" || len(d.Gateways) != 1 {
		t.Errorf("without its set: %+v", d)
	}
	z := w.m.Answered["b.example"]
	if got := z.Exchangers(z.Apex()); len(got) != 1 || got[0].Host != "mx.filter.example" {
		t.Errorf("%v", got)
	}
}

func TestNameServersInTheZoneNeedAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	w.host("acme.example", control.DomainSettings{})
	w.ok(w.PlanNameServerSetAdd(op, control.NameServerSetSpec{Name: "own", Hosts: []string{"ns1.acme.example", "ns2.acme.example"}}))
	p, err := w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{NameServerSet: new("own")})
	if bad := said(p, "The name server ns1.acme.example lies in the zone acme.example and has no address there"); bad != "" || err != nil || !p.Asks {
		t.Error(bad, err)
	}
}

// Of a domain of mode auto the switch of a set tells the mode to come.
func TestModeAutoIsForeseenWhenASetIsChosen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	w.host("acme.example", control.DomainSettings{Mode: new("auto")})
	w.box("box@acme.example")
	w.ok(w.PlanExchangerSetAdd(op, control.ExchangerSetSpec{Name: "away", Exchangers: new(typed("mail.far.example"))}))
	p, err := w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{ExchangerSet: new("away")})
	if bad := said(p, "once public DNS shows this, local becomes remote"); bad != "" || err != nil || p.AlteredRoutes == nil {
		t.Error(bad, err)
	}
}

func TestAZoneThatComesBackIsAsItsSetSaysByThen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	w.host("acme.example", control.DomainSettings{})
	external, hosted := "external", "hosted"
	w.ok(w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{Zone: &external}))
	w.ok(w.PlanExchangerSetSet(t.Context(), op, control.ExchangerSetSpec{Name: "direct", Exchangers: new(typed("mx9.host.example"))}))
	w.ok(w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{Zone: &hosted}))
	w.want("acme.example", "10 mx9.host.example; v=spf1 mx ~all; serial 2")

	// One without a set comes back as it was.
	w.ok(w.PlanMXReplace(t.Context(), op, "acme.example", typed("mail.far.example"), sure))
	w.ok(w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{Zone: &external}))
	w.ok(w.PlanDomainSet(t.Context(), op, "acme.example", control.DomainSettings{Zone: &hosted}))
	w.want("acme.example", "10 mail.far.example; v=spf1 mx ~all; serial 4")
}
