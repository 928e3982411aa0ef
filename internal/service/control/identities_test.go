package control_test

import (
	"context"
	"errors"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// letters remembers what was posted.
type letters struct {
	list []control.Letter
	fail error
}

func (l *letters) Post(_ context.Context, letter control.Letter) error {
	l.list = append(l.list, letter)
	return l.fail
}

var codeForm = regexp.MustCompile(`[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}`)

// code is the one of the last letter.
func (l *letters) code() string { return codeForm.FindString(l.list[len(l.list)-1].Text) }

// many answers questions of any type, by "name TYPE".
type many struct {
	texts

	answers map[string]string
}

func (m *many) Recursive(_ context.Context, name string, kind dns.Type) facts.Answer {
	a := facts.Answer{Name: name, Type: kind, Status: facts.NXDomain}
	text, there := m.answers[name+" "+kind.String()]
	if text == "down" {
		a.Status, a.Detail = facts.Temporary, "no answer"
		return a
	}
	if there {
		data, err := dns.Data(kind, text, "")
		if err != nil {
			panic(err)
		}
		a.Status, a.Records = facts.Found, []dns.Record{{Name: name + ".", Type: kind, Data: data}}
	}
	return a
}

func newIdentities(t *testing.T) (*world, *letters, *many) {
	t.Helper()
	m, l, d := controltest.NewMemory(), &letters{}, &many{answers: map[string]string{}}
	o := controltest.Options(m)
	o.Post, o.DNS, o.Addresses = l, d, []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("127.0.0.1")}
	w := openWorld(t, m, o)
	w.box("box@ann.example")
	w.box("box@bob.example")
	return w, l, d
}

func (w *world) sendsAs(address string) bool {
	w.t.Helper()
	a, err := smtp.ParseAddress(address, true)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.Directory().Owns("box@ann.example", a, time.Now())
}

func TestAnIdentityIsConfirmedByACodeThatWasMailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, l, _ := newIdentities(t)
		ctx := t.Context()
		if p, err := w.PlanIdentityAdd(ctx, w.ann, "box@ann.example", "Ann@Far.example"); err != nil || p.Asks || len(l.list) != 0 {
			t.Errorf("a plan alone: %+v %v, %d letters", p, err, len(l.list))
		}
		p, err := w.PlanIdentityAdd(ctx, w.ann, "box@ann.example", "Ann@Far.example")
		w.by(w.ann, p, err)
		if len(l.list) != 1 || l.list[0].To != "ann@far.example" || l.list[0].Account != w.annID || l.code() == "" || w.sendsAs("ann@far.example") {
			t.Fatalf("%+v", l.list)
		}
		for _, e := range w.m.Entries {
			if bare := strings.ReplaceAll(l.code(), "-", ""); strings.Contains(e.After, bare) || strings.Contains(e.After, l.code()) {
				t.Errorf("the audit log has the code: %s", e.After)
			}
		}
		if _, err := w.PlanIdentityAdd(ctx, w.ann, "box@ann.example", "ann@far.example"); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("again at once: %v", err)
		}
		// A letter that is compared as another one gets no code in that one's place.
		if p, err := w.PlanIdentityAdd(ctx, w.ann, "box@ann.example", "\u212aim@far.example"); err != nil || p.Letters[0].To != "kim@far.example" {
			t.Errorf("%v %+v", err, p.Letters)
		}
		for _, wrong := range []string{"", "x", "aaaa-aaaa-aaaa", l.code()[1:]} {
			if _, err := w.PlanIdentityConfirm(ctx, w.ann, "box@ann.example", "ann@far.example", wrong); !errors.Is(err, control.ErrDenied) {
				t.Errorf("code %q: %v", wrong, err)
			}
		}
		first := l.code()
		time.Sleep(11 * time.Minute)
		w.ok(w.PlanIdentityAdd(ctx, control.Operator(), "box@ann.example", "ann@far.example"))
		if _, err := w.PlanIdentityConfirm(ctx, w.ann, "box@ann.example", "ann@far.example", first); !errors.Is(err, control.ErrDenied) {
			t.Errorf("the code before: %v", err)
		}
		w.ok(w.PlanIdentityConfirm(ctx, control.Operator(), "box@ann.example", "ann@far.example", " "+strings.ToUpper(strings.ReplaceAll(l.code(), "-", " "))))
		if !w.sendsAs("ann@far.example") || w.sendsAs("x@far.example") {
			t.Error("it does not send as its identity alone")
		}
		if _, err := w.PlanIdentityConfirm(ctx, w.ann, "box@ann.example", "ann@far.example", l.code()); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("the code a second time: %v", err)
		}
		if _, err := w.PlanIdentityAdd(ctx, w.ann, "box@ann.example", "ann@far.example"); !errors.Is(err, control.ErrExists) {
			t.Errorf("it is proved: %v", err)
		}
		time.Sleep(340 * 24 * time.Hour)
		w.ok(w.PlanIdentityAdd(ctx, control.Operator(), "box@ann.example", "ann@far.example")) // renewed before its end
		if !w.sendsAs("ann@far.example") {
			t.Error("while it is renewed it does not send")
		}
		time.Sleep(26 * 24 * time.Hour)
		list, err := w.Identities(w.ann, "")
		if w.sendsAs("ann@far.example") || err != nil || len(list) != 1 || list[0].State != "expired" {
			t.Errorf("after a year: %+v %v", list, err)
		}
		if _, err := w.PlanIdentityConfirm(ctx, w.ann, "box@ann.example", "ann@far.example", l.code()); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("a code after its day: %v", err)
		}
		w.ok(w.PlanIdentityRemove(ctx, control.Operator(), "box@ann.example", "ann@far.example"))
		if list, err := w.Identities(w.ann, "box@ann.example"); err != nil || len(list) != 0 || len(w.m.Identities) != 0 {
			t.Errorf("removed: %+v %v", list, err)
		}
	})
}

func TestAnIdentityOfTheAccountsOwnDomainNeedsNoCode(t *testing.T) {
	t.Parallel()
	w, l, _ := newIdentities(t)
	ctx, yes := t.Context(), true
	w.ok(w.PlanDomainAdd(ctx, control.Operator(), control.DomainSpec{Name: "primary.example", Account: "ann", DomainSettings: control.DomainSettings{Proved: &yes}}))
	p, err := w.PlanIdentityAdd(ctx, w.ann, "box@ann.example", "ann@primary.example")
	w.by(w.ann, p, err)
	if len(l.list) != 0 || !w.sendsAs("ann@primary.example") {
		t.Errorf("letters %v", l.list)
	}
	if p, err := w.PlanIdentityAdd(ctx, w.ann, "box@ann.example", "ann@primary.example"); err != nil || !p.Empty() {
		t.Errorf("again: %+v %v", p, err)
	}
	w.ok(w.PlanDomainRemove(ctx, control.Operator(), "primary.example"))
	if list, err := w.Identities(w.ann, ""); w.sendsAs("ann@primary.example") || err != nil || list[0].State != "void" {
		t.Errorf("without the domain: %+v %v", list, err)
	}
}

func TestNobodySendsAsAnotherAccountsDomain(t *testing.T) {
	t.Parallel()
	w, l, _ := newIdentities(t)
	ctx := t.Context()
	for _, address := range []string{"ann@bob.example", "ann@BOB.example", "ann@mail.bob.example", "ann@mx.host.example"} {
		if _, err := w.PlanIdentityAdd(ctx, w.ann, "box@ann.example", address); !errors.Is(err, control.ErrDenied) && !strings.Contains(address, "mx.host") {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"", "x", "x@[192.0.2.1]", "box@ann.example", "box+x@ann.example", "a\r\nb@far.example"} {
		if _, err := w.PlanIdentityAdd(ctx, w.ann, "box@ann.example", address); !errors.Is(err, control.ErrInvalid) && !errors.Is(err, control.ErrExists) {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := w.PlanIdentityAdd(ctx, w.bob, "box@ann.example", "x@far.example"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("for another account's mailbox: %v", err)
	}
	// A domain that becomes another account's between the code and its confirmation.
	w.ok(w.PlanIdentityAdd(ctx, control.Operator(), "box@ann.example", "ann@late.example"))
	yes := true
	w.ok(w.PlanDomainAdd(ctx, control.Operator(), control.DomainSpec{Name: "late.example", Account: "bob", DomainSettings: control.DomainSettings{Proved: &yes}}))
	if _, err := w.PlanIdentityConfirm(ctx, w.ann, "box@ann.example", "ann@late.example", l.code()); !errors.Is(err, control.ErrDenied) {
		t.Errorf("it says %v", err)
	}
}

func TestCodesAreNotMailedWithoutEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, l, _ := newIdentities(t)
		ctx, refused := t.Context(), 0
		for n := range 30 {
			p, err := w.PlanIdentityAdd(ctx, w.ann, "box@ann.example", "victim"+string(rune('a'+n))+"@far.example")
			if err != nil {
				refused++
				continue
			}
			w.by(w.ann, p, nil)
		}
		if len(l.list) != 20 || refused != 10 {
			t.Errorf("%d letters, %d refused", len(l.list), refused)
		}
		w.ok(w.PlanIdentityRemove(ctx, control.Operator(), "box@ann.example", "victima@far.example"))
		w.ok(w.PlanIdentityAdd(ctx, control.Operator(), "box@bob.example", "other@far.example"))
		if _, err := w.PlanIdentityAdd(ctx, w.bob, "box@bob.example", "victima@far.example"); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("the same address from another account: %v", err)
		}
		time.Sleep(2 * time.Hour)
		w.ok(w.PlanIdentityAdd(ctx, control.Operator(), "box@ann.example", "victima@far.example"))
		l.fail = errors.New("no way")
		p, err := w.PlanIdentityAdd(ctx, w.bob, "box@bob.example", "unreachable@far.example")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Apply(ctx, w.bob, p); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("a letter that cannot be sent: %v", err)
		}
	})
}

func TestWhetherADomainAuthorisesItsIdentities(t *testing.T) {
	t.Parallel()
	w, l, d := newIdentities(t)
	ctx := t.Context()
	for _, c := range []struct {
		name, spf, exchanger string
		says                 string // of the plan
		found                bool
		again                time.Duration
	}{
		{"none", "", "", "IDENTITY_NOT_AUTHORISED: SPF of far.example for 203.0.113.5: none", true, 6 * time.Hour},
		{"covered by address", `"v=spf1 ip4:203.0.113.0/24 -all"`, "", "can believe it: SPF of far.example covers", false, 6 * time.Hour},
		{"not covered", `"v=spf1 a:www.far.example -all"`, "", "203.0.113.5: fail by -all", true, 6 * time.Hour},
		{"DNS is down", "down", "", "is not known", true, time.Hour},
		{"covered by its exchanger", `"v=spf1 mx -all"`, "mail.far.example.", "can believe it", false, 6 * time.Hour},
	} {
		d.answers["far.example TXT"] = c.spf
		if c.spf == "" {
			delete(d.answers, "far.example TXT")
		}
		d.answers["mail.far.example A"] = "203.0.113.5"
		if c.exchanger != "" {
			d.answers["far.example MX"] = "10 " + c.exchanger
		}
		if c.name == "none" {
			w.ok(w.PlanIdentityAdd(ctx, control.Operator(), "box@ann.example", "ann@far.example"))
			p, err := w.PlanIdentityConfirm(ctx, w.ann, "box@ann.example", "ann@far.example", l.code())
			w.by(w.ann, p, err)
			if text := strings.Join(p.Sentences, " "); !strings.Contains(text, c.says) || !strings.Contains(text, "ip4:203.0.113.5") || strings.Contains(text, "127.0.0.1") {
				t.Errorf("%s: %s", c.name, text)
			}
		} else if p, err := w.PlanIdentityAdd(ctx, w.ann, "box@ann.example", c.name[:3]+"@far.example"); err != nil || !strings.Contains(strings.Join(p.Sentences, " "), c.says) {
			t.Errorf("%s: %v %v", c.name, p.Sentences, err)
		}
		again, err := w.CheckIdentities(ctx, "ann.example")
		if err != nil || again != c.again || (len(w.m.Found) == 1) != c.found {
			t.Errorf("%s: again %v, %v, found %+v", c.name, again, err, w.m.Found)
		}
		if c.found && (w.m.Found[0].Name != finding.IdentityNotAuthorised || w.m.Found[0].Domain != "ann.example" || !strings.Contains(w.m.Found[0].Evidence, "ann@far.example: SPF")) {
			t.Errorf("%s: %+v", c.name, w.m.Found)
		}
	}
	// A key of the domain that signs here is enough.
	yes := true
	w.ok(w.PlanDomainAdd(ctx, control.Operator(), control.DomainSpec{Name: "far.example", Account: "ann", DomainSettings: control.DomainSettings{Proved: &yes, Mode: new(string(directory.ModeRemote)), NextHops: &[]string{"real.far.example:25"}}}))
	d.answers["far.example TXT"] = `"v=spf1 -all"`
	if _, err := w.CheckIdentities(ctx, "ann.example"); err != nil || len(w.m.Found) != 1 {
		t.Errorf("without a key: %v, %+v", err, w.m.Found)
	}
	w.ok(w.PlanDKIMOn(ctx, control.Operator(), "far.example", control.DKIMSpec{Algorithms: "ed25519"}))
	k := w.m.Keys["far.example"].Keys[0]
	d.answers[k.Owner("far.example")+" TXT"] = `"` + k.Record + `"`
	w.ok(w.PlanDKIMActivate(ctx, control.Operator(), "far.example"))
	if _, err := w.CheckIdentities(ctx, "ann.example"); err != nil || len(w.m.Found) != 0 {
		t.Errorf("with a key: %v, %+v", err, w.m.Found)
	}
}
