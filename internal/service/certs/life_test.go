package certs_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/core/seal"
	"postroad/internal/obs"
	"postroad/internal/service/certs"
)

// giver issues certificates of a lifetime without looking at anything.
type giver struct {
	mu       sync.Mutex
	lifetime time.Duration
	key      *ecdsa.PrivateKey
	serial   int64
	asked    []string // "time name ways" of each order
	begin    time.Time
	fail     func(name string) error
}

func newGiver(t *testing.T, lifetime time.Duration) *giver {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &giver{lifetime: lifetime, key: key, begin: time.Now()}
}

func (g *giver) issue(_ context.Context, name string, kinds []cert.Challenge, csr []byte) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, fmt.Sprint(time.Since(g.begin).Truncate(time.Minute), " ", name, " ", kinds))
	if g.fail != nil {
		if err := g.fail(name); err != nil {
			return nil, err
		}
	}
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, err
	}
	g.serial++
	template := &x509.Certificate{SerialNumber: big.NewInt(g.serial), Subject: pkix.Name{CommonName: name}, DNSNames: request.DNSNames, NotBefore: time.Now(), NotAfter: time.Now().Add(g.lifetime)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, request.PublicKey, g.key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// refuses has every order meet what fail says; nil: none.
func (g *giver) refuses(fail func(name string) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = fail
}

// orders are those since the last call.
func (g *giver) orders() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.asked
	g.asked = nil
	return out
}

// bubble is a scene in a synctest bubble, with one node that gets certificates from the giver.
func bubble(t *testing.T, lifetime time.Duration, names ...cert.Name) (*scene, *giver) {
	t.Helper()
	s := newPlainScene(t, names...)
	s.options.HTTP = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:80")}
	s.options.Labels = []string{"mail", "autoconfig"}
	s.options.Tick, s.options.Follow = 5*time.Minute, time.Hour
	delete(s.world.addrs, "mail.ann.example")
	return s, newGiver(t, lifetime)
}

// begin starts a node in the bubble.
func (s *scene) begin(g *giver, caa ...string) (*certs.Service, func()) {
	s.t.Helper()
	service, err := certs.New(s.options)
	if err != nil {
		s.t.Fatal(err)
	}
	return service, s.run(service, g, nil, caa...)
}

// run runs a node that gets certificates from the giver, and hears when they are to be renewed from advise.
func (s *scene) run(service *certs.Service, g *giver, advise func(leaf *x509.Certificate) (cert.Advice, error), caa ...string) (stop func()) {
	s.t.Helper()
	service.Give(g.issue, caa...)
	service.Advise(advise)
	if err := service.Load(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { service.Run(ctx); close(ended) }()
	return func() {
		cancel()
		<-ended
	}
}

func TestACertificateIsRenewedInTimeAndWhileItHoldsItIsShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, g := bubble(t, 90*24*time.Hour)
		service, stop := s.begin(g)
		defer stop()
		time.Sleep(time.Minute)
		first := leaf(t, service, host)
		if got := g.orders(); len(got) != 1 || first.Subject.CommonName != host {
			t.Fatalf("ordered %q, shown %s", got, first.Subject)
		}
		if got := leaf(t, service, "any.example").Subject.CommonName; got != host {
			t.Errorf("a name without certificate is shown that of %s", got)
		}
		time.Sleep(60*24*time.Hour - 10*time.Minute)
		if got := g.orders(); got != nil {
			t.Errorf("ordered before its time: %q", got)
		}
		time.Sleep(20 * time.Minute)
		if got := g.orders(); len(got) != 1 || leaf(t, service, host).SerialNumber.Cmp(first.SerialNumber) == 0 {
			t.Errorf("renewed: %q", got)
		}
		// From now on the authority gives nothing: the certificate is used to its end, and people are told in time.
		g.refuses(func(string) error {
			return acme.Problem{Type: acme.ProblemTypeNamespace + "connection", Detail: "no route"}
		})
		second := leaf(t, service, host)
		time.Sleep(90*24*time.Hour - 14*24*time.Hour - time.Hour)
		if got := s.config.finding(host); got != "" {
			t.Errorf("told too early: %s", got)
		}
		time.Sleep(2 * time.Hour)
		if got := s.config.finding(host); !strings.Contains(got, host) || !strings.Contains(got, "no route") {
			t.Errorf("told: %q", got)
		}
		time.Sleep(13 * 24 * time.Hour)
		if leaf(t, service, host).SerialNumber.Cmp(second.SerialNumber) != 0 {
			t.Error("the certificate is not shown to its end")
		}
		if n := len(g.orders()); n < 20 || n > 40 {
			t.Errorf("%d orders in a month of failures", n)
		}
		time.Sleep(2 * 24 * time.Hour)
		if got := leaf(t, service, host).Subject.CommonName; got != "self-signed.example" {
			t.Errorf("after its end: %s", got)
		}
		g.refuses(nil)
		time.Sleep(25 * time.Hour)
		if got := s.config.finding(host); got != "" || leaf(t, service, host).Subject.CommonName != host {
			t.Errorf("when the authority is back: %q", got)
		}
	})
}

// RFC 9773 §4.3: a certificate whose authority would like it to be replaced is, within hours, and one that is to be replaced
// again and again is not ordered without end.
func TestTheAuthorityMovesTheTimeOfARenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, g := bubble(t, 90*24*time.Hour)
		var mu sync.Mutex
		asked, wants := 0, func(leaf *x509.Certificate) (cert.Advice, error) {
			return cert.Advice{From: leaf.NotBefore.Add(58 * 24 * time.Hour), Until: leaf.NotBefore.Add(59 * 24 * time.Hour), Again: time.Now().Add(6 * time.Hour)}, nil
		}
		service, err := certs.New(s.options)
		if err != nil {
			t.Fatal(err)
		}
		stop := s.run(service, g, func(leaf *x509.Certificate) (cert.Advice, error) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			return wants(leaf)
		})
		defer stop()
		time.Sleep(10 * 24 * time.Hour)
		if got := g.orders(); len(got) != 1 {
			t.Errorf("ordered %q", got)
		}
		mu.Lock()
		if asked < 38 || asked > 45 {
			t.Errorf("asked %d times in ten days", asked)
		}
		wants = func(leaf *x509.Certificate) (cert.Advice, error) { // all are revoked
			return cert.Advice{From: leaf.NotBefore.Add(-time.Hour), Until: leaf.NotBefore, Page: "https://ca.example/why", Again: time.Now().Add(time.Second)}, nil
		}
		mu.Unlock()
		time.Sleep(7 * time.Hour)
		if got := g.orders(); len(got) == 0 || len(got) > 2 { // it is asked within six hours, and not again for six
			t.Errorf("ordered %q", got)
		}
		time.Sleep(48 * time.Hour)
		if got := g.orders(); len(got) < 6 || len(got) > 9 {
			t.Errorf("an authority that wants everything to be replaced gets %d orders in two days", len(got))
		}
		if c := s.memory.certificate(host); c.Advice.Page != "https://ca.example/why" {
			t.Errorf("%+v", c.Advice)
		}
		// Where it says nothing more, what it said holds, and it is asked as usually.
		mu.Lock()
		asked, wants = 0, func(*x509.Certificate) (cert.Advice, error) { return cert.Advice{}, errors.New("down") }
		mu.Unlock()
		time.Sleep(48 * time.Hour)
		mu.Lock()
		if asked < 6 || asked > 12 {
			t.Errorf("asked %d times in two days in which it does not answer", asked)
		}
		asked = 0
		mu.Unlock()
		// What it says cannot be recorded: it is not asked with every look.
		s.memory.mu.Lock()
		s.memory.mute = true
		s.memory.mu.Unlock()
		time.Sleep(24 * time.Hour)
		mu.Lock()
		defer mu.Unlock()
		if asked == 0 || asked > 24*6 {
			t.Errorf("asked %d times in a day in which nothing can be recorded", asked)
		}
	})
}

func TestAConfiguredCertificateThatRunsOutIsToldInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, g := bubble(t, 90*24*time.Hour)
		s.options.Metrics = obs.NewMetrics()
		pair := signed(t, host, time.Now(), time.Now().Add(90*24*time.Hour))
		key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		s.options.CertFile, s.options.KeyFile = filepath.Join(t.TempDir(), "c.pem"), filepath.Join(t.TempDir(), "k.pem")
		for file, block := range map[string]*pem.Block{s.options.CertFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, s.options.KeyFile: {Type: "PRIVATE KEY", Bytes: key}} {
			if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		service, stop := s.begin(g)
		defer stop()
		time.Sleep(75 * 24 * time.Hour)
		if got := s.config.finding(host); got != "" || g.orders() != nil {
			t.Errorf("told too early, or ordered for a name that the files have: %q", got)
		}
		page := httptest.NewRecorder()
		s.options.Metrics.Handler().ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
		if !strings.Contains(page.Body.String(), "postroad_certificate_days_left{name=\"file\"} 15") {
			t.Errorf("the metrics are\n%s", page.Body)
		}
		time.Sleep(2 * 24 * time.Hour)
		if got := s.config.finding(host); !strings.Contains(got, "c.pem") {
			t.Errorf("told: %q", got)
		}
		time.Sleep(14 * 24 * time.Hour)
		if got := g.orders(); len(got) != 1 || time.Since(leaf(t, service, host).NotBefore) > 5*24*time.Hour {
			t.Errorf("after its end %q was ordered, and one from %s is shown", got, leaf(t, service, host).NotBefore)
		}
	})
}

func TestWhatKeepsACertificateFromBeingOrdered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		addr    string // "": it does not exist
		caa     map[string]string
		problem cert.Problem
		detail  string
	}{
		"it points here":             {addr: "127.0.0.1"},
		"it points elsewhere":        {addr: "192.0.2.9", problem: cert.Elsewhere, detail: "192.0.2.9"},
		"it does not exist":          {problem: cert.NoAddress, detail: "x.far.example"},
		"DNS does not answer":        {addr: "fails", problem: cert.DNSFails, detail: "SERVFAIL"},
		"CAA names others":           {addr: "127.0.0.1", caa: map[string]string{"far.example": "other.example"}, problem: cert.CAAForbids, detail: "other.example"},
		"CAA names nobody":           {addr: "127.0.0.1", caa: map[string]string{"x.far.example": ";"}, problem: cert.CAAForbids, detail: "nobody"},
		"CAA names the authority":    {addr: "127.0.0.1", caa: map[string]string{"example": "ca.example"}},
		"the nearest CAA set counts": {addr: "127.0.0.1", caa: map[string]string{"far.example": "ca.example", "example": "other.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, g := bubble(t, 90*24*time.Hour, cert.Name{Name: "x.far.example", Account: "ann", Domain: "far.example", Source: cert.Added})
				s.options.Labels = nil
				s.options.Hostname = "localhost" // nobody gives a certificate for that
				s.config.domains = append(s.config.domains, directory.Domain{ID: "3", Name: "far.example", Account: "ann", Mode: directory.ModeRelay, Proved: true})
				switch c.addr {
				case "":
				case "fails":
					s.world.addrs["x.far.example"] = ""
				default:
					s.world.addrs["x.far.example"] = c.addr
				}
				if c.caa != nil {
					s.world.caa = c.caa
				}
				_, stop := s.begin(g, "ca.example")
				defer stop()
				time.Sleep(time.Minute)
				got := s.memory.certificate("x.far.example")
				if got.Problem != c.problem || !strings.Contains(got.Detail, c.detail) || got.There(time.Now()) != (c.problem == "") {
					t.Errorf("status %+v", got.Status)
				}
				if orders := g.orders(); (len(orders) > 0) != (c.problem == "") {
					t.Errorf("ordered %q", orders)
				}
				if c.problem == cert.Elsewhere { // as soon as it points here it is got
					s.world.mu.Lock()
					s.world.addrs["x.far.example"] = "127.0.0.1"
					s.world.mu.Unlock()
					time.Sleep(11 * time.Minute)
					if x := s.memory.certificate("x.far.example"); !x.There(time.Now()) {
						t.Errorf("after it points here: %+v", x)
					}
				}
			})
		})
	}
}

func TestNamesFollowWhatIsHosted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, g := bubble(t, 90*24*time.Hour)
		s.options.Names = func() []string { return []string{"mx2.host.example", "localhost"} }
		s.config.domains = append(s.config.domains,
			directory.Domain{ID: "3", Name: "inert.example", Account: "ann", Mode: directory.ModeLocal},
			directory.Domain{ID: "4", Name: "relayed.example", Account: "ann", Mode: directory.ModeRelay, Proved: true},
			directory.Domain{ID: "5", Name: "split.example", Account: "bob", Mode: directory.ModeSplit, Proved: true},
			directory.Domain{ID: "6", Name: "mail.split.example", Account: "ann", Mode: directory.ModeRelay, Proved: true})
		for _, name := range []string{"mx2.host.example", "mail.ann.example", "mail.inert.example", "mail.relayed.example", "mail.split.example", "autoconfig.split.example"} {
			s.world.addrs[name] = "127.0.0.1"
		}
		s.world.addrs["autoconfig.ann.example"] = "192.0.2.1"
		_, stop := s.begin(g)
		defer stop()
		names := func() string {
			list, _ := s.memory.Certificates(t.Context(), account.System())
			var out []string
			for i := range list {
				out = append(out, fmt.Sprint(list[i].Name.Name, " ", list[i].Source, " ", list[i].Account, " ", list[i].There(time.Now())))
			}
			return strings.Join(out, "\n")
		}
		time.Sleep(2 * time.Minute)
		if got, want := names(), "autoconfig.split.example automatic bob true\nmail.ann.example automatic ann true\nmx.host.example server operator true\nmx2.host.example server operator true"; got != want {
			t.Errorf("names:\n%s\nwant\n%s", got, want)
		}
		orders := len(g.orders())
		// A name that comes to point here gets one within hours; one of a domain whose mail goes elsewhere now loses it.
		s.world.mu.Lock()
		s.world.addrs["autoconfig.ann.example"] = "127.0.0.1"
		s.world.mu.Unlock()
		s.config.mu.Lock()
		s.config.domains[4].Mode = directory.ModeRemote
		s.config.mu.Unlock()
		time.Sleep(7 * time.Hour)
		if got, want := names(), "autoconfig.ann.example automatic ann true\nmail.ann.example automatic ann true\nmx.host.example server operator true\nmx2.host.example server operator true"; got != want {
			t.Errorf("names:\n%s\nwant\n%s", got, want)
		}
		if got := s.memory.keysUnder("certificates/acme/autoconfig.split.example"); got != nil {
			t.Errorf("the key of a name that is gone is kept: %q", got)
		}
		if got := g.orders(); orders != 4 || len(got) != 1 {
			t.Errorf("%d orders, then %q", orders, got)
		}
	})
}

func TestNothingIsOrderedWithoutAgreementNorForAStrangersWish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, g := bubble(t, 90*24*time.Hour, added("mail2.ann.example"))
		s.options.Agreed = false
		service, stop := s.begin(g)
		leaf(t, service, "mail.ann.example")
		time.Sleep(24 * time.Hour)
		if got := g.orders(); got != nil {
			t.Errorf("without agreement: %q", got)
		}
		stop()
		s.options.Agreed = true
		service, stop = s.begin(g)
		defer stop()
		time.Sleep(time.Hour)
		g.orders()
		s.world.mu.Lock()
		s.world.addrs["www.ann.example"] = "127.0.0.1"
		s.world.mu.Unlock()
		for _, name := range []string{"www.ann.example", "mail.ann.example", "", "\x00", strings.Repeat("a", 300)} {
			leaf(t, service, name)
		}
		time.Sleep(time.Hour)
		if got := g.orders(); got != nil {
			t.Errorf("because a stranger named it: %q", got)
		}
	})
}

func TestOfTwoNodesOneOrdersAndBothShow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, g := bubble(t, 90*24*time.Hour, added("mail2.ann.example"))
		one, stopOne := s.begin(g)
		two, stopTwo := s.begin(g)
		time.Sleep(6 * time.Minute)
		if got := g.orders(); len(got) != 2 {
			t.Errorf("ordered %q", got)
		}
		for _, node := range []*certs.Service{one, two} {
			if got := leaf(t, node, "mail2.ann.example").Subject.CommonName; got != "mail2.ann.example" {
				t.Errorf("shown %s", got)
			}
		}
		stopOne()
		time.Sleep(61 * 24 * time.Hour)
		if got := g.orders(); len(got) != 2 {
			t.Errorf("after one node has ended: %q", got)
		}
		stopTwo()
	})
}

func TestACrashLeavesAllAsItWasOrAllAsItShallBe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, g := bubble(t, 90*24*time.Hour)
		service, stop := s.begin(g)
		time.Sleep(time.Minute)
		before := leaf(t, service, host)
		// The transaction that keeps the next certificate does not come through, and the node is gone.
		s.memory.mu.Lock()
		s.memory.lose = func(put []string) error {
			if slices.ContainsFunc(put, func(key string) bool { return strings.HasSuffix(key, ".key") }) {
				if len(put) != 3 {
					t.Errorf("key and certificate are kept apart: %q", put)
				}
				return errors.New("the disk is gone")
			}
			return nil
		}
		s.memory.mu.Unlock()
		time.Sleep(60*24*time.Hour + time.Minute)
		if c := s.memory.certificate(host); c.Problem != cert.Failed || !c.NotAfter.Equal(before.NotAfter) {
			t.Errorf("status %+v", c)
		}
		stop()
		// Somebody's lock and challenge are left behind, too.
		s.memory.mu.Lock()
		s.memory.lose = nil
		s.memory.locks["lead"] = held{"somebody who is gone", time.Now().Add(time.Minute)}
		s.memory.locks["name/issue_cert_"+host] = held{"somebody who is gone", time.Now().Add(time.Minute)}
		s.memory.mu.Unlock()
		s.leave(t, acme.Challenge{Type: "dns-01", Identifier: acme.Identifier{Type: "dns", Value: "mail.ann.example"}, KeyAuthorization: "x"}, "ann.example")
		service, stop = s.begin(g)
		defer stop()
		if got := leaf(t, service, host); got.SerialNumber.Cmp(before.SerialNumber) != 0 {
			t.Error("the certificate before is not shown after a crash")
		}
		time.Sleep(30 * time.Minute)
		if got := leaf(t, service, host); got.SerialNumber.Cmp(before.SerialNumber) == 0 {
			t.Errorf("not renewed after a crash: %+v", s.memory.certificate(host))
		}
		if s.config.dropped == 0 || len(s.memory.keysUnder("challenge/")) > 0 {
			t.Errorf("a record was left behind: %d taken away, %q", s.config.dropped, s.memory.keysUnder("challenge/"))
		}
	})
}

// leave keeps a challenge as a node does that is gone now.
func (s *scene) leave(t *testing.T, c acme.Challenge, domain string) {
	t.Helper()
	service, err := certs.New(s.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := service.KeepChallenge(t.Context(), c, domain); err != nil {
		t.Fatal(err)
	}
}

func TestAKeyThatCannotBeOpenedIsReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, g := bubble(t, 90*24*time.Hour)
		_, stop := s.begin(g)
		time.Sleep(time.Minute)
		stop()
		var err error
		if s.options.Box, err = seal.New([]byte(strings.Repeat("x", seal.SecretSize))); err != nil {
			t.Fatal(err)
		}
		g.refuses(func(string) error { return errors.New("not now") })
		service, stop := s.begin(g)
		defer stop()
		time.Sleep(time.Minute)
		if got := leaf(t, service, host).Subject.CommonName; got != "self-signed.example" {
			t.Errorf("without its key: %s", got)
		}
		g.refuses(nil)
		time.Sleep(time.Hour)
		if got := leaf(t, service, host).Subject.CommonName; got != host || len(g.orders()) != 3 {
			t.Errorf("after an hour: %s", got)
		}
	})
}

func TestManyNamesDoNotUseUpWhatAnAuthorityAllows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, g := bubble(t, 90*24*time.Hour)
		for i := range 300 {
			name := fmt.Sprintf("h%d.ann.example", i)
			s.memory.names[name] = cert.Certificate{Name: added(name)}
			s.world.addrs[name] = "127.0.0.1"
		}
		_, stop := s.begin(g)
		defer stop()
		time.Sleep(10 * time.Minute)
		if n := len(g.orders()); n < 100 || n > 120 {
			t.Errorf("%d orders in ten minutes", n)
		}
		before := s.looks()
		for i := range 100 { // of those that have one
			s.memory.ask(fmt.Sprintf("h%d.ann.example", i))
		}
		time.Sleep(10 * time.Minute)
		if n, looks := len(g.orders()), s.looks()-before; n > 25 || looks > 200 {
			t.Errorf("%d orders and %d look-ups in ten minutes in which people ask", n, looks)
		}
		time.Sleep(3 * time.Hour)
		if n := len(g.orders()); n < 150 || n > 301 {
			t.Errorf("%d orders in three hours", n)
		}
	})
}

func TestWhatCannotBeRecordedIsNotOrderedAgainAndAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, g := bubble(t, 90*24*time.Hour)
		s.memory.mute = true
		_, stop := s.begin(g)
		defer stop()
		time.Sleep(time.Hour)
		if got := g.orders(); len(got) > 5 {
			t.Errorf("%d orders in an hour: %q", len(got), got)
		}
	})
}

func TestAnAuthorityThatWantsToBeLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, g := bubble(t, 90*24*time.Hour)
		g.refuses(func(string) error {
			return acme.Problem{Type: acme.ProblemTypeNamespace + "rateLimited", Detail: "too many\r\ncertificates"}
		})
		_, stop := s.begin(g)
		defer stop()
		time.Sleep(50 * time.Minute)
		if c := s.memory.certificate(host); len(g.orders()) != 1 || c.Problem != cert.RateLimited || strings.ContainsAny(c.Detail, "\r\n") {
			t.Errorf("status %+v", c)
		}
		g.refuses(nil)
		time.Sleep(20 * time.Minute)
		if c := s.memory.certificate(host); !c.There(time.Now()) || c.Problem != "" || c.Failures != 0 {
			t.Errorf("status %+v", c)
		}
	})
}

func TestWhatIsNoCertificateForTheNameIsNotKept(t *testing.T) {
	t.Parallel()
	for name, give := range map[string]func(g *giver, csr []byte) ([]byte, error){
		"nothing":       func(*giver, []byte) ([]byte, error) { return nil, nil },
		"no PEM":        func(*giver, []byte) ([]byte, error) { return []byte("hello"), nil },
		"of another":    func(g *giver, _ []byte) ([]byte, error) { return g.other("x.example", time.Hour) },
		"another's key": func(g *giver, _ []byte) ([]byte, error) { return g.other(host, time.Hour) },
		"expired": func(g *giver, csr []byte) ([]byte, error) {
			g.lifetime = -time.Hour
			return g.issue(context.Background(), host, nil, csr)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, g := bubble(t, time.Hour)
				service, err := certs.New(s.options)
				if err != nil {
					t.Fatal(err)
				}
				service.Give(func(_ context.Context, _ string, _ []cert.Challenge, csr []byte) ([]byte, error) { return give(g, csr) })
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan struct{})
				go func() { service.Run(ctx); close(ended) }()
				time.Sleep(time.Minute)
				if c := s.memory.certificate(host); c.Problem != cert.Unusable || len(s.memory.keysUnder("certificates/")) > 0 || leaf(t, service, host).Subject.CommonName != "self-signed.example" {
					t.Errorf("status %+v, kept %q", c, s.memory.keysUnder("certificates/"))
				}
				cancel()
				<-ended
			})
		})
	}
}

// other is a certificate for a key of the giver's.
func (g *giver) other(name string, lifetime time.Duration) ([]byte, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now(), NotAfter: time.Now().Add(lifetime)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, g.key.Public(), g.key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}
