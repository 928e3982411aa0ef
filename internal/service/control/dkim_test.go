package control_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/dkimkey"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	proto "postroad/internal/proto/dkim"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// texts is the world's DNS: what TXT records names have. What is asked beside that ends the test.
type texts struct {
	control.DNS

	mu   sync.Mutex
	at   map[string][]string
	fail bool
}

func (d *texts) Recursive(_ context.Context, name string, kind dns.Type) facts.Answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := facts.Answer{Name: name, Type: kind, Address: "192.0.2.53:53", Status: facts.NXDomain}
	if d.fail {
		a.Status, a.Detail = facts.Temporary, "no answer"
		return a
	}
	for _, text := range d.at[name] {
		data, err := dns.Data(dns.TypeTXT, quoted(text), "")
		if err != nil {
			panic(err)
		}
		a.Status = facts.Found
		a.Records = append(a.Records, dns.Record{Name: name + ".", Type: dns.TypeTXT, Data: data})
	}
	return a
}

// quoted cuts a text where some DNS hosts do.
func quoted(text string) string {
	if len(text) > 200 {
		return `"` + text[:200] + `" "` + text[200:] + `"`
	}
	return `"` + text + `"`
}

func (d *texts) set(name string, list ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at[name] = list
}

// signed is a world whose domain ann.example is hosted here, and bob.example elsewhere.
type signed struct {
	*world

	dns  *texts
	keys *keyring
}

// keyring remembers which domains' keys were forgotten.
type keyring struct{ names []string }

func (k *keyring) Forget(domains ...string) { k.names = append(k.names, domains...) }

func newSigned(t *testing.T) *signed {
	t.Helper()
	m := controltest.NewMemory()
	o := controltest.Options(m)
	w := &signed{dns: &texts{at: map[string][]string{}}, keys: &keyring{}}
	o.DNS, o.Keyring, o.Hold = w.dns, w.keys, 5*24*time.Hour
	w.world = openWorld(t, m, o)
	w.m.Hosted["ann.example"] = zone.Zone{Domain: "ann.example", Account: w.annID, Serial: 1, Records: w.fresh(t)}
	hosted := "hosted"
	w.ok(w.PlanDomainSet(t.Context(), control.Operator(), "ann.example", control.DomainSettings{Zone: &hosted}))
	w.box("box@ann.example")
	return w
}

func (w *signed) fresh(t *testing.T) []dns.Record {
	t.Helper()
	z, err := zone.Fresh("ann.example", w.annID, []string{"ns1.host.example", "ns2.host.example"}, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	return z.Records
}

// inZone gives the texts at a key's name in the zone of ann.example.
func (w *signed) inZone(selector string) []string {
	a := facts.Answer{Records: zone.RRset(w.m.Hosted["ann.example"].Records, selector+"._domainkey.ann.example.", dns.TypeTXT)}
	return a.Texts()
}

// key is a domain's key of an algorithm, the one made last.
func (w *signed) key(domain string, a dkimkey.Algorithm) dkimkey.Key {
	w.t.Helper()
	var out dkimkey.Key
	for _, k := range w.m.Keys[domain].Keys {
		if k.Algorithm == a {
			out = k
		}
	}
	if out.Selector == "" {
		w.t.Fatalf("%s has no key of %s: %+v", domain, a, w.m.Keys[domain])
	}
	return out
}

// seen has the world have the records of all keys of a domain, and looks.
func (w *signed) seen(domain string) {
	w.t.Helper()
	for _, k := range w.m.Keys[domain].Keys {
		w.dns.set(k.Owner(domain), k.Record)
	}
	w.check(domain, false)
}

func (w *signed) check(domain string, needed bool) (time.Duration, bool) {
	w.t.Helper()
	again, made, err := w.CheckDKIM(w.t.Context(), domain, needed)
	if err != nil {
		w.t.Fatal(err)
	}
	return again, made
}

func (w *signed) on(domain string) {
	w.t.Helper()
	w.ok(w.PlanDKIMOn(w.t.Context(), control.Operator(), domain, control.DKIMSpec{}))
}

func (w *signed) states(domain string) string {
	var out []string
	for _, k := range w.m.Keys[domain].Keys {
		out = append(out, string(k.Algorithm)+" "+string(k.State))
	}
	return strings.Join(out, ", ")
}

func TestKeysOfAHostedZoneArePublishedAndSignOnceTheWorldHasThem(t *testing.T) {
	t.Parallel()
	w := newSigned(t)
	ctx := t.Context()
	p, err := w.PlanDKIMOn(ctx, w.ann, "ann.example", control.DKIMSpec{})
	if err != nil || p.Asks {
		t.Errorf("%+v %v", p, err)
	}
	w.by(w.ann, p, err)
	rsaKey, edKey := w.key("ann.example", dkimkey.RSA), w.key("ann.example", dkimkey.Ed25519)
	for _, k := range []dkimkey.Key{rsaKey, edKey} {
		if got := w.inZone(k.Selector); len(got) != 1 || got[0] != k.Record || !strings.HasPrefix(k.Record, "v=DKIM1; k="+string(k.Algorithm)+"; p=") {
			t.Errorf("the zone has %q for %s", got, k.Selector)
		}
	}
	if len(rsaKey.Record) < 400 || w.states("ann.example") != "rsa published, ed25519 published" {
		t.Errorf("%d octets of record, %s", len(rsaKey.Record), w.states("ann.example"))
	}
	status, err := w.DKIM(ctx, w.ann, "ann.example")
	if err != nil || !status.On || !status.Hosted || status.Records[0].World != "unpublished" || len(status.Records[0].Strings) != 2 ||
		strings.Join(status.Records[0].Strings, "") != rsaKey.Record || !strings.Contains(status.Records[0].Line, `" "`) {
		t.Errorf("%+v %v", status, err)
	}
	if again, _ := w.check("ann.example", false); again != time.Minute || w.states("ann.example") != "rsa published, ed25519 published" {
		t.Errorf("before the world has them: again %v, %s", again, w.states("ann.example"))
	}
	w.keys.names = nil
	w.seen("ann.example")
	if w.states("ann.example") != "rsa active, ed25519 active" || strings.Join(w.keys.names, " ") != "ann.example" {
		t.Errorf("%s, forgotten %v", w.states("ann.example"), w.keys.names)
	}
	if e := w.m.Entries[len(w.m.Entries)-1]; e.Action != "dkim set" || e.Actor != "system" || strings.Contains(e.After, "seal") {
		t.Errorf("%+v", e)
	}
	if again, _ := w.check("ann.example", false); again != time.Hour || len(w.m.Found) != 0 {
		t.Errorf("again %v, found %v", again, w.m.Found)
	}
	version := w.m.Version
	w.check("ann.example", false)
	if w.m.Version != version {
		t.Error("a look that sees nothing new changes something")
	}
}

func TestKeysAreReplacedWithoutAGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newSigned(t)
		ctx := t.Context()
		w.on("ann.example")
		w.seen("ann.example")
		old := w.key("ann.example", dkimkey.RSA)
		w.ok(w.PlanDKIMRotate(ctx, control.Operator(), "ann.example"))
		if _, err := w.PlanDKIMRotate(ctx, control.Operator(), "ann.example"); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("twice at once: %v", err)
		}
		w.seen("ann.example")
		if got := w.states("ann.example"); got != "rsa active, ed25519 active, rsa published, ed25519 published" {
			t.Errorf("while somebody may remember that there is no record: %s", got)
		}
		time.Sleep(time.Hour)
		w.check("ann.example", false)
		if got := w.states("ann.example"); got != "rsa retired, ed25519 retired, rsa active, ed25519 active" {
			t.Errorf("after an hour: %s", got)
		}
		if k := w.m.Keys["ann.example"].Keys[0]; k.Sealed != nil || len(w.inZone(old.Selector)) != 1 {
			t.Errorf("the retired key: %+v, in the zone %v", k, w.inZone(old.Selector))
		}
		time.Sleep(12*24*time.Hour - time.Minute)
		w.check("ann.example", false)
		if len(w.inZone(old.Selector)) != 1 {
			t.Error("the old record goes before its time")
		}
		time.Sleep(time.Hour)
		w.check("ann.example", false)
		if got := w.states("ann.example"); got != "rsa active, ed25519 active" || len(w.inZone(old.Selector)) != 0 {
			t.Errorf("after 12 days: %s, %v", got, w.inZone(old.Selector))
		}
	})
}

func TestKeysAreReplacedByTheirAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newSigned(t)
		ctx, days := t.Context(), 30
		if _, err := w.PlanDKIMOn(ctx, w.ann, "ann.example", control.DKIMSpec{Rotate: new(29)}); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("29 days: %v", err)
		}
		w.ok(w.PlanDKIMOn(ctx, control.Operator(), "ann.example", control.DKIMSpec{Algorithms: "ed25519", Rotate: &days}))
		w.seen("ann.example")
		time.Sleep(29 * 24 * time.Hour)
		w.check("ann.example", false)
		if got := w.states("ann.example"); got != "ed25519 active" {
			t.Errorf("after 29 days: %s", got)
		}
		time.Sleep(24 * time.Hour)
		w.check("ann.example", false)
		w.check("ann.example", false)
		if got := w.states("ann.example"); got != "ed25519 active, ed25519 published" {
			t.Errorf("after 30 days: %s", got)
		}
	})
}

func TestKeysAreMadeWhereSomebodyMaySend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newSigned(t)
		if again, made := w.check("ann.example", false); made || again != time.Minute {
			t.Errorf("made at once: %v %v", again, made)
		}
		if _, made := w.check("bob.example", true); made || len(w.m.Keys) != 0 {
			t.Error("keys are made for a domain as which nobody may send")
		}
		if _, made := w.check("ann.example", true); !made || w.states("ann.example") != "rsa published, ed25519 published" {
			t.Errorf("needed, and not made: %s", w.states("ann.example"))
		}
		w.box("box@bob.example")
		time.Sleep(2 * time.Minute)
		if _, made := w.check("bob.example", false); !made {
			t.Error("not made after a while")
		}
		w.ok(w.PlanDKIMOff(t.Context(), control.Operator(), "bob.example"))
		if _, made := w.check("bob.example", true); made || len(w.m.Keys["bob.example"].Keys) != 0 {
			t.Errorf("made although it is off: %s", w.states("bob.example"))
		}
	})
}

func TestWhatTheWorldHasInThePlaceOfAKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newSigned(t)
		w.ok(w.PlanDKIMOn(t.Context(), control.Operator(), "bob.example", control.DKIMSpec{Algorithms: "rsa"}))
		k := w.key("bob.example", dkimkey.RSA)
		public, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		other, err := proto.MakeRecord(public.Public())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			texts []string
			found finding.Name
			world string
		}{
			{nil, "", "unpublished"}, // it is new
			{[]string{k.Record[:255]}, finding.DKIMTruncated, "truncated"},
			{[]string{other}, finding.DKIMWrong, "other-key"},
			{[]string{"v=DKIM1; p="}, finding.DKIMWrong, "revoked"},
			{[]string{"v=spf1 -all"}, "", "unpublished"},
			{[]string{k.Record, k.Record}, finding.DKIMWrong, "several"},
			{[]string{strings.Replace(k.Record, "; p=", ";\tt=s; p=", 1)}, "", "published"},
		} {
			w.dns.set(k.Owner("bob.example"), c.texts...)
			w.check("bob.example", false)
			status, err := w.DKIM(t.Context(), w.bob, "bob.example")
			if err != nil || status.Records[0].World != c.world {
				t.Errorf("%q: %+v %v", c.texts, status.Records, err)
			}
			if c.found == "" && len(w.m.Found) != 0 || c.found != "" && (len(w.m.Found) != 1 || w.m.Found[0].Name != c.found) {
				t.Errorf("%q: found %+v", c.texts, w.m.Found)
			}
			if want := map[bool]string{true: "rsa active", false: "rsa published"}[c.world == "published"]; w.states("bob.example") != want {
				t.Errorf("%q: %s", c.texts, w.states("bob.example"))
			}
		}
		w.dns.set(k.Owner("bob.example"))
		w.dns.set(k.Owner("bob.example")+".bob.example", k.Record)
		w.check("bob.example", false)
		if len(w.m.Found) != 1 || w.m.Found[0].Name != finding.DKIMNotPublished || !strings.Contains(w.m.Found[0].Evidence, "stands at "+k.Owner("bob.example")+".bob.example") {
			t.Errorf("at another name: %+v", w.m.Found)
		}
		w.dns.set(k.Owner("bob.example"), k.Record)
		w.check("bob.example", false)
		w.dns.fail = true
		w.check("bob.example", false)
		if len(w.m.Found) != 0 || w.states("bob.example") != "rsa active" {
			t.Errorf("DNS is down: %v, %s", w.m.Found, w.states("bob.example"))
		}
		w.dns.fail = false
		w.dns.set(k.Owner("bob.example"))
		time.Sleep(2 * time.Hour)
		w.check("bob.example", false)
		if len(w.m.Found) != 1 || w.m.Found[0].Name != finding.DKIMNotPublished || w.states("bob.example") != "rsa active" {
			t.Errorf("its record is gone: %v, %s", w.m.Found, w.states("bob.example"))
		}
	})
}

func TestARecordThatSomebodyRemovesComesBackAndOneThatSomebodyWritesStays(t *testing.T) {
	t.Parallel()
	w := newSigned(t)
	w.on("ann.example")
	w.seen("ann.example")
	k := w.key("ann.example", dkimkey.Ed25519)
	owner := k.Selector + "._domainkey"
	w.ok(w.PlanRecordRemove(t.Context(), control.Operator(), "ann.example", control.RecordSpec{Owner: owner, Type: "TXT"}))
	w.check("ann.example", false)
	if got := w.inZone(k.Selector); len(got) != 1 || got[0] != k.Record {
		t.Errorf("removed: %q", got)
	}
	w.ok(w.PlanRecordEdit(t.Context(), control.Operator(), "ann.example", "", control.RecordSpec{Owner: owner, Type: "TXT", Data: `"v=DKIM1; p="`}))
	w.check("ann.example", false)
	if got := w.inZone(k.Selector); len(got) != 1 || got[0] != "v=DKIM1; p=" {
		t.Errorf("written: %q", got)
	}
}

func TestOffAndRemove(t *testing.T) {
	t.Parallel()
	w := newSigned(t)
	ctx := t.Context()
	w.on("ann.example")
	w.seen("ann.example")
	k := w.key("ann.example", dkimkey.RSA)
	p, err := w.PlanDKIMRemove(ctx, w.ann, "ann.example", k.Selector)
	if err != nil || !p.Asks || len(p.Warnings) != 1 {
		t.Errorf("%+v %v", p, err)
	}
	w.by(w.ann, p, err)
	if w.states("ann.example") != "ed25519 active" || len(w.inZone(k.Selector)) != 0 {
		t.Errorf("%s, %v", w.states("ann.example"), w.inZone(k.Selector))
	}
	p, err = w.PlanDKIMOff(ctx, w.ann, "ann.example")
	if err != nil || !p.Asks {
		t.Errorf("%+v %v", p, err)
	}
	w.by(w.ann, p, err)
	ed := w.key("ann.example", dkimkey.Ed25519)
	if w.states("ann.example") != "ed25519 retired" || len(w.inZone(ed.Selector)) != 1 {
		t.Errorf("%s, %v", w.states("ann.example"), w.inZone(ed.Selector))
	}
	if p, err := w.PlanDKIMOff(ctx, w.ann, "ann.example"); err != nil || !p.Empty() {
		t.Errorf("twice: %+v %v", p, err)
	}
	if _, err := w.PlanDKIMRotate(ctx, w.ann, "ann.example"); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("rotate: %v", err)
	}
	w.on("ann.example")
	if got := w.states("ann.example"); got != "ed25519 retired, rsa published, ed25519 published" {
		t.Errorf("on again: %s", got)
	}
	w.ok(w.PlanDKIMOn(ctx, control.Operator(), "ann.example", control.DKIMSpec{Algorithms: "rsa"}))
	if got := w.states("ann.example"); got != "ed25519 retired, rsa published" {
		t.Errorf("with rsa alone: %s", got)
	}
}

func TestAKeyFromAnotherHost(t *testing.T) {
	t.Parallel()
	w := newSigned(t)
	ctx := t.Context()
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	inPEM := func(kind string, der []byte) *control.Secret {
		return control.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ed)
	if err != nil {
		t.Fatal(err)
	}
	for text, secret := range map[string]*control.Secret{
		"": nil, "not PEM": control.NewSecret("x"), "a certificate": inPEM("CERTIFICATE", pkcs8), "cut": inPEM("PRIVATE KEY", pkcs8[:20]),
	} {
		if _, err := w.PlanDKIMImport(ctx, w.ann, "ann.example", "old", secret); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, selector := range []string{"", ".", "a b", "-a", "a..b", strings.Repeat("a", 64), "a\n"} {
		if _, err := w.PlanDKIMImport(ctx, w.ann, "ann.example", selector, inPEM("PRIVATE KEY", pkcs8)); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("selector %q: %v", selector, err)
		}
	}
	w.ok(w.PlanDKIMImport(ctx, control.Operator(), "ann.example", "S2024.Old", inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(long))))
	w.ok(w.PlanDKIMImport(ctx, control.Operator(), "ann.example", "ed", inPEM("PRIVATE KEY", pkcs8)))
	if _, err := w.PlanDKIMImport(ctx, w.ann, "ann.example", "ED", inPEM("PRIVATE KEY", pkcs8)); !errors.Is(err, control.ErrExists) {
		t.Errorf("twice: %v", err)
	}
	if got := w.inZone("s2024.old"); len(got) != 1 || w.states("ann.example") != "rsa published, ed25519 published" {
		t.Errorf("%q, %s", got, w.states("ann.example"))
	}
	w.seen("ann.example")
	if w.states("ann.example") != "rsa active, ed25519 active" {
		t.Error(w.states("ann.example"))
	}
}

func TestKeysOfADomainWhoseOwnershipIsNotShown(t *testing.T) {
	t.Parallel()
	w := newSigned(t)
	w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: "inert.example", Account: "ann"}))
	if _, err := w.PlanDKIMOn(t.Context(), w.ann, "inert.example", control.DKIMSpec{}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("it says %v", err)
	}
	if _, made := w.check("inert.example", true); made {
		t.Error("keys are made")
	}
	if _, _, err := w.CheckDKIM(t.Context(), "nobody.example", true); err != nil {
		t.Errorf("a domain that is gone: %v", err)
	}
}

func TestRecordsOfKeysAreWrittenWhereAProviderIsSet(t *testing.T) {
	t.Parallel()
	w, z := newForeignWorld(t)
	ctx := t.Context()
	w.ok(w.PlanProviderSet(ctx, control.Operator(), "bob.example", control.ProviderSpec{Kind: "rfc2136", Server: "ns.far.example", Key: "key", Secret: control.NewSecret("YWFhYWFhYWFhYWFhYWFhYQ==")}))
	w.ok(w.PlanDKIMOn(ctx, control.Operator(), "bob.example", control.DKIMSpec{Algorithms: "ed25519"}))
	w.ok(w.PlanPublish(ctx, control.Operator(), "bob.example"))
	k := w.m.Keys["bob.example"].Keys[0]
	a := facts.Answer{Records: zone.RRset(z.records, k.Owner("bob.example")+".", dns.TypeTXT)}
	if got := a.Texts(); len(got) != 1 || got[0] != k.Record {
		t.Errorf("the zone has %q", got)
	}
	if p, err := w.PlanPublish(ctx, control.Operator(), "bob.example"); err != nil || !p.Empty() {
		t.Errorf("again: %+v %v", p, err)
	}
}
