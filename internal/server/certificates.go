package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/finding"
	"postroad/internal/service/certs"
	"postroad/internal/service/control"
)

// certificateOptions are what control tells of certificates.
func (s *Server) certificateOptions() control.CertificateOptions {
	o := control.CertificateOptions{Agreed: s.cfg.ACME.Agree, Limit: s.cfg.ACME.NamesPerAccount, Addresses: s.publicAddresses()}
	if u, err := url.Parse(s.cfg.ACME.Directory); err == nil && strings.HasSuffix(u.Hostname(), ".letsencrypt.org") {
		o.Authority = "letsencrypt.org"
	}
	return o
}

// publicAddresses are those at which we are reached, as far as they are known.
func (s *Server) publicAddresses() []netip.Addr {
	out := slices.Clone(s.self.addresses)
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// joinCertificates makes the service that gives TLS its certificates, with those that are in the store.
func (s *Server) joinCertificates(ctx context.Context) error {
	var fallback tls.Certificate
	if s.cfg.TLS.CertFile == "" {
		var err error
		if fallback, err = s.selfSigned(); err != nil {
			return err
		}
	}
	o := certs.Options{
		Store: s.stores.control, Box: s.box, World: s.resolver, Configuration: certified{s.control}, Findings: findings{s.stores.control},
		Agreed: s.cfg.ACME.Agree, Authority: s.cfg.ACME.Directory, Email: s.cfg.ACME.Email, KeyID: s.cfg.ACME.EABKeyID, Key: s.cfg.ACME.EABKey, Labels: s.cfg.ACME.Labels,
		Hostname: s.cfg.Hostname, Names: s.otherNames, Answers: s.self.Answers, HTTP: addressesOf(s.web), HTTPS: addressesOf(s.secureWeb),
		CertFile: s.cfg.TLS.CertFile, KeyFile: s.cfg.TLS.KeyFile, Fallback: fallback, Dial: s.opts.Dialer.DialContext, Metrics: s.metrics, Log: s.log,
	}
	for _, c := range s.cfg.ACME.Challenges {
		o.Challenges = append(o.Challenges, cert.Challenge(c))
	}
	if path := s.cfg.ACME.CAFile; path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("acme.ca_file: %w", err)
		}
		if o.Roots = x509.NewCertPool(); !o.Roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("acme.ca_file: %s has no certificate in it", path)
		}
	}
	var err error
	if s.certs, err = certs.New(o); err != nil {
		return err
	}
	return s.certs.Load(ctx)
}

// otherNames are the name by which users' mail programs connect, and the exchangers of the operator's sets, by which senders
// know this installation.
func (s *Server) otherNames() []string {
	out := []string{s.cfg.Clients.Host}
	for _, set := range s.control.ExchangerSets(control.System()) {
		if set.Account != account.Operator {
			continue
		}
		for _, x := range set.Exchangers {
			out = append(out, x.Host)
		}
	}
	return out
}

func addressesOf(list []net.Listener) []netip.AddrPort {
	var out []netip.AddrPort
	for _, l := range list {
		if at, err := netip.ParseAddrPort(l.Addr().String()); err == nil {
			out = append(out, at)
		}
	}
	return out
}

// certified shows control as certs wants it.
type certified struct{ *control.Service }

// PutText implements certs.Configuration.
func (c certified) PutText(ctx context.Context, domain, owner, text string) error {
	return c.KeepText(ctx, domain, owner, text, true)
}

// DropText implements certs.Configuration.
func (c certified) DropText(ctx context.Context, domain, owner, text string) error {
	return c.KeepText(ctx, domain, owner, text, false)
}

// Findings implements certs.Findings.
func (f findings) Findings(ctx context.Context, domain string) ([]finding.Finding, error) {
	return f.store.Findings(ctx, account.System(), domain)
}

// strict tells browsers to come by HTTPS only (RFC 6797); it is said over HTTPS, where alone it counts.
func strict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		next.ServeHTTP(w, r)
	})
}

// serveHTTPS is serveHTTP under TLS, with HTTP/2 where the client speaks it.
func (s *Server) serveHTTPS(l net.Listener, server *http.Server, config *tls.Config) {
	server.TLSConfig = config
	server.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug) // whoever knocks fails in the handshake
	s.serveWeb("https", l, server, func(l net.Listener) error { return server.ServeTLS(l, "", "") })
}
