package certs_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/seal"
	"postroad/internal/proto/dns"
	"postroad/internal/service/certs"
	"postroad/internal/sim"
)

// memory is a store that several nodes share.
type memory struct {
	mu     sync.Mutex
	names  map[string]cert.Certificate
	assets map[string]certs.Asset
	locks  map[string]held
	mute   bool                     // nothing of a name can be recorded
	read   int                      // how often the names were read
	lose   func(put []string) error // makes a transaction fail
}

type held struct {
	holder string
	until  time.Time
}

func newMemory(names ...cert.Name) *memory {
	m := &memory{names: map[string]cert.Certificate{}, assets: map[string]certs.Asset{}, locks: map[string]held{}}
	for _, n := range names {
		m.names[n.Name] = cert.Certificate{Name: n}
	}
	return m
}

func (m *memory) Certificates(context.Context, account.Scope) ([]cert.Certificate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read++
	return slices.SortedFunc(maps.Values(m.names), func(a, b cert.Certificate) int { return strings.Compare(a.Name.Name, b.Name.Name) }), nil
}

func (m *memory) NoteCertificate(_ context.Context, _ account.Scope, name string, s cert.Status) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mute {
		return errors.New("the disk is full")
	}
	if c, there := m.names[name]; there {
		c.Status = s
		m.names[name] = c
	}
	return nil
}

func (m *memory) AdviseCertificate(_ context.Context, _ account.Scope, name string, notAfter time.Time, a cert.Advice) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mute {
		return errors.New("the disk is full")
	}
	if c, there := m.names[name]; there && c.NotAfter.Equal(notAfter) {
		c.Advice = a
		m.names[name] = c
	}
	return nil
}

func (m *memory) Asset(_ context.Context, _ account.Scope, key string) (certs.Asset, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, there := m.assets[key]
	if !there {
		return a, certs.ErrMissing
	}
	return a, nil
}

func (m *memory) Assets(_ context.Context, _ account.Scope, prefix string) ([]certs.Asset, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []certs.Asset
	for _, key := range slices.Sorted(maps.Keys(m.assets)) {
		if strings.HasPrefix(key, prefix) {
			out = append(out, certs.Asset{Key: key, Modified: m.assets[key].Modified})
		}
	}
	return out, nil
}

func (m *memory) ChangeAssets(_ context.Context, _ account.Scope, put []certs.Asset, drop []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for _, a := range put {
		keys = append(keys, a.Key)
	}
	if m.lose != nil {
		if err := m.lose(keys); err != nil {
			return err
		}
	}
	for key := range m.assets {
		if slices.ContainsFunc(drop, func(d string) bool { return key == d || strings.HasPrefix(key, d+"/") }) {
			delete(m.assets, key)
		}
	}
	for _, a := range put {
		m.assets[a.Key] = a
	}
	return nil
}

func (m *memory) Lease(_ context.Context, _ account.Scope, name, holder string, now, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, there := m.locks[name]; there && l.holder != holder && now.Before(l.until) {
		return false, nil
	}
	m.locks[name] = held{holder, until}
	return true, nil
}

func (m *memory) EndLease(_ context.Context, _ account.Scope, name, holder string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name].holder == holder {
		delete(m.locks, name)
	}
	return nil
}

func (m *memory) certificate(name string) cert.Certificate {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.names[name]
}

// ask has a person ask for a certificate.
func (m *memory) ask(name string) {
	m.change(name, func(c *cert.Certificate) { c.Asked = time.Now().UTC() })
}

// change has a name stand otherwise.
func (m *memory) change(name string, f func(c *cert.Certificate)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.names[name]
	f(&c)
	m.names[name] = c
}

// keysUnder lists what is kept.
func (m *memory) keysUnder(prefix string) []string {
	list, _ := m.Assets(context.Background(), account.System(), prefix)
	var out []string
	for _, a := range list {
		out = append(out, a.Key)
	}
	return out
}

// configuration is domains and their zones, and findings.
type configuration struct {
	*memory
	dns *sim.DNS // nil: the zone is nowhere

	mu      sync.Mutex
	domains []directory.Domain
	texts   map[string]string // records by owner
	dropped int
	found   map[string]string
}

func (c *configuration) Directory() *directory.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return directory.NewSnapshot(1, slices.Clone(c.domains), nil, nil, nil)
}

func (c *configuration) KeepCertificates(_ context.Context, put []cert.Name, drop []string) error {
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	for _, name := range drop {
		delete(c.names, name)
	}
	for _, n := range put {
		c.names[n.Name] = cert.Certificate{Name: n}
	}
	return nil
}

func (c *configuration) PutText(_ context.Context, domain, owner, text string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.texts[owner] = text
	c.dns.SetZone(domain, owner+". TXT \""+text+"\"")
	return nil
}

func (c *configuration) DropText(_ context.Context, domain, owner, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.texts, owner)
	c.dropped++
	if c.dns != nil {
		c.dns.SetZone(domain, "")
	}
	return nil
}

func (c *configuration) Findings(context.Context, string) ([]finding.Finding, error) { return nil, nil }

func (c *configuration) Find(_ context.Context, f finding.Finding, gone bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gone {
		delete(c.found, f.Domain)
		return nil
	}
	c.found[f.Domain] = f.Evidence
	return nil
}

func (c *configuration) finding(domain string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.found[domain]
}

// world is what DNS says to us.
type world struct {
	mu    sync.Mutex
	addrs map[string]string
	caa   map[string]string // property of the one CAA record
	texts func(owner string) string
	asked map[string]int
}

func (w *world) Flush(string) {}

func (w *world) Addrs(_ context.Context, host string) facts.AddrAnswer {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[host]++
	if a, err := netip.ParseAddr(host); err == nil {
		return facts.AddrAnswer{Name: host, Status: facts.Found, Addrs: []netip.Addr{a}}
	}
	text, there := w.addrs[host]
	switch {
	case !there:
		return facts.AddrAnswer{Name: host, Status: facts.NXDomain}
	case text == "":
		return facts.AddrAnswer{Name: host, Status: facts.Temporary, Origin: facts.Origin{Detail: "SERVFAIL"}}
	}
	return facts.AddrAnswer{Name: host, Status: facts.Found, Addrs: []netip.Addr{netip.MustParseAddr(text)}}
}

func (w *world) Recursive(_ context.Context, name string, kind dns.Type) facts.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := facts.Answer{Name: name, Type: kind, Status: facts.NoData}
	if value, there := w.caa[name]; there {
		a.Status = facts.Found
		a.Records = []dns.Record{{Name: name + ".", Type: kind, Data: append([]byte{0, 5}, "issue"+value...)}}
	}
	return a
}

func (w *world) Delegation(_ context.Context, name string) facts.Delegation {
	return facts.Delegation{Name: name, Zone: name, Status: facts.Found, Servers: []facts.NameServer{{Name: "ns.host.example"}}}
}

func (w *world) Everywhere(_ context.Context, _ []facts.NameServer, name string, kind dns.Type) []facts.Answer {
	a := facts.Answer{Name: name, Type: kind, Server: "ns.host.example", Authoritative: true, Status: facts.NoData}
	if text := w.texts(name); text != "" {
		a.Status = facts.Found
		a.Records = []dns.Record{{Name: name + ".", Type: kind, Data: append([]byte{byte(len(text))}, text...)}}
	}
	return []facts.Answer{a}
}

// scene is an installation with what surrounds it.
type scene struct {
	t       *testing.T
	memory  *memory
	config  *configuration
	world   *world
	acme    *sim.ACME
	options certs.Options
	https   net.Listener
	web     net.Listener
}

// fallback is the certificate that nobody has signed.
func fallback(t *testing.T) tls.Certificate {
	t.Helper()
	return signed(t, "self-signed.example", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

func signed(t *testing.T, name string, from, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

const host = "mx.host.example"

// newScene has a domain of Ann's, a host name, and listeners for both challenges; the authority is Pebble.
func newScene(t *testing.T, lifetime time.Duration, names ...cert.Name) *scene {
	t.Helper()
	s := newPlainScene(t, names...)
	var err error
	if s.web, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if s.https, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.config.dns = sim.StartDNS(t, sim.Zones{"host.example": "mx A 127.0.0.1", "ann.example": "mail A 127.0.0.1\nmail2 A 127.0.0.1\nautoconfig A 127.0.0.1"})
	s.authority(sim.ACMEOptions{Lifetime: lifetime})
	o := &s.options
	o.Email = "hostmaster@host.example"
	o.HTTP, o.HTTPS = []netip.AddrPort{netip.MustParseAddrPort(s.web.Addr().String())}, []netip.AddrPort{netip.MustParseAddrPort(s.https.Addr().String())}
	o.Tick, o.Poll = 20*time.Millisecond, 20*time.Millisecond
	return s
}

// authority starts an authority, and has nodes use it.
func (s *scene) authority(o sim.ACMEOptions) {
	s.t.Helper()
	o.HTTP, o.HTTPS, o.Resolver = s.web.Addr().String(), s.https.Addr().String(), s.config.dns.Addr()
	s.acme = sim.StartACME(s.t, o)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.acme.HTTPSRoots())
	s.options.Authority, s.options.Roots = s.acme.Directory(), roots
}

// newPlainScene is one without sockets.
func newPlainScene(t *testing.T, names ...cert.Name) *scene {
	t.Helper()
	m := newMemory(names...)
	s := &scene{
		t: t, memory: m,
		config: &configuration{memory: m, texts: map[string]string{}, found: map[string]string{}, domains: []directory.Domain{
			{ID: "1", Name: host, Account: account.Operator, Mode: directory.ModeLocal, Proved: true},
			{ID: "2", Name: "ann.example", Account: "ann", Mode: directory.ModeLocal, Proved: true, Zone: directory.ZoneHosted},
		}},
		world: &world{asked: map[string]int{}, caa: map[string]string{}, addrs: map[string]string{host: "127.0.0.1", "mail.ann.example": "127.0.0.1", "mail2.ann.example": "127.0.0.1"}},
	}
	s.world.texts = func(owner string) string {
		s.config.mu.Lock()
		defer s.config.mu.Unlock()
		return s.config.texts[owner]
	}
	box, err := seal.New(make([]byte, seal.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	s.options = certs.Options{
		Store: m, Box: box, World: s.world, Configuration: s.config, Findings: s.config, Agreed: true, Challenges: cert.Challenges(),
		Hostname: host, Names: func() []string { return nil }, Answers: func(a netip.Addr) bool { return a.Unmap().IsLoopback() },
		Fallback: fallback(t), Dial: (&net.Dialer{}).DialContext, Log: slog.New(slog.DiscardHandler),
	}
	return s
}

// added is a name that Ann has asked for.
func added(name string) cert.Name {
	return cert.Name{Name: name, Account: "ann", Domain: "ann.example", Source: cert.Added}
}

// node starts a node; its listeners serve when serves is set.
func (s *scene) node(serves bool) (*certs.Service, func()) {
	s.t.Helper()
	service, err := certs.New(s.options)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := service.Load(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	if serves {
		web := &http.Server{Handler: service.HTTP(http.NotFoundHandler()), ReadHeaderTimeout: time.Minute}
		secure := &http.Server{Handler: http.NotFoundHandler(), TLSConfig: service.HTTPS(), ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
		go func() { _ = web.Serve(s.web) }()
		go func() { _ = secure.ServeTLS(s.https, "", "") }()
		s.t.Cleanup(func() { _, _ = web.Close(), secure.Close() })
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { service.Run(ctx); close(ended) }()
	stop := sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	s.t.Cleanup(stop)
	return service, stop
}

// reads is how often names were read.
func (s *scene) reads() int {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	return s.memory.read
}

// looks is how often DNS was asked for addresses.
func (s *scene) looks() int {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	n := 0
	for _, asked := range s.world.asked {
		n += asked
	}
	return n
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-deadline.C:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// leaf is the certificate that a client is shown who names a host, by the service's configuration.
func leaf(t *testing.T, service *certs.Service, name string) *x509.Certificate {
	t.Helper()
	pair, err := service.TLS().GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}
