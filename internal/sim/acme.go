package sim

import (
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// orderPath is where the authority takes orders.
const orderPath = "/order-plz"

// CAAName is the name by which CAA records know the ACME authority.
const CAAName = "authority.sim"

// ACME is a certificate authority that speaks ACME (RFC 8555): Pebble, the test server of Let's Encrypt, in this process.
// It looks at what it is shown as a real one does, at ports of the test's choice.
type ACME struct {
	server *httptest.Server
	root   []byte
	https  []byte

	mu     sync.Mutex
	orders int
	answer func(w http.ResponseWriter, r *http.Request) bool
}

// ACMEOptions say how an authority is.
type ACMEOptions struct {
	HTTP, HTTPS string        // addresses of listeners at whose ports it looks for http-01 and tls-alpn-01
	Resolver    string        // where it asks DNS, by TCP
	Lifetime    time.Duration // of its certificates, whole seconds; 0: 90 days
	KeyID, Key  string        // of the customer that it knows, Key in base64url; it takes nobody else then (RFC 8555 §7.3.4)
}

// StartACME starts an authority on a free loopback port.
func StartACME(tb testing.TB, o ACMEOptions) *ACME {
	tb.Helper()
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"} {
		if err := os.Setenv(name, value); err != nil {
			tb.Fatal(err)
		}
	}
	if o.Lifetime == 0 {
		o.Lifetime = 90 * 24 * time.Hour
	}
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	store := db.NewMemoryStore()
	profile := ca.Profile{Description: "as the test wants it", ValidityPeriod: uint64(o.Lifetime / time.Second)} //nolint:gosec // not negative
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": profile})
	looks := va.New(quiet, portOf(tb, o.HTTP), portOf(tb, o.HTTPS), false, o.Resolver, store)
	if o.KeyID != "" {
		if err := store.AddExternalAccountKeyByID(o.KeyID, o.Key); err != nil {
			tb.Fatal(err)
		}
	}
	front := wfe.New(quiet, store, looks, authority, []string{CAAName}, false, o.KeyID != "", 0, 0)
	a := &ACME{root: authority.GetRootCert(0).PEM()}
	handler := front.Handler()
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		if r.URL.Path == orderPath {
			a.orders++
		}
		answer := a.answer
		a.mu.Unlock()
		if answer == nil || !answer(w, r) {
			handler.ServeHTTP(w, r)
		}
	}))
	web := NewCA(tb)
	a.server.TLS = web.TLS("127.0.0.1")
	a.https = web.PEM()
	a.server.StartTLS()
	tb.Cleanup(a.server.Close)
	return a
}

// portOf is the port of an address; a port where nobody listens for none.
func portOf(tb testing.TB, address string) int {
	tb.Helper()
	if address == "" {
		return 1
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		tb.Fatal(err)
	}
	return int(ap.Port())
}

// Directory is the URL of its directory.
func (a *ACME) Directory() string { return a.server.URL + wfe.DirectoryPath }

// HTTPSRoots is the certificate by which its own HTTPS is known, as PEM text.
func (a *ACME) HTTPSRoots() []byte { return a.https }

// Pool has the root of the certificates that it issues.
func (a *ACME) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.root)
	return pool
}

// Orders is how many certificates were ordered.
func (a *ACME) Orders() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.orders
}

// Answer has requests answered by a function first: where it gives true, it has answered. nil ends that.
func (a *ACME) Answer(f func(w http.ResponseWriter, r *http.Request) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = f
}
