package certs_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"postroad/internal/service/certs"
	"postroad/internal/sim"
)

func TestAChallengeIsAnsweredAtItsNameOnly(t *testing.T) {
	t.Parallel()
	s := newPlainScene(t)
	service, err := certs.New(s.options)
	if err != nil {
		t.Fatal(err)
	}
	open := acme.Challenge{Type: "http-01", Token: "abc-_1", KeyAuthorization: "abc-_1.key", Identifier: acme.Identifier{Type: "dns", Value: "mail.ann.example"}}
	if err := service.KeepChallenge(t.Context(), open, ""); err != nil {
		t.Fatal(err)
	}
	handler := service.HTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	const path = "/.well-known/acme-challenge/"
	for _, c := range []struct {
		method, target, host string
		code                 int
	}{
		{"GET", path + "abc-_1", "mail.ann.example", 200},
		{"GET", path + "abc-_1", "MAIL.ann.example:80", 200},
		{"GET", path + "abc-_1", "www.ann.example", 404},
		{"GET", path + "abc-_1", "203.0.113.5", 404},
		{"POST", path + "abc-_1", "mail.ann.example", 404},
		{"GET", path + "abc", "mail.ann.example", 404},
		{"GET", path, "mail.ann.example", 404},
		{"GET", path + "../http-01/abc-_1", "mail.ann.example", 404},
		{"GET", path + strings.Repeat("a", 5000), "mail.ann.example", 404},
		{"GET", "/healthz", "mail.ann.example", 418},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, "http://"+c.host+c.target, http.NoBody)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != c.code || c.code == 200 && w.Body.String() != "abc-_1.key" {
			t.Errorf("%s %s at %s: %d %q", c.method, c.target, c.host, w.Code, w.Body)
		}
	}
	open.Type = "tls-alpn-01"
	if err := service.KeepChallenge(t.Context(), open, ""); err != nil {
		t.Fatal(err)
	}
	config := service.HTTPS()
	asks := func(name string, protos ...string) *tls.Certificate {
		pair, err := config.GetCertificate(&tls.ClientHelloInfo{ServerName: name, SupportedProtos: protos})
		if err != nil {
			return nil
		}
		return pair
	}
	if pair := asks("mail.ann.example", acmez.ACMETLS1Protocol); pair == nil || asks("www.ann.example", acmez.ACMETLS1Protocol) != nil {
		t.Error("tls-alpn-01 is not answered at its name, or at another")
	}
	if got := asks("mail.ann.example", "h2", "http/1.1"); got == nil || got.Leaf.Subject.CommonName != "self-signed.example" {
		t.Error("a browser is shown the answer to a challenge")
	}
}

func TestConfiguredFilesAreReadAgainWhenTheyChange(t *testing.T) {
	t.Parallel()
	s := newPlainScene(t)
	s.options.Agreed = false
	s.options.Tick, s.options.Follow = 10*time.Millisecond, 10*time.Millisecond
	dir, ca := t.TempDir(), sim.NewCA(t)
	s.options.CertFile, s.options.KeyFile = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	write := func(name string) {
		t.Helper()
		certificate, key := ca.Files(name)
		for file, text := range map[string][]byte{s.options.CertFile: certificate, s.options.KeyFile: key} {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := certs.New(s.options); err == nil {
		t.Error("files that are not there are taken")
	}
	write("one.example")
	service, _ := s.node(false)
	if err := leaf(t, service, "any.example").VerifyHostname("one.example"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(s.options.CertFile, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	write("two.example")
	await(t, "the new certificate", func() bool { return leaf(t, service, "any.example").VerifyHostname("two.example") == nil })
	if err := os.Remove(s.options.KeyFile); err != nil {
		t.Fatal(err)
	}
	before := s.reads()
	await(t, "two more looks", func() bool { return s.reads() > before+2 })
	if err := leaf(t, service, "any.example").VerifyHostname("two.example"); err != nil {
		t.Errorf("without its key file: %v", err)
	}
}

func TestAnAuthorityIsAskedAgainInAnotherWay(t *testing.T) {
	t.Parallel()
	s := newScene(t, 0, added("mail.ann.example"))
	s.options.HTTP = s.options.HTTPS // http-01 is believed to be answered, and nobody listens where Pebble looks
	service, _ := s.node(false)
	t.Cleanup(func() { _ = s.web.Close() })
	secure := &http.Server{Handler: http.NotFoundHandler(), TLSConfig: service.HTTPS(), ReadHeaderTimeout: time.Minute}
	go func() { _ = secure.ServeTLS(s.https, "", "") }()
	t.Cleanup(func() { _ = secure.Close() })
	_ = s.web.Close()
	await(t, "a certificate in another way", func() bool { return leaf(t, service, "mail.ann.example").VerifyHostname("mail.ann.example") == nil })
	if c := s.memory.certificate("mail.ann.example"); c.By != "tls-alpn-01" {
		t.Errorf("status %+v", c)
	}
}

func TestAnAuthorityThatAnswersWrongly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  func(w http.ResponseWriter, r *http.Request) bool
		problem string
	}{
		"not at all":      {func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true }, "authority"},
		"with a web page": {func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write([]byte("<html>hello")); return true }, "authority"},
		"with a limit": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/order-plz" {
				return false
			}
			w.Header().Set("Retry-After", "7200")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates"}`))
			return true
		}, "rate-limited"},
		"that the account is gone": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/order-plz" {
				return false
			}
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"type":"urn:ietf:params:acme:error:accountDoesNotExist","detail":"who are you?"}`))
			return true
		}, "account"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, 0)
			s.acme.Answer(c.answer)
			s.node(true)
			await(t, "an attempt", func() bool { return s.memory.certificate(host).Failures > 0 })
			got := s.memory.certificate(host)
			if string(got.Problem) != c.problem || got.Detail == "" {
				t.Errorf("status %+v", got.Status)
			}
			if c.problem == "rate-limited" && got.Next.Sub(got.Tried) < 2*time.Hour-time.Minute {
				t.Errorf("asked again after %s", got.Next.Sub(got.Tried))
			}
			if c.problem == "account" && len(s.memory.keysUnder("account/")) > 0 {
				t.Error("an account that the authority does not know is kept")
			}
		})
	}
}
