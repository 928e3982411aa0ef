package signer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/dnssec"
	"postroad/internal/core/finding"
	"postroad/internal/core/seal"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
	"postroad/internal/service/signer"
)

// parent is the zone above all zones: it takes over what their CDS records ask for when register is called.
type parent struct {
	sync.Mutex
	w    *world
	ds   map[string][][]byte
	fail error
	asks int
}

const dsTTL = 24 * time.Hour

func (p *parent) DS(_ context.Context, domain string) ([][]byte, time.Duration, string, error) {
	p.Lock()
	defer p.Unlock()
	p.asks++
	return p.ds[domain], dsTTL, "ns.example", p.fail
}

// says sets what is entered for a domain.
func (p *parent) says(domain string, ds ...[]byte) {
	p.Lock()
	defer p.Unlock()
	p.ds[domain] = ds
}

// fails sets whether the parent answers, and gives how often it was asked.
func (p *parent) fails(err error) (asks int) {
	p.Lock()
	defer p.Unlock()
	p.fail = err
	return p.asks
}

func (p *parent) register() {
	for _, z := range p.w.published() {
		var ds [][]byte
		asked := false
		for _, r := range z.Signatures {
			if r.Type == dns.TypeCDS {
				if asked = true; !bytes.Equal(r.Data, []byte{0, 0, 0, 0, 0}) {
					ds = append(ds, r.Data)
				}
			}
		}
		if asked {
			p.says(z.Domain, ds...)
		}
	}
}

// world is control, a signer and a parent over memory.
type world struct {
	*control.Service
	t      *testing.T
	m      *controltest.Memory
	s      *signer.Service
	parent *parent
	box    *seal.Box
	jump   time.Duration // of the system's clock
	lock   sync.Mutex
	stop   func()
}

func (w *world) clock(begin time.Time) func() (time.Time, time.Duration) {
	return func() (time.Time, time.Duration) {
		w.lock.Lock()
		defer w.lock.Unlock()
		now := time.Now()
		return now.Add(w.jump), now.Sub(begin)
	}
}

func newWorld(t *testing.T, domains ...string) *world {
	t.Helper()
	box, err := seal.New(bytes.Repeat([]byte{7}, seal.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, m: controltest.NewMemory(), box: box, parent: &parent{ds: map[string][][]byte{}}}
	w.parent.w = w
	w.start()
	for _, name := range domains {
		yes, hosted := true, "hosted"
		w.ok(w.PlanDomainAdd(t.Context(), control.Operator(), control.DomainSpec{Name: name, DomainSettings: control.DomainSettings{Proved: &yes, Zone: &hosted}}))
	}
	return w
}

// start starts the program, or starts it again.
func (w *world) start() {
	w.t.Helper()
	if w.stop != nil {
		w.stop()
	}
	w.s = signer.New(signer.Options{
		Store: w.m, Box: w.box, Parents: w.parent, Missing: func(err error) bool { return errors.Is(err, control.ErrNotFound) }, Clock: w.clock(time.Now()),
	})
	if err := w.s.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	o := controltest.Options(w.m)
	o.Signer, o.Parents = w.s, w.s
	w.Service = control.New(o)
	if err := w.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	service := w.s
	go func() { service.Run(ctx, w.Service); close(ended) }()
	w.stop = func() {
		cancel()
		<-ended
	}
}

func (w *world) ok(p control.Plan, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("plan: %v", err)
	}
	if _, err := w.Apply(w.t.Context(), control.Operator(), p); err != nil {
		w.t.Fatalf("apply: %v", err)
	}
}

func (w *world) on(domain string, c control.DNSSECChoice) {
	w.t.Helper()
	p, err := w.PlanDNSSECOn(w.t.Context(), control.Operator(), domain, c)
	w.ok(p, err)
}

func (w *world) published() []zone.Zone {
	w.m.Lock()
	defer w.m.Unlock()
	var all []zone.Zone
	for _, z := range w.m.Answered {
		all = append(all, z)
	}
	return all
}

func (w *world) zone(domain string) zone.Zone {
	w.m.Lock()
	defer w.m.Unlock()
	return w.m.Answered[domain]
}

// believed checks what is answered for a domain as a resolver does, by the true time.
func (w *world) believed(domain string) {
	w.t.Helper()
	z := w.zone(domain)
	c := &dnssec.Content{Apex: z.Apex(), Records: z.Records, Signatures: z.Signatures}
	if err := dnssec.Verify(c, nil, time.Now()); err != nil {
		w.t.Fatalf("%v: %s: %v", time.Now(), domain, err)
	}
	w.parent.Lock()
	defer w.parent.Unlock()
	if err := dnssec.Chain(c, w.parent.ds[domain], time.Now()); err != nil {
		w.t.Fatalf("%v: %s: %v", time.Now(), domain, err)
	}
}

func (w *world) findings(domain string) string {
	list, err := w.m.Findings(w.t.Context(), control.System().Scope, domain)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, f := range list {
		if strings.HasPrefix(string(f.Name), "DNSSEC") {
			names = append(names, string(f.Name))
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (w *world) states(domain string) string {
	var out []string
	z := w.zone(domain)
	for i := range z.Signing.Keys {
		out = append(out, fmt.Sprintf("%s %s", z.Signing.Keys[i].Role, z.Signing.Keys[i].State))
	}
	return strings.Join(out, ", ")
}

func pass(d time.Duration) {
	<-time.After(d) // of the bubble
	synctest.Wait()
}

func TestFourMonthsOfSigningGoByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one.example", "two.example")
		w.on("one.example", control.DNSSECChoice{})
		w.on("two.example", control.DNSSECChoice{Scheme: "ksk-zsk", Denial: "nsec3", Algorithm: "ed25519"})
		pass(5 * time.Hour)
		w.parent.register()
		pass(time.Hour)
		for _, role := range []struct{ domain, role string }{{"one.example", ""}, {"two.example", "ksk"}} {
			p, err := w.PlanDNSSECRoll(t.Context(), control.Operator(), role.domain, role.role)
			w.ok(p, err)
		}
		for day := range 120 {
			pass(24 * time.Hour)
			w.believed("one.example")
			w.believed("two.example")
			if day%9 == 8 {
				w.parent.register()
			}
			if day == 40 {
				w.start() // the program was started again
			}
		}
		if got := w.states("one.example"); got != "csk removed, csk active" {
			t.Errorf("keys of one.example: %s", got)
		}
		if got := w.states("two.example"); got != "ksk removed, zsk removed, ksk active, zsk active" {
			t.Errorf("keys of two.example: %s", got)
		}
		if f := w.findings(""); f != "" {
			t.Errorf("findings %s", f)
		}
		w.m.Lock()
		if n := len(w.m.Secrets); n != 4 { // one active, two active, and the zone signing key that was removed less than a month ago
			t.Errorf("%d private parts are kept: %+v", n, w.m.Secrets)
		}
		for _, e := range w.m.Entries {
			if strings.Contains(e.Before+e.After, "PRIVATE") || e.Action == "" {
				t.Errorf("audit entry %+v", e)
			}
		}
		if n := len(w.m.Entries); n > 40 {
			t.Errorf("%d audit entries: renewals are written down", n)
		}
		w.m.Unlock()
		w.stop()
	})
}

func TestAParentThatIsNotHeardHoldsARollOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one.example")
		w.on("one.example", control.DNSSECChoice{})
		pass(5 * time.Hour)
		w.parent.register()
		pass(7 * time.Hour)
		p, err := w.PlanDNSSECRoll(t.Context(), control.Operator(), "one.example", "")
		w.ok(p, err)
		pass(6 * time.Hour)
		w.parent.register()
		pass(time.Hour)
		w.parent.fails(errors.New("no answer"))
		pass(20 * 24 * time.Hour)
		if got := w.states("one.example"); got != "csk retired, csk active" {
			t.Errorf("while the parent is not heard: %s", got)
		}
		if asks := w.parent.fails(nil); asks > 2000 {
			t.Errorf("the parent was asked %d times", asks)
		}
		pass(8 * time.Hour)
		if got := w.states("one.example"); got != "csk removed, csk active" {
			t.Errorf("when it is heard again: %s", got)
		}
		w.believed("one.example")
		w.stop()
	})
}

func TestAStaleDSIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one.example")
		w.on("one.example", control.DNSSECChoice{})
		w.parent.says("one.example", append([]byte{0x12, 0x34, 13, 2}, make([]byte, 32)...))
		pass(7 * time.Hour)
		if f := w.findings("one.example"); f != "DNSSEC_DS_STALE" {
			t.Errorf("findings %q", f)
		}
		status, err := w.DNSSEC(t.Context(), control.Operator(), "one.example")
		if err != nil || status.Parent.State != "stale" || status.Parent.Finding != finding.DNSSECDSStale {
			t.Errorf("%+v, %v", status, err)
		}
		w.parent.register()
		pass(7 * time.Hour)
		if f := w.findings("one.example"); f != "" {
			t.Errorf("findings %q after it was mended", f)
		}
		w.stop()
	})
}

func TestALostKeyKeepsWhatWasSignedAndRaisesTheAlarm(t *testing.T) {
	for name, lose := range map[string]func(k *dnssec.SealedKey) bool{
		"missing": func(*dnssec.SealedKey) bool { return false },
		"damaged": func(k *dnssec.SealedKey) bool { k.Sealed[len(k.Sealed)/2] ^= 1; return true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "one.example")
				w.on("one.example", control.DNSSECChoice{})
				pass(5 * time.Hour)
				w.parent.register()
				w.m.Lock()
				for id, k := range w.m.Secrets {
					k.Sealed = bytes.Clone(k.Sealed)
					delete(w.m.Secrets, id)
					if lose(&k) {
						w.m.Secrets[id] = k
					}
				}
				w.m.Unlock()
				w.start() // what was open in memory is forgotten
				before := w.zone("one.example")
				pass(2 * time.Minute)
				if f := w.findings("one.example"); f != "DNSSEC_KEY_UNUSABLE" {
					t.Errorf("findings %q", f)
				}
				p, err := w.PlanDomainSet(t.Context(), control.Operator(), "one.example", control.DomainSettings{Proved: new(bool)})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Apply(t.Context(), control.Operator(), p); !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), "private part") {
					t.Errorf("applied: %v", err)
				}
				pass(8 * 24 * time.Hour)
				if z := w.zone("one.example"); z.Serial != before.Serial || len(z.Signatures) != len(before.Signatures) || len(z.Signatures) == 0 {
					t.Errorf("answered: serial %d with %d signatures", z.Serial, len(z.Signatures))
				}
				if f := w.findings("one.example"); f != "DNSSEC_KEY_UNUSABLE DNSSEC_SIG_EXPIRING" {
					t.Errorf("a week before the signatures run out: findings %q", f)
				}
				w.stop()
			})
		})
	}
}

func TestAPublishedZoneThatIsDamagedIsSignedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one.example")
		w.on("one.example", control.DNSSECChoice{})
		w.m.Lock()
		z := w.m.Hosted["one.example"]
		z.Signatures = slices.Clone(z.Signatures)
		for i, r := range z.Signatures {
			if r.Type == dns.TypeRRSIG {
				z.Signatures[i].Data = bytes.Clone(r.Data)
				z.Signatures[i].Data[len(r.Data)-1] ^= 1
				break
			}
		}
		w.m.Hosted["one.example"] = z
		w.m.Unlock()
		w.start()
		pass(10 * time.Minute)
		w.believed("one.example")
		if f := w.findings("one.example"); f != "" {
			t.Errorf("findings %q", f)
		}
		w.stop()
	})
}

func TestAClockThatJumpsSpoilsNothing(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for name, jump := range map[string]time.Duration{"an hour ahead": 59 * time.Minute, "an hour behind": -59 * time.Minute, "ten years ahead": 10 * year, "ten years behind": -10 * year} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "one.example")
				w.on("one.example", control.DNSSECChoice{})
				pass(5 * time.Hour)
				w.parent.register()
				pass(time.Hour)
				before := w.zone("one.example")
				w.lock.Lock()
				w.jump = jump
				w.lock.Unlock()
				pass(time.Hour)
				if z := w.zone("one.example"); z.Serial != before.Serial {
					t.Errorf("signed anew because of the clock: serial %d after %d", z.Serial, before.Serial)
				}
				for range 20 {
					pass(24 * time.Hour)
					w.believed("one.example")
				}
				hosted := "external"
				p, err := w.PlanDomainSet(t.Context(), control.Operator(), "one.example", control.DomainSettings{Zone: &hosted})
				w.ok(p, err)
				hosted = "hosted"
				p, err = w.PlanDomainSet(t.Context(), control.Operator(), "one.example", control.DomainSettings{Zone: &hosted})
				w.ok(p, err)
				w.believed("one.example")
				if jump.Abs() > year {
					w.start() // by what was noted, the clock is known to be wrong
					pass(24 * time.Hour)
					w.believed("one.example")
				}
				w.stop()
			})
		})
	}
}

func TestOneZoneThatCannotBeSignedHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 8 {
			names = append(names, fmt.Sprintf("d%d.example", i))
		}
		w := newWorld(t, names...)
		p, err := w.PlanDNSSECOn(t.Context(), control.Operator(), "", control.DNSSECChoice{})
		w.ok(p, err)
		w.m.Lock()
		for id, k := range w.m.Secrets {
			if k.Domain == "d3.example" {
				delete(w.m.Secrets, id)
			}
		}
		w.m.Unlock()
		w.start()
		pass(20 * 24 * time.Hour)
		for _, name := range names {
			if name != "d3.example" {
				w.believed(name)
			}
		}
		if f := w.findings("d3.example"); f != "DNSSEC_BOGUS DNSSEC_KEY_UNUSABLE DNSSEC_SIG_EXPIRING" {
			t.Errorf("findings %q", f)
		}
		w.stop()
	})
}

func TestGoingInsecure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "one.example")
		w.on("one.example", control.DNSSECChoice{})
		pass(5 * time.Hour)
		w.parent.register()
		pass(7 * time.Hour)
		off := func(withdraw bool) control.Plan {
			t.Helper()
			p, err := w.PlanDNSSECOff(t.Context(), control.Operator(), "one.example", withdraw)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		if p := off(false); len(p.Warnings) != 1 || !p.Asks || !strings.HasPrefix(p.Warnings[0], "DNSSEC_DS_STALE: ") {
			t.Errorf("while the parent has the DS: %+v", p)
		}
		w.ok(off(true), nil)
		w.believed("one.example")
		w.parent.register()
		pass(time.Hour)
		if p := off(false); len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "caches may have it until") {
			t.Errorf("while caches have the DS: %+v", p)
		}
		pass(25 * time.Hour)
		p := off(false)
		if len(p.Warnings) != 0 {
			t.Errorf("when nobody has it: %+v", p)
		}
		w.ok(p, nil)
		if z := w.zone("one.example"); len(z.Signatures) != 0 || z.Signing != nil {
			t.Errorf("signed still: %+v", z)
		}
		pass(7 * time.Hour)
		if f := w.findings(""); f != "" {
			t.Errorf("findings %q", f)
		}
		w.stop()
	})
}
