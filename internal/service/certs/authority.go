package certs

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"

	"postroad/internal/core/cert"
	"postroad/internal/obs"
)

// How long things may take: one request, one name in all, and what is tidied up behind it.
const (
	requestTime = 30 * time.Second
	nameTime    = 4 * time.Minute
	tidyTime    = 20 * time.Second
)

// way is one way to show that a name is ours, ready to be gone.
type way struct {
	kind cert.Challenge
	// present has the challenge answered, and waits until the world can see it; tidy takes it away again, also what an
	// attempt that was cut short has left.
	present func(ctx context.Context, c acme.Challenge) error
	tidy    func(ctx context.Context, c acme.Challenge) error
}

// authority is a certificate authority that speaks ACME (RFC 8555).
type authority struct {
	directory string
	email     string
	binding   acme.EAB // to what the operator has with the authority; empty: none
	vault     *vault
	client    *acme.Client
	log       *slog.Logger

	mu      sync.Mutex
	account acme.Account // registered, or empty
}

// newAuthority makes the client of an authority.
func newAuthority(o *Options, v *vault) *authority {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: o.Dial, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute,
		TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
	}
	return &authority{
		directory: o.Authority, email: o.Email, binding: acme.EAB{KeyID: o.KeyID, MACKey: o.Key}, vault: v, log: o.Log,
		client: &acme.Client{
			Directory: o.Authority, UserAgent: "Postroad", PollTimeout: nameTime / 2, PollInterval: o.Poll,
			HTTPClient: &http.Client{Transport: hearing{transport}, Timeout: requestTime},
		},
	}
}

// close ends its connections.
func (a *authority) close() { a.client.HTTPClient.CloseIdleConnections() }

// names are those by which CAA records know the authority; empty where it does not say (RFC 8555 §7.1.1).
func (a *authority) names(ctx context.Context) ([]string, error) {
	d, err := a.client.GetDirectory(ctx)
	if err != nil || d.Meta == nil {
		return nil, said(err)
	}
	return d.Meta.CAAIdentities, nil
}

// silentError says that an authority was not reached, or did not answer as one does.
type silentError struct{ cause error }

func (e *silentError) Error() string { return e.cause.Error() }
func (e *silentError) Unwrap() error { return e.cause }

// said is an error of a request to the authority: what it says is a problem (RFC 8555 §6.7), all else is not for us to
// understand.
func said(err error) error {
	if err == nil || problem(err) != "" {
		return err
	}
	return &silentError{err}
}

// patience is where the Retry-After of an answer is put that asks to be left alone (RFC 8555 §6.6).
type patience struct{ until time.Time }

type patienceKey struct{}

// hearing is a transport that listens for Retry-After.
type hearing struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (h hearing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.RoundTripper.RoundTrip(r)
	p, _ := r.Context().Value(patienceKey{}).(*patience)
	if err != nil || p == nil || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return resp, err
	}
	text := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		p.until = time.Now().Add(min(time.Duration(seconds)*time.Second, longestPatience))
	} else if at, err := http.ParseTime(text); err == nil {
		p.until = at
	}
	return resp, nil
}

// CloseIdleConnections lets the client close those of the transport.
func (h hearing) CloseIdleConnections() {
	if t, ok := h.RoundTripper.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// longestPatience is the longest that an authority is left alone because it says so.
const longestPatience = 8 * 24 * time.Hour

// registration is an account as the vault keeps it.
type registration struct {
	Account acme.Account `json:"account"`
	Key     []byte       `json:"key"` // SEC 1
}

// accountKey is where the account at this authority is kept; that of another binding is another one.
func (a *authority) accountKey() string {
	of := a.directory
	if a.binding.KeyID != "" {
		of += " " + a.binding.KeyID
	}
	sum := sha256.Sum256([]byte(of))
	return "account/" + hex.EncodeToString(sum[:16])
}

// registered gives the installation's account at the authority, made when there is none. The key is kept before the
// authority hears of it: a crash in between finds the same account again (RFC 8555 §7.3.1).
func (a *authority) registered(ctx context.Context) (acme.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.account.Status != "" {
		return a.account, nil
	}
	lock := &staged{vault: a.vault}
	if err := lock.Lock(ctx, a.accountKey()); err != nil {
		return acme.Account{}, err
	}
	defer func() { _ = lock.Unlock(ctx, a.accountKey()) }()
	var r registration
	var key crypto.Signer
	text, _, err := a.vault.load(ctx, a.accountKey())
	switch {
	case errors.Is(err, ErrMissing):
		made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return acme.Account{}, err
		}
		if r.Key, err = x509.MarshalECPrivateKey(made); err != nil {
			return acme.Account{}, err
		}
		if err := a.keep(ctx, &r); err != nil {
			return acme.Account{}, err
		}
		key = made
	case err != nil:
		return acme.Account{}, fmt.Errorf("the account at the certificate authority: %w", err)
	default:
		if err := json.Unmarshal(text, &r); err != nil {
			return acme.Account{}, fmt.Errorf("the account at the certificate authority: %w", err)
		}
		if key, err = x509.ParseECPrivateKey(r.Key); err != nil {
			return acme.Account{}, fmt.Errorf("the account at the certificate authority: %w", err)
		}
	}
	var contact []string
	if a.email != "" {
		contact = []string{"mailto:" + a.email}
	}
	if r.Account.Status == acme.StatusValid && len(r.Account.Contact) == len(contact) && (len(contact) == 0 || r.Account.Contact[0] == contact[0]) {
		r.Account.PrivateKey = key
		a.account = r.Account
		return a.account, nil
	}
	if r.Account.Status == acme.StatusValid {
		r.Account.PrivateKey, r.Account.Contact = key, contact
		r.Account, err = a.client.UpdateAccount(ctx, r.Account)
	} else {
		r.Account, err = a.register(ctx, contact, key)
	}
	if err != nil {
		return acme.Account{}, &accountError{said(err)}
	}
	r.Account.Contact, r.Account.PrivateKey, r.Account.ExternalAccountBinding = contact, key, nil
	if err := a.keep(ctx, &r); err != nil {
		return acme.Account{}, err
	}
	a.log.InfoContext(ctx, "registered with the certificate authority", slog.String("authority", a.directory))
	a.account = r.Account
	return a.account, nil
}

// accountError says that the authority does not take the account.
type accountError struct{ cause error }

func (e *accountError) Error() string { return e.cause.Error() }
func (e *accountError) Unwrap() error { return e.cause }

// register has the authority make an account, bound to what the operator has there (RFC 8555 §7.3.4).
func (a *authority) register(ctx context.Context, contact []string, key crypto.Signer) (acme.Account, error) {
	account := acme.Account{Contact: contact, TermsOfServiceAgreed: true, PrivateKey: key}
	if a.binding.KeyID != "" {
		if err := account.SetExternalAccountBinding(ctx, a.client, a.binding); err != nil {
			return acme.Account{}, err
		}
	}
	return a.client.NewAccount(ctx, account)
}

func (a *authority) keep(ctx context.Context, r *registration) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return a.vault.change(ctx, map[string][]byte{a.accountKey(): text})
}

// forget drops an account that the authority knows no more. Its key goes with it: the next one is another account.
func (a *authority) forget(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.account = acme.Account{}
	return a.vault.change(ctx, nil, a.accountKey())
}

// issue gets a certificate for a name by the first of the ways that works, and tells which one it was. The error is that
// of the last way that was tried.
func (a *authority) issue(ctx context.Context, name, replaces string, ways []way, csr []byte) (chain []byte, by cert.Challenge, err error) {
	account, err := a.registered(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, w := range ways {
		chain, err = a.attempt(ctx, account, name, replaces, w, csr)
		var shown *unshownError
		if err != nil && problem(err) == "accountDoesNotExist" {
			return nil, "", errors.Join(err, a.forget(ctx)) // the next attempt registers another one
		}
		if err == nil || !errors.As(err, &shown) {
			return chain, w.kind, err
		}
		a.log.InfoContext(ctx, "the certificate authority has not seen that a name is ours",
			slog.String("name", name), slog.String("challenge", string(w.kind)), slog.Any(obs.KeyError, err))
	}
	return nil, "", err
}

// unshownError says that the authority has looked and did not see what shows a name to be ours, or that it could not be
// shown: another way may work.
type unshownError struct{ cause error }

func (e *unshownError) Error() string { return e.cause.Error() }
func (e *unshownError) Unwrap() error { return e.cause }

// attempt gets a certificate in one way (RFC 8555 §7.1).
func (a *authority) attempt(ctx context.Context, account acme.Account, name, replaces string, w way, csr []byte) ([]byte, error) {
	order, err := a.newOrder(ctx, account, name, replaces)
	if err != nil {
		return nil, err
	}
	for _, url := range order.Authorizations {
		authz, err := a.client.GetAuthorization(ctx, account, url)
		if err != nil {
			return nil, said(err)
		}
		if authz.Status == acme.StatusValid {
			continue
		}
		if err := a.show(ctx, account, authz, w); err != nil {
			return nil, err
		}
	}
	order, err = a.client.FinalizeOrder(ctx, account, order, csr)
	if err != nil {
		return nil, said(err)
	}
	chains, err := a.client.GetCertificateChain(ctx, account, order.Certificate)
	if err != nil {
		return nil, said(err)
	}
	if len(chains) == 0 {
		return nil, errNoChain
	}
	return chains[0].ChainPEM, nil
}

var errNoChain = errors.New("the authority gave no certificate")

// show shows that a name is ours.
func (a *authority) show(ctx context.Context, account acme.Account, authz acme.Authorization, w way) error {
	var challenge acme.Challenge
	for _, c := range authz.Challenges {
		if c.Type == string(w.kind) {
			challenge = c
		}
	}
	if challenge.Type == "" {
		return &unshownError{fmt.Errorf("the authority does not offer %s for %s", w.kind, authz.IdentifierValue())}
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
		defer cancel()
		if err := w.tidy(ctx, challenge); err != nil {
			a.log.WarnContext(ctx, "what answers a challenge was not taken away; it will be", slog.Any(obs.KeyError, err))
		}
	}()
	if err := w.present(ctx, challenge); err != nil {
		a.leave(ctx, account, authz)
		return &unshownError{err}
	}
	if _, err := a.client.InitiateChallenge(ctx, account, challenge); err != nil {
		a.leave(ctx, account, authz)
		return said(err)
	}
	authz, err := a.client.PollAuthorization(ctx, account, authz)
	if err == nil {
		return nil
	}
	if authz.Status == acme.StatusInvalid {
		return &unshownError{err}
	}
	a.leave(ctx, account, authz)
	return said(err)
}

// leave gives up an authorization, so that it does not count among those that wait for us.
func (a *authority) leave(ctx context.Context, account acme.Account, authz acme.Authorization) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	if _, err := a.client.DeactivateAuthorization(ctx, account, authz.Location); err != nil {
		a.log.DebugContext(ctx, "an authorization was not given up", slog.Any(obs.KeyError, err))
	}
}

// order is one wish for a certificate, as the library gives it to an issuer.
type order struct {
	a        ca
	name     string
	replaces string // how the authority knows the certificate before; empty: it does not, or there is none
	ways     []way
	by       cert.Challenge // which way it was
}

// ca issues certificates, and says when it would like them to be renewed.
type ca interface {
	issue(ctx context.Context, name, replaces string, ways []way, csr []byte) (chain []byte, by cert.Challenge, err error)
	advise(ctx context.Context, leaf *x509.Certificate) (cert.Advice, error)
}

// issuerKey is where certificates lie in the vault, whoever has given them: after a change of the authority those of the
// one before are used until they are renewed.
const issuerKey = "acme"

// IssuerKey implements certmagic.Issuer.
func (*order) IssuerKey() string { return issuerKey }

// Issue implements certmagic.Issuer. What is no certificate for the key and the name is refused.
func (o *order) Issue(ctx context.Context, request *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	chain, by, err := o.a.issue(ctx, o.name, o.replaces, o.ways, request.Raw)
	if err != nil {
		return nil, err
	}
	if err := usable(chain, o.name, request.PublicKey, time.Now()); err != nil {
		return nil, &unusableError{err}
	}
	o.by = by
	return &certmagic.IssuedCertificate{Certificate: chain}, nil
}

// unusableError says that an authority has given what is no certificate for the name.
type unusableError struct{ cause error }

func (e *unusableError) Error() string { return e.cause.Error() }
func (e *unusableError) Unwrap() error { return e.cause }

// usable refuses a chain whose first certificate is not for the name and the key, or does not hold now.
func usable(chain []byte, name string, key any, now time.Time) error {
	list, err := certificates(chain)
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return errNoChain
	}
	leaf := list[0]
	if err := leaf.VerifyHostname(name); err != nil {
		return err
	}
	if public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(key) {
		return errors.New("the certificate is for another key")
	}
	if now.After(leaf.NotAfter) || now.Add(time.Hour).Before(leaf.NotBefore) {
		return fmt.Errorf("the certificate holds from %s to %s only", leaf.NotBefore.UTC().Format(time.DateTime), leaf.NotAfter.UTC().Format(time.DateTime))
	}
	return nil
}

// dialer looks hosts up where everything is looked up here, and connects to the first address that takes it.
func dialer(world World, dial func(ctx context.Context, network, address string) (net.Conn, error)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		answer := world.Addrs(ctx, host)
		if len(answer.Addrs) == 0 {
			return nil, fmt.Errorf("look-up of %s: %s, %s", host, answer.Status, answer.Detail)
		}
		var all error
		for _, a := range answer.Addrs {
			conn, err := dial(ctx, network, net.JoinHostPort(a.String(), port))
			if err == nil {
				return conn, nil
			}
			all = errors.Join(all, err)
		}
		return nil, all
	}
}

// certificates reads the certificates of a PEM text.
func certificates(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for block := range blocks(bytes.TrimSpace(text)) {
		c, err := x509.ParseCertificate(block)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}
