package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postroad/internal/core/cert"
	"postroad/internal/service/certs"
	"postroad/internal/sim"
)

// RFC 8555 §8.3, §8.4, RFC 8737 §3.
func TestEachChallengeGetsACertificateFromPebble(t *testing.T) {
	t.Parallel()
	for _, kind := range cert.Challenges() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, 0, added("mail.ann.example"))
			s.options.Challenges = []cert.Challenge{kind}
			service, _ := s.node(true)
			await(t, "a certificate for mail.ann.example", func() bool { return leaf(t, service, "MAIL.ann.example.").VerifyHostname("mail.ann.example") == nil })
			got := leaf(t, service, "mail.ann.example")
			if _, err := got.Verify(x509.VerifyOptions{DNSName: "mail.ann.example", Roots: s.acme.Pool(), Intermediates: chainOf(t, service, "mail.ann.example")}); err != nil {
				t.Errorf("what a client is shown: %v", err)
			}
			c := s.memory.certificate("mail.ann.example")
			if c.By != kind || c.Problem != "" || !c.NotAfter.Equal(got.NotAfter) || c.Failures != 0 || !strings.Contains(c.Issuer, "Pebble") {
				t.Errorf("status %+v", c)
			}
			await(t, "what answered the challenge is taken away", func() bool { return len(s.memory.keysUnder("challenge/")) == 0 && len(s.config.texts) == 0 })
		})
	}
}

func TestACertificateOfSecondsIsRenewedByPebbleWhileItIsShown(t *testing.T) {
	t.Parallel()
	s := newScene(t, 4*time.Second)
	service, _ := s.node(true)
	await(t, "the first certificate", func() bool { return leaf(t, service, host).VerifyHostname(host) == nil })
	first := leaf(t, service, host)
	await(t, "the next one", func() bool { return leaf(t, service, host).SerialNumber.Cmp(first.SerialNumber) != 0 })
	if next := leaf(t, service, host); next.VerifyHostname(host) != nil || !next.NotAfter.After(first.NotAfter) || time.Now().After(first.NotAfter) {
		t.Errorf("%s to %s follows %s to %s", next.NotBefore, next.NotAfter, first.NotBefore, first.NotAfter)
	}
	if next := leaf(t, service, host); next.PublicKey.(*ecdsa.PublicKey).Equal(first.PublicKey) {
		t.Error("the key stays the same")
	}
}

func TestAChallengeOfOneNodeIsAnsweredByAnother(t *testing.T) {
	t.Parallel()
	for _, kind := range []cert.Challenge{cert.HTTP01, cert.TLSALPN01} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, 0)
			s.options.Challenges = []cert.Challenge{kind}
			s.acme.Answer(func(w http.ResponseWriter, _ *http.Request) bool { // until both nodes are there
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			})
			orders, stop := s.node(false)
			await(t, "the first node to look after names", func() bool { return s.memory.certificate(host).Failures > 0 })
			answers, _ := s.node(true)
			s.acme.Answer(nil)
			s.memory.ask(host)
			await(t, "a certificate", func() bool { return leaf(t, orders, host).VerifyHostname(host) == nil })
			await(t, "the other node to show it", func() bool { return leaf(t, answers, host).SerialNumber.Cmp(leaf(t, orders, host).SerialNumber) == 0 })
			stop()
		})
	}
}

// chainOf is the intermediate certificates that a client is shown.
func chainOf(t *testing.T, service *certs.Service, name string) *x509.CertPool {
	t.Helper()
	pair, err := service.TLS().GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		pool.AddCert(c)
	}
	return pool
}

// RFC 8555 §7.3.4.
func TestAnAuthorityThatKnowsItsCustomersOnly(t *testing.T) {
	t.Parallel()
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	for name, c := range map[string]struct {
		id, key string
		problem cert.Problem
	}{
		"a customer":                {"kid-1", key, ""},
		"a stranger":                {"", "", cert.Account},
		"somebody with another key": {"kid-1", "b" + key[1:], cert.Account},
		"somebody it does not know": {"kid-2", key, cert.Account},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, 0)
			s.authority(sim.ACMEOptions{KeyID: "kid-1", Key: key})
			s.options.KeyID, s.options.Key = c.id, c.key
			s.node(true)
			await(t, "an attempt", func() bool { got := s.memory.certificate(host); return got.Problem != "" || !got.NotAfter.IsZero() })
			if got := s.memory.certificate(host); got.Problem != c.problem || (c.problem == "") != !got.NotAfter.IsZero() {
				t.Errorf("%+v", got.Status)
			}
		})
	}
}

// RFC 9773 §4.1, §5.
func TestPebbleSaysWhenACertificateIsToBeRenewed(t *testing.T) {
	t.Parallel()
	s := newScene(t, 90*24*time.Hour)
	service, _ := s.node(true)
	await(t, "what it says", func() bool { return !s.memory.certificate(host).Advice.From.IsZero() })
	first := leaf(t, service, host)
	c := s.memory.certificate(host)
	if at := c.RenewAt(); at.Before(c.Advice.From) || at.After(c.Advice.Until) || c.Advice.From.Before(first.NotBefore.Add(58*24*time.Hour)) || c.Advice.Until.After(first.NotBefore.Add(62*24*time.Hour)) || time.Until(c.Advice.Again) < 5*time.Hour {
		t.Errorf("%+v, renewed at %s", c.Advice, at)
	}
	// It finds a fault with the certificate, which came a while ago.
	var successors atomic.Int64
	s.acme.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.Contains(r.URL.Path, "renewalInfo"):
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"suggestedWindow":{"start":%q,"end":%q},"explanationURL":"https://ca.example/why"}`, first.NotBefore.Add(-2*time.Hour).Format(time.RFC3339), first.NotBefore.Add(-time.Hour).Format(time.RFC3339))
			return true
		case strings.HasSuffix(r.URL.Path, "order-plz"):
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			var request struct{ Payload string }
			if json.Unmarshal(body, &request) == nil {
				text, _ := base64.RawURLEncoding.DecodeString(request.Payload)
				if strings.Contains(string(text), `"replaces"`) {
					successors.Add(1)
				}
			}
		}
		return false
	})
	s.memory.change(host, func(c *cert.Certificate) { c.Given, c.Advice.Again = c.Given.Add(-24*time.Hour), time.Time{} })
	await(t, "another certificate", func() bool { return leaf(t, service, host).SerialNumber.Cmp(first.SerialNumber) != 0 })
	if successors.Load() != 1 {
		t.Errorf("%d orders name the certificate before", successors.Load())
	}
}

func TestAnAuthorityThatKnowsNothingOfTheCertificateBeforeTakesTheOrder(t *testing.T) {
	t.Parallel()
	s := newScene(t, 90*24*time.Hour)
	service, stop := s.node(true)
	await(t, "what it says", func() bool { return !s.memory.certificate(host).Advice.From.IsZero() })
	first := leaf(t, service, host)
	stop()
	s.authority(sim.ACMEOptions{}) // another one
	s.memory.ask(host)
	again, _ := s.node(false) // the first one answers challenges still
	await(t, "another certificate", func() bool { return leaf(t, again, host).SerialNumber.Cmp(first.SerialNumber) != 0 })
}
