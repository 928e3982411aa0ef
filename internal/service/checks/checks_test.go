package checks_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/routing"
	"postroad/internal/proto/dns"
	"postroad/internal/service/checks"
)

// world is what the service looks at.
type world struct {
	mu       sync.Mutex
	domains  map[string]directory.Domain
	mx       map[string]string // by domain: hosts in order, "fail", or nothing for no such domain
	switches []string
	found    map[string]bool
	looks    map[string]int
	ns       time.Duration // TTL of NS records; 0: there are none
	mxTTL    time.Duration // 0: five minutes
	ttls     []string
	busy     int
	most     int
}

func start(t *testing.T, domains ...directory.Domain) *world {
	t.Helper()
	w := &world{domains: map[string]directory.Domain{}, mx: map[string]string{}, found: map[string]bool{}, looks: map[string]int{}}
	for _, d := range domains {
		d.ID, d.Account, d.Proved, d.ModeSince = "id-"+d.Name, "a", true, time.Now()
		if d.Mode == directory.ModeAuto {
			d.AutoSince = d.ModeSince
		}
		w.domains[d.Name] = d
	}
	s := checks.New(w, w, w, w, w, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

func (w *world) View() routing.View {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]directory.Domain, 0, len(w.domains))
	for _, d := range w.domains {
		list = append(list, d)
	}
	return routing.View{
		Directory: directory.NewSnapshot(1, list, nil, nil, nil),
		Self:      routing.Self{Answers: func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.1") }},
	}
}

func (w *world) MX(ctx context.Context, name string) facts.MXAnswer {
	w.mu.Lock()
	w.looks[name]++
	w.busy++
	w.most = max(w.most, w.busy)
	list := w.mx[name]
	w.mu.Unlock()
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	a := facts.MXAnswer{Name: name, Status: facts.Found, Origin: facts.Origin{Source: "resolver", TTL: cmp.Or(w.mxTTL, 5*time.Minute)}}
	switch list {
	case "":
		a.Status = facts.NXDomain
	case "fail":
		a.Status, a.TTL = facts.Temporary, 0
	}
	for i, host := range strings.Fields(list) {
		a.Records = append(a.Records, facts.MX{Preference: uint16(i), Host: host}) //nolint:gosec // a few
	}
	return a
}

func (w *world) Addrs(_ context.Context, host string) facts.AddrAnswer {
	addr := "198.51.100.1"
	if host == "us" {
		addr = "192.0.2.1"
	}
	return facts.AddrAnswer{Name: host, Status: facts.Found, Addrs: []netip.Addr{netip.MustParseAddr(addr)}, Origin: facts.Origin{TTL: 10 * time.Minute}}
}

func (w *world) Recursive(_ context.Context, name string, kind dns.Type) facts.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if kind != dns.TypeNS || w.ns == 0 {
		return facts.Answer{Name: name, Type: kind, Status: facts.NoData, Origin: facts.Origin{TTL: 1000 * time.Hour}}
	}
	return facts.Answer{Name: name, Type: kind, Status: facts.Found, Origin: facts.Origin{TTL: w.ns}}
}

func (w *world) SawTTL(_ context.Context, _ account.Scope, name string, ttl time.Duration, _ time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ttls = append(w.ttls, name+" "+ttl.String())
	return nil
}

func (w *world) SwitchAuto(_ context.Context, name string, mode directory.Mode, _ string, _ time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.domains[name]
	d.Auto, d.AutoSince = mode, time.Now()
	w.domains[name] = d
	w.switches = append(w.switches, name+" "+string(mode))
	return nil
}

func (w *world) Find(_ context.Context, f finding.Finding, gone bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if key := f.Domain + " " + string(f.Name); gone {
		delete(w.found, key)
	} else {
		w.found[key] = true
	}
	return nil
}

// says changes what DNS says of a domain.
func (w *world) says(name, list string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mx[name] = list
}

// now gives the switches since the last call, and whether there is a finding.
func (w *world) now(f finding.Name) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := strings.Join(w.switches, ", ")
	w.switches = nil
	return out, w.found["d.example "+string(f)]
}

func auto(name string) directory.Domain {
	return directory.Domain{Name: name, Mode: directory.ModeAuto, Auto: directory.ModeLocal}
}

func TestS5_5AutoFollowsPublicDNS(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, auto("d.example"))
		for _, step := range []struct {
			dns, switches string
			after         time.Duration
			unresolved    bool
		}{
			{"real us", "d.example backup", 2 * time.Second, false}, // the first counts at once
			{"real us", "", time.Hour, false},
			{"real", "", 4 * time.Minute, false}, // seen once at most
			{"real", "d.example remote", 15 * time.Minute, false},
			{"fail", "", time.Hour, true},
			{"", "", time.Hour, true},
			{"us", "d.example local", time.Hour, false},
		} {
			w.says("d.example", step.dns)
			time.Sleep(step.after)
			if got, unresolved := w.now(finding.AutoUnresolved); got != step.switches || unresolved != step.unresolved {
				t.Errorf("DNS says %q: switches %q, unresolved %v", step.dns, got, unresolved)
			}
		}
	})
}

func TestAModeThatPublicDNSContradictsIsAFinding(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode  directory.Mode
		dns   string
		wrong bool
	}{
		{directory.ModeLocal, "real", true},
		{directory.ModeLocal, "real us", false}, // a better one elsewhere: mail may come here all the same
		{directory.ModeLocal, "us", false},
		{directory.ModeLocal, "fail", false},
		{directory.ModeRemote, "us real", true},
		{directory.ModeRemote, "real us", false},
		{directory.ModeRemote, "real", false},
		{directory.ModeBackup, "us", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := start(t, directory.Domain{Name: "d.example", Mode: c.mode})
			w.says("d.example", c.dns)
			time.Sleep(2 * time.Second)
			if _, wrong := w.now(finding.ModeConflictsDNS); wrong != c.wrong {
				t.Errorf("%s while DNS says %q: %v", c.mode, c.dns, wrong)
			}
			w.says("d.example", map[directory.Mode]string{directory.ModeLocal: "us", directory.ModeRemote: "real"}[c.mode])
			time.Sleep(2 * time.Hour)
			if _, wrong := w.now(finding.ModeConflictsDNS); wrong {
				t.Errorf("%s: the finding does not end", c.mode)
			}
		})
	}
}

func TestTheLargestTTLIsNotedWhenItGrowsAndOnceADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, directory.Domain{Name: "d.example", Mode: directory.ModeBackup})
		w.says("d.example", "real us")
		for i, step := range []struct {
			mx, ns, after time.Duration
			want          string
		}{
			{5 * time.Minute, 0, 10 * time.Hour, "d.example 5m0s"},
			{5 * time.Minute, time.Hour, 2 * time.Hour, "d.example 1h0m0s"},
			{4 * time.Hour, time.Hour, 2 * time.Hour, "d.example 4h0m0s"},
			{3 * time.Hour, time.Hour, 20 * time.Hour, ""},
			{3 * time.Hour, time.Hour, 5 * time.Hour, "d.example 3h0m0s"}, // a day later
		} {
			w.mu.Lock()
			w.mxTTL, w.ns, w.ttls = step.mx, step.ns, nil
			w.mu.Unlock()
			time.Sleep(step.after)
			w.mu.Lock()
			if got := strings.Join(w.ttls, ", "); got != step.want {
				t.Errorf("step %d: %q, want %q", i+1, got, step.want)
			}
			w.mu.Unlock()
		}
	})
}

func TestLooksAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var list []directory.Domain
		for i := range 200 {
			list = append(list, auto(fmt.Sprintf("d%d.example", i)))
		}
		w := start(t, list...)
		for i := range 200 {
			w.says(fmt.Sprintf("d%d.example", i), "us")
		}
		time.Sleep(time.Hour)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.most > 16 || len(w.looks) != 200 {
			t.Errorf("%d look-ups at once, %d domains looked at", w.most, len(w.looks))
		}
		for name, n := range w.looks {
			if n < 10 || n > 13 {
				t.Errorf("%s was looked at %d times in an hour with a TTL of 5 minutes", name, n)
			}
		}
	})
}

// served is a zone of d.example that is hosted here.
type served struct {
	mu    sync.Mutex
	hosts []string // nil: the world is not led to it
}

func (z *served) ServedMX(_ context.Context, name string) (facts.MXAnswer, bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	a := facts.MXAnswer{Name: name, Status: facts.Found, Origin: facts.Origin{Source: "zone", TTL: 5 * time.Minute}}
	for i, host := range z.hosts {
		a.Records = append(a.Records, facts.MX{Preference: uint16(i), Host: host}) //nolint:gosec // a few
	}
	return a, z.hosts != nil
}

func TestS5_5AutoGoesByTheServedZoneWhereTheWorldIsLedToIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{domains: map[string]directory.Domain{}, mx: map[string]string{}, found: map[string]bool{}, looks: map[string]int{}}
		w.domains["d.example"] = directory.Domain{ID: "d", Account: "a", Name: "d.example", Proved: true, Mode: directory.ModeAuto, Auto: directory.ModeLocal, ModeSince: time.Now(), AutoSince: time.Now()}
		w.says("d.example", "real") // what others remember
		z := &served{hosts: []string{"us"}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { checks.New(w, w, w, w, w, slog.New(slog.DiscardHandler)).WithZones(z).Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		time.Sleep(time.Hour)
		if got, _ := w.now(finding.AutoUnresolved); strings.Contains(got, "remote") {
			t.Errorf("it goes by what others remember: %s", got)
		}
		z.mu.Lock()
		z.hosts = []string{"real", "us"}
		z.mu.Unlock()
		time.Sleep(time.Hour)
		if got, _ := w.now(finding.AutoUnresolved); got != "d.example backup" {
			t.Errorf("by the served zone: %q", got)
		}
		z.mu.Lock()
		z.hosts = nil
		z.mu.Unlock()
		time.Sleep(time.Hour)
		if got, _ := w.now(finding.AutoUnresolved); got != "d.example remote" {
			t.Errorf("by public DNS: %q", got)
		}
	})
}
